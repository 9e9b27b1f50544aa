"""The lists of `hublaunch list`."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta

from hublaunch.cli.duration import rough
from hublaunch.cli.output import aligned, printable
from hublaunch.cli.remembered import CannotRemember, forget
from hublaunch.client import Launch, LaunchClient, LaunchNotFound


async def of_the_caller(client: LaunchClient, filters: Mapping[str, str | None], *, limit: int) -> Sequence[Launch]:
    """Return the caller's launches from the service. A filter with None has no effect. Raises a LaunchClientError."""
    given = {name: value for name, value in filters.items() if value is not None}
    found: list[Launch] = []
    async with client, aclosing(client.launches(**given, limit=str(min(limit, 200)))) as launches:
        async for launch in launches:
            found.append(launch)
            if len(found) == limit:
                break
    return found


async def of_this_machine(
    client: LaunchClient, launch_ids: Sequence[str], *, status: str | None, environment: str | None, limit: int
) -> Sequence[Launch]:
    """Return these launches, newest first, and forget those that the service no longer keeps."""
    found: list[Launch] = []
    async with client:
        for launch_id in sorted(launch_ids, reverse=True):  # ids sort by acceptance time
            try:
                launch = await client.get(launch_id)
            except LaunchNotFound:
                with suppress(CannotRemember):  # then the next list asks for it again
                    forget([launch_id])
                continue
            if status in (None, launch.status) and environment in (None, launch.environment):
                found.append(launch)
            if len(found) == limit:
                break
    return found


def table(launches: Sequence[Launch]) -> Generator[str]:
    """Yield a heading, then one line per launch."""
    rows: list[Sequence[str]] = [("ID", "STATUS", "AGE", "ENDS", "IMAGE", "REPOSITORY")]
    for launch in launches:
        ends = time_left(launch.will_end_at) if launch.will_end_at else "-"
        repository = " ".join(filter(None, (launch.repo_url, launch.ref))) or "-"
        status = f"{launch.status} (stalled)" if launch.stalled_since else launch.status
        shown = launch.id, status, age(launch.created_at), ends, launch.image or "-", repository
        rows.append((shown[0], *map(printable, shown[1:])))
    return aligned(rows)


def age(at: datetime) -> str:
    """Return the time since `at`."""
    return rough(max(datetime.now(UTC) - at, timedelta()))


def time_left(at: datetime) -> str:
    """Return the time until `at` as `in 12 min`; `now` once it has passed."""
    left = at - datetime.now(UTC)
    return f"in {rough(left)}" if left > timedelta() else "now"
