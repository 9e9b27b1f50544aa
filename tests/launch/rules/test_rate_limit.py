"""The algorithm of the rate limits, as properties over any requests at any times."""

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
"""How long after the one before it each request comes."""


class Counted:
    """What the levels of some limits come to, as time goes on."""

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
def test_it_allows_what_a_bucket_of_tokens_does(rate: Rate, pauses: list[timedelta]) -> None:
    counted, tokens = Counted(limit(rate)), Fraction(rate.most)
    for pause in pauses:
        counted.pass_time(pause)
        tokens = min(Fraction(rate.most), tokens + Fraction(pause // INSTANT, rate.interval // INSTANT))

        assert counted.take().allowed == (tokens >= 1)

        tokens -= 1 if tokens >= 1 else 0


@given(RATES, PAUSES, st.integers(0, 60), st.integers(1, 60))
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(
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
def test_who_keeps_to_the_rate_is_never_refused(rate: Rate, requests: int) -> None:
    counted = Counted(limit(rate))
    for _ in range(requests):
        assert counted.take().allowed
        counted.pass_time(rate.interval)


@given(RATES, PAUSES)
def test_what_is_said_to_be_left_is_left_and_not_one_more(rate: Rate, pauses: list[timedelta]) -> None:
    counted = Counted(limit(rate))
    left = rate.most
    for pause in pauses:
        counted.pass_time(pause)
        left = counted.take().allowances[0].left

    answers = [counted.take().allowed for _ in range(left + 1)]

    assert answers == [True] * left + [False]


@given(RATES, PAUSES)
def test_who_was_refused_finds_room_when_it_was_said_and_no_sooner(rate: Rate, pauses: list[timedelta]) -> None:
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
def test_a_request_takes_of_each_limit_or_of_none(one: Rate, other: Rate, pauses: list[timedelta]) -> None:
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
def test_to_look_takes_nothing(rate: Rate, pauses: list[timedelta]) -> None:
    counted = Counted(limit(rate))
    for pause in pauses:
        counted.pass_time(pause)
        seen = inspect(counted.limits, counted.levels)
        assert seen.allowed == counted.take().allowed


@given(RATES, st.integers(0, 600))
def test_what_is_owed_has_to_pass_before_there_is_room_and_has_an_end(rate: Rate, owed: int) -> None:
    counted = Counted(limit(rate))
    for _ in range(owed):
        counted.levels = owe(counted.limits, counted.levels)

    counted.pass_time(min(owed, DEBT * rate.most) * rate.interval)

    assert inspect(counted.limits, counted.levels).allowances[0].left == rate.most
    counted.pass_time(-INSTANT)
    assert owed == 0 or inspect(counted.limits, counted.levels).allowances[0].left == rate.most - 1


@given(st.integers(1, 1_000_000), st.integers(1, 86_400))
def test_a_window_takes_as_many_as_the_rate_names_whatever_the_numbers_are(most: int, window_s: int) -> None:
    rate = Rate(most, window_s)

    assert inspect([limit(rate)], {}).allowances[0].left == most
    assert timedelta(seconds=window_s) - most * INSTANT < rate.whole <= timedelta(seconds=window_s)


def test_limits_of_others_are_others() -> None:
    ada, bob = limit(Rate(1, 60)), limit(Rate(1, 60), subject="hub:bob")
    counted = Counted()

    assert [counted.take(one).allowed for one in (ada, ada, bob)] == [True, False, True]


def test_a_refusal_names_the_limits_without_room_and_when_the_last_of_them_has_it() -> None:
    quick, slow, wide = limit(Rate(1, 2)), limit(Rate(1, 10), name="address"), limit(Rate(9, 9), name="wide")
    counted = Counted(slow, quick, wide)
    counted.take()
    counted.pass_time(timedelta(seconds=0.5))

    verdict = counted.take()
    with pytest.raises(RateLimited) as refusal:
        verdict.check()

    assert refusal.value.names == ("caller", "address")
    assert refusal.value.retry_after_s == 10
    assert "1 launches from one address" in str(refusal.value)


@pytest.mark.parametrize(("seconds", "whole"), [(0, 0), (0.000001, 1), (1, 1), (1.000001, 2), (59.5, 60)])
def test_seconds_are_rounded_up(seconds: float, whole: int) -> None:
    assert whole_seconds(timedelta(seconds=seconds)) == whole
