"""RegistryClient: one lookup at one image's manifest."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import RegistryAnswer, RegistryOutcome
from hublaunch.registry.challenge import Challenge, challenges
from hublaunch.registry.documents import ACCEPT, digest_in, is_index, read_manifest, says_absent, token_in
from hublaunch.registry.hosts import (
    NamedHosts,
    host_of,
    is_connectable,
    is_loopback,
    literal,
    may_issue_tokens,
    registry_name,
)
from hublaunch.registry.resolver import ForbiddenAddress
from hublaunch.wire.headers import Header
from hublaunch.wire.peer import Answer, AnswerTooLarge, Peer

LOOK_S = 3.0
"""How long a lookup may take, with all of its requests."""
BYTES_MAX = 1_048_576
"""How much of an answer is read. Registries accept manifests of up to 4 MiB, but an index of images has a few KiB."""
_REDIRECTS_MAX = 3
_TIMEOUTS: Mapping[str, float] = {"connect": LOOK_S, "write": LOOK_S, "read": LOOK_S}
_KIND = "registry"

CredentialsOf = Callable[[ImageReference], bytes | None]
"""Returns the value of `Authorization` for an image's registry, or None without credentials for it."""


class _Ends(Exception):
    """The lookup ends with this outcome."""

    def __init__(self, outcome: RegistryOutcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryClient:
    """Asks registries for manifests, over a transport that connects to no forbidden address (`resolver.py`)."""

    transport: httpx.AsyncBaseTransport
    named: Callable[[], NamedHosts]
    """Returns the hosts that may be asked."""
    credentials: CredentialsOf
    platforms: Sequence[str] = ()
    """The platforms of which an index must have one. If this is empty, any index is accepted."""

    def may_ask(self, image: ImageReference) -> bool:
        """Return whether a pattern names the image's registry."""
        return self.named().include(image.registry)

    async def look_up(self, image: ImageReference) -> RegistryAnswer:
        """Ask the image's registry for the image's manifest, within LOOK_S. Every fault is an answer.

        Nothing but the registry, and a host for its tokens, is asked. Credentials are sent only after a challenge.
        """
        if not self.may_ask(image):
            return RegistryAnswer(outcome=RegistryOutcome.NOT_NAMED)
        try:
            async with asyncio.timeout(LOOK_S):
                return await _Look(self, image).answer()
        except _Ends as ended:
            return RegistryAnswer(outcome=ended.outcome)
        except (TimeoutError, httpx.TimeoutException):
            return RegistryAnswer(outcome=RegistryOutcome.SLOW)
        except AnswerTooLarge:
            return RegistryAnswer(outcome=RegistryOutcome.UNREADABLE)
        except httpx.HTTPError as error:
            return RegistryAnswer(outcome=_unreachable(error))

    async def send(self, method: str, url: httpx.URL, *headers: Header) -> Answer:
        """Send one request and return the answer, read to BYTES_MAX.

        An IP address in the URL is checked here, because no resolver looks it up.
        """
        may_be_private = self.named().may_be_private(url.host)
        if literal(url.host) is not None and not is_connectable(url.host, may_be_private=may_be_private):
            raise _Ends(RegistryOutcome.FORBIDDEN_ADDRESS)
        peer = Peer(self.transport, str(url))
        request = peer.request(method, "", timeouts=_TIMEOUTS, kind=_KIND, headers=headers)
        return await peer.send(request, bytes_max=BYTES_MAX)


@dataclass(slots=True)
class _Look:
    """The requests of one lookup, and the authorization that they carry."""

    client: RegistryClient
    image: ImageReference
    authorization: list[Header] = field(default_factory=list)

    async def answer(self) -> RegistryAnswer:
        head = await self._ask("HEAD")
        digest = digest_in(head.headers.get("Docker-Content-Digest", ""))
        wants_index = bool(self.client.platforms) and is_index(head.headers.get("Content-Type", ""))
        if head.status == 200 and digest is not None and not wants_index:
            return self._found(digest)
        if head.status not in (200, 404, 405):
            raise _Ends(_outcome(head.status))
        # The answer to HEAD has no body, so it does not say why there is nothing.
        return self._read(await self._ask("GET"))

    def _read(self, answer: Answer) -> RegistryAnswer:
        if answer.status == 404 and says_absent(answer.content):
            return RegistryAnswer(outcome=RegistryOutcome.ABSENT)
        if answer.status != 200:
            raise _Ends(_outcome(answer.status))
        digest = digest_in(answer.headers.get("Docker-Content-Digest", ""))
        manifest = read_manifest(answer.content, digest=digest)
        if manifest is None:
            raise _Ends(RegistryOutcome.UNREADABLE)
        if not manifest.is_for(self.client.platforms):
            return RegistryAnswer(outcome=RegistryOutcome.WRONG_PLATFORM, platforms=manifest.platforms or ())
        return self._found(manifest.digest)

    def _found(self, digest: str) -> RegistryAnswer:
        if self.image.digest not in (None, digest):
            raise _Ends(RegistryOutcome.UNREADABLE)
        return RegistryAnswer(outcome=RegistryOutcome.FOUND, digest=digest)

    async def _ask(self, method: str) -> Answer:
        """Ask for the manifest; once more with credentials if the registry wants some."""
        answer = await self._follow(method)
        if answer.status == 401 and not self.authorization:
            asked = challenges(answer.headers.get_list("WWW-Authenticate"))
            self.authorization = [(b"Authorization", await self._authorize(asked))]
            answer = await self._follow(method)
        return answer

    async def _follow(self, method: str) -> Answer:
        """Send a request, and follow redirects within the registry's own host."""
        reference = self.image.digest or self.image.tag
        registry = registry_name(self.image)
        host, _, port = registry.rpartition(":")
        is_plain = bool(host) and port.isdecimal() and is_loopback(host_of(registry))
        origin = f"{'http' if is_plain else 'https'}://{registry}"
        url = first = _joined(httpx.URL(), f"{origin}/v2/{self.image.repository}/manifests/{reference}")
        for _ in range(_REDIRECTS_MAX + 1):
            answer = await self.client.send(method, url, (b"Accept", ACCEPT), *self.authorization)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            url = _joined(url, answer.headers.get("Location", ""))
            if (url.scheme, url.netloc) != (first.scheme, first.netloc) or url.userinfo:
                break
        raise _Ends(RegistryOutcome.ELSEWHERE)

    async def _authorize(self, asked: Sequence[Challenge]) -> bytes:
        """Return the value of `Authorization` that the registry asks for."""
        credentials = self.client.credentials(self.image)
        for challenge in asked:
            if challenge.scheme == "bearer":
                return b"Bearer " + await self._token(challenge.parameters, credentials)
            if challenge.scheme == "basic" and credentials is not None:
                return credentials
        raise _Ends(RegistryOutcome.DENIED)

    async def _token(self, parameters: Mapping[str, str], credentials: bytes | None) -> bytes:
        realm = _joined(httpx.URL(), parameters.get("realm", ""))
        registry_host = host_of(registry_name(self.image))
        if realm.scheme != "https" or realm.userinfo or not may_issue_tokens(realm.host, registry_host):
            raise _Ends(RegistryOutcome.ELSEWHERE)
        query = {"service": parameters["service"]} if "service" in parameters else {}
        query["scope"] = f"repository:{self.image.repository}:pull"
        asked = "&".join(filter(None, (realm.query.decode(), urlencode(query))))
        headers = [(b"Authorization", credentials)] if credentials is not None else []
        answer = await self.client.send("GET", realm.copy_with(query=asked.encode(), fragment=None), *headers)
        if answer.status != 200:
            raise _Ends(RegistryOutcome.DENIED if answer.status == 400 else _outcome(answer.status))
        token = token_in(answer.content)
        if token is None:
            raise _Ends(RegistryOutcome.UNREADABLE)
        return token


def _joined(url: httpx.URL, location: str) -> httpx.URL:
    """Return the URL that an image or a registry leads to."""
    try:
        joined = url.join(location)
        _ = joined.host  # decodes it, which fails for a name that is not IDNA
    except (httpx.InvalidURL, ValueError):
        raise _Ends(RegistryOutcome.ELSEWHERE) from None
    return joined


def _outcome(status: int) -> RegistryOutcome:
    """Return the outcome of an answer that says nothing about the image."""
    if status in (401, 403):
        return RegistryOutcome.DENIED
    if status == 429:
        return RegistryOutcome.BUSY
    if 300 <= status < 400:
        return RegistryOutcome.ELSEWHERE
    return RegistryOutcome.FAILED if status >= 500 else RegistryOutcome.UNREADABLE


def _unreachable(error: httpx.HTTPError) -> RegistryOutcome:
    is_forbidden = isinstance(error.__cause__, ForbiddenAddress)
    return RegistryOutcome.FORBIDDEN_ADDRESS if is_forbidden else RegistryOutcome.UNREACHABLE
