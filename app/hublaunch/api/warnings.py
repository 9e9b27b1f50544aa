"""Warnings that do not flood the log."""

import logging
import time
from collections.abc import Callable

_SILENT_S = 60.0


class Warnings:
    """Logs each kind of warning at most once a minute."""

    def __init__(self, log: logging.Logger, *, now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now = now
        self._warned_at: dict[str, float] = {}

    def warn(self, message: str, *facts: object) -> None:
        """Log `message % facts`, unless the same message was logged within the last minute."""
        now = self._now()
        if now - self._warned_at.get(message, float("-inf")) >= _SILENT_S:
            self._warned_at[message] = now
            self._log.warning(message, *facts)
