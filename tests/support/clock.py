"""A clock that stands still until a test puts it on."""


class Clock:
    """Seconds, as of a monotonic clock."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
