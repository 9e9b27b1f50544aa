"""Room on the disk: below a floor no launch is accepted, so that those under way can be brought to their end."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.exc import DBAPIError

from hublaunch.launch.errors import StorageFull

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_MIB = 1024 * 1024
_SQLITE_FULL = 13
_POSTGRESQL_FULL = "53100"


class Space:
    """Whether the database has room for more launches, looked up at most every few seconds."""

    def __init__(self, look: Callable[[], Awaitable[int | None]], *, least: int) -> None:
        """`look` returns how many bytes can still be stored, None if that is unknown; `least` is the floor."""
        self._look = look
        self._least = least
        self._free: int | None = None
        self._is_low = False
        self._looked_at = float("-inf")

    async def check(self) -> None:
        """StorageFull if there is less room than the floor; without a floor nothing is looked up."""
        if self._least:
            await self._look_again()
        if self._is_low:
            raise StorageFull

    async def report(self) -> dict[str, Any]:
        """For `/readyz`: how much room there is and has to be, in MiB, and whether that is too little."""
        await self._look_again()
        free = None if self._free is None else self._free // _MIB
        return {"free_mib": free, "least_mib": self._least // _MIB, "full": self._is_low}

    async def _look_again(self) -> None:
        if time.monotonic() - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = time.monotonic()
        self._free = await self._look()
        is_low = self._free is not None and self._free < self._least
        if is_low and not self._is_low:
            log.error(
                "%d MiB of disk space are left. No launch is accepted below LAUNCHER_MIN_FREE_SPACE=%d: make room.",
                (self._free or 0) // _MIB,
                self._least // _MIB,
            )
        elif self._is_low and not is_low:
            log.info("There is enough disk space again: launches are accepted.")
        self._is_low = is_low


def says_full(error: DBAPIError) -> bool:
    """Whether the database could not store something because its disk is full."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == _SQLITE_FULL or getattr(error.orig, "sqlstate", None) == _POSTGRESQL_FULL
