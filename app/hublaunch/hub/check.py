"""What is known of the Hub: found out in the background, so that a Hub that is down delays no start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from hublaunch.hub.client import HubClient
from hublaunch.hub.wire import HubInfo
from hublaunch.launch.errors import HubError, HubRefused

log = logging.getLogger(__name__)

_PAUSE_S = (1.0, 30.0)
"""Between questions to a Hub that does not answer."""
_EVERY_S = 10.0


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
"""https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html; the Hub tells a token's scopes with all these."""


async def _nothing(_mark: str, _before_s: float) -> None:
    """Nobody wants to know."""


def needed_scopes(*, temporary_users: bool, mints_tokens: bool) -> frozenset[str]:
    """The scopes that this service's role at the Hub must have, and no others.

    For launches on the accounts of existing users `servers` is enough.
    """
    temporary = {"admin:users"} | ({"tokens"} if mints_tokens else set()) if temporary_users else set()
    return frozenset({"servers"} | temporary)


def missing_scopes(scopes: Collection[str], needed: Collection[str]) -> list[str]:
    """Those that are needed and not had, of scopes as `GET /user` tells them.

    One with a filter (`servers!group=launched`) counts as had. Hub 6 splits `servers`; the parts together are as good.
    """
    had = {scope.partition("!")[0] for scope in scopes}
    if {"read:servers", "start:servers", "delete:servers"} <= had:
        had.add("servers")
    return sorted(set(needed) - had)


def needless_scopes(scopes: Collection[str], needed: Collection[str]) -> list[str]:
    """Those that are had without a filter and not needed, without what others of them contain."""
    contained_in_needed = {contained for scope in needed for contained in _CONTAINED[scope]}
    needless = {scope for scope in scopes if "!" not in scope} - set(needed) - contained_in_needed
    return sorted(needless - {contained for scope in needless for contained in _CONTAINED.get(scope, ())})


class HubCheck:
    """Asks the Hub again and again for its version and this service's scopes, and logs what it learns.

    `seen` is given the mark of each start of the Hub that is found, and how many seconds ago it last had another.
    """

    def __init__(
        self, hub: HubClient, *, needed: Collection[str], seen: Callable[[str, float], Awaitable[None]] = _nothing
    ) -> None:
        self._hub = hub
        self._needed = needed
        self._seen = seen
        self._version: str | None = None
        self._answered_in_s: float | None = None
        self._missing: list[str] = []
        self._needless: list[str] = []
        self._fault: str | None = "JupyterHub has not been asked yet."
        self._mark: str | None = None
        self._marked_at = 0.0

    def version(self) -> str | None:
        """The Hub's, as last seen; None before its first answer."""
        return self._version

    def report(self) -> dict[str, Any]:
        """For `/readyz`: version, missing and needless scopes, and a `fault` while the Hub does not answer rightly."""
        return {
            "version": self._version,
            "missing_scopes": self._missing,
            "needless_scopes": self._needless,
            "fault": self._fault,
        }

    def pulse(self) -> dict[str, Any]:
        """For `/status`: the version, and how long the Hub took to answer; None while it does not."""
        latency_ms = None if self._answered_in_s is None else round(self._answered_in_s * 1000, 1)
        return {"version": self._version, "latency_ms": None if self._fault else latency_ms}

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self.until_answered()
            await asyncio.sleep(_EVERY_S)

    async def until_answered(self) -> None:
        """Return once the Hub has answered all that is asked."""
        pause, most = _PAUSE_S
        while True:
            try:
                info = await self._hub.info()
            except HubError as error:
                self._tell(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, most)
            else:
                break
        self._learn(info)
        await self._note(info.start_mark)

    def _learn(self, info: HubInfo) -> None:
        answers_again, self._fault = self._fault is not None, None
        self._answered_in_s = info.answered_in_s
        if not answers_again and info.version == self._version:
            return
        self._version = info.version
        self._missing = missing_scopes(info.scopes, self._needed)
        self._needless = needless_scopes(info.scopes, self._needed)
        log.info("JupyterHub %s answers", self._version)
        if self._missing:
            log.error(
                "The role of this service at JupyterHub lacks the scopes %s: launches will fail. Add them to its role.",
                ", ".join(self._missing),
            )
        if self._needless:
            log.warning(
                "The role of this service at JupyterHub has scopes that it does not need: %s. Take them from its role.",
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
                log.exception("It could not be noted which start of JupyterHub this is; that is tried again")
                return
            self._mark = mark
        self._marked_at = now

    def _tell(self, error: HubError) -> None:
        # To a token that it does not know the Hub gives no reason, so the error is not always a HubForbidden.
        is_unknown = isinstance(error, HubRefused) and error.status == 403
        advice = " The token in LAUNCHER_HUB_API_TOKEN may be wrong." if is_unknown else ""
        sentence = f"{str(error).rstrip('.')}.{advice}"
        if sentence != self._fault:
            log.warning("%s Launches are accepted and wait.", sentence)
        self._fault = sentence
