"""Asking a server itself whether it answers, at the address that the Hub gives for it.

Which answers show a server, and why no others do: `docs/decisions/0017-is-it-the-server.md`.
"""

import logging
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qs, quote, unquote, urljoin, urlsplit

import httpx
from pydantic import ValidationError

from hublaunch.hub.exchange import Answer, AnswerTooLarge, Exchange, Timeouts
from hublaunch.hub.operations import Operation
from hublaunch.hub.paths import quoted
from hublaunch.hub.rest import NOT_SENT, describe
from hublaunch.hub.wire import VersionModel
from hublaunch.launch.ports import Reach, Reached

log = logging.getLogger(__name__)

_TIMEOUTS: Timeouts = {"connect": 5, "write": 5, "read": 5}
_ANSWER_BYTES_MAX = 16_384
"""A Jupyter server's answer is 21 bytes. What answers here belongs to a user, and may send without end."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


def public_url(hub_url: str, told: str) -> str:
    """Return the Hub's `url` of a server as browsers reach it: absolute, ending in `/`, without a query.

    The Hub's is a path that already has the Hub's base_url in it, percent-encoded. With subdomains it is absolute.
    """
    return urljoin(hub_url, told.partition("?")[0]).rstrip("/") + "/"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerAddress:
    """The root of one server, as browsers reach it."""

    url: str
    path: str
    base_path: str
    """The Hub's base_url, percent-encoded, with `/` on both sides."""
    client_id: str
    """Of the server as an OAuth client of the Hub."""

    @classmethod
    def of(cls, url: str, username: str, server_name: str) -> Self | None:
        """Take the URL apart; None if it is not the root of this server, as where a hook of the Hub has changed it.

        ValueError if neither a user nor a server has this name.
        """
        path = urlsplit(url).path
        names = [username, server_name] if server_name else [username]
        for name in names:
            quoted(name)
        segments = path.strip("/").split("/")
        before, own = segments[: -len(names) - 1], segments[-len(names) - 1 :]
        if [unquote(segment) for segment in own] != ["user", *names]:
            return None
        return cls(
            url=url,
            path=path,
            base_path="/".join(["", *before, ""]),
            client_id=f"jupyterhub-user-{'-'.join(map(quote, names))}",
        )


class ServerProbe:
    """Asks servers whether they answer, by way of the Hub's proxy.

    It connects to `proxy_url` if there is one, and else to the server's own URL, if that is the Hub's host or a
    subdomain of it: no other host is ever asked. With subdomains the Host header is that of the server's URL.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, *, hub_url: str, proxy_url: str | None) -> None:
        self._transport = transport
        self._hub_url = hub_url
        self._proxy_url = proxy_url
        self._exchanges: dict[str, Exchange] = {}
        """For servers without a subdomain, by origin: the proxy's and the Hub's."""
        self._warned: set[Reach] = set()

    async def reach(self, username: str, server_name: str, url: str) -> Reached:
        """Ask the server for its API's version, `GET {url}api`. ValueError if it can have no such name."""
        server = ServerAddress.of(url, username, server_name)
        if server is None:
            self._warn(Reach.UNKNOWN, "JupyterHub gives an address that is not the server's root")
            return Reached(Reach.UNKNOWN)
        try:
            return await self._ask(server, self._proxy_url or server.url)
        except NOT_SENT as error:
            self._warn(Reach.UNKNOWN, describe(error))
            return Reached(Reach.UNKNOWN)
        except httpx.HTTPError:
            return Reached(Reach.ABSENT)

    async def _ask(self, server: ServerAddress, connect_to: str) -> Reached:
        is_public = connect_to == server.url
        if is_public and not self._is_of_the_hub(urlsplit(server.url)):
            self._warn(Reach.UNKNOWN, "the server's host is not within the host of LAUNCHER_HUB_URL")
            return Reached(Reach.UNKNOWN)
        exchange = self._exchange(server, server.url, connect_to)
        answer = await _get(exchange, f"{server.path}api")
        if _shows_the_server(answer, server):
            return Reached(Reach.ANSWERS, answer.status)
        if not is_public and urlsplit(_target(answer, connect_to)).path == f"{server.path}api":
            return await self._ask(server, server.url)  # the proxy sends everybody to https
        if not _is_the_hubs(answer):
            # With subdomains the proxy leads to the Hub by the Hub's own host alone.
            to_the_hub = self._exchange(server, self._hub_url, self._hub_url if is_public else connect_to)
            hub = await _get(to_the_hub, f"{server.base_path}hub/api/")
            if _shows_the_hub(hub):
                return Reached(Reach.UNKNOWN, answer.status)
            if hub.status < 500:
                where = f"{exchange.base_url} answers {answer.status} to {server.path}api"
                self._warn(Reach.FOREIGN, f"{where}, and is not JupyterHub's proxy")
                return Reached(Reach.FOREIGN, answer.status)
        return Reached(Reach.ABSENT, answer.status)

    def _exchange(self, server: ServerAddress, url: str, connect_to: str) -> Exchange:
        """Requests for `url`, whose host the proxy routes by if the server has a subdomain."""
        to, has_subdomain = urlsplit(connect_to), urlsplit(server.url).hostname != urlsplit(self._hub_url).hostname
        origin = f"{to.scheme}://{to.netloc}/"
        if has_subdomain:
            return Exchange(self._transport, origin, host=urlsplit(url).netloc.encode())
        if origin not in self._exchanges:
            self._exchanges[origin] = Exchange(self._transport, origin)
        return self._exchanges[origin]

    def _is_of_the_hub(self, url: SplitResult) -> bool:
        own = urlsplit(self._hub_url)
        return (url.scheme, _port(url)) == (own.scheme, _port(own)) and f".{url.hostname}".endswith(f".{own.hostname}")

    def _warn(self, reach: Reach, reason: str) -> None:
        """Tell the operator, once for each kind of trouble."""
        if reach in self._warned:
            return
        self._warned.add(reach)
        consequence = (
            "launches fail" if reach is Reach.FOREIGN else "JupyterHub is believed when it says twice that one is ready"
        )
        log.warning(
            "Servers cannot be asked whether they answer, so %s: %s. Set LAUNCHER_PROXY_URL to an address of "
            "JupyterHub's proxy that can be reached from here.",
            consequence,
            reason,
        )


async def _get(exchange: Exchange, path: str) -> Answer:
    """Ask, and read no more than the size of a version; a longer body counts as none."""
    request = exchange.request("GET", path.removeprefix("/"), timeouts=_TIMEOUTS, kind=Operation.REACH_SERVER.kind)
    try:
        return await exchange.send(request, most_bytes=_ANSWER_BYTES_MAX)
    except AnswerTooLarge as error:
        return error.head


def _shows_the_server(answer: Answer, server: ServerAddress) -> bool:
    """Whether it is a Jupyter server's version, or a redirect to the Hub's login for this very server."""
    if answer.status == 200:
        return _is_version(answer)
    login = urlsplit(_target(answer, server.url))
    return login.path == f"{server.base_path}hub/api/oauth2/authorize" and parse_qs(login.query).get("client_id") == [
        server.client_id
    ]


def _shows_the_hub(answer: Answer) -> bool:
    return answer.status == 200 and _is_the_hubs(answer) and _is_version(answer)


def _is_the_hubs(answer: Answer) -> bool:
    """Whether the Hub, its proxy without a route, or another user's server has answered.

    Every answer of the Hub has the header, every one of jupyterhub-singleuser too: a user's default server answers 404
    for named ones that are not there.
    """
    return answer.status >= 500 or answer.status == 424 or "X-JupyterHub-Version" in answer.headers


def _is_version(answer: Answer) -> bool:
    try:
        VersionModel.model_validate_json(answer.content)
    except ValidationError:
        return False
    return True


def _target(answer: Answer, asked_url: str) -> str:
    """The absolute URL of a redirect; `""` if it is none, or to what is no URL."""
    location = answer.headers.get("Location", "")
    try:
        return urljoin(asked_url, location) if location and 300 <= answer.status < 400 else ""
    except ValueError:
        return ""


def _port(url: SplitResult) -> int | None:
    return url.port or _DEFAULT_PORTS.get(url.scheme)
