"""`hublaunch doctor` on the records: the database, and how the Hub guard stands."""

import asyncio
from collections.abc import AsyncGenerator

from hublaunch.doctor.finding import Finding, clock
from hublaunch.doctor.guard import guard_state
from hublaunch.settings import Settings
from hublaunch.store.errors import StoreError
from hublaunch.store.inspect import look


async def examine_records(settings: Settings) -> AsyncGenerator[Finding]:
    """Yield a finding for the database, its clock, and the guard where there are records."""
    async for finding in _database(settings):
        yield finding
    if guard := await asyncio.to_thread(_guard, settings):
        yield guard


async def _database(settings: Settings) -> AsyncGenerator[Finding]:
    try:
        found = await asyncio.to_thread(look, settings.database_url)
    except StoreError as error:
        advice = "Set LAUNCHER_DATABASE_URL, or see to it that the database can be used."
        yield Finding(check="database", state="fault", told=str(error), advice=advice)
        return
    tables = "its tables are yet to be made" if found.version is None else f"tables of version {found.version}"
    later = "" if found.is_current else "; the next start brings them up to date"
    yield Finding(check="database", state="ok", told=f"{found.described}: {tables}{later}.")
    if found.free_bytes is not None:
        yield _disk(found.free_bytes // 1024**2, least_mib=settings.min_free_space)
    if found.clock_ahead_s is not None:
        yield clock("database's clock", found.clock_ahead_s)


def _disk(free_mib: int, *, least_mib: int) -> Finding:
    told = f"The volume of the database has {free_mib} MiB of disk space left."
    if free_mib >= least_mib:
        return Finding(check="disk", state="ok", told=told)
    advice = f"No launch is accepted below LAUNCHER_MIN_FREE_SPACE={least_mib}: make room on the volume."
    return Finding(check="disk", state="fault", told=told, advice=advice)


def _guard(settings: Settings) -> Finding | None:
    """Whether launches are held back; None where there are no records that tell."""
    try:
        state, lines = guard_state(settings)
    except StoreError:
        return None
    told = f"{lines[0].removeprefix('Guard').strip().capitalize()}."
    if state in ("open", "off"):
        return Finding(check="Hub guard", state="ok", told=told)
    advice = (
        "Find out why servers fail to start, then run `hublaunch guard clear` or restart the Hub. "
        "hub.consecutiveFailureLimit: 0 in z2jh's values (c.Spawner.consecutive_failure_limit) ends the danger."
    )
    return Finding(check="Hub guard", state="fault" if state == "paused" else "warning", told=told, advice=advice)
