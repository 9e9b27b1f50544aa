"""What the running task is about, for the lines of a log and for traces. Nothing that is done may depend on it."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from hublaunch.launch.model import Attempt

attempt_at_hand: ContextVar[Attempt | None] = ContextVar("attempt_at_hand", default=None)
"""The attempt, and with it the launch, that is being worked on; None where it is none, or several."""


@contextmanager
def about(attempt: Attempt) -> Generator[None]:
    """While it lasts, what is logged is about this attempt: for a task that has to do with several."""
    before = attempt_at_hand.set(attempt)
    try:
        yield
    finally:
        attempt_at_hand.reset(before)
