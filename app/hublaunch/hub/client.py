"""HubClient: JupyterHub's REST API in the core's words."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from hublaunch.hub.exchange import Answer
from hublaunch.hub.operations import Operation
from hublaunch.hub.paths import quoted, server_path, user_path
from hublaunch.hub.progress import ProgressStream
from hublaunch.hub.reach import ServerAddress, ServerProbe, public_url
from hublaunch.hub.rest import SLOW_CALL, HubRest
from hublaunch.hub.wire import (
    HubInfo,
    OAuthTokenModel,
    SelfModel,
    TokenList,
    TokenModel,
    UserModel,
    VersionModel,
    start_mark,
)
from hublaunch.launch.errors import (
    HubFailed,
    HubForbidden,
    HubRefused,
    HubUnavailable,
    NamedServersOff,
    NotStarting,
    ServerExists,
    SpawnRefused,
    TokenRefused,
    UserExists,
)
from hublaunch.launch.ports import Identity, LoginToken, Progress, Reached, Token, User

M = TypeVar("M", bound=BaseModel)

_CLOCK_SLACK_S = 2.0
"""By so much the Hub's `Date`, in whole seconds, may be behind the time that it notes of a new user."""


class HubClient:
    """The Hub, with the promises of `hublaunch.launch.ports.Hub`.

    Calls are made up to `retries` times, `retry_delay_s` apart and doubled each time, as `HubRest` says. One client
    serves every Hub from 4.1 to 6.x: where those differ, it asks in a way that all of them take. `check_lease` is
    called before each request that would change anything, repeated ones too, and raises if it may not be sent.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        api_url: str,
        hub_url: str,
        proxy_url: str | None = None,
        token: str,
        retries: int = 4,
        retry_delay_s: float = 4,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self._url_of = partial(public_url, hub_url)
        self._probe = ServerProbe(transport, hub_url=hub_url, proxy_url=proxy_url)
        self._token = token
        self._rest = HubRest(
            transport,
            api_url=api_url,
            token=token,
            retries=retries,
            retry_delay_s=retry_delay_s,
            check_lease=check_lease,
        )

    # --- the Hub itself -----------------------------------------------------------------------------------------------

    async def info(self) -> HubInfo:
        """The Hub's version, this service's scopes, and which start of the Hub it is; each asked once.

        `GET /` and `GET /user`, for any valid token, and the Hub's page for errors, which is everybody's: no call of
        the API tells when the Hub was started, and every page has the time of that in the address of its scripts.
        """
        asked_at = time.monotonic()
        told = await self._rest.call("GET", "", Operation.TELL_VERSION)
        version = _parse(VersionModel, told, Operation.TELL_VERSION)
        answered_in_s = time.monotonic() - asked_at
        known = await self._rest.call("GET", "user", Operation.IDENTIFY)
        itself = _parse(SelfModel, known, Operation.IDENTIFY)
        page = await self._rest.page("error/404", Operation.SHOW_PAGE)
        return HubInfo(
            version=version.version,
            scopes=frozenset(itself.scopes),
            answered_in_s=answered_in_s,
            start_mark=start_mark(page),
        )

    async def identify(self, token: str) -> Identity | None:
        """Whom a token belongs to, `GET /user` in its own name; None if the Hub knows no such token.

        Asked once. HubUnavailable if the Hub cannot say.
        """
        operation = Operation.IDENTIFY
        try:
            answer = await self._rest.call("GET", "user", operation, token=token)
        except HubRefused as refusal:
            if refusal.status in (401, 403):
                return None
            raise
        return _parse(SelfModel, answer, operation).identity()

    async def exchange_code(
        self, *, client_id: str, code: str, code_verifier: str, redirect_uri: str
    ) -> LoginToken | None:
        """The token of a browser that comes back from the Hub's login with a `code`; None if that is worth nothing.

        `POST /oauth2/token` (RFC 6749 §4.1.3, with PKCE by RFC 7636). Asked once, as a code is good for one time.
        """
        operation = Operation.EXCHANGE_CODE
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "client_secret": self._token,
            "code": code,
            "code_verifier": code_verifier,
            "redirect_uri": redirect_uri,
        }
        try:
            answer = await self._rest.exchange_code(form, operation)
        except HubRefused as refusal:
            if refusal.status in (400, 401, 403):
                return None
            raise
        granted = _parse(OAuthTokenModel, answer, operation)
        return LoginToken(token=granted.access_token, expires_in_s=granted.expires_in)

    async def request(self, method: str, path: str, *, body: object = None) -> httpx.Response:
        """Any request to the Hub's API, `path` relative to its root and quoted; the answer if it is a 2xx.

        Repeated as above, but for a POST, which is asked once.
        """
        operation = f"answer {method} /{path.partition('?')[0]}"

        async def ask() -> Answer:
            return await self._rest.call(method, path, operation, body=body, timeouts=SLOW_CALL)

        answer = await ask() if method == "POST" else await self._rest.repeat(ask)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.content)

    # --- users --------------------------------------------------------------------------------------------------------

    async def create_user(self, username: str) -> None:
        operation, began_at = Operation.CREATE_USER, time.monotonic()

        async def ask() -> Answer:
            return await self._rest.call("POST", user_path(username), operation)

        async def exists() -> bool:
            return await self._was_created(username, within_s=lambda: time.monotonic() - began_at)

        try:
            await self._rest.create(ask, exists=exists, says_exists=_says_user_exists, waits_if_busy=True)
        except HubRefused as refusal:
            if _says_user_exists(refusal):
                raise UserExists(operation, 409, refusal.reason) from refusal
            raise

    async def _was_created(self, username: str, *, within_s: Callable[[], float]) -> bool:
        """Whether the user exists and is at most so old by the Hub's clock; UserExists if it was there before."""

        async def ask() -> bool:
            try:
                answer = await self._rest.call("GET", user_path(username), Operation.GET_USER)
            except HubRefused as refusal:
                _raise_unless_absent(refusal)
                return False
            created_at, hub_now = _parse(UserModel, answer, Operation.GET_USER).created_at_utc, _date(answer)
            age_max = timedelta(seconds=within_s() + _CLOCK_SLACK_S)
            if created_at is None or hub_now is None or created_at < hub_now - age_max:
                raise UserExists(Operation.CREATE_USER, 409, "the user was there before")
            return True

        return await self._rest.repeat(ask)

    async def get_user(self, username: str, *, include_stopped_servers: bool = False) -> User | None:
        operation = Operation.GET_USER
        path = user_path(username) + ("?include_stopped_servers=1" if include_stopped_servers else "")

        async def ask() -> User | None:
            try:
                answer = await self._rest.call("GET", path, operation)
            except HubRefused as refusal:
                _raise_unless_absent(refusal)
                return None
            return _parse(UserModel, answer, operation).user(self._url_of)

        return await self._rest.repeat(ask)

    async def delete_user(self, username: str) -> bool:
        async def ask() -> bool:
            try:
                await self._rest.call("DELETE", user_path(username), Operation.DELETE_USER, timeouts=SLOW_CALL)
            except HubFailed:
                return False  # 500 while a spawn is pending or a named server is up
            except HubRefused as refusal:
                if refusal.status == 400:
                    return False  # "in the process of stopping, please wait"
                _raise_unless_absent(refusal)
            return True

        return await self._rest.repeat(ask)

    # --- servers ------------------------------------------------------------------------------------------------------

    async def start_server(self, username: str, server_name: str, user_options: Mapping[str, Any]) -> None:
        operation, path = Operation.START_SERVER, server_path(username, server_name)

        async def ask() -> Answer:
            # Flat, as every Hub takes it; Hub 4 and 5 would take a wrapper for the options themselves.
            return await self._rest.call("POST", path, operation, body=user_options, timeouts=SLOW_CALL)

        async def exists() -> bool:
            return await self._knows_spawn(username, server_name)

        try:
            await self._rest.create(ask, exists=exists, says_exists=_says_server_exists, waits_if_busy=False)
        except HubRefused as refusal:
            if refusal.status == 400 and "already running" in refusal.reason:
                raise ServerExists(operation, 400, refusal.reason) from refusal
            if isinstance(refusal, HubForbidden):
                raise
            kind = NamedServersOff if _says_named_servers_are_off(refusal) else SpawnRefused
            raise _worded(kind(operation, refusal.status, refusal.reason), refusal) from refusal

    async def _knows_spawn(self, username: str, server_name: str) -> bool:
        """Whether the Hub has this server, starting or ready, or can tell how its spawn failed."""
        user = await self.get_user(username)
        if user is None:
            return False
        if server_name in user.servers:
            return True
        try:
            async with aclosing(self.progress(username, server_name)) as events:
                async for _ in events:
                    return True
        except NotStarting:
            return False
        return False

    async def stop_server(self, username: str, server_name: str, *, remove: bool = False) -> bool:
        path, body = server_path(username, server_name), {"remove": True} if remove and server_name else None

        async def ask() -> bool:
            try:
                answer = await self._rest.call("DELETE", path, Operation.STOP_SERVER, body=body, timeouts=SLOW_CALL)
            except HubRefused as refusal:
                if _says_named_servers_are_off(refusal):
                    return True  # so this one cannot be there
                if refusal.status == 400 and "pending" in refusal.reason:
                    return False  # a Hub before 5.1 does not interrupt a spawn
                _raise_unless_absent(refusal)
                return True
            return answer.status != 202

        return await self._rest.repeat(ask)

    async def progress(self, username: str, server_name: str) -> AsyncGenerator[Progress]:
        operation, path = Operation.PROGRESS, f"{server_path(username, server_name)}/progress"
        try:
            chunks = await self._rest.stream(path, operation)
        except HubRefused as refusal:
            if refusal.status in (400, 404):
                raise NotStarting(operation, refusal.status, refusal.reason) from refusal
            raise
        stream = ProgressStream()
        async with aclosing(chunks):
            async for chunk in chunks:
                for event in stream.feed(chunk):
                    yield replace(event, url=self._root(event.url, username, server_name)) if event.url else event
                    if event.ready or event.failed:
                        return

    def _root(self, told: str, username: str, server_name: str) -> str | None:
        """Return a server's root as browsers reach it; None if a hook of the Hub has put another URL into the event."""
        url = self._url_of(told)
        return url if ServerAddress.of(url, username, server_name) else None

    async def reach_server(self, username: str, server_name: str, url: str) -> Reached:
        return await self._probe.reach(username, server_name, url)

    # --- tokens -------------------------------------------------------------------------------------------------------

    async def mint_token(self, username: str, *, scope: str, note: str, expires_in_s: int) -> Token:
        operation, path = Operation.MINT_TOKEN, f"{user_path(username)}/tokens"
        body = {"scopes": [scope], "note": note, "expires_in": expires_in_s}
        asked = False

        async def ask() -> Token:
            nonlocal asked
            if asked:
                await self.revoke_tokens(username, note=note)
            asked = True
            answer = await self._rest.call("POST", path, operation, body=body)
            minted = _parse(TokenModel, answer, operation)
            # The Hub takes some scopes with 201 and grants nothing by them.
            if not any(granted.startswith("access:servers!") for granted in minted.scopes):
                useless = TokenRefused(operation, answer.status, "it would not open the server")
                useless.may_have_acted = True
                raise useless
            return Token(token=minted.token, expires_at=minted.expires_at_utc)

        try:
            return await self._rest.repeat(ask)
        except TokenRefused:
            raise
        except HubRefused as refusal:
            raise _worded(TokenRefused(operation, refusal.status, refusal.reason), refusal) from refusal

    async def revoke_tokens(self, username: str, *, note: str) -> None:
        path = f"{user_path(username)}/tokens"

        async def ask() -> None:
            try:
                answer = await self._rest.call("GET", path, Operation.LIST_TOKENS)
                for token in _parse(TokenList, answer, Operation.LIST_TOKENS).api_tokens:
                    if token.note == note:
                        await self._rest.call("DELETE", f"{path}/{quoted(token.id)}", Operation.REVOKE_TOKEN)
            except HubRefused as refusal:
                _raise_unless_absent(refusal)

        await self._rest.repeat(ask)


def _says_user_exists(refusal: HubRefused) -> bool:
    return refusal.status == 409


def _says_server_exists(refusal: HubRefused) -> bool:
    return refusal.status == 400 and ("already running" in refusal.reason or " is pending " in refusal.reason)


def _says_named_servers_are_off(refusal: HubRefused) -> bool:
    return refusal.status == 400 and "Named servers are not enabled" in refusal.reason


R = TypeVar("R", bound=HubRefused)


def _worded(error: R, refusal: HubRefused) -> R:
    """The refusal as another error."""
    error.may_have_acted = refusal.may_have_acted
    return error


def _raise_unless_absent(refusal: HubRefused) -> None:
    if refusal.status != 404:
        raise refusal


def _date(answer: Answer) -> datetime | None:
    """The Hub's clock as its answer shows it, to the second (RFC 9110 §6.6.1); None if it does not."""
    try:
        return parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _parse(model: type[M], answer: Answer, operation: str) -> M:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError as error:
        raise HubUnavailable(operation, "its answer is not what JupyterHub answers") from error
