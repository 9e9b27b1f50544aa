"""LaunchClient: launch, follow, extend and cancel over HTTP."""

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
from hublaunch.client.invitation import split_link
from hublaunch.client.model import Catalogue, Launch, LaunchEvent, Position, Session

SILENCE_S = 45.0
"""The service sends a heartbeat every 15 s, so a stream that is silent for this long is dead."""

Shown = TypeVar("Shown", Catalogue, Launch, Session)


class LaunchClient:
    """One caller of the service at `url`, to be used in an `async with` statement.

    `token` is a Hub user's token, an API key or the code of an invitation. In place of both, `url` may be the link of
    an invitation. A request is retried for `patience_s` while the service is unreachable or asks the client to wait; a
    repeated request never launches twice. `launch_secrets` maps the ids of earlier launches to their secrets; the
    client adds those of its own launches. All methods raise a LaunchClientError.
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
        """Raise a ValueError if `url`, `token` or a variable such as `HTTPS_PROXY` cannot be used."""
        url, code = split_link(url)
        if code is not None and token is not None:
            raise ValueError(
                "The address is the link of an invitation, so a token cannot be used. Leave out one of them."
            )
        self._exchange = Exchange(
            url, token=code or token, patience_s=patience_s, silence_s=silence_s, transport=transport
        )
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
        image: str = "",
        *,
        environment: str = "",
        size: str = "",
        repo_url: str = "",
        ref: str = "",
        path: str = "",
        extra_args: Mapping[str, Any] | None = None,
        username: str = "",
        server_name: str = "",
        if_running: Literal["reuse", "new", "refuse"] = "new",
        idempotency_key: str | None = None,
    ) -> Launch:
        """Request a server, and return the launch with its `secret` once the service has accepted it.

        Name either an image, or an `environment` of the catalogue and one of its sizes. The default is the first size
        that the caller may have.

        Retries never make a second launch. A call with the `idempotency_key` of an earlier call returns that call's
        launch; such a key must be random. `if_running` says what to do if the caller already has a launch of this
        environment, size, image, repository and ref: return it (`reuse`), start another (`new`), or raise a Conflict
        (`refuse`).
        """
        asked = {
            "image": image,
            "environment": environment,
            "size": size,
            "repo_url": repo_url,
            "ref": ref,
            "path": path,
            "username": username,
            "server_name": server_name,
            "if_running": "" if if_running == "new" else if_running,
        }
        body: dict[str, Any] = {name: value for name, value in asked.items() if value}
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
        """Yield the launch's events above the number `after`, up to the last one.

        While the launch is in the queue, `on_position` is called about once a second. A stream that breaks, or is
        silent for `silence_s`, is resumed after the last event. Leaving the loop does not cancel the launch.
        """
        async with aclosing(self.updates(launch_id, after=after)) as updates:
            async for update in updates:
                if isinstance(update, LaunchEvent):
                    yield update
                elif on_position is not None:
                    on_position(update)

    def updates(self, launch_id: str, *, after: int = 0) -> AsyncGenerator[LaunchEvent | Position]:
        """Yield the events as `follow` does, with the positions in the queue between them."""
        headers = self._secret_header(launch_id)
        return follow(self._exchange, f"{_path(launch_id)}/events", after=after, headers=headers)

    async def get(self, launch_id: str) -> Launch:
        """Return the current state of a launch."""
        answer = await self._exchange.answer("GET", _path(launch_id), headers=self._secret_header(launch_id))
        return self._read(Launch, answer)

    async def cancel(self, launch_id: str) -> bool:
        """Cancel a launch, or stop its server. Return whether the Hub confirmed that within `patience_s`.

        If it did not, the service keeps trying.
        """
        patience = self._exchange.patience()
        while True:
            answer = await self._exchange.answer("DELETE", _path(launch_id), headers=self._secret_header(launch_id))
            if answer.status_code == 204:
                return True
            if not await patience.pause(retry_after_s(answer)):
                return False

    async def extend(self, launch_id: str, seconds: int, *, idempotency_key: str | None = None) -> Launch:
        """Let the server of a ready launch run this much longer; `seconds` is at least 60. Return the launch.

        Retries never extend twice, and neither does another call with the same `idempotency_key`. Raises a Conflict:
        `session_limit_reached` if the new end is beyond the launch's `extendable_until`, or `nothing_to_extend` if the
        server has no end to move.
        """
        key = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(24)}
        headers, body = {**self._secret_header(launch_id), **key}, {"seconds": seconds}
        return self._read(
            Launch, await self._exchange.answer("POST", f"{_path(launch_id)}/extend", headers=headers, body=body)
        )

    async def launches(self, **filters: str) -> AsyncGenerator[Launch]:
        """Yield the caller's launches, newest first. Needs a token.

        The filters are `status`, `repo_url`, `image`, `environment`, `username` and `since`; admins may add
        `everybody="true"`, or the name of an `invitation` to get the launches of its holders.
        """
        query: str | None = str(httpx.QueryParams(filters))
        while query is not None:
            page = self._json(await self._exchange.answer("GET", f"launch?{query.removeprefix('?')}"))
            if not isinstance(page, Mapping) or not isinstance(page.get("launches"), list):
                raise UnexpectedAnswer(self.url, 200, "not a page of launches")
            for shown in page["launches"]:
                yield self._shown(Launch, shown)
            query = page.get("next")

    async def session(self) -> Session:
        """Return who this caller is to the service."""
        return self._read(Session, await self._exchange.answer("GET", "session"))

    async def catalogue(self, *, language: str = "") -> Catalogue:
        """Return the environments and images that this caller may launch.

        Titles and descriptions are in the `language`, a tag such as `de`, where the catalogue has it.
        """
        headers = {"Accept-Language": language} if language else {}
        return self._read(Catalogue, await self._exchange.answer("GET", "catalogue", headers=headers))

    def _secret_header(self, launch_id: str) -> dict[str, str]:
        secret = self._secrets.get(launch_id)
        return {"X-Launch-Secret": secret} if secret else {}

    def _read(self, kind: type[Shown], answer: httpx.Response) -> Shown:
        return self._shown(kind, self._json(answer))

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise UnexpectedAnswer(self.url, answer.status_code, "not JSON") from None

    def _shown(self, kind: type[Shown], shown: Any) -> Shown:
        try:
            return kind.of(shown)
        except ValueError as error:
            raise UnexpectedAnswer(self.url, 200, f"a {kind.__name__} that {error}") from None


def _path(launch_id: str) -> str:
    return f"launch/{quote(launch_id, safe='')}"
