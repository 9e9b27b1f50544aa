"""Processes killed or frozen while they write: the log, and the lock on the file."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hublaunch.sealing import Sealer
from hublaunch.store.errors import DatabaseInUse
from hublaunch.store.sql import SqlLaunchStore

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def appender(sqlite_url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.store.appender", sqlite_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        yield process
        process.kill()


def acknowledged(appender: subprocess.Popen[str], number: int) -> dict[str, int]:
    """Read this many acknowledgments; the last of each launch."""
    assert appender.stdout is not None
    last: dict[str, int] = {}
    for _ in range(number):
        launch_id, seq = appender.stdout.readline().split()
        last[launch_id] = int(seq)
    return last


def freeze(process: subprocess.Popen[str]) -> None:
    """Return once the process stands still."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


async def test_acknowledged_events_survive_kill_9_and_the_file_is_taken_until_then(
    appender: subprocess.Popen[str], sqlite_url: str, sealer: Sealer
) -> None:
    last = acknowledged(appender, 600)
    freeze(appender)
    with pytest.raises(DatabaseInUse):
        await SqlLaunchStore(sqlite_url, sealer=sealer).__aenter__()

    appender.kill()
    appender.wait(timeout=10)

    assert len(last) == 3
    async with SqlLaunchStore(sqlite_url, sealer=sealer) as store:
        assert {launch.id for launch in await store.ownership.adopt(limit=9)} == last.keys()
        for launch_id, seq in last.items():
            log = [event.seq for event in await store.log.events(launch_id, after=0)]
            assert log == list(range(1, len(log) + 1))
            assert len(log) >= seq
