"""The runbook's operations on a service with 26 launches in progress: none is lost, and none is at the Hub twice.

Each test runs `hublaunch serve` and the commands of docs/runbook.md as processes. The fake Hub keeps running, as
JupyterHub does while hublaunch is upgraded, and its journal says what happened there.
"""

import asyncio
import io
import signal
import sqlite3
import subprocess
import tarfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hublaunch.store.schema import HEAD
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.postgres import Postgres, plain
from tests.support.processes import Replica, events, launch, replica, started

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
EARLIER, VERSION_OF_EARLIER = "13a21c5a", "0008"
"""The commit before Part 8, and the version of its tables."""

READY, AT_HUB, QUEUED, CANCELLED_OF_EACH = 8, 12, 6, 3
SETTINGS = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": str(AT_HUB), "LAUNCHER_SECRET_KEY": ""}
KEPT = SpawnPlan(never=True, never_stops=True)
"""Starts and stops last until the test ends them."""

Accepted = dict[str, Any]


@dataclass(frozen=True)
class InProgress:
    """Launches in every state."""

    ready: list[Accepted]
    at_hub: list[Accepted]
    queued: list[Accepted]

    @property
    def cancelled(self) -> list[Accepted]:
        """Launches whose servers the Hub is stopping."""
        return self.ready[:CANCELLED_OF_EACH] + self.at_hub[:CANCELLED_OF_EACH]

    @property
    def kept(self) -> list[Accepted]:
        """Launches that nobody has cancelled."""
        return self.ready[CANCELLED_OF_EACH:] + self.at_hub[CANCELLED_OF_EACH:] + self.queued


@pytest.fixture
def hub(hub: FakeHub) -> FakeHub:
    """A fake Hub that answers a stop immediately, too."""
    hub.slow_stop_timeout = 0
    return hub


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which a process runs the code of the earlier commit."""
    known = subprocess.run(["git", "cat-file", "-e", EARLIER], check=False, cwd=ROOT, stderr=subprocess.DEVNULL)
    if known.returncode:
        pytest.skip(f"this copy of the repository lacks the commit {EARLIER}")
    archive = subprocess.run(["git", "archive", EARLIER, "app"], cwd=ROOT, capture_output=True, check=True)
    code = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(code, filter="data")
    package = code / "hublaunch"  # the package was named `app` then, and its command line was the same `serve`
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cli").symlink_to(code / "app" / "cli")
    return {"PYTHONPATH": str(code)}


async def db(hub: FakeHub, *arguments: str, **variables: str) -> None:
    """Run `hublaunch db` with the settings of a service. It must succeed."""
    settings = {"LAUNCHER_HUB_URL": hub.url, "LAUNCHER_HUB_API_TOKEN": hub.api_token} | variables
    async with asyncio.timeout(60), started("hublaunch.cli", "db", *arguments, **settings) as process:
        said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said


async def stop(at: Replica) -> None:
    at.process.send_signal(signal.SIGTERM)
    assert await at.process.wait() == 0


async def cancel(at: Replica, accepted: Accepted) -> int:
    return (await at.http.delete(f"/launch/{accepted['id']}", headers=secret(accepted))).status_code


async def shown(at: Replica, accepted: Accepted) -> dict[str, Any]:
    told: dict[str, Any] = (await at.http.get(f"/launch/{accepted['id']}", headers=secret(accepted))).json()
    return told


def secret(accepted: Accepted) -> dict[str, str]:
    return {"X-Launch-Secret": accepted["secret"]}


async def begin(hub: FakeHub, at: Replica) -> InProgress:
    """Launch until there are launches in every state, three ready and three starting ones being cancelled."""
    hub.spawn_plan(None, SpawnPlan(never_stops=True))
    ready = [await launch(at) for _ in range(READY)]
    for one in ready:
        assert (await events(at, one))[-1]["phase"] == "ready"
    hub.spawn_plan(None, KEPT)
    at_hub = [await launch(at) for _ in range(AT_HUB)]
    await hub.until(lambda: hub.open_streams == AT_HUB)
    launches = InProgress(ready, at_hub, queued=[await launch(at) for _ in range(QUEUED)])
    assert [await cancel(at, one) for one in launches.cancelled] == [202] * len(launches.cancelled)
    await hub.until(lambda: stopping(hub) == len(launches.cancelled), timeout=30)
    return launches


def stopping(hub: FakeHub) -> int:
    return sum(server.pending == "stop" for user in hub.users.values() for server in user.servers.values())


@asynccontextmanager
async def in_progress(hub: FakeHub, url: str, **variables: str) -> AsyncGenerator[tuple[Replica, InProgress]]:
    async with replica(hub, url, **SETTINGS | variables) as at:
        yield at, await begin(hub, at)


async def adopted(hub: FakeHub) -> None:
    """Return once a process follows all spawns."""
    await hub.until(lambda: hub.open_streams == AT_HUB - CANCELLED_OF_EACH, timeout=30)


async def finish(hub: FakeHub, at: Replica, launches: InProgress) -> None:
    """Let the Hub end what it has begun. Every launch must end as it should, and nothing else may be left."""
    await adopted(hub)
    hub.spawn_plan(None, SpawnPlan())
    for user in list(hub.users.values()):
        if any(server.pending for server in user.servers.values()):
            hub.release(user.name)
    async with asyncio.timeout(40):
        for one in launches.cancelled:
            while await cancel(at, one) != 204:
                pass
        for one in launches.kept:
            told = await events(at, one)
            assert told[-1]["phase"] == "ready", told[-1]
            assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    seen = {one["id"]: await shown(at, one) for one in launches.kept + launches.cancelled}
    users = {seen[one["id"]]["username"] for one in launches.kept}
    spawns = Counter(line.username for line in hub.journal if line.what == "spawn_started")
    assert all(seen[one["id"]]["open_url"] for one in launches.kept)
    assert {seen[one["id"]]["status"] for one in launches.cancelled} <= {"cancelled", "stopped"}
    assert (spawns.total(), set(spawns.values())) == (READY + AT_HUB + QUEUED, {1})
    assert hub.active_servers == {(user, "") for user in users}
    assert set(hub.users) == users


def version(directory: Path) -> str:
    """Return the version of the tables in `hublaunch.sqlite`."""
    with closing(sqlite3.connect(directory / "hublaunch.sqlite")) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def restore(directory: Path, backup: Path) -> None:
    """Replace the database and its key with the backup."""
    for path in directory.glob("hublaunch.*"):
        path.unlink()
    backup.rename(directory / "hublaunch.sqlite")
    backup.with_suffix(".secret-key").rename(directory / "hublaunch.secret-key")


async def test_a_backup_of_sqlite_is_restored(hub: FakeHub, tmp_path: Path) -> None:
    url, backup = f"sqlite:///{tmp_path}/hublaunch.sqlite", tmp_path / "backup.sqlite"
    async with in_progress(hub, url) as (at, launches):
        await db(hub, "backup", str(backup), LAUNCHER_DATABASE_URL=url)
        await at.kill()

    restore(tmp_path, backup)

    async with replica(hub, url, **SETTINGS) as at:
        await finish(hub, at, launches)


async def test_a_dump_of_postgresql_is_restored(hub: FakeHub, postgres: Postgres, tmp_path: Path) -> None:
    url, restored, dump = postgres.database(), postgres.database(migrated=False), tmp_path / "hublaunch.dump"
    key = {"LAUNCHER_SECRET_KEY": "k" * 32}
    async with in_progress(hub, url, **key) as (at, launches):
        await asyncio.to_thread(postgres.run, "pg_dump", "--format=custom", f"--file={dump}", plain(url))
        await at.kill()

    options = ("--single-transaction", "--no-owner", f"--dbname={plain(restored)}")
    await asyncio.to_thread(postgres.run, "pg_restore", *options, str(dump))

    async with replica(hub, restored, **SETTINGS | key) as at:
        await finish(hub, at, launches)


async def test_a_service_moves_from_sqlite_to_postgresql(hub: FakeHub, postgres: Postgres, tmp_path: Path) -> None:
    old, new = f"sqlite:///{tmp_path}/hublaunch.sqlite", postgres.database(migrated=False)
    async with in_progress(hub, old) as (at, launches):
        await stop(at)
    key = {"LAUNCHER_SECRET_KEY": (tmp_path / "hublaunch.secret-key").read_text().strip()}

    await db(hub, "copy", old, LAUNCHER_DATABASE_URL=new, **key)

    async with replica(hub, new, **SETTINGS | key) as at:
        await finish(hub, at, launches)


async def test_the_release_before_part_8_is_upgraded(hub: FakeHub, tmp_path: Path, earlier: dict[str, str]) -> None:
    url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    async with in_progress(hub, url, **earlier) as (at, launches):
        await stop(at)
    assert version(tmp_path) == VERSION_OF_EARLIER

    async with replica(hub, url, **SETTINGS) as at:
        await finish(hub, at, launches)
    assert version(tmp_path) == HEAD


async def test_an_upgrade_is_rolled_back(hub: FakeHub, tmp_path: Path, earlier: dict[str, str]) -> None:
    url, backup = f"sqlite:///{tmp_path}/hublaunch.sqlite", tmp_path / "backup.sqlite"
    async with in_progress(hub, url, **earlier) as (at, launches):
        await stop(at)
    await db(hub, "backup", str(backup), LAUNCHER_DATABASE_URL=url)
    async with replica(hub, url, **SETTINGS) as at:
        await adopted(hub)
        unknown_to_the_backup = await launch(at)
        await stop(at)
    assert version(tmp_path) == HEAD

    restore(tmp_path, backup)

    assert version(tmp_path) == VERSION_OF_EARLIER
    async with replica(hub, url, **SETTINGS | earlier) as at:
        assert (await at.http.get(f"/launch/{unknown_to_the_backup['id']}")).status_code == 404
        await finish(hub, at, launches)
