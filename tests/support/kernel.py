"""A Jupyter server's kernels, as far as a client that runs one piece of code can see."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

RESULT = {"msg_type": "execute_result", "content": {"data": {"text/plain": "2"}}}


@dataclass
class Kernels:
    """The answers to a new kernel and to the code that it is asked to run, for holders of the token."""

    token: str
    status: int = 201
    says: list[dict[str, Any]] = field(default_factory=lambda: [{"msg_type": "status"}, RESULT])

    def routes(self, server: str) -> Collection[web.RouteDef]:
        """Return the routes of the server at this path, which ends in `/`."""
        return [
            web.post(f"{server}api/kernels", self._start),
            web.get(f"{server}api/kernels/k/channels", self._channels),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"token {self.token}"
        return web.json_response({"id": "k"}, status=self.status)

    async def _channels(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert (await socket.receive_json())["content"]["code"] == "1+1"
        for message in self.says:
            await socket.send_json(message)
        await socket.close()
        return socket
