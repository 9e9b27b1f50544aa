"""Displacement: which caller makes room in a full queue."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.rules.displacement import Crowd
from hublaunch.launch.rules.networks import caller_name, groups_of
from hublaunch.launch.rules.queue_order import Weight, equal, weight_of

ADA, BOB, EVE = (caller_name("hub", name) for name in ("ada", "bob", "eve"))


def address(network: int, *, of: str = "2001:db8:1") -> str:
    """Return the name of an anonymous caller in the /64 with this number in a /48."""
    return caller_name("anonymous", f"{of}:{network:x}::7")


def test_the_caller_with_the_most_launches_makes_room() -> None:
    assert Crowd({ADA: 3, BOB: 5, EVE: 4}, weight=equal).makes_room_for("hub:new") == BOB


@pytest.mark.parametrize(
    ("has", "newcomer_has", "makes_room"), [(2, 0, True), (1, 0, False), (5, 3, True), (4, 3, False)]
)
def test_no_caller_makes_room_for_one_who_would_then_have_more(has: int, newcomer_has: int, makes_room: bool) -> None:
    crowd = Crowd({ADA: has, BOB: newcomer_has}, weight=equal)

    assert (crowd.makes_room_for(BOB) == ADA) == makes_room


def test_a_caller_makes_no_room_for_itself() -> None:
    assert Crowd({ADA: 100}, weight=equal).makes_room_for(ADA) is None


def test_a_caller_of_double_weight_may_have_twice_as_many_launches() -> None:
    crowd = Crowd({ADA: 10, BOB: 6}, weight=weight_of({ADA: 2.0}))

    assert crowd.makes_room_for(EVE) == BOB


def test_a_network_makes_room_however_many_of_its_addresses_are_used() -> None:
    crowd = Crowd({**{address(number): 1 for number in range(1000)}, ADA: 5}, weight=equal)

    assert crowd.makes_room_for(BOB) in {address(number) for number in range(1000)}


def test_the_addresses_of_one_network_displace_others_only_up_to_the_share_of_four_callers() -> None:
    crowd, displaced = Crowd({ADA: 45, BOB: 45}, weight=equal), Counter[str | None]()

    for number in range(100):
        chosen = crowd.makes_room_for(address(number * 256))
        displaced[chosen] += 1
        if chosen is not None:
            crowd.add(chosen, -1)
            crowd.add(address(number * 256))

    assert displaced == {ADA: 30, BOB: 30, None: 40}  # 15, 15 and 60 are shares of 1, 1 and 4


def test_callers_of_one_network_make_room_for_each_other() -> None:
    crowd = Crowd({address(0): 9, address(1): 1, ADA: 5}, weight=equal)

    assert crowd.makes_room_for(address(1)) == address(0)


def test_only_ipv6_has_wider_networks_and_they_count_as_a_few_callers() -> None:
    groups = groups_of(caller_name("anonymous", "2001:db8:1:203::7"))

    assert [(group.name, group.share) for group in groups] == [
        ("anonymous:2001:db8:1:203::/64", 1),
        ("anonymous:2001:db8:1:200::/56", 2),
        ("anonymous:2001:db8:1::/48", 4),
    ]
    assert len(groups_of(caller_name("anonymous", "192.0.2.7"))) == 1
    assert len(groups_of("hub:2001:db8:1:203::/64")) == 1


CALLERS = [ADA, BOB, EVE, *(caller_name("anonymous", f"192.0.2.{n}") for n in range(3))]
CALLERS += [address(n, of=of) for n in (0, 1, 255, 256, 4096) for of in ("2001:db8:1", "2001:db8:2")]
Queues = st.dictionaries(st.sampled_from(CALLERS), st.integers(1, 30), min_size=1)
Weights = st.sampled_from([equal, weight_of({"hub:a*": 3.0, "anonymous:*": 0.3, "hub:eve": 0.7})])


def shares(queue: Counter[str], weight: Weight) -> dict[str, float]:
    """Return the share of each caller and each network."""
    found: dict[str, float] = {}
    for caller, number in queue.items():
        for group in groups_of(caller):
            found[group.name] = found.get(group.name, 0) + number / (weight(caller) * group.share)
    return found


@given(Queues, st.sampled_from(CALLERS), Weights)
def test_the_displaced_caller_had_a_larger_share_than_the_newcomer_then_has(
    queue: dict[str, int], newcomer: str, weight: Weight
) -> None:
    chosen = Crowd(queue, weight=weight).makes_room_for(newcomer)

    if chosen is not None:
        before = shares(Counter(queue), weight)
        after = shares(Counter(queue) - Counter([chosen]) + Counter([newcomer]), weight)
        own, others = ({group.name for group in groups_of(name)} for name in (newcomer, chosen))
        assert chosen != newcomer
        assert queue[chosen] >= 1
        assert max(after[name] for name in own - others) < max(before[name] for name in others - own)


@given(Queues, st.lists(st.sampled_from(CALLERS), max_size=60), Weights)
def test_displacing_ends_however_often_callers_return(queue: dict[str, int], comers: list[str], weight: Weight) -> None:
    now, seen = Counter(queue), list[list[float]]()
    for newcomer in comers:
        chosen = Crowd(now, weight=weight).makes_room_for(newcomer)
        if chosen is not None:
            now = now - Counter([chosen]) + Counter([newcomer])
            seen.append(sorted((round(share, 6) for share in shares(now, weight).values()), reverse=True))

    assert all(later < earlier for earlier, later in pairwise(seen))
    assert now.total() == sum(queue.values())
