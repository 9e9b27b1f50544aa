"""How much of a launch is shown to whom."""

from enum import Flag, auto

from starlette.requests import Request

from hublaunch.launch.model import Caller, Launch


class Sight(Flag):
    """The parts of a launch that a reader sees. All readers who have its id see its phase and its progress."""

    PUBLIC = 0
    PRIVATE = auto()
    """The request, the account and the Hub's words: for the launch's caller, readers who present its secret, admins."""
    ENTRY = auto()
    """The URL and the token of the server: for the launch's caller and readers who present its secret."""
    OPERATOR = auto()
    """The advice for operators: for admins."""


def sight(launch: Launch, *, caller: Caller | None, shows_secret: bool) -> Sight:
    """Return the parts of the launch that a reader sees; `caller` is None unless the reader is known."""
    seen = Sight.PUBLIC
    if shows_secret or launch.caller == caller:
        seen |= Sight.PRIVATE | Sight.ENTRY
    if caller is not None and caller.is_admin:
        seen |= Sight.PRIVATE | Sight.OPERATOR
    return seen


def note_caller(request: Request, caller: Caller | None) -> None:
    """Have the answer to the request made for its caller; None if they are not known."""
    request.state.known_caller = caller


def known_caller(request: Request) -> Caller | None:
    """Return the request's caller; None if they are not known, or were never asked for."""
    return getattr(request.state, "known_caller", None)


def is_for_operator(request: Request) -> bool:
    """Return whether the request's caller is known to be an admin."""
    caller = known_caller(request)
    return caller is not None and caller.is_admin
