"""Checks of the database, its disk and its clock, and of the Hub guard, whose state it holds."""

import asyncio
from collections.abc import AsyncGenerator

from hublaunch.doctor.finding import Finding, clock
from hublaunch.doctor.guard import guard_state
from hublaunch.launch.rules.condition import Condition
from hublaunch.settings import Settings
from hublaunch.store.errors import StoreError
from hublaunch.store.inspect import inspect


async def examine_database(settings: Settings) -> AsyncGenerator[Finding]:
    """Yield findings for the database, its disk, its clock, and the guard once there is a database."""
    async for finding in _database(settings):
        yield finding
    if guard := await asyncio.to_thread(_guard, settings):
        yield guard


async def _database(settings: Settings) -> AsyncGenerator[Finding]:
    try:
        found = await asyncio.to_thread(inspect, settings.database_url)
    except StoreError as error:
        advice = "Correct LAUNCHER_DATABASE_URL, or make the database usable."
        message = f"{Condition.DATABASE_FAILING.words}: {error}"
        yield Finding(check="database", state="fault", message=message, advice=advice)
        return
    tables = "the tables do not exist yet" if found.version is None else f"tables of version {found.version}"
    later = "" if found.is_current else "; the next start creates or upgrades them"
    yield Finding(check="database", state="ok", message=f"{found.described}: {tables}{later}.")
    if found.free_bytes is not None:
        yield _disk(found.free_bytes // 1024**2, least_mib=settings.min_free_space)
    if found.clock_ahead_s is not None:
        yield clock("database's clock", found.clock_ahead_s)


def _disk(free_mib: int, *, least_mib: int) -> Finding:
    message = f"The volume of the database has {free_mib} MiB of free disk space."
    if free_mib >= least_mib:
        return Finding(check="disk", state="ok", message=message)
    message = f"{Condition.STORAGE_FULL.words}: the volume of the database has {free_mib} MiB of free disk space."
    advice = f"Below LAUNCHER_MIN_FREE_SPACE={least_mib}, no launch is accepted. Free space on the volume."
    return Finding(check="disk", state="fault", message=message, advice=advice)


def _guard(settings: Settings) -> Finding | None:
    """Return the finding on whether the guard holds launches back; None without a database."""
    try:
        state, lines = guard_state(settings)
    except StoreError:
        return None
    sentence = lines[0].removeprefix("Guard").strip()
    message = f"{sentence[0].upper()}{sentence[1:]}."
    if state in ("open", "off"):
        return Finding(check="Hub guard", state="ok", message=message)
    advice = (
        "Find out why servers fail to start, then run `hublaunch guard clear` or restart the Hub. With "
        "c.Spawner.consecutive_failure_limit = 0 (z2jh: hub.consecutiveFailureLimit: 0) the Hub needs no guard."
    )
    return Finding(check="Hub guard", state="fault" if state == "paused" else "warning", message=message, advice=advice)
