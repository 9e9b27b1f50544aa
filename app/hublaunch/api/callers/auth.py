"""The caller of a request: anonymous, a Hub user, a backend with an API key, or the holder of a link."""

from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request

from hublaunch.api.callers.admin_links import LINK_PREFIX
from hublaunch.api.callers.credential_throttle import CredentialThrottle
from hublaunch.api.callers.hub_users import HubUsers
from hublaunch.api.callers.sessions import Sessions
from hublaunch.api.middleware.origin import is_own_origin
from hublaunch.api.visibility import note_caller
from hublaunch.files.keys import KEY_PREFIX
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import Unauthenticated
from hublaunch.launch.rules.invitation import CODE_PREFIX

CREDENTIAL_MAX = 512
UNKNOWN = "This service does not know this token or key."


class Issued(Protocol):
    """The credentials that this service issues: API keys, the codes of invitations, and admin links."""

    async def caller(self, credential: str) -> Caller:
        """Return the caller with this credential. Raises Unauthenticated, or InvitationEnded."""


class Callers:
    """Determines the caller of a request. False or None turns a kind of caller off."""

    def __init__(
        self,
        *,
        anonymous: bool,
        hub_users: HubUsers | None,
        sessions: Sessions | None,
        issued: Issued,
        throttle: CredentialThrottle,
        address: Callable[[Request], str],
    ) -> None:
        self._allows_anonymous = anonymous
        self._hub_users = hub_users
        self._sessions = sessions
        self._issued = issued
        self._throttle = throttle
        self._address = address

    async def caller(self, request: Request) -> Caller:
        """Return the caller that requests a launch. Without credentials, the address identifies the caller.

        Raises Unauthenticated if this service requires credentials and the request has none, and the errors of `known`.
        """
        known = await self.known(request)
        if known is not None:
            return known
        if not self._allows_anonymous:
            raise Unauthenticated("Launching here requires credentials.")
        return self.anonymous(request)

    def anonymous(self, request: Request) -> Caller:
        """Return the request's caller by their address alone."""
        return Caller(kind="anonymous", key=self._address(request))

    async def known(self, request: Request) -> Caller | None:
        """Return the Hub user, API key or holder of a link whose credentials the request carries, or None.

        Afterwards `is_for_operator` knows whether the caller is an admin. Raises Unauthenticated for unknown
        credentials, which never count as missing, RateLimited after too many of them, AccessDenied, or a HubError if
        the Hub has to be asked and gives no answer.
        """
        caller = await self._known(request)
        note_caller(request, caller)
        return caller

    async def _known(self, request: Request) -> Caller | None:
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            credential = _credential(authorization)
            async with self._throttle.attempt(request, credential):
                return await self._by_credential(credential)
        if self._hub_users is not None and self._sessions is not None and is_own_origin(request.headers):
            token = self._sessions.token(request)
            if token is not None:
                return await self._hub_users.caller(token)
        return None

    async def _by_credential(self, credential: str) -> Caller:
        if credential.startswith((KEY_PREFIX, CODE_PREFIX, LINK_PREFIX)):  # never sent to the Hub, not even if unknown
            return await self._issued.caller(credential)
        if self._hub_users is not None:
            return await self._hub_users.caller(credential)
        raise Unauthenticated(UNKNOWN)


def _credential(authorization: str) -> str:
    """Return the credential after `token` or `Bearer`. Raises Unauthenticated if it cannot be a token or a key."""
    scheme, _, credential = authorization.partition(" ")
    credential = credential.strip()
    if scheme.lower() not in ("token", "bearer"):
        raise Unauthenticated("The Authorization header must be `Bearer` and a token or key.")
    if not credential.isascii() or not credential.isprintable() or not 0 < len(credential) <= CREDENTIAL_MAX:
        raise Unauthenticated(UNKNOWN)
    return credential
