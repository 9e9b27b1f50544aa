"""How long to stay away from a Hub that answers 429, and what a launch says of it."""

from hublaunch.launch.errors import HubBusy
from hublaunch.launch.model import Status, Step


def pause_s(busy: HubBusy, turn: int, *, default_s: float, most_s: float) -> float:
    """How long to stay away from a Hub that has answered 429 so many times, from 1.

    As long as the Hub asks for (`default_s` if it gives no time), but at least a pause that doubles with each turn,
    from 1 s up to `most_s`.
    """
    asked_s = default_s if busy.retry_after_s is None else busy.retry_after_s
    return max(asked_s, min(2.0 ** min(turn - 1, 30), most_s))


def busy_step(seconds: float) -> Step:
    """The step that tells of a pause."""
    message = f"JupyterHub is at its limit; asking again in {seconds:.0f} s"
    return Step(phase=Status.WAITING, progress=None, message=message)
