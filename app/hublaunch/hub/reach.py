"""ServerProbe: asks a server itself whether it answers, at the address that the Hub gives for it.

Which answers prove a server, and why others do not: `docs/decisions/0017-is-it-the-server.md`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qs, quote, unquote, urljoin, urlsplit

import httpx
from pydantic import ValidationError

from hublaunch.hub.address import HubAddress
from hublaunch.hub.operations import Operation
from hublaunch.hub.paths import quoted
from hublaunch.hub.refusals import NOT_SENT, describe
from hublaunch.hub.wire import VersionModel
from hublaunch.launch.ports import Reach, Reached, ServerAnswer
from hublaunch.wire.headers import Header
from hublaunch.wire.peer import Answer, AnswerTooLarge, Peer, Timeouts

log = logging.getLogger(__name__)

_ANSWER_BYTES_MAX = 16_384
"""A Jupyter server's answer has 21 bytes. The server belongs to a user, and may send without end."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


def public_url(hub_url: str, server_url: str) -> str:
    """Return the Hub's `url` of a server as browsers reach it: absolute, ending in `/`, without a query.

    The Hub gives a path that includes its base_url, percent-encoded. With subdomains it gives an absolute URL.
    """
    return urljoin(hub_url, server_url.partition("?")[0]).rstrip("/") + "/"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerAddress:
    """The root URL of one server, as browsers reach it, in parts."""

    url: str
    path: str
    base_path: str
    """The Hub's base_url, percent-encoded, with `/` at both ends."""
    client_id: str
    """The server's id as an OAuth client of the Hub."""

    @classmethod
    def of(cls, url: str, username: str, server_name: str) -> Self | None:
        """Split the URL. None if it is not the root of this server, for example because a hook of the Hub changed it.

        Raises ValueError if no user or server can have this name.
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
    """Asks servers through the Hub's proxy whether they answer.

    It connects to the address's `proxy_url`. Without one, it connects to the server's own URL if its host is the Hub's
    host or a subdomain of it, and to no other host. With subdomains the Host header is that of the server's URL.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, address: HubAddress, *, timeouts: Timeouts) -> None:
        self._transport = transport
        self._hub_url = address.hub_url
        self._proxy_url = address.proxy_url
        self._timeouts = timeouts
        self._peers: dict[str, Peer] = {}
        """The proxy and the Hub by origin, for servers without a subdomain."""
        self._warned: set[Reach] = set()

    async def reach(self, username: str, server_name: str, url: str) -> Reached:
        """Ask the server for its API's version, `GET {url}api`. Raises ValueError if no server can have this name."""
        server = ServerAddress.of(url, username, server_name)
        if server is None:
            self._warn(Reach.UNKNOWN, "the URL that JupyterHub gives is not the server's root")
            return Reached(Reach.UNKNOWN)
        try:
            return await self._ask(server, self._proxy_url or server.url)
        except NOT_SENT as error:
            self._warn(Reach.UNKNOWN, describe(error))
            return Reached(Reach.UNKNOWN)
        except httpx.HTTPError:
            return Reached(Reach.ABSENT)

    async def read(self, username: str, server_name: str, url: str, path: str, *, token: str) -> ServerAnswer | None:
        """Return the answer of the server to `GET {url}{path}` with this token.

        None if there is no answer, or if `reach` could not tell whether the server answers: the token goes to no other
        host.
        """
        server = ServerAddress.of(url, username, server_name)
        connect_to = self._proxy_url or url
        if server is None or (connect_to == url and not self._is_of_the_hub(urlsplit(url))):
            return None
        peer, headers = self._peer(server, url, connect_to), [(b"Authorization", f"token {token}".encode())]
        try:
            answer = await self._get(peer, f"{server.path}{path}", Operation.READ_SERVER, headers)
        except httpx.HTTPError:
            return None
        return None if answer.status >= 500 else ServerAnswer(answer.status, answer.content)

    async def _ask(self, server: ServerAddress, connect_to: str) -> Reached:
        is_public = connect_to == server.url
        if is_public and not self._is_of_the_hub(urlsplit(server.url)):
            self._warn(Reach.UNKNOWN, "the server's host is not within the host of LAUNCHER_HUB_URL")
            return Reached(Reach.UNKNOWN)
        peer = self._peer(server, server.url, connect_to)
        answer = await self._get(peer, f"{server.path}api")
        if _shows_the_server(answer, server):
            return Reached(Reach.ANSWERS, answer.status)
        if not is_public and urlsplit(_target(answer, connect_to)).path == f"{server.path}api":
            return await self._ask(server, server.url)  # the proxy redirects all requests to https
        if not _is_the_hubs(answer):
            # With subdomains the proxy routes only the Hub's own host to the Hub.
            hub_peer = self._peer(server, self._hub_url, self._hub_url if is_public else connect_to)
            hub = await self._get(hub_peer, f"{server.base_path}hub/api/")
            if _shows_the_hub(hub):
                return Reached(Reach.UNKNOWN, answer.status)
            if hub.status < 500:
                where = f"{peer.base_url} answers {answer.status} to {server.path}api"
                self._warn(Reach.FOREIGN, f"{where} and is not JupyterHub's proxy")
                return Reached(Reach.FOREIGN, answer.status)
        return Reached(Reach.ABSENT, answer.status)

    async def _get(
        self,
        peer: Peer,
        path: str,
        operation: Operation = Operation.REACH_SERVER,
        headers: Sequence[Header] = (),
    ) -> Answer:
        """Send a GET and read at most 16 KiB. A longer body counts as empty."""
        request = peer.request(
            "GET", path.removeprefix("/"), timeouts=self._timeouts, kind=operation.kind, headers=headers
        )
        try:
            return await peer.send(request, bytes_max=_ANSWER_BYTES_MAX)
        except AnswerTooLarge as error:
            return error.head

    def _peer(self, server: ServerAddress, url: str, connect_to: str) -> Peer:
        """Return the peer for requests to `url`. If the server has a subdomain, the proxy routes by the URL's host."""
        to, has_subdomain = urlsplit(connect_to), urlsplit(server.url).hostname != urlsplit(self._hub_url).hostname
        origin = f"{to.scheme}://{to.netloc}/"
        if has_subdomain:
            return Peer(self._transport, origin, host=urlsplit(url).netloc.encode())
        if origin not in self._peers:
            self._peers[origin] = Peer(self._transport, origin)
        return self._peers[origin]

    def _is_of_the_hub(self, url: SplitResult) -> bool:
        own = urlsplit(self._hub_url)
        return (url.scheme, _port(url)) == (own.scheme, _port(own)) and f".{url.hostname}".endswith(f".{own.hostname}")

    def _warn(self, reach: Reach, reason: str) -> None:
        """Warn the operator, once for each kind of trouble."""
        if reach in self._warned:
            return
        self._warned.add(reach)
        consequence = (
            "launches fail"
            if reach is Reach.FOREIGN
            else "a server counts as ready when JupyterHub has reported it ready twice"
        )
        log.warning(
            "This service cannot check whether servers answer: %s. Therefore %s. Set LAUNCHER_PROXY_URL to an address "
            "of JupyterHub's proxy that is reachable from here.",
            reason,
            consequence,
        )


def _shows_the_server(answer: Answer, server: ServerAddress) -> bool:
    """Return whether this is a Jupyter server's version, or a redirect to the Hub's login for this server."""
    if answer.status == 200:
        return _is_version(answer)
    login = urlsplit(_target(answer, server.url))
    return login.path == f"{server.base_path}hub/api/oauth2/authorize" and parse_qs(login.query).get("client_id") == [
        server.client_id
    ]


def _shows_the_hub(answer: Answer) -> bool:
    return answer.status == 200 and _is_the_hubs(answer) and _is_version(answer)


def _is_the_hubs(answer: Answer) -> bool:
    """Return whether the Hub, its proxy without a route, or another server of the user answered.

    All answers of the Hub and of jupyterhub-singleuser have `X-JupyterHub-Version`. A user's default server answers 404
    for named servers that do not exist.
    """
    return answer.status >= 500 or answer.status == 424 or "X-JupyterHub-Version" in answer.headers


def _is_version(answer: Answer) -> bool:
    try:
        VersionModel.model_validate_json(answer.content)
    except ValidationError:
        return False
    return True


def _target(answer: Answer, asked_url: str) -> str:
    """Return the absolute URL of a redirect; `""` if there is no redirect or its URL is invalid."""
    location = answer.headers.get("Location", "")
    try:
        return urljoin(asked_url, location) if location and 300 <= answer.status < 400 else ""
    except ValueError:
        return ""


def _port(url: SplitResult) -> int | None:
    return url.port or _DEFAULT_PORTS.get(url.scheme)
