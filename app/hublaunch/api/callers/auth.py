"""Whose request this is, and whether they hold a launch's secret."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from secrets import token_bytes
from typing import Protocol

from starlette.requests import Request
from ulid import ULID

from hublaunch.api.callers.credential_throttle import Guesses
from hublaunch.api.callers.hub_users import HubUsers
from hublaunch.api.callers.sessions import Sessions
from hublaunch.api.origin import is_own_origin
from hublaunch.api.visibility import note_caller
from hublaunch.files.keys import KEY_PREFIX
from hublaunch.launch.errors import Unauthenticated
from hublaunch.launch.model import Caller

CREDENTIAL_MAX = 512
_TIME_BYTES, _DRAWN_BYTES, _MARK_BYTES = 6, 5, 5
"""Of the id of a launch: its time in milliseconds, what is drawn at random, the mark of the key."""


class LaunchSecrets:
    """The secret of each launch: an HMAC of its id under the service's key, so it is stored nowhere.

    The last five bytes of an id are an HMAC too, of those before them, and show under which key it was made. So after a
    rotation each launch has the secret that it had, and who knows an earlier key opens no later launch, whatever the
    clocks of replicas say. The first of `secret_keys` makes ids; the others are earlier ones.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in secret_keys]
        self._last = 0

    def new_id(self) -> str:
        """Make the id of a launch, above all that were made here: a ULID with the key's mark in its last 40 bits."""
        drawn = int.from_bytes(ULID().bytes[:_TIME_BYTES] + token_bytes(_DRAWN_BYTES))
        self._last = max(drawn, self._last + 1)
        head = self._last.to_bytes(_TIME_BYTES + _DRAWN_BYTES)
        return str(ULID(head + _mark(self._keys[0], head)))

    def of(self, launch_id: str) -> str:
        """The secret, 43 characters that may stand in a URL; under the first key, if none here has made the id."""
        ulid = ULID.from_str(launch_id).bytes
        head, mark = ulid[:-_MARK_BYTES], ulid[-_MARK_BYTES:]
        key = next((key for key in self._keys if hmac.compare_digest(_mark(key, head), mark)), self._keys[0])
        digest = hmac.digest(key, b"launch:" + launch_id.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def opens(self, launch_id: str, secret: str | None) -> bool:
        """Whether this is the launch's secret; compared in constant time."""
        return secret is not None and hmac.compare_digest(self.of(launch_id).encode(), secret.encode())


def _mark(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, b"id:" + head, hashlib.sha256)[:_MARK_BYTES]


class Keys(Protocol):
    """The API keys, however they are kept."""

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; None if it is nobody's."""


class Callers:
    """Tells whose request it is, by the kinds of callers that may call: each None, or False, is off."""

    def __init__(
        self,
        *,
        anonymous: bool,
        hub_users: HubUsers | None,
        sessions: Sessions | None,
        keys: Keys | None,
        guesses: Guesses,
        address: Callable[[Request], str],
    ) -> None:
        self._lets_in_anybody = anonymous
        self._hub_users = hub_users
        self._sessions = sessions
        self._keys = keys
        self._guesses = guesses
        self._address = address

    async def caller(self, request: Request) -> Caller:
        """Who may ask for a launch. Unauthenticated without credentials, unless anybody may; else as `known`.

        A caller without credentials is known by address only.
        """
        known = await self.known(request)
        if known is not None:
            return known
        if not self._lets_in_anybody:
            raise Unauthenticated("This service launches nothing for callers it does not know.")
        return self.anonymous(request)

    def anonymous(self, request: Request) -> Caller:
        """Whoever it is, by their address alone."""
        return Caller(kind="anonymous", key=self._address(request))

    async def known(self, request: Request) -> Caller | None:
        """Return the Hub user or the key whose credentials the request carries; None if it carries none.

        Afterwards `is_for_operator` knows whether the caller is an admin. Unauthenticated if nobody is known by
        them, so that wrong credentials never pass for none; RateLimited after too many of those. AccessDenied, or a
        HubError if the Hub has to be asked and cannot say.
        """
        caller = await self._known(request)
        note_caller(request, caller)
        return caller

    async def _known(self, request: Request) -> Caller | None:
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            credential = _credential(authorization)
            async with self._guesses.guess(request, credential):
                return await self._by_credential(credential)
        if self._hub_users is not None and self._sessions is not None and is_own_origin(request.headers):
            token = self._sessions.token(request)
            if token is not None:
                return await self._hub_users.caller(token)
        return None

    async def _by_credential(self, credential: str) -> Caller:
        if credential.startswith(KEY_PREFIX):  # never shown to the Hub, also if it is nobody's
            caller = self._keys.caller(credential) if self._keys is not None else None
            if caller is not None:
                return caller
        elif self._hub_users is not None:
            return await self._hub_users.caller(credential)
        raise Unauthenticated("The token or key is not one that is known here.")


def _credential(authorization: str) -> str:
    """What follows `token` or `Bearer`; Unauthenticated if it cannot be a token or a key."""
    scheme, _, credential = authorization.partition(" ")
    credential = credential.strip()
    if scheme.lower() not in ("token", "bearer"):
        raise Unauthenticated("The header Authorization must be `Bearer` and a token or key.")
    if not credential.isascii() or not credential.isprintable() or not 0 < len(credential) <= CREDENTIAL_MAX:
        raise Unauthenticated("The token or key is not one that is known here.")
    return credential
