"""The Hub guard: which launches are admitted to a Hub that exits after too many failed spawns in a row."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.errors import (
    CommandNotFound,
    HubForbidden,
    ImageNotFound,
    LaunchError,
    NoRoom,
    ServerExited,
    SpawnCancelled,
    SpawnFailed,
    SpawnLost,
    SpawnRefused,
    SpawnTimedOut,
)
from hublaunch.launch.model import FailedSpawn
from hublaunch.launch.rules.guard import (
    FAILING_FOR,
    Failure,
    Guard,
    GuardMode,
    Headroom,
    SpawnHistory,
    failed_spawn,
    known_as,
)

NORMAL, STRICT, OFF = (Guard(mode=mode, failure_limit=4) for mode in ("normal", "strict", "off"))
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def room(guard: Guard = NORMAL, *, at_hub: Mapping[str, int] | None = None, **history: Any) -> Headroom:
    return Headroom(guard, SpawnHistory(**history), most=50, at_hub=at_hub or {})


def count_admitted(room: Headroom, images: list[str]) -> int:
    return sum(room.take(image) for image in images)


def images(count: int) -> list[str]:
    return [f"image-{n}" for n in range(count)]


def test_an_unproven_image_has_two_launches_at_the_hub_at_once() -> None:
    assert count_admitted(room(), ["a"] * 9) == 2
    assert count_admitted(room(at_hub={"a": 1}), ["a"] * 9) == 1


def test_unproven_images_start_at_the_limit_and_gain_one_launch_per_success() -> None:
    assert count_admitted(room(), images(99)) == 4
    assert count_admitted(room(grown=7), images(99)) == 11
    assert count_admitted(room(grown=700), images(99)) == 50


def test_after_failures_only_as_many_launches_are_admitted_as_may_all_fail() -> None:
    assert [count_admitted(room(failures=n, grown=30), images(9)) for n in (1, 2)] == [3, 2]


def test_proven_images_are_not_bounded_by_the_window() -> None:
    assert count_admitted(room(proven={"a"}), ["a"] * 99) == 50
    assert count_admitted(room(proven={"a"}, failures=2, at_hub={"a": 9}), [*["a"] * 5, "b", "c", "d"]) == 7


def test_one_failure_before_the_limit_only_proven_images_are_admitted_one_at_a_time() -> None:
    last = room(failures=3, proven={"a"})

    assert last.take("b") is False
    assert last.take("a") is True
    assert last.take("a") is False


def test_a_hub_that_tolerates_one_failure_gets_one_new_image_at_a_time() -> None:
    careful = Guard(mode="normal", failure_limit=1)

    assert count_admitted(room(careful), images(9)) == 1
    assert count_admitted(room(careful, failures=1, proven={"a"}), ["a"]) == 0


@pytest.mark.parametrize("failures", [4, 5, 40])
def test_at_the_limit_nothing_is_admitted(failures: int) -> None:
    assert count_admitted(room(failures=failures, proven={"a"}), ["a", "b"]) == 0


def test_without_the_guard_only_the_number_of_launches_counts() -> None:
    assert count_admitted(room(OFF, failures=9), ["a"] * 99) == 50


def test_an_image_is_admitted_alone_after_one_failure_and_not_at_all_after_two() -> None:
    assert count_admitted(room(blamed=[failure("a")]), ["a", "a", "b"]) == 2
    assert count_admitted(room(blamed=[failure("a")], at_hub={"a": 1}), ["a"]) == 0
    assert count_admitted(room(blamed=[failure("a")] * 2, failing={"a"}, proven={"a"}), ["a", "b", "a", "c"]) == 2


def test_an_image_with_too_few_failures_to_be_refused_is_admitted_alone() -> None:
    assert count_admitted(room(blamed=[failure("a")] * 5), ["a", "a", "b"]) == 2


def failure(image: str, minute: int = 0, *, caller: str = "anonymous:192.0.2.7", on_account: bool = False) -> Failure:
    at = NOON + timedelta(minutes=minute)
    return Failure(image=image, at=at, cause=f"cause {minute}", caller=caller, on_account=on_account)


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("python", "docker.io/library/python:latest"),
        ("docker.io/library/python", "docker.io/library/python:latest"),
        ("quay.io/a/b:1", "quay.io/a/b:1"),
        (f"quay.io/a/b:1@sha256:{'0' * 64}", f"quay.io/a/b@sha256:{'0' * 64}"),
    ],
)
def test_all_spellings_of_an_image_have_one_name_for_the_guard(written: str, known: str) -> None:
    assert known_as(written) == known


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=30),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), max_size=4),
    st.sets(st.sampled_from("abcdefgh")),
    st.integers(0, 6),
    st.integers(0, 50),
)
def test_strict_mode_never_risks_more_failures_than_the_hub_tolerates(
    waiting: list[str], at_hub: dict[str, int], proven: set[str], failures: int, grown: int
) -> None:
    strict = room(STRICT, at_hub=at_hub, proven=proven, failures=failures, grown=grown)
    before = sum(at_hub.values())

    admitted = count_admitted(strict, waiting)

    assert admitted == 0 or before + admitted + failures <= STRICT.failure_limit


@pytest.mark.parametrize(
    ("mode", "failures", "state"),
    [
        ("normal", 0, "open"),
        ("normal", 2, "open"),
        ("normal", 3, "proven_only"),
        ("strict", 3, "proven_only"),
        ("normal", 4, "paused"),
        ("strict", 9, "paused"),
        ("off", 9, "off"),
    ],
)
def test_the_guards_state_is_one_word(mode: GuardMode, failures: int, state: str) -> None:
    assert Guard(mode=mode, failure_limit=4).state(failures=failures) == state


def test_an_image_is_refused_until_only_one_failure_is_recent() -> None:
    failures = [failure(image, minute) for minute, image in enumerate("abaa")]

    failing = NORMAL.failing(failures, proven=())

    assert set(failing) == {"a"}
    assert failing["a"].cause == "cause 3"
    assert failing["a"].until == NOON + timedelta(minutes=2) + FAILING_FOR
    assert OFF.failing(failures, proven=()) == {}


@pytest.mark.parametrize(
    ("callers", "on_account", "is_proven", "until"),
    [
        ("aa", False, False, 0),
        ("aa", False, True, None),
        ("ab", False, True, 0),
        ("aaaa", True, False, None),
        ("ab", True, False, 0),
        ("ab", True, True, 0),
        ("abb", True, False, 0),
        ("aab", True, False, 1),
    ],
)
def test_one_callers_failures_refuse_an_image_only_if_unproven_and_on_temporary_users(
    callers: str, on_account: bool, is_proven: bool, until: int | None
) -> None:
    failures = [failure("i", minute, caller=name, on_account=on_account) for minute, name in enumerate(callers)]

    failing = NORMAL.failing(failures, proven={"i"} if is_proven else ())

    at = None if until is None else NOON + timedelta(minutes=until) + FAILING_FOR
    assert {image: one.until for image, one in failing.items()} == ({} if at is None else {"i": at})


def test_one_failure_on_an_account_and_one_on_a_temporary_user_do_not_refuse_an_image() -> None:
    assert NORMAL.failing([failure("i"), failure("i", on_account=True)], proven=()) == {}


@pytest.mark.parametrize("error", [ServerExited("status 1"), CommandNotFound("no such file")])
def test_failures_that_a_volume_can_cause_count_but_are_not_blamed_on_the_image(error: LaunchError) -> None:
    on_account, temporary = (failed_spawn(error, hub_version="6.1.1", on_account=own) for own in (True, False))

    assert on_account == FailedSpawn(cause=None)
    assert temporary == FailedSpawn(cause=error.title)


def test_failures_that_no_volume_can_cause_are_blamed_on_the_image() -> None:
    error = ImageNotFound("manifest unknown")

    assert failed_spawn(error, hub_version="6.1.1", on_account=True) == FailedSpawn(cause=error.title)


@pytest.mark.parametrize(
    ("error", "version", "counts", "of_image"),
    [
        (SpawnFailed(""), "6.1.1", True, False),
        (NoRoom("0/1 nodes"), "6.1.1", True, False),
        (ImageNotFound("manifest unknown"), "6.1.1", True, True),
        (ServerExited("status 1"), None, True, True),
        (SpawnRefused("start the server", 403, "no"), "6.1.1", False, False),
        (SpawnRefused("start the server", 403, "no"), "5.5.4", True, False),
        (SpawnRefused("start the server", 403, "no"), None, True, False),
        (HubForbidden("start the server", 403, "no scope"), "5.5.4", False, False),
        (SpawnLost(), "6.1.1", False, False),
        (SpawnCancelled(), "6.1.1", False, False),
        (SpawnTimedOut(9), "6.1.1", False, False),
        (SpawnTimedOut(9), "5.1.0", False, False),
        (SpawnTimedOut(9), "5.0.0", True, False),
    ],
)
def test_exactly_the_failures_that_the_hub_counts_are_counted(
    error: LaunchError, version: str | None, counts: bool, of_image: bool
) -> None:
    failed = failed_spawn(error, hub_version=version, on_account=False)

    assert (failed is not None) is counts
    assert (failed is not None and failed.cause is not None) is of_image
