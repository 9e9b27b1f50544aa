"""Free disk space: below a limit no launch is accepted, so that launches in progress can finish."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.exc import DBAPIError

from hublaunch.launch.errors import StorageFull

log = logging.getLogger(__name__)

_MIB = 1024 * 1024
_SQLITE_FULL = 13
_POSTGRESQL_FULL = "53100"


class Space:
    """Knows whether the database has space for more launches, and checks the disk at most every few seconds."""

    def __init__(
        self, free_bytes: Callable[[], Awaitable[int | None]], *, least: int, check_every_s: float = 2.0
    ) -> None:
        """`free_bytes` returns how much can still be stored, or None if unknown. `least` is the limit in bytes."""
        self._free_bytes = free_bytes
        self._check_every_s = check_every_s
        self._least = least
        self._free: int | None = None
        self._is_low = False
        self._checked_at = float("-inf")

    async def check(self) -> None:
        """Raise StorageFull if there is less space than the limit. Without a limit the disk is not checked."""
        if self._least:
            await self._update()
        if self._is_low:
            raise StorageFull

    async def report(self) -> dict[str, Any]:
        """Return the free and the required space in MiB, and whether it is too little, for `/readyz`."""
        await self._update()
        free = None if self._free is None else self._free // _MIB
        return {"free_mib": free, "least_mib": self._least // _MIB, "full": self._is_low}

    async def _update(self) -> None:
        if time.monotonic() - self._checked_at < self._check_every_s:
            return
        self._checked_at = time.monotonic()
        self._free = await self._free_bytes()
        is_low = self._free is not None and self._free < self._least
        if is_low and not self._is_low:
            log.error(
                "%d MiB of disk space left. No launch is accepted below LAUNCHER_MIN_FREE_SPACE=%d. Free some space.",
                (self._free or 0) // _MIB,
                self._least // _MIB,
            )
        elif self._is_low and not is_low:
            log.info("Enough disk space again. Launches are accepted.")
        self._is_low = is_low


def says_full(error: DBAPIError) -> bool:
    """Return whether the error says that the database's disk is full."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == _SQLITE_FULL or getattr(error.orig, "sqlstate", None) == _POSTGRESQL_FULL
