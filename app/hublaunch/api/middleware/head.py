"""Answers HEAD requests."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Answers HEAD as GET without the body, and without the events of a stream (RFC 9110 §9.3.2).

    Paths that start with one of `acting` do not support HEAD, because a GET has side effects there.
    """

    def __init__(self, app: ASGIApp, *, acting: tuple[str, ...]) -> None:
        self._app = app
        self._acting = acting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(self._acting):
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})  # ends the answer: `receive` now disconnects

        as_get = {**scope, "method": "GET", "send_body": send_head}
        await self._app(as_get, receive, send_head)
        if "route" in as_get:
            scope["route"] = as_get["route"]
