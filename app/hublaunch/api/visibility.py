"""The visibility of a launch: how much of it each reader may see."""

from enum import Flag, auto

from starlette.requests import Request

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Launch


class Visibility(Flag):
    """The parts of a launch that a reader sees. Every reader who knows the launch's id sees its phase and progress."""

    PUBLIC = 0
    PRIVATE = auto()
    """The request, the account and the Hub's messages: for the launch's caller, readers with its secret, and admins."""
    ENTRY = auto()
    """The URL and the token of the server: for the launch's caller and readers with its secret."""
    OPERATOR = auto()
    """The advice for operators: for admins."""


def visibility_of(launch: Launch, *, caller: Caller | None, has_secret: bool) -> Visibility:
    """Return the parts of the launch that a reader sees; `caller` is None unless the reader is known.

    Holders of one invitation are strangers to each other: only the secret shows that a launch is theirs.
    """
    visibility = Visibility.PUBLIC
    if has_secret or (launch.caller == caller and not launch.caller.is_shared):
        visibility |= Visibility.PRIVATE | Visibility.ENTRY
    if caller is not None and caller.is_admin:
        visibility |= Visibility.PRIVATE | Visibility.OPERATOR
    return visibility


def note_caller(request: Request, caller: Caller | None) -> None:
    """Remember the request's caller for its answer; None if unknown."""
    request.state.known_caller = caller


def known_caller(request: Request) -> Caller | None:
    """Return the request's caller; None if unknown, or if the request failed before its caller was determined."""
    return getattr(request.state, "known_caller", None)


def is_for_operator(request: Request) -> bool:
    """Return whether the request's caller is known to be an admin."""
    caller = known_caller(request)
    return caller is not None and caller.is_admin
