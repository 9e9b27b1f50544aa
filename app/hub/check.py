"""What is known of the Hub: found out in the background, so that a Hub that is down delays no start."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from app.hub.client import HubClient
from app.launch.errors import HubError, HubForbidden

log = logging.getLogger(__name__)

_PAUSE_S = (1.0, 30.0)


def missing_scopes(scopes: Iterable[str], *, create_user: bool, mints_tokens: bool) -> list[str]:
    """The scopes that this service needs at the Hub and does not have.

    `scopes` are expanded, as `GET /user` tells them; one with a filter (`servers!group=launched`) counts as had.
    Hub 6 splits `servers`; the parts together are as good.
    """
    had = {scope.partition("!")[0] for scope in scopes}
    needed = ["servers", *(["admin:users"] if create_user else []), *(["tokens"] if mints_tokens else [])]
    if {"read:servers", "start:servers", "delete:servers"} <= had:
        had.add("servers")
    return [scope for scope in needed if scope not in had]


class HubCheck:
    """Asks the Hub for its version and this service's scopes until it has answered once, and logs what it learns."""

    def __init__(self, hub: HubClient, *, create_user: bool, mints_tokens: bool) -> None:
        self._hub = hub
        self._create_user = create_user
        self._mints_tokens = mints_tokens
        self._version: str | None = None
        self._missing: list[str] = []
        self._fault: str | None = "JupyterHub has not been asked yet."

    def report(self) -> dict[str, Any]:
        """For `/readyz`: `version`, `missing_scopes`, and `fault` while the Hub has not answered rightly."""
        return {"version": self._version, "missing_scopes": self._missing, "fault": self._fault}

    async def run(self) -> None:
        """Return once the Hub has answered; cancel it at any time."""
        pause, most = _PAUSE_S
        while True:
            try:
                info = await self._hub.info()
            except HubError as error:
                self._tell(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, most)
            else:
                self._version, self._fault = info.version, None
                self._missing = missing_scopes(
                    info.scopes, create_user=self._create_user, mints_tokens=self._mints_tokens
                )
                break
        log.info("JupyterHub %s answers", self._version)
        if self._missing:
            log.error(
                "The role of this service at JupyterHub lacks the scopes %s: launches will fail. Add them to its role.",
                ", ".join(self._missing),
            )

    def _tell(self, error: HubError) -> None:
        advice = " The token in LAUNCHER_HUB_API_TOKEN may be wrong." if isinstance(error, HubForbidden) else ""
        sentence = f"{error}{advice}"
        if sentence != self._fault:
            log.warning("%s Launches are accepted and wait.", sentence)
        self._fault = sentence
