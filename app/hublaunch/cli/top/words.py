"""The content of `hublaunch top` in words and as JSON."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from hublaunch.api.overview import OVERVIEW_FIELDS, overview_json
from hublaunch.cli.duration import rough
from hublaunch.cli.output import aligned, printable
from hublaunch.cli.top.reading import Seen, TopSource
from hublaunch.doctor.guard import STATES
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Launch
from hublaunch.launch.ports import Overview, Process
from hublaunch.store.database import described

Row = tuple[str, ...]

READY_HEADINGS = ("SERVERS", "ENVIRONMENT", "IMAGE")
PROCESS_HEADINGS = ("PROCESS", "LAUNCHES", "HEARTBEAT", "LEASE ENDS")
REFUSED_HEADINGS = ("UNTIL", "IMAGE", "CAUSE")
LAUNCH_HEADINGS = ("ID", "STAGE", "AGE", "SILENT", "CALLER", "IMAGE", "REPOSITORY", "MESSAGE")
_READY_IN_SUMMARY = 4


def stage(launch: Launch) -> str:
    """Return what the launch waits for, in one word or two."""
    if launch.cancel_requested_at is not None:
        return "cancelling"
    last = launch.last_event
    is_queued = launch.admitted_at is None and not launch.is_claim
    waits_for = "queued" if is_queued else str(last.stage or launch.status)
    return f"{waits_for} (stalled)" if last.stalled_since is not None else waits_for


def caller(of: Caller) -> str:
    """Return an address or the name of a Hub user; for others the kind and the name, as in `key course`."""
    return of.key if of.kind in ("anonymous", "hub") else f"{of.kind} {of.key}"


def named(launch: Launch) -> str:
    """Return the environment, or else the image."""
    return launch.request.environment or launch.request.image


def age(launch: Launch, seen: Overview) -> str:
    """Return the time since the launch was accepted."""
    return _since(seen.at - launch.created_at)


def silence(launch: Launch, seen: Overview) -> str:
    """Return the time since the last event of the launch."""
    return _since(seen.at - launch.last_event.at)


def _since(passed: timedelta) -> str:
    return rough(max(timedelta(), passed))


# --- the summary ------------------------------------------------------------------------------------------------------


def summary(seen: Seen, source: TopSource) -> Iterator[tuple[str, str]]:
    """Yield headings and texts about the whole service, each one line."""
    yield "Database", _database(seen, source)
    yield "Service", _service(seen, source)
    yield "Hub", _hub(seen)
    if seen.overview is None:
        return
    yield "Launches", _launches(seen.overview)
    yield "Guard", _guard(seen.overview, source)
    yield "Processes", _processes(seen.overview, source)
    yield "Ready", _ready(seen.overview)
    if seen.overview.warm:
        yield "Warm", ", ".join(f"{one.pool}: {one.ready} ready, {one.starting} starting" for one in seen.overview.warm)


def _database(seen: Seen, source: TopSource) -> str:
    if seen.fault:
        state = f"has been unreadable since {seen.fault_since:%H:%M:%S} UTC" if seen.fault_since else "cannot be read"
        return f"{state}. {seen.fault}"
    return described(source.settings.database_url)


def _service(seen: Seen, source: TopSource) -> str:
    if seen.status is None:
        return f"no hublaunch answers at {source.url}"
    reasons = " ".join(map(str, seen.status.get("reasons") or ()))
    return f"{seen.status.get('status')}{f': {reasons}' if reasons else ''}"


def _hub(seen: Seen) -> str:
    if seen.status is None:
        said = "latency unknown, because the service does not answer"
    elif seen.status["hub"].get("latency_ms") is None:
        said = "JupyterHub does not answer"
    else:
        said = f"JupyterHub {seen.status['hub'].get('version')} answered in {seen.status['hub']['latency_ms']} ms"
    busy_for_s = seen.overview.capacity.hub_busy_for_s if seen.overview else None
    return said if busy_for_s is None else f"{said}; it asked us to wait; {busy_for_s:.0f} s are left"


def _launches(seen: Overview) -> str:
    counted = seen.capacity
    oldest = f" (longest {_since(seen.at - counted.waiting_since)})" if counted.waiting_since else ""
    stalled = f" ({counted.stalled} stalled)" if counted.stalled else ""
    said = f"{counted.waiting} in the queue{oldest}, {counted.launching} at the Hub{stalled}, {counted.ready} ready"
    return f"{said}; draining: new launches are refused" if counted.is_draining else said


def _guard(seen: Overview, source: TopSource) -> str:
    counted = seen.capacity
    said = f"{source.guard.mode}: {STATES[counted.guard]}"
    if counted.window is not None:
        said += f"; failures in a row: {counted.failures} of {source.guard.failure_limit}"
    return f"{said}; images refused: {len(seen.refused)}" if seen.refused else said


def heartbeat_s(process: Process, seen: Overview, source: TopSource) -> float:
    """Return the seconds since the process last renewed its lease, if it has this machine's LAUNCHER_LEASE_S."""
    return source.settings.lease_s - (process.leased_until - seen.at).total_seconds()


def _processes(seen: Overview, source: TopSource) -> str:
    if not seen.processes:
        return "none runs on this database"
    latest = max(heartbeat_s(one, seen, source) for one in seen.processes)
    return f"{len(seen.processes)}, the oldest heartbeat {max(0, latest):.0f} s ago"


def _ready(seen: Overview) -> str:
    first = [f"{one.servers} {one.environment or one.image}" for one in seen.ready[:_READY_IN_SUMMARY]]
    further = len(seen.ready) - len(first)
    return ", ".join(first + ([f"{further} more images"] if further else [])) or "none"


# --- the lists --------------------------------------------------------------------------------------------------------


def launch_row(launch: Launch, seen: Overview) -> Row:
    """Return the cells of LAUNCH_HEADINGS."""
    repository = " ".join(filter(None, (launch.request.repo_url, launch.request.ref))) or "-"
    cells = (stage(launch), age(launch, seen), silence(launch, seen), caller(launch.caller), named(launch), repository)
    return (launch.id, *cells, launch.last_event.message)


def ready_rows(seen: Overview) -> Sequence[Row]:
    """Return the cells of READY_HEADINGS."""
    return [(str(one.servers), one.environment or "-", one.image) for one in seen.ready]


def process_rows(seen: Overview, source: TopSource) -> Sequence[Row]:
    """Return the cells of PROCESS_HEADINGS."""
    return [
        (
            one.id,
            str(one.launches),
            f"{max(0, heartbeat_s(one, seen, source)):.0f} s ago",
            f"in {left:.0f} s" if (left := (one.leased_until - seen.at).total_seconds()) > 0 else "expired",
        )
        for one in seen.processes
    ]


def refused_rows(seen: Overview) -> Sequence[Row]:
    """Return the cells of REFUSED_HEADINGS."""
    return [(f"{failed.until:%H:%M:%S} UTC", image, failed.cause) for image, failed in seen.refused.items()]


def plain(seen: Seen, source: TopSource) -> Iterator[str]:
    """Yield the lines of everything, as tables without colors."""
    yield from aligned([(heading, printable(text)) for heading, text in summary(seen, source)])
    if seen.overview is None:
        return
    lists: Sequence[tuple[Row, Sequence[Row]]] = (
        (LAUNCH_HEADINGS, [launch_row(launch, seen.overview) for launch in seen.overview.launches]),
        (READY_HEADINGS, ready_rows(seen.overview)),
        (PROCESS_HEADINGS, process_rows(seen.overview, source)),
        (REFUSED_HEADINGS, refused_rows(seen.overview)),
    )
    for headings, rows in lists:
        if rows:
            yield ""
            yield from aligned([headings, *(tuple(map(printable, row)) for row in rows)])


# --- as JSON ----------------------------------------------------------------------------------------------------------


def as_json(seen: Seen, source: TopSource) -> dict[str, Any]:
    """Return everything as one object. Times are RFC 3339 in UTC. Lists are null while the database cannot be read."""
    status = seen.status or {}
    found = {
        "database": described(source.settings.database_url),
        "database_fault": seen.fault or None,
        "service": {"url": source.url, "status": status.get("status"), "reasons": status.get("reasons")},
        "hub": {name: (status.get("hub") or {}).get(name) for name in ("version", "latency_ms")},
    }
    if seen.overview is None or seen.fault:
        return found | dict.fromkeys(OVERVIEW_FIELDS)
    return found | overview_json(seen.overview, source.guard, source.quotas)
