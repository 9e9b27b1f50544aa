"""The log context: which attempt the running task works on, for log lines and traces. Nothing may depend on it."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from hublaunch.launch.model import Attempt

current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""The attempt, and so the launch, that the task works on; None if it works on none or on several."""


@contextmanager
def working_on(attempt: Attempt) -> Generator[None]:
    """Make this the current attempt within the context, in a task that works on several."""
    before = current_attempt.set(attempt)
    try:
        yield
    finally:
        current_attempt.reset(before)
