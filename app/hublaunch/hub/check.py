"""HubCheck: asks the Hub about itself in the background, so that a Hub that is down does not delay startup."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from hublaunch.hub.client import HubClient
from hublaunch.hub.wire import HubInfo
from hublaunch.launch.errors import HubError, HubTokenUnknown
from hublaunch.launch.pace import Backoff
from hublaunch.launch.rules.condition import SLOW_S, Condition, of_clock

log = logging.getLogger(__name__)

_CONTAINED: Mapping[str, frozenset[str]] = {
    "admin:users": frozenset(
        {
            "admin:auth_state",
            "delete:users",
            "list:users",
            "read:roles:users",
            "read:users",
            "read:users:activity",
            "read:users:groups",
            "read:users:name",
            "users",
            "users:activity",
        }
    ),
    "servers": frozenset({"delete:servers", "read:servers", "read:users:name", "start:servers"}),
    "tokens": frozenset({"read:tokens"}),
}
"""The scopes that a scope contains. The Hub lists them all for a token.

https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html
"""

_FAILING = {one.code: one for one in (Condition.NOT_THE_HUB, Condition.HUB_TOKEN_UNKNOWN, Condition.HUB_FORBIDDEN)}
"""The conditions by the codes of the errors that a check of the Hub may raise. Any other means that it is down."""


async def _ignore(_mark: str, _before_s: float) -> None:
    """Do nothing."""


def needed_scopes(*, temporary_users: bool, mints_tokens: bool) -> frozenset[str]:
    """Return exactly the scopes that this service's role at the Hub needs.

    For launches on the accounts of existing users, `servers` is enough.
    """
    temporary = {"admin:users"} | ({"tokens"} if mints_tokens else set()) if temporary_users else set()
    return frozenset({"servers"} | temporary)


def missing_scopes(scopes: Collection[str], needed: Collection[str]) -> list[str]:
    """Return the needed scopes that are not among `scopes`, as `GET /user` lists them.

    A scope with a filter (`servers!group=launched`) is not missing. Hub 6 splits `servers`: all its parts together
    count as the whole.
    """
    had = {scope.partition("!")[0] for scope in scopes}
    if {"read:servers", "start:servers", "delete:servers"} <= had:
        had.add("servers")
    return sorted(set(needed) - had)


def needless_scopes(scopes: Collection[str], needed: Collection[str]) -> list[str]:
    """Return the unfiltered scopes that are not needed, except those that another of them contains."""
    contained_in_needed = {contained for scope in needed for contained in _CONTAINED[scope]}
    needless = {scope for scope in scopes if "!" not in scope} - set(needed) - contained_in_needed
    return sorted(needless - {contained for scope in needless for contained in _CONTAINED.get(scope, ())})


class HubCheck:
    """Asks the Hub regularly for its version and this service's scopes, and logs what it learns.

    For each start of the Hub, `seen` is called with its mark and with the seconds since the previous mark was last
    seen (0 for the first). `every_s` is the time between checks, `backoff` the pauses while the Hub does not answer.
    """

    def __init__(
        self,
        hub: HubClient,
        *,
        needed: Collection[str],
        seen: Callable[[str, float], Awaitable[None]] = _ignore,
        every_s: float = 10,
        backoff: Backoff = Backoff(1, 30),
    ) -> None:
        self._hub = hub
        self._needed = needed
        self._seen = seen
        self._every_s = every_s
        self._backoff = backoff
        self._version: str | None = None
        self._answered_in_s: float | None = None
        self._clock_ahead_s: float | None = None
        self._missing: list[str] = []
        self._needless: list[str] = []
        self._fault: str | None = "JupyterHub has not answered yet."
        self._failing: Condition | None = Condition.HUB_UNAVAILABLE
        self._mark: str | None = None
        self._marked_at = 0.0

    def version(self) -> str | None:
        """Return the Hub's version, as last seen; None before its first answer."""
        return self._version

    def report(self) -> dict[str, Any]:
        """Return the state for `/readyz`: version, clock, scopes, and a `fault` while the Hub fails."""
        return {
            "version": self._version,
            "clock_ahead_s": None if self._clock_ahead_s is None else round(self._clock_ahead_s, 1),
            "missing_scopes": self._missing,
            "needless_scopes": self._needless,
            "fault": self._fault,
        }

    def pulse(self) -> dict[str, Any]:
        """Return the state for `/status`: the version, and the response time, None while the Hub does not answer."""
        latency_ms = None if self._answered_in_s is None else round(self._answered_in_s * 1000, 1)
        return {"version": self._version, "latency_ms": None if self._fault else latency_ms}

    def conditions(self) -> Sequence[Condition]:
        """Return what is wrong with the Hub, as last seen."""
        if self._failing is not None:
            return [self._failing]
        is_slow = self._answered_in_s is not None and self._answered_in_s >= SLOW_S
        found = (
            Condition.HUB_FORBIDDEN if self._missing else None,
            Condition.HUB_SLOW if is_slow else None,
            of_clock(self._clock_ahead_s),
        )
        return [condition for condition in found if condition is not None]

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.until_answered()
            await asyncio.sleep(self._every_s)

    async def until_answered(self) -> None:
        """Ask until the Hub has answered once, and take note of the answer."""
        for pause_s in self._backoff.pauses():
            try:
                info = await self._hub.info()
            except HubError as error:
                self._complain(error)
                await asyncio.sleep(pause_s)
            else:
                self._learn(info)
                await self._note(info.start_mark)
                return

    def _learn(self, info: HubInfo) -> None:
        answers_again, self._fault, self._failing = self._fault is not None, None, None
        self._answered_in_s, self._clock_ahead_s = info.answered_in_s, info.clock_ahead_s
        if not answers_again and info.version == self._version:
            return
        self._version = info.version
        self._missing = missing_scopes(info.scopes, self._needed)
        self._needless = needless_scopes(info.scopes, self._needed)
        log.info("JupyterHub %s answers", self._version)
        if self._missing:
            log.error(
                "The role of this service at JupyterHub is missing scopes, so launches will fail. Add: %s",
                ", ".join(self._missing),
            )
        if self._needless:
            log.warning(
                "The role of this service at JupyterHub has scopes that it does not need. Remove: %s",
                ", ".join(self._needless),
            )

    async def _note(self, mark: str | None) -> None:
        if mark is None:
            return
        now = asyncio.get_running_loop().time()
        if mark != self._mark:
            try:
                await self._seen(mark, now - self._marked_at if self._mark else 0.0)
            except Exception:
                log.exception("Could not store when JupyterHub started. This process will try again")
                return
            self._mark = mark
        self._marked_at = now

    def _complain(self, error: HubError) -> None:
        advice = f" {error.operator_advice}" if isinstance(error, HubTokenUnknown) else ""
        sentence = f"{str(error).rstrip('.')}.{advice}"
        if sentence != self._fault:
            log.warning("%s Launches are accepted, and wait for JupyterHub.", sentence)
        self._fault, self._failing = sentence, _FAILING.get(error.code, Condition.HUB_UNAVAILABLE)
