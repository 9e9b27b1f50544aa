"""Requests to the service, repeated as long as that can help."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from hublaunch.client.environment import way_to
from hublaunch.client.errors import LaunchClientError, Unreachable, refusal
from hublaunch.client.patience import Patience

_CONNECT_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 60.0
"""Before it answers, the service may have to ask the Hub and its operator's hook."""


class Exchange:
    """Sends to one service, as one caller."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        patience_s: float,
        silence_s: float,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        """ValueError if `url` is no address, `token` no token, or the environment bars the way."""
        if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
            raise ValueError("The token must be printable ASCII without blanks.")
        self.url = _checked(url)
        self._patience_s = patience_s
        self._stream_timeout = httpx.Timeout(_CONNECT_TIMEOUT_S, read=silence_s)
        way = way_to(self.url)
        self._proxy_variable = way.proxy_variable
        self.http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(_CONNECT_TIMEOUT_S, read=_ANSWER_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None),  # each launch that is followed has a connection
            verify=way.tls,
            proxy=way.proxy if transport is None else None,  # it would go before the transport
            trust_env=False,  # the way has been found
            transport=transport,
        )

    def patience(self) -> Patience:
        """For a request that begins now."""
        return Patience(self._patience_s)

    async def answer(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: object = None
    ) -> httpx.Response:
        """The answer to a request that may be repeated, once it is a success; a LaunchClientError."""
        patience = self.patience()
        while True:
            fault: LaunchClientError
            try:
                response = await self.http.request(method, path, headers=headers, json=body)
            except httpx.RequestError as error:
                fault = self._unreachable(error)
            else:
                if response.is_success:
                    return response
                fault = refusal(self.url, response)
            if not fault.may_pass or not await patience.pause(fault.retry_after_s):
                raise fault

    @asynccontextmanager
    async def stream(self, path: str, *, headers: Mapping[str, str]) -> AsyncGenerator[httpx.Response]:
        """A success whose body is read as it comes, tried once; a LaunchClientError, also from within."""
        try:
            async with self.http.stream("GET", path, headers=headers, timeout=self._stream_timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(self.url, response)
                yield response
        except httpx.RequestError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: httpx.RequestError) -> Unreachable:
        """The kind of fault in words: those of httpx can be empty."""
        if isinstance(error, httpx.ProxyError):
            return Unreachable(self.url, f"the proxy that {self._proxy_variable} names refused the connection")
        if isinstance(error, httpx.ConnectError) and self._proxy_variable:
            return Unreachable(
                self.url, f"the proxy that {self._proxy_variable} names cannot be reached, or does not reach it"
            )
        if isinstance(error, httpx.ConnectError):
            return Unreachable(self.url, "nothing listens there, or its name or certificate is not known")
        if isinstance(error, httpx.TimeoutException):
            return Unreachable(self.url, "it did not answer in time")
        return Unreachable(self.url, "the connection broke")


def _checked(url: str) -> str:
    """The address of a service, ending in `/`."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise ValueError("The address of the service is not a URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "The address of the service must be a URL such as https://hub.example.org/services/hublaunch/."
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("The address of the service must have no credentials, no query and no fragment in it.")
    checked = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"
    try:
        address = httpx.URL(checked)
        address.raw_host.decode().encode("idna")  # which looking the name up does too
    except (httpx.InvalidURL, UnicodeError):
        raise ValueError("The address of the service has a name or characters that no URL may have.") from None
    return str(address)
