"""Requests to the service, with retries."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from hublaunch.client.environment import way_to
from hublaunch.client.errors import LaunchClientError, Unreachable, refusal
from hublaunch.client.invitation import is_code
from hublaunch.client.patience import Patience

_CONNECT_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 60.0
"""Before it answers, the service may have to ask the Hub and the operator's hook."""


class Exchange:
    """Sends one caller's requests to one service."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        patience_s: float,
        silence_s: float,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        """Raise a ValueError if `url`, `token`, or a variable of the environment cannot be used."""
        if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
            raise ValueError("The token must be printable ASCII without spaces.")
        self.url = _checked(url)
        self._token = token
        self._patience_s = patience_s
        self._stream_timeout = httpx.Timeout(_CONNECT_TIMEOUT_S, read=silence_s)
        way = way_to(self.url)
        self._proxy_variable = way.proxy_variable
        self.http = httpx.AsyncClient(
            base_url=self.url,
            timeout=httpx.Timeout(_CONNECT_TIMEOUT_S, read=_ANSWER_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None),  # each followed launch holds a connection
            verify=way.tls,
            proxy=way.proxy if transport is None else None,  # a proxy would replace the transport
            trust_env=False,  # way_to() has read it
            transport=transport,
        )

    def patience(self) -> Patience:
        """Return the retry budget of a request that starts now."""
        return Patience(self._patience_s)

    async def answer(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: object = None
    ) -> httpx.Response:
        """Send an idempotent request until it succeeds. Raises a LaunchClientError when retries cannot help."""
        patience = self.patience()
        while True:
            fault: LaunchClientError
            try:
                response = await self.http.request(method, path, headers=self._sent(path, headers), json=body)
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
        """Open a streamed answer, without retries. Raises a LaunchClientError, even while the body is being read."""
        try:
            sent = self._sent(path, headers)
            async with self.http.stream("GET", path, headers=sent, timeout=self._stream_timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(self.url, response)
                yield response
        except httpx.RequestError as error:
            raise self._unreachable(error) from None

    def _sent(self, path: str, headers: Mapping[str, str] | None) -> Mapping[str, str]:
        """Return the headers with the token.

        The code of an invitation is left out of requests about a launch: the launch's secret suffices for them, and
        the launch may outlive the invitation.
        """
        is_needed = self._token and not (is_code(self._token) and path.startswith("launch/"))
        return {**({"Authorization": f"Bearer {self._token}"} if is_needed else {}), **(headers or {})}

    def _unreachable(self, error: httpx.RequestError) -> Unreachable:
        """Describe the error in words; httpx's own can be empty."""
        if isinstance(error, httpx.ProxyError):
            return Unreachable(self.url, f"the proxy that {self._proxy_variable} names refused the connection")
        if isinstance(error, httpx.ConnectError) and self._proxy_variable:
            return Unreachable(
                self.url, f"the proxy that {self._proxy_variable} names is unreachable, or cannot reach the service"
            )
        if isinstance(error, httpx.ConnectError):
            return Unreachable(self.url, "nothing listens there, or its name or certificate is unknown")
        if isinstance(error, httpx.TimeoutException):
            return Unreachable(self.url, "it did not answer in time")
        return Unreachable(self.url, "the connection broke")


def _checked(url: str) -> str:
    """Return the address of a service, ending in `/`. Raises a ValueError."""
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
        raise ValueError("The address of the service must not contain credentials, a query or a fragment.")
    checked = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"
    try:
        address = httpx.URL(checked)
        address.raw_host.decode().encode("idna")  # as the name look-up will do
    except (httpx.InvalidURL, UnicodeError):
        raise ValueError("The address of the service contains a name or characters that a URL cannot have.") from None
    return str(address)
