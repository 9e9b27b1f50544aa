"""Launches as a list."""

from collections.abc import Generator, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta

from hublaunch.cli.exits import printable
from hublaunch.cli.remembered import CannotRemember, forget
from hublaunch.cli.table import aligned
from hublaunch.client import Launch, LaunchClient, LaunchNotFound


async def of_the_caller(client: LaunchClient, *, status: str | None, everybody: bool, limit: int) -> Sequence[Launch]:
    """What the service lists; a LaunchClientError."""
    wanted = {"limit": str(min(limit, 200))}
    if status:
        wanted["status"] = status
    if everybody:
        wanted["everybody"] = "true"
    found: list[Launch] = []
    async with client, aclosing(client.launches(**wanted)) as launches:
        async for launch in launches:
            found.append(launch)
            if len(found) == limit:
                break
    return found


async def of_this_machine(
    client: LaunchClient, launch_ids: Sequence[str], *, status: str | None, limit: int
) -> Sequence[Launch]:
    """What the service says of each of these, the newest first; what it has no more is forgotten."""
    found: list[Launch] = []
    async with client:
        for launch_id in sorted(launch_ids, reverse=True):  # ids sort by the time of acceptance
            try:
                launch = await client.get(launch_id)
            except LaunchNotFound:
                with suppress(CannotRemember):  # it will be asked for again, and that is all
                    forget([launch_id])
                continue
            if not status or launch.status == status:
                found.append(launch)
            if len(found) == limit:
                break
    return found


def table(launches: Sequence[Launch]) -> Generator[str]:
    """A line a launch under a heading."""
    rows: list[Sequence[str]] = [("ID", "STATUS", "AGE", "IMAGE", "REPOSITORY")]
    for launch in launches:
        shown = launch.id, launch.status, age(launch.created_at), launch.image or "-", launch.repo_url or "-"
        rows.append((shown[0], *map(printable, shown[1:])))
    return aligned(rows)


def age(at: datetime) -> str:
    """`5 s`, `12 min`, `3 h` or `4 d` ago."""
    passed = max(datetime.now(UTC) - at, timedelta())
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if passed >= length:
            return f"{passed // length} {unit}"
    return f"{passed.seconds} s"
