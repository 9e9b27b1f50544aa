"""What the running task is about, for the lines of a log and for traces. Nothing that is done may depend on it."""

from contextvars import ContextVar

from app.launch.model import Attempt

attempt_at_hand: ContextVar[Attempt | None] = ContextVar("attempt_at_hand", default=None)
"""The attempt, and with it the launch, that is being worked on; None where it is none, or several."""
