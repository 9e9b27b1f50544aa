"""The estimate of when a launch will be ready: quantiles of the last starts, and what they promise."""

from collections import deque
from datetime import UTC, datetime, timedelta
from math import log
from operator import itemgetter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.rules.estimate import STARTS_MAX, STARTS_NEEDED, Estimate, Start, estimate, quantile

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECONDS = st.floats(0, 3600)
STARTS = st.lists(st.tuples(SECONDS, st.booleans()), max_size=STARTS_MAX)


def starts(*seconds: float, pulled: bool = False) -> list[Start]:
    return [(one, pulled) for one in seconds]


def expected_s(found: Estimate, passed_s: float) -> float | None:
    """Return the expected seconds from admission until the launch is ready, for a launch admitted `passed_s` seconds
    ago."""
    ready_at = found.ready_at(NOON + timedelta(seconds=passed_s))
    return None if ready_at is None else (ready_at - NOON).total_seconds()


def test_fewer_than_five_starts_give_no_estimate() -> None:
    few = estimate(starts(1, 2, 3, 4), admitted_at=NOON, is_pulling=False)
    enough = estimate(starts(1, 2, 3, 4, 5), admitted_at=NOON, is_pulling=False)

    assert (few.is_known, few.ready_at(NOON), enough.is_known) == (False, None, True)


def test_an_estimate_at_admission_is_the_median_of_all_starts() -> None:
    mixed = [*starts(10, 11, 12), *starts(60, 61, 62, 63, pulled=True)]

    found = estimate(mixed, admitted_at=NOON, is_pulling=False)

    assert (found.count, found.p50_s, expected_s(found, 0), found.of_pulls) == (7, 60, 60, False)


def test_once_a_pull_is_seen_only_starts_that_pulled_are_counted() -> None:
    mixed = [*starts(10, 11, 12), *starts(60, 61, 62, 63, 64, pulled=True)]

    found = estimate(mixed, admitted_at=NOON, is_pulling=True)

    assert (found.count, found.p50_s, expected_s(found, 5), found.of_pulls) == (5, 62, 62, True)


def test_a_pull_has_no_estimate_where_fewer_than_five_starts_pulled() -> None:
    mixed = [*starts(*range(40)), *starts(60, 61, 62, 63, pulled=True)]

    assert not estimate(mixed, admitted_at=NOON, is_pulling=True).is_known


def test_past_the_median_the_longer_starts_count() -> None:
    found = estimate(starts(*range(10, 100, 10)), admitted_at=NOON, is_pulling=False)

    assert [expected_s(found, passed_s) for passed_s in (0, 49, 50, 60, 70)] == [50, 50, 75, 80, 85]


def test_past_the_cached_starts_a_launch_is_expected_to_take_as_long_as_those_that_pulled() -> None:
    mixed = [*starts(*[5] * 32), *starts(*[300] * 18, pulled=True)]

    found = estimate(mixed, admitted_at=NOON, is_pulling=False)

    assert [expected_s(found, passed_s) for passed_s in (0, 4, 30)] == [5, 5, 300]


def test_past_nine_of_ten_nothing_more_is_expected() -> None:
    found = estimate(starts(10, 20, 30, 40, 50), admitted_at=NOON, is_pulling=False)

    assert (found.p50_s, found.p90_s, expected_s(found, 50)) == (30, 50, None)


def test_a_clock_that_is_behind_the_admission_counts_from_the_admission() -> None:
    found = estimate(starts(10, 20, 30, 40, 50), admitted_at=NOON, is_pulling=False)

    assert (found.passed_s(NOON - timedelta(seconds=3)), expected_s(found, -3)) == (0, 30)


@given(STARTS, st.booleans(), SECONDS, SECONDS)
def test_what_is_expected_lies_ahead_and_never_comes_nearer_as_time_passes(
    known: list[Start], is_pulling: bool, one: float, other: float
) -> None:
    found = estimate(known, admitted_at=NOON, is_pulling=is_pulling)

    comparable = [round(seconds, 3) for seconds, pulled in known if pulled or not is_pulling]
    assert found.count == len(comparable)
    assert found.is_known == (len(comparable) >= STARTS_NEEDED)
    earlier, later = (expected_s(found, at) for at in sorted((one, other)))
    if not found.is_known:
        assert earlier is later is None
        return
    assert min(comparable) <= found.p50_s <= found.p90_s <= max(comparable)
    if later is not None:
        assert earlier is not None
        assert found.passed_s(NOON + timedelta(seconds=max(one, other))) < later
        assert earlier <= later


@given(st.lists(SECONDS, min_size=1, max_size=STARTS_MAX), st.floats(0.01, 0.99))
def test_a_quantile_has_its_share_of_the_values_on_either_side(values: list[float], share: float) -> None:
    found = quantile(sorted(values), share)

    place = share * (len(values) + 1)
    assert sum(value < found for value in values) <= place
    assert sum(value > found for value in values) <= len(values) + 1 - place


class Cluster:
    """Ten machines, any of which pulls the image for its first server, and may be replaced by a new one."""

    def __init__(self, random: Random, *, replaced: float) -> None:
        self._random, self._replaced = random, replaced
        self._has_image = [False] * 10

    def start(self) -> Start:
        machine = self._random.randrange(10)
        pulls = not self._has_image[machine]
        self._has_image[machine] = self._random.random() >= self._replaced
        median_s, spread = (60, 0.5) if pulls else (5, 0.3)
        return self._random.lognormvariate(log(median_s), spread), pulls


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("replaced", [0, 0.1, 0.4, 1], ids=lambda share: f"{share:.0%}-of-machines-replaced")
def test_of_a_thousand_launches_half_are_ready_before_the_median_given_at_admission_and_nine_of_ten_before_the_p90(
    replaced: float, seed: int
) -> None:
    random, at, at_hub = Random(seed), 0.0, list[tuple[float, Start, Estimate]]()
    cluster, known = Cluster(random, replaced=replaced), deque[Start](maxlen=STARTS_MAX)
    ended, before_p50, before_p90 = 0, 0, 0
    while ended < 1000:
        at += random.expovariate(1 / 5)
        at_hub.sort(key=itemgetter(0))
        while at_hub and at_hub[0][0] <= at:
            _, start, told = at_hub.pop(0)
            known.append(start)
            if told.is_known:
                ended += 1
                before_p50 += start[0] <= told.p50_s
                before_p90 += start[0] <= told.p90_s
        start = cluster.start()
        at_hub.append((at + start[0], start, estimate(list(known), admitted_at=NOON, is_pulling=False)))

    assert 0.45 <= before_p50 / ended <= 0.55
    assert 0.86 <= before_p90 / ended <= 0.94
