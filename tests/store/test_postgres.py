"""PostgreSQL where it differs from SQLite: several processes, broken connections, a missing server."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.event import listens_for

from hublaunch.launch.course.admission import Position
from hublaunch.launch.feed import Feed
from hublaunch.launch.model import Event, Launch
from hublaunch.sealing import Sealer
from hublaunch.store import history
from hublaunch.store.append import Append, append
from hublaunch.store.errors import DatabaseUnreachable
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import metadata
from hublaunch.wiring.tasks import Background
from tests.store.databases import postgresql_only
from tests.store.launches import PULLING, READY, accepted, listening
from tests.store.writing import held_writer
from tests.support.postgres import Postgres

pytestmark = [postgresql_only, pytest.mark.timeout(60)]


def opened(url: str, sealer: Sealer) -> SqlLaunchStore:
    return SqlLaunchStore(url, sealer=sealer)


def cut_connections(postgres: Postgres, url: str, *, where: str = "true") -> None:
    name = make_url(url).database
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND {where}")


def lock_waits(postgres: Postgres, url: str) -> int:
    """Return the number of this database's connections that wait for another's lock."""
    where = "WHERE datname = %s AND wait_event_type = 'Lock'"
    return postgres.count(f"SELECT count(*) FROM pg_stat_activity {where}", make_url(url).database)


async def follow(feed: Feed, launch: Launch) -> list[Event]:
    return [event async for events in feed.follow(launch.id) for event in stored(events)]


def stored(news: Sequence[Event] | Position) -> Sequence[Event]:
    assert not isinstance(news, Position)
    return news


async def test_simultaneous_starts_create_the_tables_once(url: str, sealer: Sealer, postgres: Postgres) -> None:
    empty_url = postgres.database(migrated=False)
    stores = [opened(empty_url, sealer) for _ in range(5)]

    await asyncio.gather(*(store.__aenter__() for store in stores))

    launch = await accepted(stores[0])
    assert await stores[4].log.get(launch.id) is not None
    await asyncio.gather(*(store.__aexit__() for store in stores))


async def test_the_migrations_lead_to_the_tables(url: str, store: SqlLaunchStore) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert differences == []


@pytest.mark.parametrize(
    "unreachable",
    ["postgresql+psycopg://me:hunter2@127.0.0.1:9/launches", "postgresql+psycopg://me:hunter2@/launches?host=/nowhere"],
)
async def test_an_unreachable_server_is_named_without_its_password(url: str, sealer: Sealer, unreachable: str) -> None:
    with pytest.raises(DatabaseUnreachable) as refusal:
        await SqlLaunchStore(unreachable, sealer=sealer).__aenter__()

    said = str(refusal.value)
    assert "LAUNCHER_DATABASE_URL" in said
    assert "hunter2" not in said
    assert "\n" not in said


async def test_a_wrong_password_is_reported_and_not_repeated(url: str, sealer: Sealer) -> None:
    nobody = make_url(url).set(username="nobody-of-that-name", password="hunter2")

    with pytest.raises(DatabaseUnreachable, match='role "nobody-of-that-name" does not exist') as refusal:
        await SqlLaunchStore(nobody.render_as_string(hide_password=False), sealer=sealer).__aenter__()

    assert "hunter2" not in str(refusal.value)


async def test_a_store_reconnects_after_a_cut(url: str, store: SqlLaunchStore, postgres: Postgres) -> None:
    launch = await accepted(store)

    cut_connections(postgres, url)

    assert (await store.log.append(launch, PULLING)).seq == 2
    assert len(await store.log.events(launch.id, after=0)) == 2

    cut_connections(postgres, url)

    assert await store.log.get((await accepted(store)).id)  # which begins with a lock
    assert await store.is_healthy()


async def test_a_store_listens_again_after_its_connection_was_cut(
    url: str, sealer: Sealer, store: SqlLaunchStore, postgres: Postgres
) -> None:
    async with listening(url, sealer) as (told, work):
        cut_connections(postgres, url, where="query LIKE 'LISTEN%'")
        await work.wait()
        await store.log.append(await accepted(store), PULLING)

        assert (await told.get()).seq == 2


async def test_followers_get_events_without_notices(url: str, sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hublaunch.store.append.notify", lambda *_: None)
    async with asyncio.timeout(20), opened(url, sealer) as store, opened(url, sealer) as other:
        launch = await accepted(store)
        feed = Feed(other.log, idle_s=60)
        following = asyncio.create_task(follow(feed, launch))
        keeping_up = asyncio.create_task(feed.poll(every_s=0.05))

        await store.log.append(launch, PULLING)
        await store.log.append(launch, READY)

        assert [event.seq for event in await following] == [1, 2, 3]
        keeping_up.cancel()


async def test_polling_continues_after_the_database_did_not_answer(
    url: str, sealer: Sealer, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hublaunch.store.append.notify", lambda *_: None)
    async with asyncio.timeout(20), opened(url, sealer) as store, opened(url, sealer) as other:
        launch = await accepted(store)
        feed, name = Feed(other.log, idle_s=60), make_url(url).database
        following = feed.follow(launch.id)
        assert [event.seq for event in stored(await anext(following))] == [1]
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        cut_connections(postgres, url)
        background, failed = Background(), asyncio.Event()
        background.on_end(lambda _: failed.set())
        async with background.running("feed", partial(feed.poll, every_s=0.05)):
            next_ones = asyncio.ensure_future(anext(following))
            await failed.wait()

            postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await store.log.append(launch, PULLING)

            assert [event.seq for event in stored(await next_ones)] == [2]
        await following.aclose()


async def test_a_process_that_is_frozen_within_a_transaction_keeps_no_launch(url: str, sealer: Sealer) -> None:
    async with (
        asyncio.timeout(20),
        SqlLaunchStore(url, sealer=sealer, lease_s=1) as frozen,
        SqlLaunchStore(url, sealer=sealer) as other,
    ):
        launch = await accepted(frozen)
        raw = frozen.database.writing.raw_connection()
        cursor = raw.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM launches FOR UPDATE")

        taken: list[Launch] = []
        while not taken:
            taken = list(await other.ownership.adopt(limit=9))

        assert [one.id for one in taken] == [launch.id]
        raw.invalidate()


async def test_conflicting_processes_both_succeed(url: str, sealer: Sealer) -> None:
    """Their batches lock the same launches in different orders, which PostgreSQL ends as a deadlock."""
    async with opened(url, sealer) as store, opened(url, sealer) as other:
        launches = [await accepted(store) for _ in range(6)]

        outcomes = await asyncio.gather(
            *(
                process.ownership.request_cancel(launch.id)
                for _ in range(30)
                for process, order in ((store, launches), (other, launches[::-1]))
                for launch in order
            ),
            return_exceptions=True,
        )

    assert [outcome for outcome in outcomes if outcome is not None] == []


async def test_an_append_that_waited_for_another_comes_after_it(url: str, sealer: Sealer, postgres: Postgres) -> None:
    async with asyncio.timeout(20), opened(url, sealer) as store, opened(url, sealer) as other:
        launch = await accepted(store)

        def append_by(process: SqlLaunchStore) -> int:
            with process.database.writing.begin() as connection:
                return append(connection, [Append(launch.id, launch.fence, PULLING, None)])[0].seq

        with store.database.writing.begin() as connection:
            append(connection, [Append(launch.id, launch.fence, PULLING, None)])
            behind = asyncio.create_task(asyncio.to_thread(append_by, other))
            while not await asyncio.to_thread(lock_waits, postgres, url):  # PostgreSQL reports no waits
                pass

        assert await behind == 3


async def test_a_burst_of_events_takes_no_more_statements_than_one(url: str, store: SqlLaunchStore) -> None:
    launches = [await accepted(store) for _ in range(5)]
    for launch in launches:
        await store.log.append(launch, PULLING)  # the first event at the Hub reads the starts of the image, too
    appends = [Append(launch.id, launch.fence, PULLING, None) for launch in launches]

    def statements(appends: Sequence[Append]) -> int:
        counted = []
        with store.database.writing.begin() as connection:
            listens_for(connection, "after_cursor_execute")(lambda *_: counted.append(1))
            append(connection, appends)
        return len(counted)

    assert statements(appends) == statements(appends[:1]) == 4


async def test_finding_old_launches_reads_no_attempts_of_others(url: str, store: SqlLaunchStore) -> None:
    await asyncio.gather(*(accepted(store) for _ in range(1000)))
    with store.database.writing.begin() as connection:
        connection.execute(text("UPDATE launches SET status = 'failed', ended_at = now()"))
        connection.execute(text("UPDATE launch_attempts SET cleaned_at = now()"))
        connection.execute(text("ANALYZE"))
        old = history._OLD.params(before_id="Z", most=10)
        sql = old.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})

        plan = "\n".join(connection.execute(text(f"EXPLAIN {sql}")).scalars())

    assert "Index Scan using pk_launch_attempts" in plan
    assert "Seq Scan on launch_attempts" not in plan


@pytest.mark.parametrize("notice", ["somebody else's words", "01J 12 x", ""])
async def test_a_foreign_notice_does_no_harm(url: str, sealer: Sealer, store: SqlLaunchStore, notice: str) -> None:
    async with listening(url, sealer) as (told, _):
        with store.database.writing.begin() as connection:
            connection.execute(text("SELECT pg_notify('hublaunch', :notice)"), {"notice": notice})

        await store.log.append(await accepted(store), PULLING)

        assert (await told.get()).seq == 2


async def test_simultaneous_renewal_and_adoption_agree(url: str, sealer: Sealer) -> None:
    """The renewing transaction is still open when the other process checks which owners are alive."""
    async with SqlLaunchStore(url, sealer=sealer, lease_s=0) as late, opened(url, sealer) as other:
        launch = await accepted(late)
        renewing = late.database.reading.connect()  # in a transaction of its own, held open
        renewing = renewing.execution_options(isolation_level="READ COMMITTED")
        renewing.execute(text("SET TRANSACTION READ WRITE"))
        renewing.execute(
            text("UPDATE launch_owners SET leased_until = now() + interval '1 hour' WHERE id = :id"),
            {"id": late.ownership.lease.owner},
        )

        assert await other.ownership.adopt(limit=9) == []

        renewing.commit()
        renewing.close()
        assert await other.ownership.adopt(limit=9) == []
        assert (await late.log.append(launch, PULLING)).seq == 2


async def test_a_batch_takes_its_locks_before_any_row(url: str, sealer: Sealer) -> None:
    """All batches take locks in one order, so no two processes wait for each other. A retry takes them again."""
    held: list[int] = []

    def look(connection: Connection, arguments: Sequence[str]) -> Sequence[None]:
        sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        held.append(connection.execute(text(sql)).scalar_one())
        if "fails" in arguments:
            raise ValueError
        return [None] * len(arguments)

    def look_last(connection: Connection, arguments: Sequence[str]) -> Sequence[None]:
        return look(connection, arguments)

    async with opened(url, sealer) as store, held_writer(store):
        writing = [
            asyncio.create_task(store.sql.writer.write(change, argument, lock=lock))
            for change, argument, lock in ((look, "", "b"), (look_last, "fails", "a"), (look, "", None))
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*writing, return_exceptions=True)

    assert held == [2, 2, 2, 2, 2]  # the first two in the first run, then all of them in the second
