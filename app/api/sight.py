"""How much of a launch is shown to whom."""

from enum import IntEnum, auto

from app.launch.model import Caller, Launch


class Sight(IntEnum):
    """How much of a launch is shown; each level shows what the one before it does."""

    PUBLIC = auto()
    """How far it is: to anybody who has its id."""
    PRIVATE = auto()
    """What was asked for, on whose account, and the Hub's words: to an admin."""
    ENTRY = auto()
    """How to get in: to who may enter, by the launch's secret or as its caller."""


def sight(launch: Launch, *, caller: Caller | None, shows_secret: bool) -> Sight:
    """How much of this launch is for the one who asks; `caller` is None unless they are known."""
    if shows_secret or launch.caller == caller:
        return Sight.ENTRY
    return Sight.PRIVATE if caller is not None and caller.is_admin else Sight.PUBLIC
