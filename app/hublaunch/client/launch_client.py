"""LaunchClient: launches, follows and cancels over HTTP."""

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx

from hublaunch.client.errors import UnexpectedAnswer, retry_after_s
from hublaunch.client.exchange import Exchange
from hublaunch.client.follow import follow
from hublaunch.client.model import Launch, LaunchEvent, Position, Session

SILENCE_S = 45.0
"""The service sends a heartbeat every 15 s, so a stream that is silent for so long is dead, even if it is open."""

Shown = TypeVar("Shown", Launch, Session)


class LaunchClient:
    """One caller's view of the hublaunch at `url`; to be entered, and left again.

    `token` is a Hub user's token or an API key. A service that cannot be reached, or asks to be asked again later, is
    tried for `patience_s`; nothing that is sent twice is done twice. `launch_secrets`, by ids of launches, are those
    of earlier ones; the client adds those of its own. Its methods raise a LaunchClientError.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        launch_secrets: Mapping[str, str] | None = None,
        patience_s: float = 60.0,
        silence_s: float = SILENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """ValueError if `url` is no address, `token` no token, or the environment bars the way (`HTTPS_PROXY`, …)."""
        self._exchange = Exchange(url, token=token, patience_s=patience_s, silence_s=silence_s, transport=transport)
        self._secrets = dict(launch_secrets or {})

    async def __aenter__(self) -> Self:
        await self._exchange.http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exchange.http.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """The address of the service, ending in `/`."""
        return self._exchange.url

    async def launch(
        self,
        image: str,
        *,
        repo_url: str = "",
        path: str = "",
        extra_args: Mapping[str, Any] | None = None,
        username: str = "",
        server_name: str = "",
        if_running: Literal["reuse", "new", "refuse"] = "new",
        idempotency_key: str | None = None,
    ) -> Launch:
        """Ask for a server; returns once that is accepted, with the launch's `secret`.

        However often the request has to be sent, it is one launch. With the `idempotency_key` of an earlier call, which
        must be random, it is that call's launch. `if_running` says what happens if the caller already has a launch of
        this image and repository: they are given it, launch another, or are refused.
        """
        asked = {"repo_url": repo_url, "path": path, "username": username, "server_name": server_name}
        if if_running != "new":
            asked["if_running"] = if_running
        body: dict[str, Any] = {"image": image, **{name: value for name, value in asked.items() if value}}
        if extra_args:
            body["extra_args"] = dict(extra_args)
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(24), "Accept": "application/json"}
        launch = self._read(Launch, await self._exchange.answer("POST", "launch", headers=headers, body=body))
        if launch.secret:
            self._secrets[launch.id] = launch.secret
        return launch

    async def follow(
        self, launch_id: str, *, after: int = 0, on_position: Callable[[Position], object] | None = None
    ) -> AsyncGenerator[LaunchEvent]:
        """Yield the launch's events above the number `after`: stored ones first, then new ones, to the last.

        While the launch waits in the queue, `on_position` is called with its place about once a second. A stream that
        breaks, or is silent for `silence_s`, is resumed after the last event. Leaving the loop leaves the launch alone.
        """
        path, headers = f"{_path(launch_id)}/events", self._shows(launch_id)
        events = follow(self._exchange, path, after=after, headers=headers, on_position=on_position)
        async with aclosing(events):
            async for event in events:
                yield event

    async def get(self, launch_id: str) -> Launch:
        """The launch as it stands."""
        answer = await self._exchange.answer("GET", _path(launch_id), headers=self._shows(launch_id))
        return self._read(Launch, answer)

    async def cancel(self, launch_id: str) -> bool:
        """Cancel a launch, or stop its server. True once the Hub has confirmed that.

        False if it is still under way after `patience_s`; the service sees it through.
        """
        patience = self._exchange.patience()
        while True:
            answer = await self._exchange.answer("DELETE", _path(launch_id), headers=self._shows(launch_id))
            if answer.status_code == 204:
                return True
            if not await patience.pause(retry_after_s(answer)):
                return False

    async def launches(self, **wanted: str) -> AsyncGenerator[Launch]:
        """The caller's launches, the newest first; by `status`, `repo_url`, `image`, `username`, `since`, `everybody`.

        Needs a token.
        """
        query: str | None = str(httpx.QueryParams(wanted))
        while query is not None:
            page = self._json(await self._exchange.answer("GET", f"launch?{query.removeprefix('?')}"))
            if not isinstance(page, Mapping) or not isinstance(page.get("launches"), list):
                raise UnexpectedAnswer(self.url, 200, "no page of launches")
            for shown in page["launches"]:
                yield self._shown(Launch, shown)
            query = page.get("next")

    async def session(self) -> Session:
        """Who this caller is to the service."""
        return self._read(Session, await self._exchange.answer("GET", "session"))

    def _shows(self, launch_id: str) -> dict[str, str]:
        secret = self._secrets.get(launch_id)
        return {"X-Launch-Secret": secret} if secret else {}

    def _read(self, kind: type[Shown], answer: httpx.Response) -> Shown:
        return self._shown(kind, self._json(answer))

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise UnexpectedAnswer(self.url, answer.status_code, "no JSON") from None

    def _shown(self, kind: type[Shown], shown: Any) -> Shown:
        try:
            return kind.of(shown)
        except ValueError as error:
            raise UnexpectedAnswer(self.url, 200, f"a {kind.__name__} that {error}") from None


def _path(launch_id: str) -> str:
    return f"launch/{quote(launch_id, safe='')}"
