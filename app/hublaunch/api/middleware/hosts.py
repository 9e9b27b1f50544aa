"""Refuses requests for other host names, to protect against DNS rebinding."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from hublaunch.api.problems.response import http_problem


class KnownHosts:
    """Answers 421 to a `Host` that is not this service's.

    Otherwise a web page could resolve its own name to the loopback address and send requests there. Health checks are
    exempt, as they may use any host name.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], open_paths: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths or _host(scope) in self._hosts:
            await self._app(scope, receive, send)
        else:
            await http_problem(421)(scope, receive, send)


def _host(scope: Scope) -> str:
    """Return the `Host` without its port, in lower case; an IPv6 address keeps its brackets."""
    host = Headers(scope=scope).get("Host", "").lower()
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
