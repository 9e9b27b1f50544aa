"""The callers who may launch: the kinds in LAUNCHER_ACCESS, and the login of browsers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request

from hublaunch.api.callers.address import ClientAddress
from hublaunch.api.callers.admin_links import LINK_PREFIX, AdminLinks
from hublaunch.api.callers.auth import UNKNOWN, Callers
from hublaunch.api.callers.credential_throttle import CredentialThrottle
from hublaunch.api.callers.hub_users import HubUsers
from hublaunch.api.callers.oauth import OAuth
from hublaunch.api.callers.sessions import Sessions
from hublaunch.files.keys import ApiKeys
from hublaunch.hub.client import HubClient
from hublaunch.launch.acceptance.rate_limiter import RateLimiter
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import InvitationUnknown, Unauthenticated
from hublaunch.launch.rules.invitation import CODE_PREFIX
from hublaunch.sealing import SealedWithAnotherKey, Sealer
from hublaunch.settings import Settings, SettingsFault
from hublaunch.store.invitations import KIND, SqlInvitations


@dataclass(frozen=True, slots=True)
class Access:
    """The parts with which the web layer identifies callers."""

    callers: Callers
    address: Callable[[Request], str]
    """Returns the address of a request's client."""
    oauth: OAuth | None
    """None if Hub users may not call."""


def check_access(settings: Settings) -> None:
    """Raise SettingsFault if other settings make a kind of caller impossible."""
    if "key" in settings.access and settings.api_keys_file is None:
        sentence = "LAUNCHER_API_KEYS_FILE is not set, but LAUNCHER_ACCESS includes key. Set it to the file that"
        raise SettingsFault([f"{sentence} `hublaunch keys add` writes."])
    for kind, callers in (("anonymous", "Anonymous callers"), ("invitation", "Holders of invitations")):
        if kind in settings.access and not settings.create_user:
            sentence = f"LAUNCHER_ACCESS includes {kind}, but LAUNCHER_CREATE_USER is false. {callers} need temporary"
            raise SettingsFault([f"{sentence} users: set it to true, or remove {kind}."])
    if "invitation" in settings.access and settings.catalogue_file is None:
        sentence = "LAUNCHER_ACCESS includes invitation, but LAUNCHER_CATALOGUE_FILE is not set. Invitations are for"
        raise SettingsFault([f"{sentence} environments of the catalogue."])


def makes_temporary_users(settings: Settings) -> bool:
    """Return whether any launches get temporary users; those of Hub users do not."""
    return settings.create_user and set(settings.access) != {"hub"}


def open_access(
    settings: Settings,
    hub: HubClient,
    secret_keys: Sequence[str],
    limiter: RateLimiter,
    unnamed_proxy: Callable[[str], None],
    issued: "IssuedCredentials",
) -> Access:
    """Return the callers that these settings admit. `unnamed_proxy` gets the address of each unknown proxy."""
    hub_users, oauth = None, None
    address = ClientAddress(settings.trusted_proxies, unnamed=unnamed_proxy)
    throttle = CredentialThrottle(limiter, address=address, now=asyncio.get_running_loop().time)
    if "hub" in settings.access:
        hub_users = HubUsers(
            hub.logins.identify,
            service_name=settings.service_name,
            admins=settings.admins,
            now=asyncio.get_running_loop().time,
        )
        oauth = _oauth(settings, hub, hub_users, Sealer(secret_keys[:1], purpose="sessions"))
    return Access(
        callers=Callers(
            anonymous="anonymous" in settings.access,
            hub_users=hub_users,
            sessions=oauth.sessions if oauth else None,
            issued=issued,
            throttle=throttle,
            address=address,
        ),
        address=address,
        oauth=oauth,
    )


class IssuedCredentials:
    """API keys, invitations and admin links as callers. None turns a kind off."""

    def __init__(self, *, keys: ApiKeys | None, invitations: SqlInvitations | None, links: AdminLinks) -> None:
        self._keys = keys
        self._invitations = invitations
        self._links = links

    async def caller(self, credential: str) -> Caller:
        if credential.startswith(CODE_PREFIX):
            return await self._holder(credential)
        if credential.startswith(LINK_PREFIX):
            return self._links.caller(credential)
        return self._application(credential)

    async def _holder(self, code: str) -> Caller:
        if self._invitations is None:
            raise InvitationUnknown
        invitation = await self._invitations.find(code)
        return Caller(
            kind=KIND,
            key=invitation.name,
            allowed_images=(),
            environments=invitation.environments,
            max_active=invitation.most,
            invitation=invitation,
        )

    def _application(self, key: str) -> Caller:
        found = self._keys.find(key) if self._keys is not None else None
        if found is None:
            raise Unauthenticated(UNKNOWN)
        allowed_images = found.allowed_images
        if allowed_images is None and found.environments is not None:
            allowed_images = ()
        return Caller(
            kind="key",
            key=found.name,
            allowed_images=allowed_images,
            environments=found.environments,
            max_active=found.max_active,
            may_name_user=found.may_name_user,
            is_admin=found.is_admin,
        )


def _oauth(settings: Settings, hub: HubClient, hub_users: HubUsers, sealer: Sealer) -> OAuth:
    def unseal(sealed: str) -> str | None:
        try:
            return sealer.open(sealed.encode())
        except SealedWithAnotherKey:
            return None

    return OAuth(
        authorize_url=f"{settings.hub_url}hub/api/oauth2/authorize",
        client_id=settings.oauth_client,
        redirect_uri=settings.oauth_redirect_uri,
        exchange_code=hub.logins.exchange_code,
        sessions=Sessions(
            seal=lambda text: sealer.seal(text).decode(),
            unseal=unseal,
            path=f"{settings.prefix}/",
            secure=urlsplit(settings.hub_url).scheme == "https",
        ),
        hub_users=hub_users,
        home=f"{settings.prefix}/",
        prefix=settings.prefix,
    )
