"""A clock that stands still until a test advances it."""


class Clock:
    """Returns the seconds of a monotonic clock."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
