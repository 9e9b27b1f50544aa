"""FakeHub: a JupyterHub to test against, an ASGI state machine on a real socket, driven in the Hub's own words.

    async with FakeHub() as hub:                      # port 0, the test's own loop, up in about a millisecond
        client = HubClient(hub.api_url, hub.api_token)

Settings are attributes, under the Hub's names where it has one: `hub.slow_spawn_timeout = 0`,
`hub.concurrent_spawn_limit = 1`, `hub.scopes.remove("tokens")`, `FakeHub(version="5.5.4", base_url="/jh/")`.

How a spawn goes:

    hub.spawn_s = 0.1                                 # every spawn without a plan of its own
    hub.spawn_plan("alice", SpawnPlan(messages=["pulling", "starting"], seconds=0.2))
    hub.spawn_plan(None, SpawnPlan(fails="boom"))     # everybody's
    {"test_spawn": {"seconds": 1, "fails": "boom"}}   # in user_options; the contract's real Hub obeys it too

Step by step, without time:

    hub.spawn_plan("alice", SpawnPlan(never=True))
    await hub.until(lambda: hub.is_spawning("alice"))
    hub.report("alice", progress=50, message="half way")
    hub.release("alice")
    hub.fail_spawn("alice", "boom")                   # instead
    await hub.cancel_spawn("alice")                   # instead

Trouble:

    hub.fail_on("create_user", status=502, act=True, body="html")   # the Hub acts, and a proxy answers for it
    hub.fail_on("start_server", how="reset", times=2)               # also "drop" and "hang"
    hub.cut_progress("alice", after_events=2)                       # the stream breaks without a last chunk
    hub.cut_progress("alice", piece_bytes=1)                        # it comes byte by byte
    hub.follow_script(script)                                       # asked for a fault at each request
    await hub.restart()                                             # kill -9 and up again; users and tokens survive

What happened: `hub.journal`, `hub.count("spawn_started", "alice")`, `hub.requests` (as received, quoting and all),
`hub.asked("create_user")`, `hub.users`, `hub.active_servers`, `hub.most_pending`, `hub.open_streams`;
`await hub.until(predicate)` waits.

Alone, for benchmarks: `tests/fakes/hub_process.py`. Where the real Hub differs, `tests/contract` says so on both.
"""

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.fakes.hub_app import HubApp, Request
from tests.fakes.hub_faults import Body, Cut, Ending, Fault, How, Operation, Script
from tests.fakes.hub_model import Server
from tests.fakes.hub_settings import most_pending
from tests.fakes.hub_state import HubState
from tests.fakes.hub_tokens import Tokens
from tests.fakes.spawn_plan import SpawnPlan

__all__ = ["FakeHub", "SpawnPlan"]


class FakeHub(HubState):
    """See the module."""

    def __init__(self, *, version: str = "6.1.1", base_url: str = "/", port: int = 0) -> None:
        super().__init__(version=version, base_url=base_url)
        self._app = HubApp(self)
        self._wanted_port = port

    async def __aenter__(self) -> Self:
        await self._app.server.start(self._wanted_port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_timers()
        await self._app.server.close()

    @property
    def url(self) -> str:
        """What browsers would use: the proxy's address with the base URL, ending in a slash."""
        return f"http://127.0.0.1:{self._app.server.port}{self.base_url}"

    @property
    def api_url(self) -> str:
        """Ends in `/hub/api`."""
        return f"{self.url}hub/api"

    # --- how spawns go ------------------------------------------------------------------------------------------------

    def spawn_plan(self, username: str | None, plan: SpawnPlan) -> None:
        """The plan of this user's spawns from now on, or, with None, of everybody's who has none."""
        self.plans[username] = plan

    def report(self, username: str, message: str, *, progress: int | None = None, server_name: str = "") -> None:
        """The pending spawn tells this."""
        spawn = self._server(username, server_name).spawn
        assert spawn is not None, f"{username} has no pending spawn"
        self._tell(spawn, {"message": message} if progress is None else {"progress": progress, "message": message})

    def release(self, username: str, server_name: str = "") -> None:
        """The pending spawn succeeds now; so does the check of a server after a restart."""
        self.succeed(self._server(username, server_name))

    def fail_spawn(self, username: str, reason: str, *, server_name: str = "") -> None:
        """The pending spawn fails now, with this exception text."""
        self.fail(self._server(username, server_name), reason)

    async def cancel_spawn(self, username: str, server_name: str = "") -> None:
        """Somebody else stops the server while it is starting. Its streams announce a ready that is none."""
        await self.stop_server(username, server_name, remove=False)

    def finish_stop(self, username: str, server_name: str = "") -> None:
        """The server that is stopping has stopped."""
        self.stopped(self._server(username, server_name))

    # --- trouble ------------------------------------------------------------------------------------------------------

    def fail_on(
        self,
        operation: Operation,
        *,
        username: str | None = None,
        how: How = "answer",
        status: int = 503,
        body: Body = "json",
        message: str = "Service Unavailable",
        headers: Mapping[str, str] | None = None,
        act: bool = False,
        hangs_s: float = math.inf,
        times: float = 1,
    ) -> None:
        """The next `times` requests of this kind (`math.inf`: all) fail; faults are used up in the order they came.

        `act` lets the Hub do what it was asked before the fault hides its answer. "reset" breaks the connection with a
        TCP reset, "drop" closes it, "hang" answers nothing until the client goes away, or drops it after `hangs_s`,
        "late" comes to the request only after `hangs_s`.
        """
        self._app.faults.append(
            Fault(
                operation=operation,
                username=username,
                how=how,
                status=status,
                body=body,
                message=message,
                headers=headers or {},
                act=act,
                hangs_s=hangs_s,
                times=times,
            )
        )

    def heal(self) -> None:
        """Forget all faults and cuts; requests that hang keep hanging."""
        self._app.faults.clear()
        self._app.cuts.clear()

    def follow_script(self, script: Script | None) -> None:
        """Ask this for a fault, and for a cut, where none was ordered beforehand."""
        self._app.script = script

    def cut_progress(
        self,
        username: str,
        *,
        after_events: float = math.inf,
        how: Ending = "drop",
        in_event: bool = False,
        piece_bytes: int = 0,
        server_name: str = "",
        times: float = 1,
    ) -> None:
        """The user's next progress streams break after so many events; "end" ends them as if nothing were wrong.

        With `in_event` they break in the middle of the event after those. With `piece_bytes` they are sent in pieces of
        that size, whether they break or not.
        """
        self._app.cuts.append(
            Cut(
                username=username,
                server_name=server_name,
                after_events=after_events,
                how=how,
                in_event=in_event,
                piece_bytes=piece_bytes,
                times=times,
            )
        )

    async def kill(self, *, keeps_state: bool = True) -> None:
        """kill -9: connections break, new ones are refused until `start_again`.

        A spawn whose `start()` had not returned is lost, one whose had (`SpawnPlan.start_returns`) becomes
        `pending: "check"` until `release`, a ready server stays, and so do users and tokens. Without `keeps_state`
        the Hub's database was in memory: nothing of it is left.
        """
        self._happened("hub_killed")
        await self._app.server.stop()
        self._stop_timers()
        if not keeps_state:
            self.users.clear()
            self.tokens = Tokens()
            self._happened("state_lost")
        for user in self.users.values():
            for server in user.servers.values():
                self._survive_restart(server)

    async def start_again(self) -> None:
        """On the same port."""
        self.starts += 1
        await self._app.server.start()
        self._happened("hub_started")

    async def restart(self, *, keeps_state: bool = True) -> None:
        await self.kill(keeps_state=keeps_state)
        await self.start_again()

    def _survive_restart(self, server: Server) -> None:
        spawn, server.spawn = server.spawn, None
        if server.pending == "spawn" and spawn is not None and not spawn.plan.start_returns:
            server.active, server.started = False, None
            self._happened("spawn_lost", server.username, server.name)
        elif server.pending == "stop":
            self.stopped(server)
        server.pending = "check" if server.active and server.pending else None
        server.loaded = server.active
        server.stopped.set()

    def _stop_timers(self) -> None:
        for user in self.users.values():
            for server in user.servers.values():
                for timer in [server.stop_timer, *(server.spawn.timers if server.spawn is not None else [])]:
                    if timer is not None:
                        timer.cancel()

    # --- what happened ------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        """In the order they came."""
        return self._app.requests

    def asked(self, operation: Operation, username: str | None = None) -> list[Request]:
        """The requests of this kind so far, for this user or for anybody."""
        return [asked for asked in self.requests if asked.operation == operation and username in (None, asked.username)]

    @property
    def active_servers(self) -> set[tuple[str, str]]:
        """(username, server name) of every server that is ready or pending."""
        return {
            (user.name, name) for user in self.users.values() for name, server in user.servers.items() if server.active
        }

    def is_spawning(self, username: str, server_name: str = "") -> bool:
        user = self.users.get(username)
        return user is not None and server_name in user.servers and user.servers[server_name].pending == "spawn"

    @property
    def most_pending(self) -> int:
        """The most spawns that were pending at one instant so far."""
        return most_pending(self.journal)

    @property
    def open_streams(self) -> int:
        """Progress streams that somebody reads."""
        return self._app.open_streams

    @property
    def connections(self) -> int:
        """Open connections, idle ones included."""
        return self._app.server.connections

    def _server(self, username: str, server_name: str) -> Server:
        return self.users[username].servers[server_name]
