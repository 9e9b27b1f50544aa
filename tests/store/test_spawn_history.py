"""Spawn outcomes as the Hub guard counts them: never lower than the Hub counts."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import FailedSpawn, Launch, LaunchRequest, Step
from hublaunch.launch.ports import AdmissionRound
from hublaunch.launch.rules.guard import FAILING_FOR, PROVEN_FOR, Guard, known_as
from hublaunch.sealing import Sealer
from hublaunch.store import spawn_history
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import images, spawn_failures
from tests.store.launches import FAILED, PULLING, READY, accepted, new_launch
from tests.support.sqlite import migrated

NORMAL, STRICT = (Guard(mode=mode, failure_limit=4) for mode in ("normal", "strict"))
BROKEN = replace(FAILED, failed_spawn=FailedSpawn(cause="The server ended before it was ready"))
NOT_THE_IMAGE = replace(FAILED, failed_spawn=FailedSpawn(cause=None))
REFUSED = FAILED
"""A failure that the Hub does not count."""


async def accept(store: SqlLaunchStore, *of_images: str) -> list[Launch]:
    requests = [LaunchRequest(image=image) for image in of_images]
    return await asyncio.gather(*(accepted(store, request=request, time_left_s=600) for request in requests))


async def admit(store: SqlLaunchStore, *, guard: Guard = NORMAL, most: int = 50) -> AdmissionRound:
    return await store.queue.admit(most=most, weight=lambda _: 1.0, guard=guard)


async def admitted(store: SqlLaunchStore, launches: Sequence[Launch], *, guard: Guard = NORMAL) -> list[int]:
    """Return the indexes of the launches that are admitted now."""
    through = {one.launch_id for one in (await admit(store, guard=guard)).admitted}
    return [n for n, launch in enumerate(launches) if launch.id in through]


async def end(store: SqlLaunchStore, launch: Launch, step: Step) -> None:
    await store.log.append(launch, PULLING)
    await store.log.append(launch, step)


async def spawn(store: SqlLaunchStore, step: Step, *of_images: str, guard: Guard = NORMAL) -> None:
    """Launch each of the images in turn, and end each launch with this step."""
    for image in of_images:
        (launch,) = await accept(store, image)
        assert await admitted(store, [launch], guard=guard) == [0]
        await end(store, launch, step)


async def test_the_window_grows_with_each_success_and_falls_back_at_a_failure(store: SqlLaunchStore) -> None:
    await spawn(store, READY, "a", "b")
    after_successes = await store.queue.capacity(guard=NORMAL, most=50)
    await spawn(store, NOT_THE_IMAGE, "c", "d")
    after_failures = await store.queue.capacity(guard=NORMAL, most=50)
    await spawn(store, READY, "e")
    after_one_more = await store.queue.capacity(guard=NORMAL, most=50)

    assert (await store.queue.capacity(guard=NORMAL, most=3)).window == 3, "no more than may be at the Hub"
    assert [now.window for now in (after_successes, after_failures, after_one_more)] == [6, 2, 5]
    assert [now.failures for now in (after_successes, after_failures, after_one_more)] == [0, 2, 0]


async def test_failures_that_the_hub_does_not_count_change_nothing(store: SqlLaunchStore) -> None:
    await spawn(store, READY, "a")
    await spawn(store, REFUSED, "b")

    now = await store.queue.capacity(guard=NORMAL, most=50)

    assert (now.failures, now.window) == (0, 5)


async def test_a_success_ends_no_run_of_failures_that_came_after_its_launch_was_admitted(store: SqlLaunchStore) -> None:
    early, failing = await accept(store, "a", "b")
    assert await admitted(store, [early, failing]) == [0, 1]

    await end(store, failing, NOT_THE_IMAGE)
    await end(store, early, READY)

    assert (await store.queue.capacity(guard=NORMAL, most=50)).failures == 1, (
        "at the Hub it may have come after the success"
    )


async def test_four_failures_pause_all_until_an_operator_clears_them(store: SqlLaunchStore, url: str) -> None:
    await spawn(store, READY, "sound")
    await spawn(store, NOT_THE_IMAGE, "a", "b", "c")
    last = await accept(store, "d", "sound", "sound")
    only_one_proven = await admitted(store, last)
    await end(store, last[1], NOT_THE_IMAGE)
    paused = await admit(store)

    with transaction_beside_service(url, writes=True) as connection:
        spawn_history.clear(connection, None)

    assert only_one_proven == [1]
    assert (paused.admitted, paused.guard, paused.holds_back) == ([], "paused", True)
    assert await admitted(store, last) == [0, 2]


async def test_a_restarted_hub_counts_from_nothing(store: SqlLaunchStore) -> None:
    await store.queue.note_hub("first", before_s=0)
    await spawn(store, NOT_THE_IMAGE, "a", "b")

    is_another = [await store.queue.note_hub(name, before_s=0) for name in ("first", "second", "second")]

    assert is_another == [False, True, False]
    assert (await store.queue.capacity(guard=NORMAL, most=50)).failures == 0


async def test_failures_since_the_hub_was_last_seen_count_for_the_restarted_hub(store: SqlLaunchStore) -> None:
    await store.queue.note_hub("first", before_s=0)
    await spawn(store, NOT_THE_IMAGE, "a", "b")

    await store.queue.note_hub("second", before_s=10)

    assert (await store.queue.capacity(guard=NORMAL, most=50)).failures == 2


async def test_an_image_that_failed_twice_is_refused_until_it_is_cleared(store: SqlLaunchStore, url: str) -> None:
    await spawn(store, BROKEN, "bad", "bad")
    broken, other = await accept(store, "docker.io/library/bad:latest", "other")
    through = await admit(store)
    failing = (await store.queue.failing(guard=NORMAL)).get(known_as("bad"))

    with transaction_beside_service(url, writes=True) as connection:
        spawn_history.clear(connection, known_as("bad"))

    assert [one.launch_id for one in through.admitted] == [other.id]
    assert list(through.refused) == [broken.id]
    assert through.holds_back is False
    assert failing is not None
    assert failing.cause == "The server ended before it was ready"
    assert timedelta(minutes=9) < failing.until - datetime.now(UTC) <= FAILING_FOR
    assert known_as("bad") not in await store.queue.failing(guard=NORMAL)
    assert await admitted(store, [broken]) == [0]


async def test_a_success_clears_the_failures_of_an_image(store: SqlLaunchStore) -> None:
    sound, bad = await accept(store, "image", "image")
    await admit(store)
    await spawn_both(store, [bad, sound])
    await spawn(store, BROKEN, "image")

    assert known_as("image") not in await store.queue.failing(guard=NORMAL)


async def spawn_both(store: SqlLaunchStore, launches: Sequence[Launch]) -> None:
    await end(store, launches[0], BROKEN)
    await end(store, launches[1], READY)


def on_account(name: str) -> dict[str, Any]:
    """Return a launch of this Hub user on their own account."""
    launch = new_launch()
    attempt = replace(launch.attempt, username=name, creates_user=False)
    return {
        "id": launch.id,
        "last_event": launch.last_event,
        "attempt": attempt,
        "caller": Caller(kind="hub", key=name),
        "request": LaunchRequest(image="image"),
        "time_left_s": 600,
    }


async def test_an_image_is_refused_after_failures_on_two_users_accounts_but_not_on_one(store: SqlLaunchStore) -> None:
    for name, is_refused in (("ada", False), ("ada", False), ("ada", False), ("bob", True)):
        launch = await store.intake.accept(new_launch(**on_account(name)))
        assert await admitted(store, [launch]) == [0]
        await end(store, launch, BROKEN)
        await store.upkeep.mark_cleaned(launch, launch.attempt)

        assert (known_as("image") in await store.queue.failing(guard=NORMAL)) is is_refused
        await store.queue.note_hub(f"restarted after {launch.id}", before_s=0)


async def test_other_failures_do_not_count_against_an_image(store: SqlLaunchStore) -> None:
    await spawn(store, NOT_THE_IMAGE, "image", "image")

    assert known_as("image") not in await store.queue.failing(guard=NORMAL)


async def test_old_outcomes_count_for_the_hub_but_not_for_images(store: SqlLaunchStore, url: str) -> None:
    await spawn(store, READY, "proven")
    await spawn(store, BROKEN, "bad", "bad")
    with transaction_beside_service(url, writes=True) as connection:
        connection.execute(update(spawn_failures).values(at=datetime.now(UTC) - FAILING_FOR))
        connection.execute(update(images).values(ready_at=datetime.now(UTC) - PROVEN_FOR))

    launches = await accept(store, *["proven"] * 3, *["bad"] * 3)

    assert (await store.queue.capacity(guard=NORMAL, most=50)).failing_images == 0
    assert len(await admitted(store, launches)) == 4, "two of each, as none is proven"


async def test_outcomes_that_no_longer_count_are_removed(store: SqlLaunchStore, url: str) -> None:
    await spawn(store, BROKEN, "bad")
    await spawn(store, READY, "sound")
    long_ago = datetime.now(UTC) - 2 * PROVEN_FOR
    with transaction_beside_service(url, writes=True) as connection:
        connection.execute(update(spawn_failures).values(at=long_ago))
        connection.execute(update(images).values(ready_at=long_ago, sound_since=long_ago))

    await store.history.remove_old(older_than_s=3600, limit=10)

    with transaction_beside_service(url, writes=False) as connection:
        assert [connection.execute(table.select()).all() for table in (spawn_failures, images)] == [[], []]


async def test_failures_that_the_hub_still_counts_are_kept_however_old(store: SqlLaunchStore, url: str) -> None:
    await spawn(store, NOT_THE_IMAGE, "a", "b")
    with transaction_beside_service(url, writes=True) as connection:
        connection.execute(update(spawn_failures).values(at=datetime.now(UTC) - 2 * PROVEN_FOR))

    await store.history.remove_old(older_than_s=3600, limit=10)

    assert (await store.queue.capacity(guard=NORMAL, most=50)).failures == 2


@given(st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_a_strict_guard_never_lets_five_spawns_fail_in_a_row_at_the_hub(seed: int) -> None:
    worst = asyncio.run(_worst_run(Random(seed)))

    assert worst <= STRICT.failure_limit


async def _worst_run(random: Random) -> int:
    """Return the longest run of failures at the Hub. The store learns of each end later, in any order."""
    run = worst = 0
    at_hub: list[Launch] = []
    ended: list[tuple[Launch, Step]] = []
    with tempfile.TemporaryDirectory() as directory:
        url = migrated(Path(directory, "l.sqlite"))
        async with SqlLaunchStore(url, sealer=Sealer(["k" * 32], purpose="stored tokens")) as store:
            waiting = {launch.id: launch for launch in await accept(store, *(f"image-{n}" for n in range(60)))}
            for _ in range(120):
                if ended and random.random() < 0.4:
                    await end(store, *ended.pop(random.randrange(len(ended))))
                elif at_hub:
                    fails = random.random() < 0.7
                    run = run + 1 if fails else 0
                    worst = max(worst, run)
                    ended.append((at_hub.pop(random.randrange(len(at_hub))), NOT_THE_IMAGE if fails else READY))
                through = await admit(store, guard=STRICT)
                at_hub += [waiting.pop(one.launch_id) for one in through.admitted]
    return worst
