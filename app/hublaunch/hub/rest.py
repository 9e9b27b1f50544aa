"""Requests to the Hub's REST API: token, timeouts, status codes as our errors, and when one is repeated."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx

from hublaunch.hub.exchange import Answer, AnswerTooLarge, Exchange, Header, Timeouts
from hublaunch.hub.operations import kind_of
from hublaunch.hub.wire import hub_reason
from hublaunch.launch.errors import (
    HubBusy,
    HubError,
    HubFailed,
    HubForbidden,
    HubRefused,
    HubUnavailable,
    NameTaken,
    NotTheHub,
)
from hublaunch.launch.rules.messages import clean

log = logging.getLogger(__name__)

T = TypeVar("T")

CALL: Timeouts = {"connect": 10, "write": 10, "read": 20}
SLOW_CALL: Timeouts = {"connect": 10, "write": 10, "read": 45}
"""Starting and stopping: a stock Hub holds the answer for `slow_spawn_timeout` or `slow_stop_timeout`, 10 s."""
RETRY_AFTER_S = (1.0, 300.0)
"""The least and the most that a `Retry-After` is taken for.

JupyterHub asks for 30 to 60 s, and for 0 where its range is set below 1 s. A day is asked for by something before it.
"""
LONGEST_CALL_S = sum(SLOW_CALL.values())
STREAM: Timeouts = {"connect": 10, "write": 10, "read": 25}
"""The Hub sends a keepalive into a progress stream every 8 s."""

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.LocalProtocolError, httpx.UnsupportedProtocol)
"""The errors after which it is certain that the Hub never saw the request."""

_PASSING = (408, 425, 429)
"""The 4xx that another server before the Hub gives for the moment (RFC 9110, RFC 8470, RFC 6585)."""

_SCOPE_WORDS = ("Missing or invalid credentials", "not authorized with current scopes", "no permissions")


class HubRest:
    """The Hub's API by path: `call` asks once, `repeat` and `create` say when to ask again."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        api_url: str,
        token: str,
        retries: int,
        retry_delay_s: float,
        check_lease: Callable[[], None],
    ) -> None:
        self._exchange = Exchange(transport, api_url)
        self._authorization = _authorization(token)
        self._retries = retries
        self._retry_delay_s = retry_delay_s
        self._check_lease = check_lease

    async def call(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        body: object = None,
        timeouts: Timeouts = CALL,
        token: str | None = None,
    ) -> Answer:
        """Ask once, in this service's name or that of another `token`; the answer if it is a 2xx.

        `path` is relative to the API's root, its parts quoted. HubUnavailable, HubFailed, HubBusy, HubForbidden or
        HubRefused otherwise, in words that begin with the `operation`. If this would change anything, what the check of
        the lease raises.
        """
        if method != "GET":
            self._check_lease()
        request = self._request(method, path, operation, body=body, timeouts=timeouts, token=token)
        return _unless_refused(await self._send(request, operation), operation)

    async def exchange_code(self, form: Mapping[str, str], operation: str) -> Answer:
        """`POST oauth2/token`, once, with a form and errors as OAuth has them (RFC 6749 §5.2); otherwise as `call`."""
        request = self._exchange.request(
            "POST",
            "oauth2/token",
            timeouts=CALL,
            kind=kind_of(operation),
            content=urlencode(form).encode(),
            content_type=b"application/x-www-form-urlencoded",
        )
        answer = await self._send(request, operation)
        if answer.status in (400, 401):
            raise HubRefused(operation, answer.status, "the code is not valid, or this service's token is not")
        return _unless_refused(answer, operation)

    async def page(self, path: str, operation: str) -> str:
        """What the Hub shows browsers at a path below `hub/`, without credentials, whatever its status.

        HubUnavailable if it does not answer.
        """
        url = self._exchange.base_url.join(f"../{path}")
        request = httpx.Request("GET", url, extensions={"timeout": CALL, "kind": kind_of(operation)})
        return (await self._send(request, operation)).content.decode(errors="replace")

    async def _send(self, request: httpx.Request, operation: str) -> Answer:
        try:
            return await self._exchange.send(request)
        except httpx.HTTPError as error:
            raise _unavailable(operation, error) from error

    async def stream(self, path: str, operation: str) -> "HubStream":
        """`GET` what goes on after the head of its answer, to be closed. Errors as in `call`, now and later on."""
        request = self._request("GET", path, operation, timeouts=STREAM)
        try:
            response = await self._exchange.open(request)
            if response.status_code != 200:
                raise _refusal(await self._exchange.finish(request, response), operation)
        except httpx.HTTPError as error:
            raise _unavailable(operation, error) from error
        return HubStream(response, operation)

    async def repeat(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer, up to `retries` times. Only for what may be done twice.

        The error tells of all requests together whether the Hub may have acted.
        """
        attempt, unclear = 1, False
        while True:
            try:
                return await ask()
            except HubError as error:
                error.may_have_acted = unclear = unclear or error.may_have_acted
                may_pass = isinstance(error, (HubUnavailable, HubBusy)) and not isinstance(error, NotTheHub)
                if not may_pass or attempt >= self._retries:
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
        """Ask for something to be made, so that it is made once.

        If the answer leaves open whether the Hub acted, `exists` looks before another ask, and a later refusal that
        `says_exists` is success. The Hub's own 5xx is not asked again, as it got the request. HubBusy is raised at
        once unless the call is to wait. The error tells of all requests together whether the Hub may have acted.
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
                if is_final or attempt >= self._retries:
                    raise
                await self._pause(attempt, error)
                attempt += 1
            else:
                return

    async def _pause(self, attempt: int, error: HubError) -> None:
        delay_s = self._delay_s(attempt, error)
        log.info("%s Asking again in %.1f s (%d of %d).", error, delay_s, attempt + 1, self._retries)
        await asyncio.sleep(delay_s)

    def _delay_s(self, attempt: int, error: HubError) -> float:
        if isinstance(error, HubBusy) and error.retry_after_s is not None:
            return error.retry_after_s
        spread = random.uniform(0.75, 1.25)  # noqa: S311
        return self._retry_delay_s * float(2 ** (attempt - 1)) * spread

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
        return self._exchange.request(
            method,
            path,
            timeouts=timeouts,
            kind=kind_of(operation),
            headers=[self._authorization if token is None else _authorization(token)],
            content=b"" if body is None else json.dumps(body, allow_nan=False).encode(),
        )


class HubStream:
    """What comes after the head of an answer, chunk by chunk. No generator: an event loop keeps a list of those."""

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
            raise _unavailable(self._operation, error) from error

    async def aclose(self) -> None:
        """Close the connection, unless the answer has come to its end."""
        await self._stream.aclose()


def _authorization(token: str) -> Header:
    return b"Authorization", f"token {token}".encode()


def _unavailable(operation: str, error: httpx.HTTPError) -> HubUnavailable:
    return HubUnavailable(operation, describe(error), may_have_acted=not isinstance(error, NOT_SENT))


def describe(error: httpx.HTTPError) -> str:
    """What went wrong on the wire, in words that hold no header and no body."""
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "no connection could be made"
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol():
            return "the request cannot be sent; its URL or token may have characters that HTTP does not take"
        case httpx.TimeoutException():
            return "it did not answer in time"
        case AnswerTooLarge():
            return "its answer is too large"
        case _:
            return "the connection broke before the answer was complete"


async def _is_there(exists: Callable[[], Awaitable[bool]]) -> bool:
    """The look after an unclear answer: an error of the look leaves the answer as unclear as it was."""
    try:
        return await exists()
    except NameTaken:
        raise
    except HubError as error:
        error.may_have_acted = True
        raise


def _unless_refused(answer: Answer, operation: str) -> Answer:
    if not answer.is_success:
        raise _refusal(answer, operation)
    return answer


def _refusal(answer: Answer, operation: str) -> HubError:
    status, reason = answer.status, hub_reason(answer.content)
    if status == 429:
        return HubBusy(reason or "JupyterHub asks for patience.", _retry_after_s(answer))
    if reason is None and 300 <= status < 500 and status not in _PASSING:
        return NotTheHub(operation, _another(answer))
    if reason is None:
        return HubUnavailable(operation, f"something that is not JupyterHub answered {status}")
    if status >= 500:
        return HubFailed(operation, reason or f"it answered {status}")
    if status == 403 and any(words in reason for words in _SCOPE_WORDS):
        return HubForbidden(operation, status, reason)
    return HubRefused(operation, status, reason or "no reason given")


def _another(answer: Answer) -> str:
    """What another web server answered, in words that hold neither a path nor a query."""
    said = f"a web server that is not JupyterHub answered {answer.status}"
    if not 300 <= answer.status < 400:
        return said
    try:
        target = urlsplit(answer.headers.get("Location", ""))
        host, port = target.hostname, target.port
    except ValueError:
        return said
    if not target.scheme or not host:
        return f"{said}, a redirect"
    return clean(f"{said}, a redirect to {target.scheme}://{host}{f':{port}' if port else ''}")


def _retry_after_s(answer: Answer) -> float | None:
    """`Retry-After`, as seconds or a date (RFC 9110 §10.2.3), within RETRY_AFTER_S; None if it is absent or neither."""
    value = answer.headers.get("Retry-After", "")
    try:
        if value.isdecimal():
            after_s = float(value)
        else:
            after_s = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    least, most = RETRY_AFTER_S
    return min(max(least, after_s), most)
