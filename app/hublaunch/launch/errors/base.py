"""What every error of a launch has."""

from typing import ClassVar


class LaunchError(Exception):
    """Any error of a launch, in the words of whoever asked for it."""

    code: ClassVar[str]
    title: ClassVar[str]
    advice: ClassVar[str]
    """What the caller can do next. It names no setting: visitors read it."""
    operator_advice: str = ""
    """What the operator can do. Only admins and the log get it."""
    retryable: ClassVar[bool] = False


class InternalError(LaunchError):
    """Something that was not provided for. The traceback is in the log, never in what a caller sees."""

    code = "internal_error"
    title = "Something went wrong in this service"
    advice = "Launch again; if it happens again, tell the operator when it did."

    def __init__(self) -> None:
        super().__init__("The cause is in the log of this service.")


class Interrupted(LaunchError):
    """The process that had the launch ended, and left nothing at the Hub to go on with."""

    code = "interrupted"
    title = "The launch was interrupted"
    advice = "Launch again."
    retryable = True

    def __init__(self) -> None:
        super().__init__("This service was restarted")
