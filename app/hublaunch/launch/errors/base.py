"""The base of all errors of a launch, and the errors of hublaunch itself."""

from collections.abc import Mapping
from typing import Any, ClassVar


class LaunchError(Exception):
    """Any error of a launch, in words for its caller."""

    code: ClassVar[str]
    title: ClassVar[str]
    sentence: ClassVar[str] = ""
    """What happened, for classes whose sentence never changes."""
    advice: ClassVar[str]
    """Advice for the caller. Visitors read it, so it names no setting."""
    operator_advice: str = ""
    """Advice for the operator. Only admins and the log get it."""
    retryable: ClassVar[bool] = False
    hub_event: Mapping[str, Any] | None = None
    """The Hub's `failed` event, as the Hub sent it; None if this error does not come from such an event."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or self.sentence)


class InternalError(LaunchError):
    """An unexpected error. The log has the traceback; callers never see it."""

    code = "internal_error"
    title = "Something went wrong in this service"
    sentence = "The log of this service has the cause."
    advice = "Launch again. If it happens again, tell the operator, and say when it happened."


class Interrupted(LaunchError):
    """The process that ran the launch ended, and left nothing at the Hub to continue with."""

    code = "interrupted"
    title = "The launch was interrupted"
    sentence = "This service was restarted."
    advice = "Launch again."
    retryable = True
