"""The retry budget of a request."""

import asyncio
import random
import time

_LEAST_S = 0.25
"""The pause if the service asks for none."""
_FIRST_S = 0.5
_MOST_S = 10.0


class Patience:
    """Pauses between tries: as long as the service asks for, or with exponential backoff and jitter.

    It runs out `patience_s` after it was created or renewed.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self.renew()

    def renew(self) -> None:
        """Start over: the service answered."""
        self._until = time.monotonic() + self._patience_s
        self._pause_s = _FIRST_S

    async def pause(self, asked_s: float | None = None) -> bool:
        """Wait before the next try. Return False immediately if that would be too late."""
        if asked_s is not None:
            pause_s = max(asked_s, _LEAST_S)
        else:
            pause_s = self._pause_s * random.uniform(0.5, 1)  # noqa: S311
            self._pause_s = min(2 * self._pause_s, _MOST_S)
        if time.monotonic() + pause_s > self._until:
            return False
        await asyncio.sleep(pause_s)
        return True
