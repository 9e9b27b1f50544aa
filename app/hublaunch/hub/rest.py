"""Requests to the Hub's REST API: authorization, timeouts, errors and retries."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Self, TypeVar
from urllib.parse import urlencode

import httpx

from hublaunch.hub.address import HubPace
from hublaunch.hub.operations import kind_of
from hublaunch.hub.refusals import refusal_of, unavailable
from hublaunch.launch.errors import HubBusy, HubError, HubFailed, HubRefused, HubUnavailable, NameTaken, NotTheHub
from hublaunch.wire.headers import Header
from hublaunch.wire.peer import Answer, Peer, Timeouts

log = logging.getLogger(__name__)

T = TypeVar("T")


class HubRest:
    """The Hub's API by path: `call` sends one request, `repeat` and `create` decide when to send another."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        api_url: str,
        token: str,
        pace: HubPace,
        check_lease: Callable[[], None],
    ) -> None:
        self.pace = pace
        self._peer = Peer(transport, api_url)
        self._token = token
        self._authorization = _authorization(token)
        self._check_lease = check_lease

    async def call(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        body: object = None,
        timeouts: Timeouts | None = None,
        token: str | None = None,
    ) -> Answer:
        """Send one request, with this service's token or another `token`, and return the answer if it is a 2xx.

        `path` is relative to the API's root, its parts quoted. Otherwise raises HubUnavailable, HubFailed, HubBusy,
        HubForbidden or HubRefused, whose text names the `operation`. Requests other than GET check the lease first, and
        pass on what that check raises.
        """
        if method != "GET":
            self._check_lease()
        request = self._request(method, path, operation, body=body, timeouts=timeouts or self.pace.call, token=token)
        return self._unless_refused(await self._send(request, operation), operation)

    async def exchange_code(self, form: Mapping[str, str], operation: str) -> Answer:
        """Send `POST oauth2/token` once, as this service. OAuth's own errors (RFC 6749 §5.2) raise HubRefused."""
        request = self._peer.request(
            "POST",
            "oauth2/token",
            timeouts=self.pace.call,
            kind=kind_of(operation),
            content=urlencode({**form, "client_secret": self._token}).encode(),
            content_type=b"application/x-www-form-urlencoded",
        )
        answer = await self._send(request, operation)
        if answer.status in (400, 401):
            raise HubRefused(operation, answer.status, "the code or this service's token is not valid")
        return self._unless_refused(answer, operation)

    async def page(self, path: str, operation: str) -> str:
        """Return the Hub's page for browsers at a path below `hub/`, without credentials, whatever its status.

        Raises HubUnavailable if the Hub does not answer.
        """
        url = self._peer.base_url.join(f"../{path}")
        request = httpx.Request("GET", url, extensions={"timeout": self.pace.call, "kind": kind_of(operation)})
        return (await self._send(request, operation)).content.decode(errors="replace")

    async def _send(self, request: httpx.Request, operation: str) -> Answer:
        try:
            return await self._peer.send(request)
        except httpx.HTTPError as error:
            raise unavailable(operation, error) from error

    async def stream(self, path: str, operation: str) -> "HubStream":
        """Send a GET and return the open body of its answer, which must be closed.

        This and reading the body raise the errors of `call`.
        """
        request = self._request("GET", path, operation, timeouts=self.pace.stream)
        try:
            response = await self._peer.open(request)
            if response.status_code != 200:
                raise self._refusal(await self._peer.finish(request, response), operation)
        except httpx.HTTPError as error:
            raise unavailable(operation, error) from error
        return HubStream(response, operation)

    async def repeat(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Call `ask` until it returns, up to `pace.tries` times. Only for requests that are safe to repeat.

        `may_have_acted` of the error covers all requests together.
        """
        attempt, unclear = 1, False
        while True:
            try:
                return await ask()
            except HubError as error:
                error.may_have_acted = unclear = unclear or error.may_have_acted
                may_pass = isinstance(error, (HubUnavailable, HubBusy)) and not isinstance(error, NotTheHub)
                if not may_pass or attempt >= self.pace.tries:
                    raise
                await self._pause(attempt, error)
                attempt += 1

    async def create(
        self,
        ask: Callable[[], Awaitable[object]],
        *,
        exists: Callable[[], Awaitable[bool]],
        says_exists: Callable[[HubRefused], bool],
        waits_if_busy: bool,
    ) -> None:
        """Call `ask` to create something, and make sure that it is created only once.

        If it is unclear whether the Hub acted, `exists` checks before the next request, and a later refusal counts as
        success if `says_exists` is true for it. After a 5xx of the Hub itself there is no retry, because the Hub got
        the request. HubBusy is raised immediately unless `waits_if_busy`. `may_have_acted` of the error covers all
        requests together.
        """
        attempt, unclear = 1, False
        while True:
            try:
                await ask()
            except HubError as error:
                error.may_have_acted = unclear = unclear or error.may_have_acted
                if isinstance(error, HubRefused):
                    if unclear and says_exists(error):
                        return
                    raise
                if isinstance(error, HubUnavailable) and unclear and await _is_there(exists):
                    return
                is_final = isinstance(error, (HubFailed, NotTheHub)) or (
                    isinstance(error, HubBusy) and not waits_if_busy
                )
                if is_final or attempt >= self.pace.tries:
                    raise
                await self._pause(attempt, error)
                attempt += 1
            else:
                return

    async def _pause(self, attempt: int, error: HubError) -> None:
        delay_s = self._delay_s(attempt, error)
        log.info("%s Retrying in %.1f s (%d of %d).", error, delay_s, attempt + 1, self.pace.tries)
        await asyncio.sleep(delay_s)

    def _delay_s(self, attempt: int, error: HubError) -> float:
        if isinstance(error, HubBusy) and error.retry_after_s is not None:
            return error.retry_after_s
        spread = random.uniform(0.75, 1.25)  # noqa: S311
        return self.pace.retry_delay_s * float(2 ** (attempt - 1)) * spread

    def _request(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        timeouts: Timeouts,
        body: object = None,
        token: str | None = None,
    ) -> httpx.Request:
        return self._peer.request(
            method,
            path,
            timeouts=timeouts,
            kind=kind_of(operation),
            headers=[self._authorization if token is None else _authorization(token)],
            content=b"" if body is None else json.dumps(body, allow_nan=False).encode(),
        )

    def _unless_refused(self, answer: Answer, operation: str) -> Answer:
        if not answer.is_success:
            raise self._refusal(answer, operation)
        return answer

    def _refusal(self, answer: Answer, operation: str) -> HubError:
        return refusal_of(answer, operation, bounds_s=self.pace.retry_after_s)


class HubStream:
    """The body of an open answer, chunk by chunk. Not a generator, because the event loop keeps a list of those."""

    def __init__(self, response: httpx.Response, operation: str) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._chunks = aiter(response.stream)
        self._operation = operation

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except httpx.HTTPError as error:
            raise unavailable(self._operation, error) from error

    async def aclose(self) -> None:
        """Close the connection, unless the answer was read to its end."""
        await self._stream.aclose()


def _authorization(token: str) -> Header:
    return b"Authorization", f"token {token}".encode()


async def _is_there(exists: Callable[[], Awaitable[bool]]) -> bool:
    """Check after an unclear answer. If the check fails, it stays unclear whether the Hub acted."""
    try:
        return await exists()
    except NameTaken:
        raise
    except HubError as error:
        error.may_have_acted = True
        raise
