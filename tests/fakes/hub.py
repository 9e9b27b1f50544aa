"""FakeHub: a JupyterHub for tests, an ASGI state machine on a real socket, with the Hub's own terms.

    async with FakeHub() as hub:                      # port 0, the test's own loop, up in about a millisecond
        async with httpx.AsyncClient(base_url=hub.api_url, headers={"Authorization": f"token {hub.api_token}"}): ...

Settings are attributes, with the Hub's own names where they exist: `hub.slow_spawn_timeout = 0`,
`hub.concurrent_spawn_limit = 1`, `hub.scopes.remove("tokens")`, `FakeHub(version="5.5.4", base_url="/jh/")`.

Spawns follow a plan:

    hub.spawn_s = 0.1                                 # every spawn without a plan
    hub.spawn_plan("alice", SpawnPlan(messages=["pulling", "starting"], seconds=0.2))
    hub.spawn_plan(None, SpawnPlan(fails="boom"))     # for everybody else
    {"test_spawn": {"seconds": 1, "fails": "boom"}}   # in user_options; the contract's real Hub follows it too

Spawns can be stepped by hand, without time:

    hub.spawn_plan("alice", SpawnPlan(never=True))
    await hub.until(lambda: hub.is_spawning("alice"))
    hub.report("alice", progress=50, message="half way")
    hub.release("alice")
    hub.fail_spawn("alice", "boom")                   # instead
    await hub.cancel_spawn("alice")                   # instead

Faults:

    hub.fail_on("create_user", status=502, act=True, body="html")   # the Hub acts, but a proxy answers
    hub.fail_on("start_server", how="reset", times=2)               # also "drop" and "hang"
    hub.cut_progress("alice", after_events=2)                       # the stream breaks without its last chunk
    hub.cut_progress("alice", piece_bytes=1)                        # the stream comes byte by byte
    hub.follow_script(script)                                       # may order a fault for each request
    await hub.restart()                                             # kill -9 and start; users and tokens survive

What happened is in `hub.journal`, `hub.count("spawn_started", "alice")`, `hub.requests` (as received, still quoted),
`hub.asked("create_user")`, `hub.users`, `hub.active_servers`, `hub.most_pending`, `hub.open_streams`.
`await hub.until(predicate)` waits.

`tests/fakes/hub_process.py` runs it as a process, for benchmarks. `tests/contract` holds it to the real Hub.
"""

from types import TracebackType
from typing import Any, Self

from tests.fakes.hub_app import HubApp, Request
from tests.fakes.hub_faults import Cut, Fault, Operation, Script
from tests.fakes.hub_model import Server
from tests.fakes.hub_settings import most_pending
from tests.fakes.hub_state import HubState
from tests.fakes.hub_tokens import Tokens
from tests.fakes.spawn_plan import SpawnPlan

__all__ = ["FakeHub", "SpawnPlan"]

USES_HUBLAUNCH = "access:services!service=hublaunch"
"""The scope of tokens that hublaunch accepts."""


class FakeHub(HubState):
    """A JupyterHub for tests, as this module describes."""

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
        """The URL for browsers: the proxy's address with the base URL, ending in a slash."""
        return f"http://127.0.0.1:{self._app.server.port}{self.base_url}"

    @property
    def api_url(self) -> str:
        """The root of the REST API, ending in `/hub/api`."""
        return f"{self.url}hub/api"

    def token_of(self, username: str, *scopes: str) -> str:
        """Return a new token of a user, who is created if missing. Without `scopes` it may use hublaunch."""
        if username not in self.users:
            self.create_user(username)
        return self.tokens.add(username, [*scopes] or [USES_HUBLAUNCH], "", None).token

    # --- spawns -------------------------------------------------------------------------------------------------------

    def spawn_plan(self, username: str | None, plan: SpawnPlan) -> None:
        """Set the plan for this user's spawns; None sets it for all users without a plan."""
        self.plans[username] = plan

    def report(self, username: str, message: str, *, progress: int | None = None, server_name: str = "") -> None:
        """Add an event to the progress of the pending spawn."""
        spawn = self._server(username, server_name).spawn
        assert spawn is not None, f"{username} has no pending spawn"
        self._tell(spawn, {"message": message} if progress is None else {"progress": progress, "message": message})

    def release(self, username: str, server_name: str = "") -> None:
        """End the pending spawn as planned, the pending stop, or the check of a server after a restart, now."""
        server = self._server(username, server_name)
        if server.pending == "stop":
            self.stopped(server)
        elif server.spawn is not None:
            self._conclude(server, server.spawn)
        else:
            self.succeed(server)

    def fail_spawn(self, username: str, reason: str, *, server_name: str = "") -> None:
        """Let the pending spawn fail now, with this exception text."""
        self.fail(self._server(username, server_name), reason)

    async def cancel_spawn(self, username: str, server_name: str = "") -> None:
        """Stop the server while it is starting, as somebody else might. Its streams then falsely announce ready."""
        await self.stop_server(username, server_name, remove=False)

    # --- faults -------------------------------------------------------------------------------------------------------

    def fail_on(self, operation: Operation, **fault: Any) -> None:
        """Let the next requests of this kind fail, with the fields of `Fault`. Faults are used up in their order."""
        self._app.faults.append(Fault(operation=operation, **fault))

    def heal(self) -> None:
        """Forget all faults and cuts. Hanging requests keep hanging."""
        self._app.faults.clear()
        self._app.cuts.clear()

    def follow_script(self, script: Script | None) -> None:
        """Ask the script for a fault or a cut where none was ordered."""
        self._app.script = script

    def cut_progress(self, username: str, **cut: Any) -> None:
        """Break the user's next progress streams, or send them in pieces, with the fields of `Cut`."""
        self._app.cuts.append(Cut(username=username, **cut))

    async def kill(self, *, keeps_state: bool = True) -> None:
        """Stop like kill -9: connections break, and new ones are refused until `start_again`.

        A spawn whose `start()` had not returned is lost. A spawn whose `start()` had returned
        (`SpawnPlan.start_returns`) becomes `pending: "check"` until `release`. Ready servers, users and tokens stay.
        Without `keeps_state` nothing is left, as with a database in memory.
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
        """Start on the same port."""
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
        """All requests so far, in order."""
        return self._app.requests

    def asked(self, operation: Operation, username: str | None = None) -> list[Request]:
        """Return the requests of this kind so far, for this user or for all users."""
        return [asked for asked in self.requests if asked.operation == operation and username in (None, asked.username)]

    @property
    def active_servers(self) -> set[tuple[str, str]]:
        """The (username, server name) of every ready or pending server."""
        return {
            (user.name, name) for user in self.users.values() for name, server in user.servers.items() if server.active
        }

    def is_spawning(self, username: str, server_name: str = "") -> bool:
        user = self.users.get(username)
        return user is not None and server_name in user.servers and user.servers[server_name].pending == "spawn"

    @property
    def most_pending(self) -> int:
        """The highest number of spawns pending at once so far."""
        return most_pending(self.journal)

    @property
    def open_streams(self) -> int:
        """The number of progress streams with a reader."""
        return self._app.open_streams

    @property
    def connections(self) -> int:
        """The number of open connections, idle ones included."""
        return self._app.server.connections

    def _server(self, username: str, server_name: str) -> Server:
        return self.users[username].servers[server_name]
