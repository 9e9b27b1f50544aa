"""The content of `hublaunch top`: read from the database, and from the service if it answers."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from hublaunch.client.environment import way_to
from hublaunch.files.watched import FileFault
from hublaunch.launch.ports import Overview
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.quota_rules import QuotaRules
from hublaunch.settings import Settings
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.errors import StoreError
from hublaunch.store.overview import overview
from hublaunch.wiring.files import read_files
from hublaunch.wiring.limits import quotas_of

MOST = 500
"""The maximum number of launches, images and processes that are read and listed."""
_SERVICE_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The last reading."""

    overview: Overview | None = None
    """The last successful one; None before the first."""
    fault: str = ""
    """Why the database cannot be read now."""
    fault_since: datetime | None = None
    status: Mapping[str, Any] | None = None
    """The service's `/status`; None if the service does not answer."""


class TopSource:
    """Reads one database and one service."""

    def __init__(self, settings: Settings, url: str) -> None:
        """`url`: the service's, ending in `/`. Raises ValueError if it needs a proxy that cannot be used."""
        self.settings = settings
        self.url = url
        self.guard = Guard(mode=settings.hub_guard, failure_limit=settings.hub_failure_limit)
        self.quotas = _quotas_of(settings)
        self._way = way_to(url)

    def read(self, before: Seen) -> Seen:
        """Read once. Faults become part of the result. Blocks."""
        try:
            with transaction_beside_service(self.settings.database_url, writes=False) as connection:
                found = overview(connection, self.guard, self.settings.max_concurrent_spawns, MOST)
        except StoreError as error:
            since = before.fault_since or datetime.now(UTC)
            return Seen(overview=before.overview, fault=str(error), fault_since=since, status=self._status())
        return Seen(overview=found, status=self._status())

    def _status(self) -> Mapping[str, Any] | None:
        try:
            answer = httpx.get(
                f"{self.url}status",
                verify=self._way.tls,
                proxy=self._way.proxy,
                trust_env=False,  # way_to() has read it
                timeout=_SERVICE_TIMEOUT_S,
            )
            status = answer.json()
        except (httpx.HTTPError, ValueError):
            return None
        is_status = answer.is_success and isinstance(status, dict) and isinstance(status.get("hub"), dict)
        return status if is_status else None


def _quotas_of(settings: Settings) -> QuotaRules | None:
    """Return the quotas in the files as they are now; None if a file cannot be used."""
    try:
        return quotas_of(settings, read_files(settings))()
    except FileFault:
        return None


class BackgroundReader:
    """Reads a source in a thread every `interval_s`, so that keys work while the database is slow."""

    def __init__(self, source: TopSource, interval_s: float) -> None:
        self.seen = Seen()
        self._source = source
        self._interval_s = interval_s
        self._is_due = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)  # a hanging database must not delay the end

    def start(self) -> None:
        self._thread.start()

    def read_soon(self) -> None:
        """Read again now."""
        self._is_due.set()

    def _run(self) -> None:
        while True:
            self._is_due.clear()
            self.seen = self._source.read(self.seen)
            self._is_due.wait(self._interval_s)
