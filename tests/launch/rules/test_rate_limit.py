"""Properties of the rate limits' algorithm, for any requests at any times."""

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.errors import RateLimited
from hublaunch.launch.rules.rate_limit import (
    DEBT,
    FREE,
    Levels,
    Limit,
    Rate,
    Verdict,
    inspect,
    owe,
    take,
    whole_seconds,
)

INSTANT = timedelta(microseconds=1)
RATES = st.builds(Rate, most=st.integers(1, 40), window_s=st.integers(1, 100))
PAUSES = st.lists(st.one_of(st.just(FREE), st.timedeltas(FREE, timedelta(seconds=20))), max_size=120)
"""The time between each request and the one before it."""


class Counted:
    """The levels of some limits, as time passes."""

    def __init__(self, *limits: Limit) -> None:
        self.limits = limits
        self.levels: Levels = {}

    def pass_time(self, time: timedelta) -> None:
        self.levels = {key: level - time for key, level in self.levels.items()}

    def take(self, *limits: Limit) -> Verdict:
        verdict, changed = take(limits or self.limits, self.levels)
        self.levels = {**self.levels, **changed}
        return verdict


def limit(rate: Rate, *, name: str = "caller", subject: str = "hub:ada") -> Limit:
    return Limit(name=name, subject=subject, rate=rate)


@given(RATES, PAUSES)
def test_a_limit_allows_the_same_requests_as_a_token_bucket(rate: Rate, pauses: list[timedelta]) -> None:
    counted, tokens = Counted(limit(rate)), Fraction(rate.most)
    for pause in pauses:
        counted.pass_time(pause)
        tokens = min(Fraction(rate.most), tokens + Fraction(pause // INSTANT, rate.interval // INSTANT))

        assert counted.take().allowed == (tokens >= 1)

        tokens -= 1 if tokens >= 1 else 0


@given(RATES, PAUSES, st.integers(0, 60), st.integers(1, 60))
def test_no_period_has_more_requests_than_the_burst_and_the_rate(
    rate: Rate, pauses: list[timedelta], first: int, length: int
) -> None:
    counted, at, allowed = Counted(limit(rate)), FREE, []
    for pause in pauses:
        counted.pass_time(pause)
        at += pause
        if counted.take().allowed:
            allowed.append(at)

    stretch = allowed[first : first + length]
    if stretch:
        assert len(stretch) <= rate.most + (stretch[-1] - stretch[0]) // rate.interval


@given(RATES, st.integers(1, 200))
def test_requests_at_the_rate_are_never_refused(rate: Rate, requests: int) -> None:
    counted = Counted(limit(rate))
    for _ in range(requests):
        assert counted.take().allowed
        counted.pass_time(rate.interval)


@given(RATES, PAUSES)
def test_exactly_as_many_requests_are_left_as_reported(rate: Rate, pauses: list[timedelta]) -> None:
    counted = Counted(limit(rate))
    left = rate.most
    for pause in pauses:
        counted.pass_time(pause)
        left = counted.take().allowances[0].left

    answers = [counted.take().allowed for _ in range(left + 1)]

    assert answers == [True] * left + [False]


@given(RATES, PAUSES)
def test_a_refused_request_is_allowed_at_the_reported_time_and_no_sooner(rate: Rate, pauses: list[timedelta]) -> None:
    counted = Counted(limit(rate))
    for pause in pauses:
        counted.pass_time(pause)
        counted.take()
    while (verdict := counted.take()).allowed:
        pass
    (room,) = verdict.refusing

    counted.pass_time(room.wait - INSTANT)
    too_soon = counted.take()
    counted.pass_time(INSTANT)

    assert FREE < room.wait <= rate.interval
    assert not too_soon.allowed
    assert counted.take().allowed


@given(RATES, RATES, PAUSES)
def test_a_request_counts_in_every_limit_or_in_none(one: Rate, other: Rate, pauses: list[timedelta]) -> None:
    both = Counted(limit(one), limit(other, name="address"))
    for pause in pauses:
        both.pass_time(pause)
        before = dict(both.levels)
        verdict = both.take()
        if verdict.allowed:
            taken = {key: both.levels[key] - max(before.get(key, FREE), FREE) for key in both.levels}
            assert list(taken.values()) == [one.interval, other.interval]
        else:
            assert both.levels == before
            assert any(not room.left for room in verdict.allowances)


@given(RATES, PAUSES)
def test_inspecting_counts_nothing(rate: Rate, pauses: list[timedelta]) -> None:
    counted = Counted(limit(rate))
    for pause in pauses:
        counted.pass_time(pause)
        seen = inspect(counted.limits, counted.levels)
        assert seen.allowed == counted.take().allowed


@given(RATES, st.integers(0, 600))
def test_a_debt_delays_the_next_request_and_is_bounded(rate: Rate, owed: int) -> None:
    counted = Counted(limit(rate))
    for _ in range(owed):
        counted.levels = owe(counted.limits, counted.levels)

    counted.pass_time(min(owed, DEBT * rate.most) * rate.interval)

    assert inspect(counted.limits, counted.levels).allowances[0].left == rate.most
    counted.pass_time(-INSTANT)
    assert owed == 0 or inspect(counted.limits, counted.levels).allowances[0].left == rate.most - 1


@given(st.integers(1, 1_000_000), st.integers(1, 86_400))
def test_every_rate_allows_exactly_its_number_per_window(most: int, window_s: int) -> None:
    rate = Rate(most, window_s)

    assert inspect([limit(rate)], {}).allowances[0].left == most
    assert timedelta(seconds=window_s) - most * INSTANT < rate.whole <= timedelta(seconds=window_s)


def test_limits_of_different_subjects_are_independent() -> None:
    ada, bob = limit(Rate(1, 60)), limit(Rate(1, 60), subject="hub:bob")
    counted = Counted()

    assert [counted.take(one).allowed for one in (ada, ada, bob)] == [True, False, True]


def test_a_refusal_names_the_used_up_limits_and_the_longest_wait() -> None:
    quick, slow, wide = limit(Rate(1, 2)), limit(Rate(1, 10), name="address"), limit(Rate(9, 9), name="wide")
    counted = Counted(slow, quick, wide)
    counted.take()
    counted.pass_time(timedelta(seconds=0.5))

    verdict = counted.take()
    with pytest.raises(RateLimited) as refusal:
        verdict.check()

    assert refusal.value.names == ("caller", "address")
    assert refusal.value.retry_after_s == 10
    assert "One address may request 1 launch at once" in str(refusal.value)


@pytest.mark.parametrize(("seconds", "whole"), [(0, 0), (0.000001, 1), (1, 1), (1.000001, 2), (59.5, 60)])
def test_seconds_are_rounded_up(seconds: float, whole: int) -> None:
    assert whole_seconds(timedelta(seconds=seconds)) == whole
