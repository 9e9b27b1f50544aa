"""The estimate of when a launch will be ready: quantiles of the last starts, and what they promise."""

from collections import deque
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.rules.estimate import STARTS_MAX, STARTS_NEEDED, Start, counted_as, estimate, quantile

DIGEST = f"sha256:{'4b' * 32}"
SECONDS = st.floats(0, 3600)
STARTS = st.lists(st.builds(Start, seconds=SECONDS, pulled=st.booleans()), max_size=STARTS_MAX)


def starts(*seconds: float, pulled: bool = False) -> list[Start]:
    return [Start(seconds=one, pulled=pulled) for one in seconds]


def test_fewer_than_five_starts_give_no_estimate() -> None:
    assert estimate(starts(1, 2, 3, 4), is_pulling=False, passed_s=0) is None
    assert estimate(starts(1, 2, 3, 4, 5), is_pulling=False, passed_s=0) is not None


def test_an_estimate_at_admission_is_the_median_of_all_starts() -> None:
    mixed = [*starts(10, 11, 12), *starts(60, 61, 62, 63, pulled=True)]

    found = estimate(mixed, is_pulling=False, passed_s=0)

    assert found is not None
    assert (found.count, found.p50_s, found.expected_s, found.of_pulls) == (7, 60, 60, False)


def test_once_a_pull_is_seen_only_starts_that_pulled_count() -> None:
    mixed = [*starts(10, 11, 12), *starts(60, 61, 62, 63, 64, pulled=True)]

    found = estimate(mixed, is_pulling=True, passed_s=5)

    assert found is not None
    assert (found.count, found.p50_s, found.expected_s, found.of_pulls) == (5, 62, 62, True)


def test_a_pull_has_no_estimate_where_fewer_than_five_starts_pulled() -> None:
    mixed = [*starts(*range(40)), *starts(60, 61, 62, 63, pulled=True)]

    assert estimate(mixed, is_pulling=True, passed_s=5) is None


def test_past_the_median_the_longer_starts_count() -> None:
    found = estimate(starts(10, 20, 30, 40, 50, 60, 70, 80, 90), is_pulling=False, passed_s=55)

    assert found is not None
    assert (found.p50_s, found.expected_s) == (50, 75), "the median of 60, 70, 80 and 90"


def test_past_nine_of_ten_nothing_is_expected_any_more() -> None:
    found = estimate(starts(10, 20, 30, 40, 50), is_pulling=False, passed_s=50)

    assert found is not None
    assert (found.p50_s, found.p90_s, found.expected_s) == (30, 50, None)


@given(STARTS, st.booleans(), SECONDS, SECONDS)
def test_what_is_expected_lies_ahead_and_never_comes_nearer_as_time_passes(
    known: list[Start], is_pulling: bool, one: float, other: float
) -> None:
    earlier, later = (estimate(known, is_pulling=is_pulling, passed_s=at) for at in sorted((one, other)))

    comparable = [start.seconds for start in known if start.pulled or not is_pulling]
    assert (earlier is None) == (len(comparable) < STARTS_NEEDED)
    if earlier is None or later is None:
        return
    assert min(comparable) <= earlier.p50_s <= earlier.p90_s <= max(comparable)
    assert (later.p50_s, later.p90_s) == (earlier.p50_s, earlier.p90_s)
    if later.expected_s is not None:
        assert earlier.expected_s is not None
        assert later.passed_s < later.expected_s
        assert earlier.expected_s <= later.expected_s


@given(st.lists(SECONDS, min_size=1, max_size=STARTS_MAX), st.floats(0.01, 0.99))
def test_a_quantile_has_its_share_of_the_values_on_either_side(values: list[float], share: float) -> None:
    found = quantile(sorted(values), share)

    place = share * (len(values) + 1)
    assert sum(value < found for value in values) <= place
    assert sum(value > found for value in values) <= len(values) + 1 - place


def cached(random: Random) -> float:
    return random.lognormvariate(1.5, 0.3)


def pulling(random: Random) -> float:
    return random.lognormvariate(4, 0.5)


def a_third_pulls(random: Random) -> float:
    return pulling(random) if random.random() < 1 / 3 else cached(random)


def half_pulls(random: Random) -> float:
    return pulling(random) if random.random() < 1 / 2 else cached(random)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("takes", [cached, pulling, a_third_pulls, half_pulls])
def test_half_of_the_launches_end_before_the_median_and_nine_of_ten_before_the_p90(
    takes: Callable[[Random], float], seed: int
) -> None:
    random, told, before_p50, before_p90 = Random(seed), 0, 0, 0
    last = deque(starts(*(takes(random) for _ in range(STARTS_MAX))), maxlen=STARTS_MAX)

    for _ in range(1000):
        found, seconds = estimate(list(last), is_pulling=False, passed_s=0), takes(random)
        assert found is not None
        told += 1
        before_p50 += seconds <= found.p50_s
        before_p90 += seconds <= found.p90_s
        last.append(Start(seconds=seconds, pulled=False))

    assert 0.45 <= before_p50 / told <= 0.55
    assert 0.86 <= before_p90 / told <= 0.94


@pytest.mark.parametrize(
    ("image", "digest", "name"),
    [
        ("jupyter/base:1", None, "docker.io/jupyter/base:1"),
        ("jupyter/base", None, "docker.io/jupyter/base:latest"),
        ("jupyter/base:1", DIGEST, f"docker.io/jupyter/base@{DIGEST}"),
        (f"jupyter/base:1@{DIGEST}", None, f"docker.io/jupyter/base@{DIGEST}"),
    ],
)
def test_an_image_counts_by_its_digest_where_that_is_known(image: str, digest: str | None, name: str) -> None:
    assert counted_as(image, digest) == name
