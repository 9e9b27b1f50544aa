"""A whole database is copied into an empty one, or nothing is."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, select
from sqlalchemy.exc import OperationalError

from hublaunch.launch.model import Status
from hublaunch.launch.ports import LaunchFilter
from hublaunch.sealing import Sealer
from hublaunch.store import copy as copying
from hublaunch.store.coordination import try_lock
from hublaunch.store.copied_key import carry_key, keys_of_copy
from hublaunch.store.copy import copy_database
from hublaunch.store.database import database, database_file
from hublaunch.store.errors import CopyRefused, DatabaseUnusable, TablesMissing
from hublaunch.store.schema import TABLES
from hublaunch.store.secret_key import read_key, write_key
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.sqlite import FileLock
from hublaunch.store.tables import launch_owners, launches, metadata
from tests.store.launches import FAILED, PULLING, accepted, new_launch, ready_launch
from tests.support.launching import UNGUARDED

KEY, ANOTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


@pytest.fixture
def target(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> str:
    """A new database of the other kind, without tables."""
    if url.startswith("sqlite"):
        postgresql: str = request.getfixturevalue("postgres").database(migrated=False)
        return postgresql
    return f"sqlite:///{tmp_path / 'target.sqlite'}"


async def copy(
    source: str,
    target: str,
    sealer: Sealer,
    tell: Callable[[int, int], None] = lambda *_: None,
    carry_key: Callable[[], None] = lambda: None,
) -> Any:
    return await asyncio.to_thread(copy_database, source, target, sealer=sealer, tell=tell, carry_key=carry_key)


def content(url: str) -> dict[str, list[str]]:
    """Return all rows but leases, in an order of their own."""
    opened = database(url, readers=1, lease_s=15)
    with opened.reading.connect() as connection:
        rows = {
            table.name: sorted(
                json.dumps(dict(row), default=repr) for row in connection.execute(select(table)).mappings()
            )
            for table in metadata.sorted_tables
            if table is not launch_owners
        }
    opened.close()
    return rows


def have_no_patience(connection: Any, _record: object) -> None:
    """Keep a connection from waiting for locks."""
    is_sqlite = isinstance(connection, sqlite3.Connection)
    connection.execute("PRAGMA busy_timeout = 0" if is_sqlite else "SET lock_timeout = '50ms'")
    if not is_sqlite:
        connection.commit()


async def write(url: str, sealer: Sealer) -> None:
    """Write a launch in each state, as a service would, and stop."""
    async with SqlLaunchStore(url, sealer=sealer) as store:
        await ready_launch(store)
        failed = await accepted(store)
        await store.log.append(failed, PULLING)
        await store.log.append(failed, FAILED)
        await accepted(store)
        await store.queue.admit(most=1, weight=lambda _: 1.0, guard=UNGUARDED)
        await accepted(store)
        await store.queue.note_hub("a-hub", before_s=1)
        await store.ownership.release()


async def test_every_row_arrives_and_the_launches_are_adopted_on_the_target(
    url: str, target: str, sealer: Sealer
) -> None:
    await write(url, sealer)
    before, told = content(url), list[tuple[int, int]]()

    counts = await copy(url, target, sealer, lambda *numbers: told.append(numbers))

    async with SqlLaunchStore(target, sealer=sealer) as store:
        adopted = await store.ownership.adopt(limit=9)
        (ready,) = await store.log.launches(LaunchFilter(status=Status.READY), limit=9)
        token = sealer.open(ready.last_event.sealed_token or b"")
    assert content(url) == before
    assert counts == {name: len(rows) for name, rows in before.items()}
    assert told[-1] == (sum(counts.values()),) * 2
    assert sorted(one.status for one in adopted) == [Status.FAILED, Status.WAITING, Status.WAITING]
    assert token == "a-token-that-nobody-may-find"


async def test_the_copy_is_equal_to_the_source(url: str, target: str, sealer: Sealer) -> None:
    await write(url, sealer)

    await copy(url, target, sealer)

    assert content(target) == content(url)


async def test_a_database_in_use_is_not_copied(url: str, target: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(url, sealer=sealer):
        with pytest.raises(CopyRefused, match="A running hublaunch uses"):
            await copy(url, target, sealer)


async def test_nothing_is_copied_into_a_database_in_use(url: str, target: str, sealer: Sealer) -> None:
    async with SqlLaunchStore(target, sealer=sealer):
        with pytest.raises(CopyRefused, match="A running hublaunch uses"):
            await copy(url, target, sealer)


async def test_no_process_starts_on_either_database_during_a_copy(url: str, target: str, sealer: Sealer) -> None:
    await write(url, sealer)
    may_start = dict[str, bool]()

    def look(copied: int, most: int) -> None:
        if copied < most:
            return
        for one in (url, target):
            if (file := database_file(one)) is not None:
                may_start[one] = FileLock(file.with_name(f"{file.name}.lock")).acquire()
            else:
                opened = database(one, readers=1, lease_s=15)
                with opened.writing.begin() as connection:
                    may_start[one] = try_lock(connection, TABLES)
                opened.close()

    await copy(url, target, sealer, look)

    assert may_start == {url: False, target: False}


async def test_a_replica_that_was_frozen_can_write_to_neither_database_during_a_copy(
    url: str, target: str, sealer: Sealer
) -> None:
    await write(url, sealer)
    refused = set[str]()

    def thaw(copied: int, most: int) -> None:
        if copied < most:
            return
        for one in (url, target):
            opened = database(one, readers=1, lease_s=15)
            event.listen(opened.writing, "connect", have_no_patience)
            try:
                with opened.writing.begin() as connection:
                    connection.execute(delete(launches))
            except OperationalError:
                refused.add(one)
            finally:
                opened.close()

    await copy(url, target, sealer, thaw)

    assert refused == {url, target}
    assert content(target) == content(url)


async def test_rows_are_stored_only_once_their_key_is_beside_them(url: str, target: str, sealer: Sealer) -> None:
    await write(url, sealer)

    def fail() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await copy(url, target, sealer, carry_key=fail)

    assert {name for name, rows in content(target).items() if rows} == {"admission"}


async def test_a_file_that_is_no_database_is_not_copied(target: str, sealer: Sealer, tmp_path: Path) -> None:
    junk = tmp_path / "junk.sqlite"
    junk.write_bytes(b"not a database" * 1000)

    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        await copy(f"sqlite:///{junk}", target, sealer)


async def test_nothing_is_copied_into_a_database_with_launches(url: str, target: str, sealer: Sealer) -> None:
    await write(url, sealer)
    await write(target, sealer)

    with pytest.raises(CopyRefused, match="is not empty: launches has 4 rows"):
        await copy(url, target, sealer)


async def test_tables_of_another_version_are_not_copied(url: str, target: str, sealer: Sealer) -> None:
    opened = database(url, readers=1, lease_s=15)
    with opened.writing.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0018'")
    opened.close()

    with pytest.raises(CopyRefused, match="has tables of version 0018, but this release copies only version"):
        await copy(url, target, sealer)


async def test_a_database_without_tables_is_not_copied(empty_url: str, target: str, sealer: Sealer) -> None:
    with pytest.raises(TablesMissing):
        await copy(empty_url, target, sealer)


async def test_a_database_is_not_copied_into_itself(url: str, sealer: Sealer) -> None:
    with pytest.raises(CopyRefused, match="the same database"):
        await copy(url, url, sealer)


async def test_tokens_that_the_new_service_could_not_open_stop_the_copy(url: str, target: str, sealer: Sealer) -> None:
    await write(url, sealer)

    with pytest.raises(CopyRefused, match="sealed with another secret key"):
        await copy(url, target, Sealer([ANOTHER], purpose="stored tokens"))


async def test_a_copy_that_fails_leaves_the_target_empty_and_can_be_repeated(
    url: str, target: str, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(url, sealer)

    def fail(copied: int, most: int) -> None:
        if copied == most:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await copy(url, target, sealer, fail)
    rows = {name: len(found) for name, found in content(target).items() if found}
    await copy(url, target, sealer)

    assert rows == {"admission": 1}
    assert content(target) == content(url)


async def test_rows_are_read_a_few_at_a_time(
    url: str, target: str, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_BATCH", 2)
    async with SqlLaunchStore(url, sealer=sealer) as store:
        for _ in range(5):
            await store.intake.accept(new_launch())
        await store.ownership.release()
    told = list[int]()

    await copy(url, target, sealer, lambda copied, _: told.append(copied))

    assert max(after - before for before, after in zip([0, *told], told, strict=False)) == 2


def test_the_key_beside_a_file_must_be_the_key_of_the_service_on_postgresql(tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path}/a.sqlite", "postgresql+psycopg://db/hublaunch"
    write_key(tmp_path / "a.secret-key", KEY)

    with pytest.raises(CopyRefused, match="is not the key in") as refusal:
        keys_of_copy(source, target, [ANOTHER])

    assert keys_of_copy(source, target, [ANOTHER, KEY]) == [ANOTHER, KEY]
    assert KEY not in str(refusal.value)


@pytest.mark.parametrize("target", ["postgresql+psycopg://db/hublaunch", "sqlite:///target.sqlite"])
def test_without_any_key_nothing_is_copied(target: str, tmp_path: Path) -> None:
    with pytest.raises(CopyRefused, match="Set LAUNCHER_SECRET_KEY"):
        keys_of_copy(f"sqlite:///{tmp_path}/a.sqlite", target, [])


def test_the_key_goes_beside_a_new_file(tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/b.sqlite"

    keys = keys_of_copy("postgresql+psycopg://db/hublaunch", target, [KEY, ANOTHER])
    written = carry_key(target, keys)

    assert written == tmp_path / "b.secret-key"
    assert read_key(written) == KEY
    assert carry_key(target, keys) is None


def test_the_key_of_another_service_stays(tmp_path: Path) -> None:
    write_key(tmp_path / "b.secret-key", ANOTHER)

    with pytest.raises(CopyRefused, match="another service's"):
        keys_of_copy("postgresql+psycopg://db/hublaunch", f"sqlite:///{tmp_path}/b.sqlite", [KEY])
