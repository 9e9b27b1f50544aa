"""Whether a proxy forwards callers here that the operator has not named, so that all of them count as one address."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

KEPT_S = 600.0
"""So long after it was last seen it is still told of."""
_TOLD = (
    "Requests with X-Forwarded-For come from %s, which LAUNCHER_TRUSTED_PROXIES does not name: if that is your proxy, "
    "all callers behind it count as one address"
)


class UnnamedProxy:
    """Remembers the last address from within that sent X-Forwarded-For and is not trusted to."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: seconds of a clock that never goes back."""
        self._now = now
        self._address = ""
        self._seen_at = 0.0

    def note(self, address: str) -> None:
        """A request came from there. The first is logged."""
        if not self._address:
            log.warning(_TOLD, address)
        self._address, self._seen_at = address, self._now()

    def report(self) -> str | None:
        """Its address, while it sends; None if there is none."""
        return self._address if self._address and self._now() < self._seen_at + KEPT_S else None
