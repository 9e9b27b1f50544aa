"""Repeated requests with an Idempotency-Key."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.errors import IdempotencyKeyReused, QuotaReached
from hublaunch.launch.ports import LaunchFilter
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from tests.store.databases import postgresql_only
from tests.store.launches import FAILED, PULLING, new_launch

KEY = IdempotencyKey(scope="a key of somebody", request="a request")
OTHER_REQUEST = replace(KEY, request="another request")


async def test_a_repeated_key_returns_the_first_launch(store: SqlLaunchStore) -> None:
    launch = new_launch()
    assert await store.intake.accept(launch, KEY) == launch
    assert await store.log.find(KEY) is not None
    await store.log.append(launch, PULLING)

    again = await store.intake.accept(new_launch(), KEY)

    assert again.id == launch.id
    assert again.last_event.seq == 2, "the launch in its current state"
    assert len(await store.log.launches(LaunchFilter(), limit=9)) == 1


async def test_a_key_with_a_different_request_is_refused(store: SqlLaunchStore) -> None:
    await store.intake.accept(new_launch(), KEY)

    with pytest.raises(IdempotencyKeyReused):
        await store.intake.accept(new_launch(), OTHER_REQUEST)
    with pytest.raises(IdempotencyKeyReused):
        await store.log.find(OTHER_REQUEST)


async def test_a_key_belongs_to_its_caller(store: SqlLaunchStore) -> None:
    await store.intake.accept(new_launch(), KEY)

    assert await store.log.find(replace(KEY, scope="the same key of somebody else")) is None
    await store.intake.accept(new_launch(), replace(KEY, scope="the same key of somebody else"))

    assert len(await store.log.launches(LaunchFilter(), limit=9)) == 2


async def test_one_of_many_simultaneous_requests_with_a_key_is_accepted(store: SqlLaunchStore) -> None:
    accepted = await asyncio.gather(*(store.intake.accept(new_launch(), KEY) for _ in range(20)))

    assert len({launch.id for launch in accepted}) == 1
    assert len(await store.log.launches(LaunchFilter(), limit=99)) == 1


@postgresql_only
async def test_a_key_is_accepted_once_across_processes(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    accepted = await asyncio.gather(
        *(process.intake.accept(new_launch(), KEY) for _ in range(10) for process in (store, other))
    )

    assert len({launch.id for launch in accepted}) == 1
    assert len(await store.log.launches(LaunchFilter(), limit=99)) == 1


async def test_a_repeated_request_uses_no_quota(store: SqlLaunchStore) -> None:
    quotas = (Quota(scope=Scope.TOTAL, most=1),)
    launch = new_launch()
    await store.intake.accept(launch, KEY, quotas=quotas)

    assert (await store.intake.accept(new_launch(), KEY, quotas=quotas)).id == launch.id
    with pytest.raises(QuotaReached):
        await store.intake.accept(new_launch(), quotas=quotas)


async def test_a_refused_request_does_not_use_its_key(store: SqlLaunchStore) -> None:
    with pytest.raises(QuotaReached):
        await store.intake.accept(new_launch(), KEY, quotas=(Quota(scope=Scope.TOTAL, most=0),))

    assert await store.log.find(KEY) is None
    launch = new_launch()
    assert (await store.intake.accept(launch, OTHER_REQUEST)).id == launch.id


async def test_a_key_is_kept_for_its_time_and_as_long_as_its_launch_is_in_progress(url: str, sealer: Sealer) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    in_progress, ended = new_launch(created_at=long_ago), new_launch(created_at=long_ago)
    keys = KEY, replace(KEY, scope="another key")
    async with SqlLaunchStore(url, sealer=sealer, key_kept_s=60) as store:
        await store.intake.accept(in_progress, keys[0])
        await store.intake.accept(ended, keys[1])
        await store.log.append(ended, FAILED)

        assert (await store.intake.accept(new_launch(), keys[0])).id == in_progress.id
        assert await store.log.find(keys[1]) is None
        later = new_launch()
        assert (await store.intake.accept(later, keys[1])).id == later.id
