"""Log lines of tasks that work on several launches name the one they are about."""

import asyncio
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.caller import Caller
from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.model import Launch, LaunchRequest
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.launching import SEALER, Launching, OpenCore, launching
from tests.support.pace import QUICK

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")


class Lines(logging.Handler):
    """The logged lines, each with the current launch."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        attempt = current_attempt.get()
        self.said.append((record.getMessage(), attempt.launch_id if attempt else None))

    def launches_of(self, words: str) -> set[str | None]:
        """Return the launches of the lines with these words."""
        return {launch_id for line, launch_id in self.said if words in line}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    caplog.set_level(logging.INFO, "hublaunch")
    lines = Lines()
    logging.getLogger("hublaunch").addHandler(lines)
    yield lines
    logging.getLogger("hublaunch").removeHandler(lines)


def stored(directory: Path) -> SqlLaunchStore:
    """Return the store in this directory, for one process."""
    return SqlLaunchStore(f"sqlite:///{directory}/l.sqlite", sealer=SEALER)


async def start(core: Launching) -> Launch:
    """Start a launch in its own task and context, as a request does."""
    return await asyncio.create_task(core.service.start(REQUEST, ANYBODY))


async def test_lines_about_a_failed_check_name_its_launch(hub: FakeHub, open_core: OpenCore, lines: Lines) -> None:
    async with open_core(pace=replace(QUICK, check_ready_s=0)) as core:
        launches = [await start(core) for _ in range(2)]
        await core.idle()
        hub.fail_on("get_user", status=403, message="no", times=math.inf)

        await core.reaper._check_ready_launches()

    assert lines.launches_of("could not be checked") == {launch.id for launch in launches}
    assert current_attempt.get() is None


async def test_lines_on_adopted_launches_name_them(
    hub: FakeHub, client: HubClient, lines: Lines, tmp_path: Path
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with stored(tmp_path) as store, launching(hub, client, store) as core:
        launches = [await start(core) for _ in range(2)]

    async with stored(tmp_path) as store, launching(hub, client, store) as core:
        await core.leases._adopt()

    assert lines.launches_of("is adopted") == {launch.id for launch in launches}


async def test_lines_on_lost_launches_name_them(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, lines: Lines
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with open_core() as core:
        launches = [await start(core) for _ in range(2)]
        await store.ownership.release()
        store.ownership.lease = replace(store.ownership.lease, owner="somebody else")
        await store.ownership.adopt(limit=9)

        await core.leases._drop_lost([])

    assert lines.launches_of("another process has adopted it") == {launch.id for launch in launches}
