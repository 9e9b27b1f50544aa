"""The headers that make browsers protect visitors."""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NOBODY = "'none'"


class SecurityHeaders:
    """Sets the security headers of every answer.

    An answer may load and run nothing unless it brings its own Content-Security-Policy, as a page does. All answers
    share the rule on framing. HSTS is left to the proxy that terminates TLS.
    """

    def __init__(self, app: ASGIApp, *, frame_ancestors: Sequence[str]) -> None:
        """`frame_ancestors` are the origins whose pages may show ours in a frame; `self` is this origin."""
        self._app = app
        self._frame_ancestors = f"frame-ancestors {' '.join(map(_source, frame_ancestors)) or _NOBODY}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                policy = headers.get("Content-Security-Policy", "default-src 'none'")
                headers["Content-Security-Policy"] = f"{policy}; {self._frame_ancestors}"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
            await send(message)

        await self._app(scope, receive, send_hardened)


def _source(ancestor: str) -> str:
    return "'self'" if ancestor == "self" else ancestor
