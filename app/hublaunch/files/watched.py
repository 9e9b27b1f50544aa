"""A file that is read again whenever it changes."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

_Fingerprint = tuple[int, int, int, int]


class FileFault(Exception):
    """A file cannot be used. `str()` names it and says what to do."""


class WatchedFile(Generic[T]):
    """The content of a file, read again by each `check` that finds the file changed.

    While the file cannot be used, each check reads it again.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        *,
        describe: Callable[[T], str],
        while_unusable: Callable[[T], T],
        consequence: str,
    ) -> None:
        """Read the file. Raises the FileFault of `read` if it cannot be used.

        If the file becomes unusable later, `while_unusable` turns the last content into the content that applies, and
        `consequence` says so in the log. `describe` says in a few words what a changed file contains.
        """
        self._path = path
        self._read = read
        self._describe = describe
        self._while_unusable = while_unusable
        self._consequence = consequence
        self._seen = _fingerprint(path)
        self.content = read(path)
        self.fault: str | None = None
        """Why the file cannot be used, if so."""

    async def run(self, *, every_s: float) -> None:
        """Check the file at this interval, in seconds, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await asyncio.to_thread(self.check)

    def check(self) -> None:
        """Read the file again if it has changed, or could not be used before."""
        seen = _fingerprint(self._path)
        if seen == self._seen and self.fault is None:
            return
        try:
            self.content, self.fault = self._read(self._path), None
        except FileFault as fault:
            if str(fault) != self.fault:
                log.error("%s %s", fault, self._consequence)  # noqa: TRY400 - the sentence is what helps
            self.content, self.fault = self._while_unusable(self.content), str(fault)
        else:
            log.info("%s has changed: %s", self._path, self._describe(self.content))
        self._seen = seen


def _fingerprint(path: Path) -> _Fingerprint | None:
    """Return a value that changes with the file, and with a link in its path, as in Kubernetes. None if it is missing.

    It includes the time of the last status change, for chmod and for copies that keep their times.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
