"""The order in which queued launches are admitted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.rules.networks import caller_name
from hublaunch.launch.rules.queue_order import FairQueue, Turns, Waiting

ADA, BOB = caller_name("hub", "ada"), caller_name("hub", "bob")


def waiting(*callers: str, repo_url: str = "", first: int = 0) -> list[Waiting]:
    """Return one launch of each caller, in the order of arrival."""
    return [
        Waiting(launch_id=f"{first + n:06}", caller=caller, repo_url=repo_url, image="a/b")
        for n, caller in enumerate(callers)
    ]


def order(queue: list[Waiting], turns: Turns | None = None) -> list[str]:
    return [one.caller for one in FairQueue(queue, turns or {})]


def test_a_callers_launches_are_admitted_first_come_first_served() -> None:
    queue = waiting(*[ADA] * 5)

    assert list(FairQueue(queue, {})) == queue


def test_callers_take_turns() -> None:
    assert order(waiting(ADA, ADA, ADA, BOB, BOB)) == [ADA, BOB, ADA, BOB, ADA]


def test_a_caller_just_admitted_waits_for_the_others_at_the_next_admission_too() -> None:
    queue = FairQueue(waiting(ADA, ADA, BOB), {})

    assert next(iter(queue)).caller == ADA
    assert order(waiting(ADA, BOB, first=1), queue.turns) == [BOB, ADA]


def test_anonymous_callers_take_turns_by_address_and_then_by_repository() -> None:
    one, other = caller_name("anonymous", "192.0.2.1"), caller_name("anonymous", "192.0.2.2")
    queue = [
        *waiting(one, one, repo_url="a"),
        *waiting(one, one, repo_url="b", first=10),
        *waiting(other, repo_url="a", first=20),
    ]

    admitted = [(waiting.caller, waiting.repo_url) for waiting in FairQueue(queue, {})]

    assert admitted == [(one, "a"), (other, "a"), (one, "b"), (one, "a"), (one, "b")]


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("localhost", "localhost", True),
    ],
)
def test_an_ipv6_network_of_64_bits_is_one_caller(address: str, other: str, same: bool) -> None:
    assert (caller_name("anonymous", address) == caller_name("anonymous", other)) == same


def test_a_caller_of_double_weight_is_admitted_twice_as_often() -> None:
    queue = FairQueue(waiting(*[ADA] * 40, *[BOB] * 40), {}, weight=lambda caller: 2.0 if caller == ADA else 1.0)

    first = Counter(one.caller for one, _ in zip(queue, range(30), strict=False))

    assert (first[ADA], first[BOB]) == (20, 10)


def test_the_addresses_of_one_ipv6_network_have_the_turns_of_four_callers() -> None:
    network = [caller_name("anonymous", f"2001:db8:1:{number:x}00::7") for number in range(20)]
    queue = FairQueue([*waiting(*network * 3), *waiting(*[ADA] * 20, first=100)], {})

    first = Counter(one.caller == ADA for one, _ in zip(queue, range(50), strict=False))

    assert (first[True], first[False]) == (10, 40)


def test_an_ipv6_network_just_admitted_waits_even_with_a_new_address() -> None:
    first, second = (caller_name("anonymous", f"2001:db8:1:{number}::7") for number in (1, 2))
    queue = FairQueue(waiting(first, ADA), {})

    assert next(iter(queue)).caller == first
    assert order(waiting(second, ADA, first=1), queue.turns) == [ADA, second]


def test_old_repositories_of_a_caller_who_always_waits_are_forgotten() -> None:
    anybody, turns = caller_name("anonymous", "192.0.2.1"), dict[str, float]()

    for number in range(200):
        queue = FairQueue(waiting(anybody, anybody, repo_url=f"repo{number}", first=number), turns)
        queue.take()
        turns = dict(queue.turns)

    assert len(turns) < 5


Steps = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 12), st.integers(0, 6)), max_size=25)
"""A caller adds a number of launches, and then a number is admitted."""


@given(Steps, st.integers(0, 8))
def test_a_new_caller_waits_for_one_launch_of_each_caller(steps: list[tuple[str, int, int]], further: int) -> None:
    queue: list[Waiting] = []
    turns: Turns = {}
    came = 0
    for caller, launches, slots in steps:
        queue += waiting(*[caller] * launches, first=came)
        came += launches
        queue, turns = admitted(queue, turns, slots)

    queue, turns = admitted(queue, turns, further)
    others = len({one.caller for one in queue})
    newcomer = waiting("newcomer", first=came)
    ahead = order([*queue, *newcomer], turns).index("newcomer")

    assert ahead <= others


@given(Steps)
def test_every_launch_is_admitted_once_and_in_its_callers_order(steps: list[tuple[str, int, int]]) -> None:
    queue: list[Waiting] = []
    turns: Turns = {}
    came: list[Waiting] = []
    gone: list[Waiting] = []
    for caller, launches, slots in [*steps, ("a", 1, 1000)]:
        new = waiting(*[caller] * launches, first=len(came))
        came += new
        before = queue + new
        queue, turns = admitted(before, turns, slots)
        gone += (
            [one for one in FairQueue(before, turns) if one not in queue]
            if slots >= len(before)
            else [one for one in before if one not in queue]
        )

    assert sorted(one.launch_id for one in gone) == [one.launch_id for one in came]
    assert queue == []


@given(Steps)
def test_the_turns_kept_between_admissions_stay_few(steps: list[tuple[str, int, int]]) -> None:
    queue: list[Waiting] = []
    turns: Turns = {}
    for n, (caller, launches, slots) in enumerate(steps):
        queue += waiting(*[f"{caller}{n}"] * launches, first=1000 * n)
        queue, turns = admitted(queue, turns, slots)

    queue, turns = admitted(queue, turns, 10_000)
    queue, turns = admitted(waiting("z", "z"), turns, 2)
    assert len(turns) <= 2


def admitted(queue: list[Waiting], turns: Turns, slots: int) -> tuple[list[Waiting], Turns]:
    """Return the launches left after `slots` admissions, and the turns then."""
    order = FairQueue(queue, turns)
    gone = {one.launch_id for one, _ in zip(order, range(slots), strict=False)}
    return [one for one in queue if one.launch_id not in gone], order.turns
