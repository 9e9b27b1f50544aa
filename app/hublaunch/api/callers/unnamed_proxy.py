"""Detects a proxy that is missing from LAUNCHER_TRUSTED_PROXIES, so that all its callers count as one address."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

KEPT_S = 600.0
"""How long the proxy is reported after its last request."""
_WARNING = (
    "Requests with X-Forwarded-For come from %s, which is not in LAUNCHER_TRUSTED_PROXIES. If this is your proxy, all "
    "callers behind it count as one address"
)


class UnnamedProxy:
    """Remembers the last private address that sent X-Forwarded-For without being a trusted proxy."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._now = now
        self._address = ""
        self._seen_at = 0.0

    def note(self, address: str) -> None:
        """Note a request from this address. The first one is logged."""
        if not self._address:
            log.warning(_WARNING, address)
        self._address, self._seen_at = address, self._now()

    def report(self) -> str | None:
        """Return the proxy's address while it keeps sending requests; otherwise None."""
        return self._address if self._address and self._now() < self._seen_at + KEPT_S else None
