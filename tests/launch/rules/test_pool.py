"""The warm pool: which launches it serves, how many servers it keeps, and which of them it replaces."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.model import Content, LaunchRequest
from hublaunch.launch.rules.catalogue import Catalogue, Environment, Size
from hublaunch.launch.rules.pool import (
    HALF_LIFE_S,
    Demand,
    Member,
    Miss,
    PoolKey,
    backoff_s,
    fill_s,
    match,
    may_serve,
    plan,
    pools_of,
    refill_most,
    refill_room,
    share,
    wanted,
)
from hublaunch.launch.rules.warm import Warm, Window

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEPT = Warm(keep=2, most=10, max_age_s=3600)
SMALL = Size(name="small", title={"": "Small"}, user_options={"profile": "small"})
LARGE = Size(name="large", title={"": "Large"}, user_options={"profile": "large"})
SCIPY = Environment(
    name="scipy",
    title={"": "SciPy"},
    image="quay.io/org/scipy:1",
    sizes=(SMALL, LARGE),
    warm=replace(KEPT, sizes=("small",)),
)
PLAIN = Environment(name="plain", title={"": "Plain"}, image="python", warm=KEPT)
COLD = Environment(name="cold", title={"": "Cold"}, image="quay.io/org/cold:1")
CATALOGUE = Catalogue(environments=(SCIPY, PLAIN, COLD), sizes=(SMALL, LARGE))
KEYS = [pool.key for pool in pools_of(CATALOGUE)]
ASKED = LaunchRequest(image="quay.io/org/scipy:1", environment="scipy", size="small", size_options=SMALL.user_options)
INFORMATIONAL = ("binder_ref_url", "binder_client_ip")


def found(request: LaunchRequest, *, creates_user: bool = True) -> PoolKey | Miss | None:
    return match(request, KEYS, creates_user=creates_user, informational=INFORMATIONAL)


# --- which launches it serves -----------------------------------------------------------------------------------------


def test_the_catalogue_has_a_pool_for_each_size_that_an_environment_keeps_warm() -> None:
    pools = pools_of(CATALOGUE)

    assert [(pool.environment, pool.size) for pool in pools] == [("scipy", "small"), ("plain", "")]
    assert [pool.name for pool in pools] == ["scipy/small", "plain"]
    assert pools[0].request == ASKED
    assert pools[1].request == LaunchRequest(image="python", environment="plain")


def test_a_pool_serves_its_environment_with_any_repository_that_is_fetched_later_or_never() -> None:
    with_repository = replace(ASKED, repo_url="https://github.com/org/repo", ref="main", path="a.ipynb")

    assert found(ASKED) == KEYS[0]
    assert found(with_repository) == KEYS[0]
    assert found(replace(with_repository, content=Content.NBGITPULLER)) == KEYS[0]


def test_a_pool_without_sizes_serves_requests_for_its_image_in_every_spelling() -> None:
    for image in ("python", "python:latest", "docker.io/library/python"):
        assert found(LaunchRequest(image=image)) == KEYS[1]


def test_extra_args_that_no_spawner_acts_on_are_no_reason_for_a_cold_start() -> None:
    assert found(replace(ASKED, extra_args={"binder_ref_url": "https://github.com/org/repo"})) == KEYS[0]


@pytest.mark.parametrize(
    ("request_", "creates_user", "reason"),
    [
        (ASKED, False, Miss.ACCOUNT),
        (replace(ASKED, content=Content.SPAWNER), True, Miss.CONTENT),
        (replace(ASKED, extra_args={"binder_ref_url": "x", "cpu": 4}), True, Miss.OPTIONS),
        (replace(ASKED, size="large", size_options=LARGE.user_options), True, Miss.SIZE),
        (replace(ASKED, size_options={"profile": "smaller"}), True, Miss.SIZE),
        (LaunchRequest(image="quay.io/org/scipy:1"), True, Miss.SIZE),
    ],
    ids=["account", "spawner's content", "options", "other size", "changed size", "no size"],
)
def test_a_launch_that_differs_in_what_a_start_fixes_is_a_miss(
    request_: LaunchRequest, creates_user: bool, reason: Miss
) -> None:
    assert found(request_, creates_user=creates_user) is reason


def test_a_launch_of_an_image_without_a_pool_is_neither_a_hit_nor_a_miss() -> None:
    assert found(LaunchRequest(image="quay.io/org/cold:1", environment="cold"), creates_user=False) is None
    assert found(LaunchRequest(image="quay.io/org/scipy:2")) is None


def test_keys_of_different_servers_are_different_lines() -> None:
    requests = [ASKED, replace(ASKED, size="large"), replace(ASKED, size_options={}), replace(ASKED, image="python")]

    lines = {str(PoolKey.of(request)) for request in requests}

    assert len(lines) == len(requests)
    assert not any("\n" in line for line in lines)


def test_only_another_known_digest_keeps_a_member_from_serving() -> None:
    assert may_serve("sha256:a", "sha256:a")
    assert may_serve(None, "sha256:a")
    assert may_serve("sha256:a", None)
    assert not may_serve("sha256:a", "sha256:b")


# --- how many servers it keeps ----------------------------------------------------------------------------------------


def number_wanted(warm: Warm = KEPT, *, arrivals_per_s: float = 0.0, start_s: float = 30.0, at: datetime = NOON) -> int:
    return wanted(warm, at=at, arrivals_per_s=arrivals_per_s, start_s=start_s, refill_most=12)


def test_a_pool_keeps_no_fewer_servers_than_keep_and_no_more_than_most() -> None:
    assert number_wanted() == 2
    assert number_wanted(arrivals_per_s=99) == 10


def test_demand_raises_the_number_by_the_arrivals_during_a_start_and_their_square_root() -> None:
    assert number_wanted(arrivals_per_s=0.1) == 5  # 3 arrive during a start; 3 + 1.7


def test_a_pool_that_keeps_nothing_is_empty_whatever_the_demand() -> None:
    assert number_wanted(replace(KEPT, keep=0), arrivals_per_s=99) == 0


def test_a_window_is_full_when_it_opens() -> None:
    window = Window(cron="0 12 * * *", timezone="UTC", for_s=3600, keep=60)
    warm = replace(KEPT, windows=(window,))
    early_s = fill_s(60, start_s=30.0, refill_most=12)

    assert early_s == 180  # five rounds of twelve, and one to spare
    assert number_wanted(warm, at=NOON - timedelta(seconds=early_s)) == 60
    assert number_wanted(warm, at=NOON - timedelta(seconds=early_s + 1)) == 2


@given(
    keep=st.integers(0, 50),
    more=st.integers(0, 50),
    rate=st.floats(0, 1e6),
    other_rate=st.floats(0, 1e6),
    start_s=st.floats(0.1, 3600),
)
def test_the_number_stays_within_its_bounds_and_grows_with_demand(
    keep: int, more: int, rate: float, other_rate: float, start_s: float
) -> None:
    warm = Warm(keep=keep, most=keep + more, max_age_s=3600)
    low, high = sorted((rate, other_rate))

    number = number_wanted(warm, arrivals_per_s=low, start_s=start_s)

    assert (keep <= number <= keep + more) if keep else number == 0
    assert number <= number_wanted(warm, arrivals_per_s=high, start_s=start_s)


def test_demand_halves_in_fifteen_minutes() -> None:
    demand = Demand(at=NOON).arrived(NOON, 8)

    later = NOON + timedelta(seconds=HALF_LIFE_S)

    assert demand.per_s(later) == pytest.approx(demand.per_s(NOON) / 2)
    assert demand.arrived(later).count == pytest.approx(5)


def test_a_constant_rate_is_recognized() -> None:
    demand, at = Demand(at=NOON), NOON
    for _ in range(1000):
        at += timedelta(seconds=10)
        demand = demand.arrived(at)

    assert demand.per_s(at) == pytest.approx(0.1, rel=0.02)


def test_a_clock_that_is_set_back_does_not_raise_demand() -> None:
    demand = Demand(at=NOON).arrived(NOON, 3)

    assert demand.arrived(NOON - timedelta(hours=1)).count == 4
    assert demand.per_s(NOON - timedelta(hours=1)) == demand.per_s(NOON)


@given(wanted_by=st.lists(st.integers(0, 40), max_size=8), most=st.integers(0, 100))
def test_pools_share_the_servers_evenly_and_leave_none_over(wanted_by: list[int], most: int) -> None:
    given_to = share(dict(enumerate(wanted_by)), most=most)

    counts = list(given_to.values())
    unserved = [given_to[key] for key, count in enumerate(wanted_by) if given_to[key] < count]
    assert list(given_to) == list(range(len(wanted_by)))
    assert all(0 <= given_to[key] <= count for key, count in enumerate(wanted_by))
    assert sum(counts) == min(most, sum(wanted_by))
    assert not unserved or max(counts) - min(unserved) <= 1


# --- which members it starts and retires ------------------------------------------------------------------------------


def member(name: str, *, age_s: float = 0, is_ready: bool = True) -> Member:
    return Member(launch_id=name, started_at=NOON - timedelta(seconds=age_s), is_ready=is_ready)


def next_steps(members: Sequence[Member], *, number: int = 2, start_s: float = 30) -> tuple[int, tuple[str, ...]]:
    steps = plan(members, wanted=number, max_age_s=3600, at=NOON, start_s=start_s)
    return steps.start, steps.retire


def test_a_pool_is_filled_and_counts_the_members_that_start() -> None:
    assert next_steps([]) == (2, ())
    assert next_steps([member("a"), member("b", is_ready=False)]) == (0, ())


def test_a_member_is_replaced_before_it_is_retired() -> None:
    old, young = member("old", age_s=3300), member("young")
    replacement = member("new", is_ready=False)

    assert next_steps([old, young]) == (1, ())
    assert next_steps([old, young, replacement]) == (0, ())
    assert next_steps([old, young, replace(replacement, is_ready=True)]) == (0, ("old",))


def test_a_member_whose_time_is_up_is_retired_even_without_a_replacement() -> None:
    assert next_steps([member("a", age_s=3600), member("b", age_s=3599)]) == (2, ("a",))


def test_slow_starts_are_replaced_earlier_but_never_in_their_first_half() -> None:
    assert next_steps([member("a", age_s=2500)], number=1, start_s=600) == (1, ())
    assert next_steps([member("a", age_s=1700)], number=1, start_s=99_999) == (0, ())


def test_of_too_many_members_the_oldest_ready_ones_go_and_starts_are_not_given_up() -> None:
    members = [member("a", age_s=3), member("b", age_s=9), member("c", age_s=6), member("d", age_s=99, is_ready=False)]

    assert next_steps(members, number=1) == (0, ("b", "c"))


def test_a_pool_that_is_to_be_empty_retires_all_members() -> None:
    assert next_steps([member("a", age_s=3), member("b", is_ready=False)], number=0) == (0, ("a", "b"))


MEMBERS = st.lists(st.builds(lambda age, ready: (age, ready), st.integers(0, 4000), st.booleans()), max_size=12).map(
    lambda made: [member(f"{n:02}", age_s=age, is_ready=ready) for n, (age, ready) in enumerate(made)]
)


@given(members=MEMBERS, number=st.integers(0, 8), start_s=st.floats(0.1, 5000))
def test_no_plan_leaves_fewer_ready_members_than_are_wanted_except_for_age(
    members: list[Member], number: int, start_s: float
) -> None:
    steps = plan(members, wanted=number, max_age_s=3600, at=NOON, start_s=start_s)

    ready = [each for each in members if each.is_ready]
    expired = {each.launch_id for each in ready if NOON - each.started_at >= timedelta(seconds=3600)}
    left = [each for each in ready if each.launch_id not in steps.retire]
    ages = {each.launch_id: each.started_at for each in members}
    if number:
        assert len(left) >= min(number, len(ready) - len(expired))
        assert set(steps.retire) <= {each.launch_id for each in ready}
        assert all(ages[gone] <= each.started_at for gone in steps.retire for each in left), "the oldest go first"
    else:
        assert len(steps.retire) == len(members)
    assert expired <= set(steps.retire)
    assert steps.start <= number


@given(number=st.integers(0, 6), start_s=st.integers(1, 600), max_age_s=st.integers(1300, 7200))
def test_a_pool_reaches_its_number_keeps_it_and_lets_no_member_get_too_old(
    number: int, start_s: int, max_age_s: int
) -> None:
    members: list[Member] = []
    tick_s = start_s / 2
    for round_ in range(math.ceil(2 * max_age_s / tick_s)):
        at = NOON + timedelta(seconds=round_ * tick_s)
        members = [
            replace(each, is_ready=each.is_ready or at - each.started_at >= timedelta(seconds=start_s))
            for each in members
        ]
        steps = plan(members, wanted=number, max_age_s=max_age_s, at=at, start_s=start_s)
        members = [each for each in members if each.launch_id not in steps.retire]
        members += [Member(launch_id=f"{round_:06}-{n}", started_at=at, is_ready=False) for n in range(steps.start)]
        ready = [each for each in members if each.is_ready]
        assert all(at - each.started_at < timedelta(seconds=max_age_s) for each in ready)
        assert round_ < 3 or len(ready) >= number, "a replacement is ready before a member goes"
        assert len(members) <= 2 * number


# --- refill -----------------------------------------------------------------------------------------------------------


def test_refill_uses_a_quarter_of_the_places_and_waits_for_everybody_in_the_queue() -> None:
    assert [refill_most(places) for places in (1, 3, 8, 50)] == [1, 1, 2, 12]
    assert refill_room(refill_most=12, starting=5, waiting=0) == 7
    assert refill_room(refill_most=12, starting=13, waiting=0) == 0
    assert refill_room(refill_most=12, starting=0, waiting=1) == 0


def test_failed_starts_are_repeated_after_ten_seconds_and_eventually_after_ten_minutes() -> None:
    assert [backoff_s(failures) for failures in (0, 1, 2, 6, 7, 10_000)] == [0, 10, 20, 320, 600, 600]
