"""Why a warm pool that lacks members starts none at present."""

from typing import Any

import pytest

from hublaunch.launch.rules.refill_wait import RefillWait, refill_wait

FREE: dict[str, Any] = {
    "missing": 1,
    "is_stopped": False,
    "is_paused": False,
    "waiting": 0,
    "hub_is_busy": False,
    "guard": "open",
    "has_room": False,
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"missing": 0, "waiting": 5, "is_paused": True}, None),
        ({"missing": -2}, None),
        ({"missing": 0, "is_stopped": True}, RefillWait.OPERATOR),
        ({"is_paused": True, "waiting": 5}, RefillWait.FAILURES),
        ({"waiting": 5, "hub_is_busy": True}, RefillWait.QUEUE),
        ({"hub_is_busy": True, "guard": "paused"}, RefillWait.HUB),
        ({"guard": "paused"}, RefillWait.GUARD),
        ({"guard": "proven_only"}, RefillWait.GUARD),
        ({"guard": "off"}, RefillWait.PLACES),
        ({}, RefillWait.PLACES),
        ({"has_room": True}, None),
        ({"has_room": True, "waiting": 5}, RefillWait.QUEUE),
    ],
)
def test_a_pool_that_lacks_members_names_the_first_thing_in_its_way(
    changes: dict[str, Any], reason: RefillWait | None
) -> None:
    assert refill_wait(**{**FREE, **changes}) is reason
