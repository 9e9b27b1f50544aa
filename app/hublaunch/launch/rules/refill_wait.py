"""Why a warm pool that lacks members starts none at present."""

from enum import StrEnum

from hublaunch.launch.rules.guard import GuardState


class RefillWait(StrEnum):
    """What a pool waits for. Later releases may add values."""

    OPERATOR = "operator"  # until an operator fills it again, or has new launches accepted
    FAILURES = "failures"  # members have failed to start, and the pause after that is not over
    QUEUE = "queue"  # launches in the queue come first
    HUB = "hub"  # the Hub asked for a pause
    GUARD = "guard"  # the last places that the guard leaves are for launches
    PLACES = "places"  # as many members are starting as are allowed, or a limit is reached


def refill_wait(
    *,
    missing: int,
    is_stopped: bool,
    is_paused: bool,
    waiting: int,
    hub_is_busy: bool,
    guard: GuardState,
    has_room: bool,
) -> RefillWait | None:
    """Return what a pool waits for before it starts more members; None if nothing is in the way.

    `missing`: members that are wanted and neither ready nor starting. `is_stopped`: by an operator. `is_paused`: after
    failed starts. `waiting`: launches in the queue. `has_room`: the next round can start a member.
    """
    if is_stopped:
        return RefillWait.OPERATOR
    if missing <= 0:
        return None
    reasons = {
        RefillWait.FAILURES: is_paused,
        RefillWait.QUEUE: waiting > 0,
        RefillWait.HUB: hub_is_busy,
        RefillWait.GUARD: guard in ("proven_only", "paused"),
        RefillWait.PLACES: not has_room,
    }
    return next((reason for reason, is_so in reasons.items() if is_so), None)
