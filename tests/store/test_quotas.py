"""Quotas at acceptance: exact, over all processes, without reading history."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from alembic import command
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, create_engine, text, update

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import QueueFull, QuotaReached
from hublaunch.launch.model import Launch, LaunchRequest, Status
from hublaunch.launch.ports import LaunchFilter
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.launch.rules.quota_rules import QuotaRules, Rule, counted_as
from hublaunch.sealing import Sealer
from hublaunch.store.migrations import configuration
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import Instant, launches
from tests.store.databases import postgresql_only, sqlite_only
from tests.store.launches import CANCELLED, FAILED, PULLING, READY, new_launch
from tests.support.sqlite import migrated

ADA = Caller(kind="hub", key="ada")
IMAGE = "quay.io/org/gpu"
REPO = "github.com/org/repo"
TOTAL = Quota(scope=Scope.TOTAL, most=3)
QUOTAS = [
    TOTAL,
    Quota(scope=Scope.CALLER, most=3, name="hub:ada"),
    Quota(scope=Scope.CALLER, most=3, pattern="hub:*"),
    Quota(scope=Scope.REPOSITORY, most=3, name=REPO),
    Quota(scope=Scope.REPOSITORY, most=3, pattern="github.com/org/*"),
    Quota(scope=Scope.IMAGE, most=3, name=IMAGE),
    Quota(scope=Scope.IMAGE, most=3, pattern="quay.io/org/*"),
    Quota(scope=Scope.SIZE, most=3, name="large"),
]
IDS = [f"{quota.scope}-{quota.name or quota.pattern}" for quota in QUOTAS]


def counted(**changes: Any) -> Launch:
    """A launch that counts for each of the quotas."""
    request = LaunchRequest(image=f"{IMAGE}:1", repo_url=f"https://{REPO}", environment="gpu", size="large")
    return new_launch(**{"caller": ADA, "request": request, **changes})


def other() -> Launch:
    """A launch that counts only for the total."""
    return new_launch(caller=Caller(kind="key", key="ci"), request=LaunchRequest(image="python"))


async def accepted(store: SqlLaunchStore, *quotas: Quota, launch: Launch | None = None) -> Launch:
    return await store.intake.accept(launch or counted(), quotas=quotas)


@pytest.mark.parametrize("quota", QUOTAS[1:], ids=IDS[1:])
async def test_launches_outside_a_quota_do_not_use_it(store: SqlLaunchStore, quota: Quota) -> None:
    for _ in range(4):
        await accepted(store, launch=other())
    for _ in range(3):
        await accepted(store, quota)

    with pytest.raises(QuotaReached):
        await accepted(store, quota)


@pytest.mark.parametrize("steps", [[FAILED], [CANCELLED], [PULLING, READY]], ids=["failed", "cancelled", "stopped"])
async def test_ended_launches_free_the_quota(store: SqlLaunchStore, steps: list[Any]) -> None:
    launch, *_ = [await accepted(store, TOTAL) for _ in range(3)]
    for step in steps:
        await store.log.append(launch, step)
    if steps[-1] is READY:
        with pytest.raises(QuotaReached):
            await accepted(store, TOTAL)
        await store.upkeep.mark_stopped(launch, stopped_by="hub", clean_in_s=None)

    await accepted(store, TOTAL)


@pytest.mark.parametrize("quota", QUOTAS, ids=IDS)
async def test_a_quota_is_exact_within_a_batch(store: SqlLaunchStore, quota: Quota) -> None:
    outcomes = await asyncio.gather(*(accepted(store, quota) for _ in range(20)), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, QuotaReached)]
    assert [(refusal.quota, refusal.active) for refusal in refused] == [(quota, 3)] * 17
    assert len(await store.log.launches(LaunchFilter(), limit=99)) == 3


@postgresql_only
@pytest.mark.parametrize("quota", QUOTAS, ids=IDS)
async def test_a_quota_holds_over_processes(store: SqlLaunchStore, url: str, sealer: Sealer, quota: Quota) -> None:
    async with SqlLaunchStore(url, sealer=sealer) as second, SqlLaunchStore(url, sealer=sealer) as third:
        outcomes = await asyncio.gather(
            *(accepted(process, quota) for _ in range(10) for process in (store, second, third)),
            return_exceptions=True,
        )

    assert sum(isinstance(outcome, QuotaReached) for outcome in outcomes) == 27
    assert len(await store.log.launches(LaunchFilter(), limit=99)) == 3


@postgresql_only
async def test_the_limit_of_the_queue_holds_over_processes(store: SqlLaunchStore, other: SqlLaunchStore) -> None:
    outcomes = await asyncio.gather(
        *(process.intake.accept(new_launch(), in_progress_max=3) for _ in range(10) for process in (store, other)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, QueueFull) for outcome in outcomes) == 17
    assert len(await store.log.launches(LaunchFilter(), limit=99)) == 3


@sqlite_only
@pytest.mark.parametrize("quota", QUOTAS, ids=IDS)
async def test_counting_a_quota_reads_no_history(store: SqlLaunchStore, quota: Quota) -> None:
    from hublaunch.store import quota_counts

    if quota.name is not None:
        query = quota_counts._OF_NAME[quota.scope]
    elif quota.pattern is not None:
        query = quota_counts._OF_NAMES[quota.scope]
    else:
        query = quota_counts._ALL

    sql = re.sub(r"\?", "''", str(query.compile(store.database.reading)))
    with store.database.reading.connect() as connection:
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]

    assert len(plan) == 1
    assert re.search(r"USING (COVERING )?INDEX ix_launches_active_", plan[0])


# --- all together -----------------------------------------------------------------------------------------------------

CALLERS = [Caller(kind="hub", key="ada"), Caller(kind="key", key="ci"), Caller(kind="anonymous", key="2001:db8::1")]
REPOS = [
    "https://github.com/org/a",
    "git@github.com:Org/A.git",
    "https://github.com/org/b",
    "https://gitlab.com/org/a",
    "",
]
IMAGES = ["python", "python:3.12", "quay.io/org/gpu:1", "quay.io/org/gpu2"]
PATTERNS = {
    Scope.CALLER: ["hub:*", "key:ci", "anonymous:2001:db8:*", "*"],
    Scope.REPOSITORY: ["github.com/org/*", "github.com/ORG/a", "*"],
    Scope.IMAGE: ["python", "quay.io/org/*", "*"],
}
asked = st.tuples(st.sampled_from(CALLERS), st.sampled_from(REPOS), st.sampled_from(IMAGES))
rules = st.sampled_from(list(PATTERNS)).flatmap(
    lambda scope: st.builds(
        lambda pattern, most, together: (scope, Rule.parse(scope, pattern, most=most, together=together)),
        st.sampled_from(PATTERNS[scope]),
        st.integers(1, 3),
        st.booleans(),
    )
)


@settings(max_examples=40, deadline=None)
@given(
    limits=st.builds(
        QuotaRules, total=st.none() | st.integers(4, 9), rules=st.lists(rules, min_size=1, max_size=4).map(tuple)
    ),
    asking=st.lists(asked | asked | asked | st.integers(0, 9), min_size=12, max_size=25),
)
def test_a_launch_is_accepted_if_and_only_if_all_its_quotas_have_room(
    limits: QuotaRules, asking: list[tuple[Caller, str, str] | int]
) -> None:
    """A number stands for a launch that ends."""

    async def scenario(url: str) -> None:
        active: list[Launch] = []
        async with SqlLaunchStore(url, sealer=Sealer(["0" * 32], purpose="stored tokens")) as store:
            for one in asking:
                if not isinstance(one, int):
                    active += await ask(store, *one, active=active)
                elif active:
                    await store.log.append(active.pop(one % len(active)), FAILED)

    async def ask(
        store: SqlLaunchStore, caller: Caller, repo_url: str, image: str, *, active: list[Launch]
    ) -> list[Launch]:
        launch = new_launch(caller=caller, request=LaunchRequest(image=image, repo_url=repo_url))
        quotas = limits.quotas(caller, launch.request, at=launch.created_at)
        has_place = all(sum(_counts(quota, other) for other in active) < quota.most for quota in quotas)
        try:
            await store.intake.accept(launch, quotas=quotas)
        except QuotaReached:
            assert not has_place
            return []
        assert has_place
        return [launch]

    with TemporaryDirectory() as directory:
        asyncio.run(scenario(migrated(Path(directory, "l.sqlite"))))


def _counts(quota: Quota, launch: Launch) -> bool:
    if quota.scope is Scope.TOTAL:
        return True
    name = counted_as(launch.caller, launch.request).get(quota.scope)
    return name is not None and quota.counts(name)


# --- who holds the places ---------------------------------------------------------------------------------------------


async def ready(store: SqlLaunchStore, launch: Launch) -> Launch:
    await store.intake.accept(launch)
    await store.log.append(launch, PULLING)
    await store.log.append(launch, READY)
    return launch


async def ids(
    store: SqlLaunchStore, quota: Quota, *, every_s: float = 0, but: tuple[str, ...] = (), limit: int = 9
) -> Any:
    return [launch.id for launch in await store.upkeep.holders(quota, every_s=every_s, but=but, limit=limit)]


@pytest.mark.parametrize("quota", QUOTAS[1:], ids=IDS[1:])
async def test_holders_are_the_ready_launches_of_the_quota(store: SqlLaunchStore, quota: Quota) -> None:
    holder = await ready(store, counted())
    await ready(store, other())
    await store.intake.accept(counted())
    failed = counted()
    await store.intake.accept(failed)
    await store.log.append(failed, FAILED)

    assert await ids(store, quota) == [holder.id]


async def test_holders_come_longest_unchecked_first_and_once_per_interval(store: SqlLaunchStore) -> None:
    first, second, third = [(await ready(store, counted())).id for _ in range(3)]

    assert await ids(store, TOTAL, every_s=60, limit=2) == [first, second]
    assert await ids(store, TOTAL, every_s=60) == [third]
    assert await ids(store, TOTAL, every_s=60) == []
    assert await ids(store, TOTAL, but=(second,)) == [first, third]


async def test_a_launch_checked_long_ago_is_a_holder_again(store: SqlLaunchStore) -> None:
    launch = await ready(store, counted())
    await ids(store, TOTAL)
    with store.database.writing.begin() as connection:
        long_ago = launch.created_at - timedelta(seconds=61)
        connection.execute(update(launches).values(looked_up_at=long_ago))

    assert await ids(store, TOTAL, every_s=60) == [launch.id]


async def test_launches_of_an_older_release_count_only_in_the_total(store: SqlLaunchStore) -> None:
    launch = counted()
    await store.intake.accept(launch)
    with store.database.writing.begin() as connection:
        connection.execute(update(launches).values(caller_name=None, repo_name=None, image_name=None, size=None))

    for quota in QUOTAS[1:]:
        assert await ids(store, quota) == []
        await accepted(store, Quota(scope=quota.scope, most=99, name=quota.name, pattern=quota.pattern))
    with pytest.raises(QuotaReached) as refusal:
        await accepted(store, TOTAL)
    assert refusal.value.active == len(QUOTAS)
    assert (await store.log.launches(LaunchFilter(status=Status.WAITING), limit=99))[-1].id == launch.id


# --- rows of older releases -------------------------------------------------------------------------------------------


async def test_launches_active_before_the_migration_count(empty_url: str, sealer: Sealer) -> None:
    row = {"kind": "hub", "key": "ada", "image": f"{IMAGE}:1", "repo": f"https://{REPO}.git", "at": datetime.now(UTC)}
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0004")
        for number, status in enumerate(("waiting", "launching", "ready", "failed", "stopped")):
            connection.execute(_OLD, {**row, "id": str(number), "status": status})
        connection.execute(_OLD, {**row, "id": "no repository", "status": "ready", "repo": ""})
    engine.dispose()

    async with SqlLaunchStore(empty_url, sealer=sealer) as store:
        known = [quota for quota in QUOTAS if quota.scope is not Scope.SIZE]
        counts = [await refused(store, quota) for quota in known]

    assert counts == [4 if quota.scope is not Scope.REPOSITORY else 3 for quota in known]


_OLD = text(
    "INSERT INTO launches (id, caller_kind, caller_key, image, repo_url, extra_args, status, created_at, deadline_at,"
    " attempt, last_seq) VALUES (:id, :kind, :key, :image, :repo, '{}', :status, :at, :at, 1, 1)"
).bindparams(bindparam("at", type_=Instant))


async def refused(store: SqlLaunchStore, quota: Quota) -> int:
    """Return the number of active launches that the refusal of another one names."""
    with pytest.raises(QuotaReached) as refusal:
        await accepted(store, replace(quota, most=3 if quota.scope is Scope.REPOSITORY else 4))
    return refusal.value.active
