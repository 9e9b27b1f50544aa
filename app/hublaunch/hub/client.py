"""HubClient: JupyterHub's REST API, as the core's port describes it."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import httpx

from hublaunch.hub.address import HubAddress, HubPace
from hublaunch.hub.logins import HubLogins
from hublaunch.hub.operations import Operation
from hublaunch.hub.paths import quoted, server_path, user_path
from hublaunch.hub.progress import ProgressStream
from hublaunch.hub.reach import ServerAddress, ServerProbe, public_url
from hublaunch.hub.refusals import (
    as_kind,
    raise_unless_absent,
    says_named_servers_are_off,
    says_server_exists,
    says_server_is_running,
    says_user_exists,
)
from hublaunch.hub.rest import HubRest
from hublaunch.hub.wire import (
    HubInfo,
    SelfModel,
    TokenList,
    TokenModel,
    UserModel,
    VersionModel,
    parse,
    start_mark,
)
from hublaunch.launch.errors import (
    HubFailed,
    HubForbidden,
    HubRefused,
    HubTokenUnknown,
    NamedServersOff,
    NotStarting,
    ServerExists,
    SpawnRefused,
    TokenRefused,
    UserExists,
)
from hublaunch.launch.ports import Progress, Reached, ServerAnswer, Token, User
from hublaunch.wire.peer import Answer

_CLOCK_SLACK_S = 2.0
"""How far the Hub's `Date`, in whole seconds, may be behind the creation time of a new user."""


class HubClient:
    """The Hub, as `hublaunch.launch.ports.Hub` describes it.

    One client works with every Hub from 4.1 to 6.x: where they differ, its requests suit all of them. `pace` says how
    many times and for how long it tries. `check_lease` is called before each request that would change anything,
    retries included, and raises if the request must not be sent.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        address: HubAddress,
        *,
        token: str,
        pace: HubPace | None = None,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        pace = pace or HubPace()
        self._url_of = partial(public_url, address.hub_url)
        self._probe = ServerProbe(transport, address, timeouts=pace.probe)
        self._rest = HubRest(transport, api_url=address.api_url, token=token, pace=pace, check_lease=check_lease)
        self._slow = pace.slow_call
        self.logins = HubLogins(self._rest)

    # --- the Hub itself -----------------------------------------------------------------------------------------------

    async def info(self) -> HubInfo:
        """Return the Hub's version, this service's scopes, and a mark of the Hub's start; one request for each.

        `GET /` and `GET /user`, for any valid token, and the Hub's public error page. No API call says when the Hub
        started, but every page has that time in the address of its scripts.
        """
        asked_at = time.monotonic()
        answer = await self._rest.call("GET", "", Operation.GET_VERSION)
        version = parse(VersionModel, answer.content, Operation.GET_VERSION)
        answered_in_s, hub_now = time.monotonic() - asked_at, _date(answer)
        clock_ahead_s = None if hub_now is None else (hub_now - datetime.now(UTC)).total_seconds()
        service = await self._identify()
        page = await self._rest.page("error/404", Operation.GET_PAGE)
        return HubInfo(
            version=version.version,
            scopes=frozenset(service.scopes),
            answered_in_s=answered_in_s,
            clock_ahead_s=clock_ahead_s,
            start_mark=start_mark(page),
        )

    async def _identify(self) -> SelfModel:
        """Return the owner of this service's token. Raises HubTokenUnknown."""
        try:
            answer = await self._rest.call("GET", "user", Operation.IDENTIFY)
        except HubRefused as refusal:
            if refusal.status == 403:  # the Hub gives no reason
                raise as_kind(HubTokenUnknown, Operation.IDENTIFY, refusal) from refusal
            raise
        return parse(SelfModel, answer.content, Operation.IDENTIFY)

    async def request(self, method: str, path: str, *, body: object = None) -> httpx.Response:
        """Send any request to the Hub's API and return the response if it is a 2xx.

        `path` is relative to the API's root and quoted. Requests other than POST are retried.
        """
        operation = f"answer {method} /{path.partition('?')[0]}"

        async def ask() -> Answer:
            return await self._rest.call(method, path, operation, body=body, timeouts=self._slow)

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
            await self._rest.create(ask, exists=exists, says_exists=says_user_exists, waits_if_busy=True)
        except HubRefused as refusal:
            if says_user_exists(refusal):
                raise UserExists(operation, 409, refusal.reason) from refusal
            raise

    async def _was_created(self, username: str, *, within_s: Callable[[], float]) -> bool:
        """Return whether the user exists. Raises UserExists if it is older than `within_s`, by the Hub's clock."""

        async def ask() -> bool:
            try:
                answer = await self._rest.call("GET", user_path(username), Operation.GET_USER)
            except HubRefused as refusal:
                raise_unless_absent(refusal)
                return False
            created_at = parse(UserModel, answer.content, Operation.GET_USER).created_at_utc
            hub_now, age_max = _date(answer), timedelta(seconds=within_s() + _CLOCK_SLACK_S)
            if created_at is None or hub_now is None or created_at < hub_now - age_max:
                raise UserExists(Operation.CREATE_USER, 409, "the user already existed")
            return True

        return await self._rest.repeat(ask)

    async def get_user(self, username: str, *, include_stopped_servers: bool = False) -> User | None:
        operation = Operation.GET_USER
        path = user_path(username) + ("?include_stopped_servers=1" if include_stopped_servers else "")

        async def ask() -> User | None:
            try:
                answer = await self._rest.call("GET", path, operation)
            except HubRefused as refusal:
                raise_unless_absent(refusal)
                return None
            return parse(UserModel, answer.content, operation).user(self._url_of)

        return await self._rest.repeat(ask)

    async def delete_user(self, username: str) -> bool:
        async def ask() -> bool:
            try:
                await self._rest.call("DELETE", user_path(username), Operation.DELETE_USER, timeouts=self._slow)
            except HubFailed:
                return False  # 500 while a spawn is pending or a named server is up
            except HubRefused as refusal:
                if refusal.status == 400:
                    return False  # "in the process of stopping, please wait"
                raise_unless_absent(refusal)
            return True

        return await self._rest.repeat(ask)

    # --- servers ------------------------------------------------------------------------------------------------------

    async def start_server(self, username: str, server_name: str, user_options: Mapping[str, Any]) -> None:
        operation, path = Operation.START_SERVER, server_path(username, server_name)

        async def ask() -> Answer:
            # Options at the top level suit every Hub; Hub 4 and 5 would mistake a wrapper for the options.
            return await self._rest.call("POST", path, operation, body=user_options, timeouts=self._slow)

        async def exists() -> bool:
            return await self._knows_spawn(username, server_name)

        try:
            await self._rest.create(ask, exists=exists, says_exists=says_server_exists, waits_if_busy=False)
        except HubRefused as refusal:
            if says_server_is_running(refusal):
                raise ServerExists(operation, 400, refusal.reason) from refusal
            if isinstance(refusal, HubForbidden):
                raise
            kind = NamedServersOff if says_named_servers_are_off(refusal) else SpawnRefused
            raise as_kind(kind, operation, refusal) from refusal

    async def _knows_spawn(self, username: str, server_name: str) -> bool:
        """Return whether the Hub has this server, starting or ready, or reports how its spawn failed."""
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
                answer = await self._rest.call("DELETE", path, Operation.STOP_SERVER, body=body, timeouts=self._slow)
            except HubRefused as refusal:
                if says_named_servers_are_off(refusal):
                    return True  # so this server cannot exist
                if refusal.status == 400 and "pending" in refusal.reason:
                    return False  # a Hub before 5.1 does not interrupt a spawn
                raise_unless_absent(refusal)
                return True
            return answer.status != 202

        return await self._rest.repeat(ask)

    async def note_activity(self, username: str, server_name: str) -> None:
        at = datetime.now(UTC).isoformat()
        body = {"last_activity": at, "servers": {server_name: {"last_activity": at}}}

        async def ask() -> None:
            try:
                await self._rest.call("POST", f"{user_path(username)}/activity", Operation.NOTE_ACTIVITY, body=body)
            except HubRefused as refusal:
                raise_unless_absent(refusal)

        await self._rest.repeat(ask)

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

    def _root(self, hub_path: str, username: str, server_name: str) -> str | None:
        """Return a server's root as browsers reach it; None if a hook of the Hub put another URL into the event."""
        url = self._url_of(hub_path)
        return url if ServerAddress.of(url, username, server_name) else None

    async def reach_server(self, username: str, server_name: str, url: str) -> Reached:
        return await self._probe.reach(username, server_name, url)

    async def read_server(
        self, username: str, server_name: str, url: str, path: str, *, token: str
    ) -> ServerAnswer | None:
        return await self._probe.read(username, server_name, url, path, token=token)

    # --- tokens -------------------------------------------------------------------------------------------------------

    async def mint_token(self, username: str, *, scope: str, note: str, expires_in_s: int) -> Token:
        operation, path = Operation.MINT_TOKEN, f"{user_path(username)}/tokens"
        body = {"scopes": [scope], "note": note, "expires_in": expires_in_s}
        is_retry = False

        async def ask() -> Token:
            nonlocal is_retry
            if is_retry:
                await self.revoke_tokens(username, note=note)
            is_retry = True
            answer = await self._rest.call("POST", path, operation, body=body)
            minted = parse(TokenModel, answer.content, operation)
            # For some scopes the Hub answers 201 and grants nothing.
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
            raise as_kind(TokenRefused, operation, refusal) from refusal

    async def revoke_tokens(self, username: str, *, note: str) -> None:
        path = f"{user_path(username)}/tokens"

        async def ask() -> None:
            try:
                answer = await self._rest.call("GET", path, Operation.LIST_TOKENS)
                for token in parse(TokenList, answer.content, Operation.LIST_TOKENS).api_tokens:
                    if token.note == note:
                        await self._rest.call("DELETE", f"{path}/{quoted(token.id)}", Operation.REVOKE_TOKEN)
            except HubRefused as refusal:
                raise_unless_absent(refusal)

        await self._rest.repeat(ask)


def _date(answer: Answer) -> datetime | None:
    """Return the Hub's time from the `Date` header, in whole seconds (RFC 9110 §6.6.1); None if it is absent."""
    try:
        return parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
