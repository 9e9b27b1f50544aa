"""Calls to the Hub that failed or were slow, as the store keeps them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hublaunch.launch.ports import NotedCalls
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.hub_calls import of_launch
from hublaunch.store.sql import SqlLaunchStore
from tests.store.launches import CANCELLED, accepted

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def noted(
    launch_id: str, *, kind: str = "get_user", count: int = 1, after_s: float = 0, slowest_s: float = 1
) -> NotedCalls:
    at = AT + timedelta(seconds=after_s)
    return NotedCalls(
        launch_id=launch_id,
        attempt=1,
        kind=kind,
        outcome="failed",
        count=count,
        first_at=at,
        last_at=at,
        slowest_s=slowest_s,
    )


def kept(url: str, launch_id: str) -> Sequence[NotedCalls]:
    with transaction_beside_service(url, writes=False) as connection:
        return of_launch(connection, launch_id)


async def test_calls_of_one_kind_become_one_row_whichever_process_notes_them(store: SqlLaunchStore, url: str) -> None:
    launch = await accepted(store)
    await store.hub_calls.add(
        [noted(launch.id, count=2, after_s=5, slowest_s=1), noted(launch.id, kind="start_server")]
    )
    await store.hub_calls.add([noted(launch.id, after_s=-5, slowest_s=9)])
    await store.hub_calls.add([noted(launch.id, after_s=2, slowest_s=3)])

    first, second = kept(url, launch.id)

    assert (first.kind, first.count, first.slowest_s) == ("get_user", 4, 9)
    assert (first.first_at, first.last_at) == (AT - timedelta(seconds=5), AT + timedelta(seconds=5))
    assert (second.kind, second.count) == ("start_server", 1)


async def test_calls_of_a_launch_that_was_removed_are_left_out(store: SqlLaunchStore, url: str) -> None:
    launch = await accepted(store)

    await store.hub_calls.add([noted("01JDB9Z3N8Q4V7R2M5X6C1T0YK"), noted(launch.id)])

    assert len(kept(url, launch.id)) == 1
    assert not kept(url, "01JDB9Z3N8Q4V7R2M5X6C1T0YK")


async def test_calls_are_removed_with_their_launch(store: SqlLaunchStore, url: str) -> None:
    launch = await accepted(store)
    await store.hub_calls.add([noted(launch.id)])
    await store.log.append(launch, CANCELLED)
    await store.upkeep.mark_cleaned(launch, launch.attempt)

    removed = await store.history.remove_old(older_than_s=-60, limit=10)

    assert removed == 1
    assert not kept(url, launch.id)
