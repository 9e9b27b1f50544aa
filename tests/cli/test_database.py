"""`hublaunch db`, with launches in progress: none is lost when a service moves to another database."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.postgres import Postgres, plain
from tests.support.processes import Replica, events, launch, replica, started
from tests.support.served import IMAGE, REPO

pytestmark = pytest.mark.timeout(120)

KEYLESS = {"LAUNCHER_SECRET_KEY": ""}
SPAWNS = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": "2"}


async def db(hub: FakeHub, *arguments: str, **variables: str) -> tuple[int | None, str]:
    """Run `hublaunch db` with the settings of a service."""
    hub_of_service = {"LAUNCHER_HUB_URL": hub.url, "LAUNCHER_HUB_API_TOKEN": hub.api_token}
    async with (
        asyncio.timeout(60),
        started("hublaunch.cli", "db", *arguments, **hub_of_service, **variables) as process,
    ):
        said = (await process.communicate())[0].decode()
    return process.returncode, said


@asynccontextmanager
async def in_progress(
    hub: FakeHub, database_url: str, **variables: str
) -> AsyncGenerator[tuple[Replica, list[dict[str, str]]]]:
    """A service with a ready launch, two at the Hub and two in the queue."""
    async with replica(hub, database_url, **SPAWNS, **variables) as at:
        first = await launch(at)
        assert (await events(at, first))[-1]["phase"] == "ready"
        hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
        rest = [await launch(at) for _ in range(4)]
        await hub.until(lambda: hub.open_streams == 2)
        yield at, [first, *rest]


def restore(directory: Path, backup: Path) -> None:
    """Replace the database and its key with the backup, as docs/runbook.md says."""
    for path in directory.glob("hublaunch.*"):
        path.unlink()
    backup.rename(directory / "hublaunch.sqlite")
    backup.with_suffix(".secret-key").rename(directory / "hublaunch.secret-key")


async def stop(at: Replica) -> None:
    at.process.send_signal(signal.SIGTERM)
    await at.process.wait()


async def finish(hub: FakeHub, at: Replica, accepted: list[dict[str, str]]) -> None:
    """Have all servers start. Each launch must become ready once, and open with its secret."""
    hub.spawn_plan(None, SpawnPlan())
    await hub.until(lambda: hub.open_streams == 2, timeout=30)
    for user in list(hub.users):
        if hub.is_spawning(user):
            hub.release(user)
    for one in accepted:
        told = await events(at, one)
        assert told[-1]["phase"] == "ready"
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        own = await at.http.get(f"/launch/{one['id']}", headers={"X-Launch-Secret": one["secret"]})
        assert own.json()["open_url"], own.text
    assert hub.count("spawn_started") == len(accepted)


async def test_a_service_moves_from_sqlite_to_postgresql_and_its_launches_continue(
    hub: FakeHub, postgres: Postgres, tmp_path: Path
) -> None:
    old, new = f"sqlite:///{tmp_path}/hublaunch.sqlite", postgres.database(migrated=False)
    async with in_progress(hub, old, **KEYLESS) as (at, accepted):
        in_use = await db(hub, "copy", old, LAUNCHER_DATABASE_URL=new, LAUNCHER_SECRET_KEY="0" * 32)
        await stop(at)
    key = (tmp_path / "hublaunch.secret-key").read_text().strip()
    other_key = await db(hub, "copy", old, LAUNCHER_DATABASE_URL=new, LAUNCHER_SECRET_KEY="0" * 32)

    audit = tmp_path / "audit.jsonl"
    status, said = await db(
        hub, "copy", old, LAUNCHER_DATABASE_URL=new, LAUNCHER_SECRET_KEY=key, LAUNCHER_AUDIT_LOG=str(audit)
    )

    assert (in_use[0], other_key[0]) == (1, 1)
    assert "is not the key in" in other_key[1]
    assert (status, said.splitlines()[-1]) == (
        0,
        "Start the service on the new database, and never again on the old one.",
    ), said
    assert "with 5 launches. All counts agree." in said
    assert json.loads(audit.read_text())["action"] == "database_copied"
    async with replica(hub, new, **SPAWNS, LAUNCHER_SECRET_KEY=key) as at:
        await finish(hub, at, accepted)


async def test_a_service_moves_from_postgresql_to_sqlite_and_its_launches_continue(
    hub: FakeHub, postgres: Postgres, tmp_path: Path
) -> None:
    old, new = postgres.database(), f"sqlite:///{tmp_path}/hublaunch.sqlite"
    key = "k" * 32
    async with in_progress(hub, old, LAUNCHER_SECRET_KEY=key) as (at, accepted):
        in_use = await db(hub, "copy", old, new, LAUNCHER_SECRET_KEY=key)
        await stop(at)

    status, said = await db(hub, "copy", old, new, LAUNCHER_SECRET_KEY=key)

    assert (in_use[0], "A running hublaunch uses" in in_use[1]) == (1, True)
    assert status == 0, said
    assert (tmp_path / "hublaunch.secret-key").read_text().strip() == key
    assert key not in said
    async with replica(hub, new, **SPAWNS, **KEYLESS) as at:
        await finish(hub, at, accepted)


async def test_a_restored_backup_continues_its_launches(hub: FakeHub, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    backup = tmp_path / "backup.sqlite"
    async with in_progress(hub, url, **KEYLESS) as (at, accepted):
        status, said = await db(hub, "backup", str(backup), LAUNCHER_DATABASE_URL=url)
        await at.kill()
    restore(tmp_path, backup)

    assert (status, said.splitlines()) == (0, [str(backup), str(backup.with_suffix(".secret-key"))])
    async with replica(hub, url, **SPAWNS, **KEYLESS) as at:
        await finish(hub, at, accepted)


async def test_a_restored_dump_of_postgresql_continues_its_launches(
    hub: FakeHub, postgres: Postgres, tmp_path: Path
) -> None:
    url, restored, dump = postgres.database(), postgres.database(migrated=False), tmp_path / "hublaunch.dump"
    async with in_progress(hub, url) as (at, accepted):
        await asyncio.to_thread(postgres.run, "pg_dump", "--format=custom", f"--file={dump}", plain(url))
        await at.kill()
    options = ("--single-transaction", "--no-owner", f"--dbname={plain(restored)}")
    await asyncio.to_thread(postgres.run, "pg_restore", *options, str(dump))

    async with replica(hub, restored, **SPAWNS) as at:
        await finish(hub, at, accepted)


async def test_version_says_what_uses_the_database(hub: FakeHub, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    before = await db(hub, "version", LAUNCHER_DATABASE_URL=url)
    async with replica(hub, url) as at:
        await events(at, await launch(at, {"image": IMAGE, "repo_url": REPO}))
        status, said = await db(hub, "version", LAUNCHER_DATABASE_URL=url)

    rows = dict(line.split("  ", 1) for line in said.splitlines())
    assert (before[0], "none yet" in before[1]) == (0, True)
    assert status == 0
    assert rows["Database"].strip() == str(tmp_path / "hublaunch.sqlite")
    assert "which this release uses" in rows["Tables"]
    assert (rows["Processes"].strip(), rows["Launches"].strip()) == ("1", "0 in the queue, 0 starting, 1 ready")


@pytest.mark.parametrize("url", ["hublaunch:hunter2@db/hublaunch", "hublaunch@db/hublaunch?password=hunter2"])
async def test_a_password_in_an_argument_is_refused_and_not_repeated(hub: FakeHub, url: str) -> None:
    status, said = await db(hub, "copy", f"postgresql+psycopg://{url}")

    assert status == 2
    assert "An argument has a password" in said
    assert "hunter2" not in said
