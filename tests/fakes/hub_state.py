"""The Hub's state machine without HTTP: users, servers, spawns and tokens, and how they follow one another."""

import asyncio
import contextlib
import math
import random
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from tests.fakes.hub_model import Refusal, Server, Spawn, User, escape, is_strict, now
from tests.fakes.hub_settings import HubSettings
from tests.fakes.hub_tokens import Login, Token, Tokens, challenge_of, checked_token_request
from tests.fakes.spawn_plan import SpawnPlan

_SERVER_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class HubState(HubSettings):
    """The users, servers and tokens of the fake Hub. Requests that the Hub would refuse raise `Refusal`."""

    def __init__(self, *, version: str, base_url: str) -> None:
        super().__init__(version=version, base_url=base_url)
        self.users: dict[str, User] = {}
        self.tokens = Tokens()
        self._logins: dict[str, Login] = {}
        self.plans: dict[str | None, SpawnPlan] = {None: SpawnPlan()}
        """The spawn plans by username; None is the plan for all others."""

    # --- users --------------------------------------------------------------------------------------------------------

    def user(self, username: str) -> User:
        if username not in self.users:
            raise Refusal(404)
        return self.users[username]

    def create_user(self, username: str) -> User:
        if username in self.users:
            raise Refusal(409, f"User {username} already exists")
        only_dots = set(username) == {"."} or set(unquote(username)) == {"."}
        if (
            not username
            or "/" in username
            or username != username.strip()
            or (only_dots and is_strict(self.version_info))
        ):
            raise Refusal(400, f"Failed to create user: {username}")
        user = self.users[username] = User(username, created=now())
        user.servers[""] = self._new_server(username, "")
        self._happened("user_created", username)
        return user

    async def delete_user(self, username: str) -> None:
        user = self.user(username)
        default = user.servers[""]
        if default.ready:
            await self._stop(default)
        if not default.stopped.is_set():
            raise Refusal(400, f"{username}'s server is in the process of stopping, please wait.")
        if any(server.active for server in user.servers.values()):
            raise Refusal(500)
        del self.users[username]
        self.tokens.remove_all_of(username)
        self._happened("user_deleted", username)

    # --- servers ------------------------------------------------------------------------------------------------------

    def _new_server(self, username: str, name: str) -> Server:
        url = f"{self.base_url}user/{escape(username)}/" + (f"{escape(name)}/" if name else "")
        return Server(username=username, name=name, url=url)

    def _check_server_name(self, user: User, name: str) -> None:
        if not self.allow_named_servers:
            raise Refusal(400, "Named servers are not enabled.")
        if name in user.servers:
            return
        named = len(user.servers) - 1
        if 0 < self.named_server_limit_per_user <= named:
            most = f"User {user.name} already has the maximum of {self.named_server_limit_per_user} named servers."
            raise Refusal(400, f"{most}  One must be deleted before a new server can be created")
        if self.version_info >= (6,) and not (_SERVER_NAME.fullmatch(name) and len(name) <= 30):
            raise Refusal(400, f"Invalid server_name: {name!r}")
        if "/" in name:
            raise Refusal(400, f"Invalid server_name (may not contain '/'): {name}")

    async def start_server(self, username: str, name: str, user_options: dict[str, Any]) -> int:
        """Start a server and return the status of the POST: 201 ready, 202 pending."""
        user = self.user(username)
        if name:
            self._check_server_name(user, name)
        server = user.servers.setdefault(name, self._new_server(username, name))
        if server.pending == "spawn":
            return 202
        if server.pending is not None:
            raise Refusal(400, f"{server.log_name} is pending {server.pending}")
        if server.ready:
            raise Refusal(400, f"{server.log_name} is already running")
        server.loaded = server.spawn is None or self.version_info < (6,)  # since 6.0 a failed spawner is discarded
        server.spawn = None
        self._check_limits()
        spawn = self._begin_spawn(server, user_options)
        if self.slow_spawn_timeout > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.slow_spawn_timeout):
                    await spawn.until_ended()
        if spawn.refusal is not None:
            raise spawn.refusal
        return 201 if spawn.has_ended() else 202

    def _check_limits(self) -> None:
        if not (self.concurrent_spawn_limit or self.active_server_limit):
            return
        servers = [server for user in self.users.values() for server in user.servers.values() if server.active]
        spawning = sum(server.pending == "spawn" for server in servers)
        if self.concurrent_spawn_limit and spawning >= self.concurrent_spawn_limit:
            seconds = int(random.uniform(*self.spawn_throttle_retry_range))
            when = f"{math.ceil(seconds / 10)}0 seconds"
            message = f"Too many users trying to log in right now. Try again in {when}."
            raise Refusal(429, message, {"Retry-After": str(seconds)})
        if self.active_server_limit and len(servers) >= self.active_server_limit:
            raise Refusal(429, "Active user limit exceeded. Try again in a few minutes.")

    def _begin_spawn(self, server: Server, user_options: dict[str, Any]) -> Spawn:
        server.user_options = user_options
        plan = self._plan_for(server)
        spawn = server.spawn = Spawn(plan, self.spawn_s if plan.seconds is None else plan.seconds)
        server.loaded, server.active, server.pending = True, True, "spawn"
        server.started = now()
        scopes = [f"access:servers!server={server.username}/{server.name}"]
        server.own_token = self.tokens.add(server.username, scopes, f"Server at {server.url}", None).token
        self._happened("spawn_started", server.username, server.name, user_options=server.user_options)
        self._schedule(server, spawn)
        return spawn

    def _plan_for(self, server: Server) -> SpawnPlan:
        asked = SpawnPlan.from_options(server.user_options or {})
        return asked or self.plans.get(server.username) or self.plans[None]

    def _schedule(self, server: Server, spawn: Spawn) -> None:
        loop = asyncio.get_running_loop()
        for second, event in spawn.plan.timeline(spawn.seconds):
            if second > 0:
                spawn.timers.append(loop.call_later(second, self._tell, spawn, event))
            else:
                self._tell(spawn, event)
        timeout = self.start_timeout if spawn.plan.start_timeout is None else spawn.plan.start_timeout
        if spawn.plan.never or spawn.seconds > timeout:
            spawn.timers.append(loop.call_later(timeout, self.fail, server, ""))
        else:
            spawn.timers.append(loop.call_later(spawn.seconds, self._conclude, server, spawn))

    def _tell(self, spawn: Spawn, event: Mapping[str, Any]) -> None:
        """Add an event to the spawn's progress, without `ready`, which only the Hub itself may announce."""
        spawn.tell({key: value for key, value in event.items() if key != "ready"})
        self.notice()

    def _conclude(self, server: Server, spawn: Spawn) -> None:
        if spawn.plan.fails is None:
            self.succeed(server)
        else:
            self.fail(server, spawn.plan.fails, spawn.plan.status)

    def succeed(self, server: Server) -> None:
        """End the pending spawn, or the check of a server after a restart, successfully."""
        spawn = self._take_spawn(server)
        server.answers = True
        if spawn is not None:
            spawn.end(server.ready_event())
        self._happened("server_ready", server.username, server.name)

    def fail(self, server: Server, reason: str, status: int | None = None) -> None:
        """End the pending spawn with this exception text. A status makes it an HTTP error of the spawner."""
        spawn = self._take_spawn(server)
        assert spawn is not None, f"{server.log_name} has no pending spawn"
        server.active = False
        server.spawn = spawn  # kept until the next POST, so that it can be read later
        if self.version_info < (5, 1) and reason == "":
            reason = "Timeout"
        text = reason if status is None else f"HTTP {status}: error ({reason})"
        refusal = Refusal(500) if status is None else Refusal(status, reason)
        spawn.end({"progress": 100, "failed": True, "message": f"Spawn failed: {text}"}, refusal)
        self._forget_own_token(server)
        self._happened("spawn_failed", server.username, server.name)

    def interrupt(self, server: Server) -> None:
        """Cancel the pending spawn. Until it is stopped, the Hub reports it as ready, in its streams too."""
        spawn = self._take_spawn(server)
        if spawn is not None:
            spawn.end(server.ready_event(), Refusal(500))
        self._happened("spawn_cancelled", server.username, server.name)

    def _take_spawn(self, server: Server) -> Spawn | None:
        assert server.pending in ("spawn", "check"), f"{server.log_name} has no pending spawn"
        spawn, server.spawn, server.pending = server.spawn, None, None
        return spawn

    async def stop_server(self, username: str, name: str, *, remove: bool) -> int:
        """Stop a server and return the status of the DELETE: 204 stopped, 202 still stopping."""
        server = self._server_to_stop(self.user(username), name, remove=remove)
        server.loaded = True
        if not server.stopped.is_set():
            server.remove_when_stopped |= remove
            return 202
        if server.pending is not None:
            await self._interrupt_for_stop(server)
        server.remove_when_stopped = remove
        if server.active:
            await self._stop(server)
        elif remove:
            self._remove(server)
        return 204 if server.stopped.is_set() else 202

    def _server_to_stop(self, user: User, name: str, *, remove: bool) -> Server:
        if not name and remove:
            raise Refusal(400, "Cannot delete the default server")
        if name and not self.allow_named_servers:
            raise Refusal(400, "Named servers are not enabled.")
        if name not in user.servers:
            raise Refusal(404, f"{user.name} has no server named '{name}'")
        return user.servers[name]

    async def _interrupt_for_stop(self, server: Server) -> None:
        if self.version_info < (5, 1):
            raise Refusal(400, f"{server.log_name} is pending {server.pending}, please wait")
        self.interrupt(server)
        await asyncio.sleep(self.interrupt_s)
        if not server.ready:
            raise Refusal(500)  # another DELETE stopped it in the meantime

    async def _stop(self, server: Server) -> None:
        """Begin to stop an active server, and wait for at most `slow_stop_timeout`."""
        server.pending, server.answers = "stop", False
        server.stopped.clear()
        plan = self._plan_for(server)
        seconds = self.stop_s if plan.stop_seconds is None else plan.stop_seconds
        if seconds < math.inf and not plan.never_stops:
            server.stop_timer = asyncio.get_running_loop().call_later(seconds, self.stopped, server)
        self.notice()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.slow_stop_timeout):
                await server.stopped.wait()

    def stopped(self, server: Server) -> None:
        """Mark the server as stopped, and forget the Hub's records of it."""
        if server.stop_timer is not None:
            server.stop_timer.cancel()
        server.active = server.answers = server.loaded = False
        server.pending = server.started = server.stop_timer = None
        self._forget_own_token(server)
        self._happened("server_stopped", server.username, server.name)
        if server.remove_when_stopped:
            self._remove(server)
        server.stopped.set()

    def _remove(self, server: Server) -> None:
        del self.users[server.username].servers[server.name]
        self._happened("server_removed", server.username, server.name)

    def note_activity(self, username: str, names: Sequence[str]) -> None:
        """Note that these servers of a user are in use. The Hub ignores servers that it does not have."""
        for name in names:
            if name in self.user(username).servers:
                self._happened("activity_noted", username, name)

    # --- tokens -------------------------------------------------------------------------------------------------------

    def mint_token(self, username: str, body: Mapping[str, Any], *, by: str) -> Token:
        """Return a new token for a user, as requested in the body."""
        checked = checked_token_request(username, body, self.version_info, self.token_expires_in_max_seconds)
        token = self.tokens.add(username, checked.scopes, checked.note or f"Requested via api by {by}", checked.lasts_s)
        self._happened("token_minted", username)
        return token

    def tokens_of(self, username: str) -> list[Token]:
        if username not in self.users:
            raise Refusal(404, f"No such user: {username}")
        return self.tokens.of(username)

    def revoke_token(self, username: str, token_id: str) -> None:
        for token in self.tokens_of(username):
            if token.id == token_id:
                self.tokens.remove(token.token)
                self._happened("token_revoked", username)
                return
        raise Refusal(404, f"No such token {token_id} for user {username}")

    def confirm_login(self, username: str, *, scopes: list[str], redirect_uri: str, code_challenge: str) -> str:
        """Return the code that a browser brings back once its user has logged in and agreed. It works once."""
        code = secrets.token_urlsafe(16)
        self._logins[code] = Login(
            username=username, scopes=scopes, redirect_uri=redirect_uri, code_challenge=code_challenge
        )
        return code

    def exchange_code(self, form: Mapping[str, str]) -> Token | None:
        """Return the token for a code; None if the code is invalid or belongs to another client."""
        login = self._logins.get(form.get("code", ""))
        if login is None or (form.get("grant_type"), form.get("redirect_uri")) != (
            "authorization_code",
            login.redirect_uri,
        ):
            return None
        if challenge_of(form.get("code_verifier", "")) != login.code_challenge:
            return None
        del self._logins[form["code"]]
        scopes = [f"read:users:name!user={login.username}", f"read:users:groups!user={login.username}", *login.scopes]
        return self.tokens.add(login.username, scopes, "oauth", self.oauth_token_expires_in)

    def _forget_own_token(self, server: Server) -> None:
        if server.own_token is not None:
            self.tokens.remove(server.own_token)
            server.own_token = None
