"""The reading of `hublaunch top`, and its cancellations."""

from sqlalchemy import Connection, Engine, event

from hublaunch.launch.model import Launch
from hublaunch.launch.ports import Overview, ReadyServers, WarmMembers
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.overview import overview
from hublaunch.store.ownership import cancel_in_progress
from hublaunch.store.sql import SqlLaunchStore
from tests.store.databases import postgresql_only
from tests.store.launches import accepted, read_back, ready_launch
from tests.support.launching import UNGUARDED
from tests.support.warm import ready_members, refill


async def seen(store: SqlLaunchStore, most: int = 50) -> Overview:
    return await store.sql.read(lambda connection: overview(connection, UNGUARDED, 9, most))


async def cancel(store: SqlLaunchStore, launch: Launch) -> bool:
    return await store.sql.writer.run(cancel_in_progress, launch.id)


async def admit(store: SqlLaunchStore, most: int) -> None:
    await store.queue.admit(most=most, weight=lambda _: 1.0, guard=UNGUARDED)


async def test_launches_at_the_hub_come_before_the_queue_and_ready_servers_are_counted(store: SqlLaunchStore) -> None:
    await store.ownership.renew()
    for _ in range(2):
        await ready_launch(store)
    in_progress = [await accepted(store) for _ in range(3)]
    await admit(store, most=2)

    found = await seen(store)

    at_hub = [launch.id for launch in found.launches if launch.admitted_at is not None]
    assert [launch.id for launch in found.launches][:2] == at_hub
    assert {launch.id for launch in found.launches} == {launch.id for launch in in_progress}
    assert (found.capacity.launching, found.capacity.waiting, found.capacity.ready) == (2, 1, 2)
    assert [(one.environment, one.servers) for one in found.ready] == [("", 2)]
    assert all(isinstance(one, ReadyServers) for one in found.ready)
    assert [process.launches for process in found.processes] == [3]
    assert found.processes[0].leased_until > found.at


async def test_members_of_warm_pools_are_not_listed_as_launches(store: SqlLaunchStore) -> None:
    await ready_members(store, 2)
    await refill(store, 3)

    found = await seen(store)

    assert (found.capacity.launching, found.capacity.ready, found.ready) == (0, 0, [])
    assert found.warm == [WarmMembers(pool="scipy", ready=2, starting=1)]


async def test_no_list_is_longer_than_asked_for(store: SqlLaunchStore) -> None:
    for _ in range(3):
        await accepted(store)

    found = await seen(store, most=2)

    assert (len(found.launches), found.capacity.waiting) == (2, 3)


async def test_the_number_of_statements_does_not_grow_with_the_launches(store: SqlLaunchStore, url: str) -> None:
    statements = list[str]()

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    counts = []
    event.listen(Engine, "before_cursor_execute", note)
    try:
        for _ in range(3):
            await accepted(store)
            statements.clear()
            with transaction_beside_service(url, writes=False) as connection:
                overview(connection, UNGUARDED, 9, 50)
            counts.append(len([one for one in statements if "PRAGMA" not in one]))
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len(set(counts)) == 1
    assert counts[0] <= 24


async def test_a_launch_in_progress_is_cancelled_once(store: SqlLaunchStore) -> None:
    launch = await accepted(store)

    first, second = await cancel(store, launch), await cancel(store, launch)

    assert (first, second) == (True, False)
    assert (await read_back(store, launch)).cancel_requested_at is not None


async def test_a_ready_launch_is_left_alone(store: SqlLaunchStore) -> None:
    launch = await ready_launch(store)

    assert not await cancel(store, launch)
    assert (await read_back(store, launch)).cancel_requested_at is None


@postgresql_only
async def test_processes_of_all_replicas_are_seen(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    await store.ownership.renew()
    await other.ownership.renew()

    assert len((await seen(store)).processes) == 2
