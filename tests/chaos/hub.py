"""The fake Hub of a run, with planned faults, restarts and a culler, and users and servers that must be left alone."""

import asyncio
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from tests.chaos.plan import Faults, HubRestart, LaunchPlan, Plan, planned_cut, planned_fault
from tests.fakes.hub import FakeHub
from tests.fakes.hub_faults import Cut, Fault, Operation

_NUMBER = re.compile(r"chaos-launch-(\d+)-")
_MEMBER = "quay-io-chaos-warm-"
"""How the names of a warm pool's users begin, which are named after its image."""
_CULL_EVERY_S = 2.0
_CULL_PAUSE_S = 0.02


class ChaosHub:
    """Drives a FakeHub, and is the script that the Hub asks for faults."""

    def __init__(self, hub: FakeHub, plan: Plan) -> None:
        self.hub = hub
        self.foreign: dict[str, None] = {}
        """Users, each with a server, that must still be there at the end."""
        self.hits: defaultdict[int, list[str]] = defaultdict(list)
        """The faults that each launch actually met."""
        self.restarts = Counter[bool]()
        """The restarts, by whether the Hub kept its state."""
        self.member_hits: defaultdict[str, list[str]] = defaultdict(list)
        """The faults that the user of each warm server met."""
        self.culled: set[str] = set()
        """The users whose servers the culler stopped."""
        self._is_up = True
        self._idle_s = plan.idle_s
        self._members_plans = iter(plan.members)
        self._members: dict[str, Faults] = {}
        self._plans: Mapping[int, LaunchPlan] = {launch.number: launch for launch in plan.launches}
        self._asked: Counter[tuple[int | str, str]] = Counter()
        hub.slow_spawn_timeout = plan.slow_spawn_timeout
        hub.slow_stop_timeout = 0.5
        hub.interrupt_s = plan.interrupt_s
        hub.follow_script(self)

    # --- the script ---------------------------------------------------------------------------------------------------

    def fault(self, operation: Operation, username: str) -> Fault | None:
        plan = self._plan_of(username)
        if plan is None:
            return self._member_fault(operation, username)
        nth = self._asked[plan.number, operation]
        self._asked[plan.number, operation] += 1
        fault = planned_fault(plan.faults, operation, nth)
        if fault is not None:
            self.hits[plan.number].append(_told(fault))
        return fault

    def _member_fault(self, operation: Operation, username: str) -> Fault | None:
        if not username.startswith(_MEMBER):
            return None
        if username not in self._members:
            self._members[username] = next(self._members_plans, {})
        nth = self._asked[username, operation]
        self._asked[username, operation] += 1
        fault = planned_fault(self._members[username], operation, nth)
        if fault is not None:
            self.member_hits[username].append(_told(fault))
        return fault

    def cut(self, username: str, server_name: str) -> Cut | None:
        plan = self._plan_of(username)
        if plan is None:
            return None
        nth = self._asked[plan.number, "cut"]
        self._asked[plan.number, "cut"] += 1
        cut = planned_cut(plan, username, server_name, nth)
        if cut is not None:
            whole = math.isinf(cut.after_events)
            self.hits[plan.number].append("split progress" if whole else f"{cut.how} in progress")
        return cut

    def _plan_of(self, username: str) -> LaunchPlan | None:
        """Return the plan of the launch whose repository the user is named after. Only the faults rely on this."""
        found = _NUMBER.match(username)
        return None if found is None or username in self.foreign else self._plans.get(int(found[1]))

    # --- events at the Hub that nobody requested ----------------------------------------------------------------------

    async def add_foreign(self, number: int) -> None:
        """Add a foreign user and server, named like those of hublaunch. This works while the Hub is down, too."""
        username = f"chaos-launch-{number}-foreign{number % 10}"
        self.foreign[username] = None
        await self._put(username)

    async def _put(self, username: str) -> None:
        if username not in self.hub.users:
            self.hub.create_user(username)
            await self.hub.start_server(username, "", {"repo_url": "https://example.org/foreign"})

    async def restart(self, restart: HubRestart) -> None:
        """Kill the Hub, start it again, and a moment later finish the spawns that were waiting for their port."""
        self.restarts[restart.keeps_state] += 1
        for username, name in self.hub.active_servers:
            found = _NUMBER.match(username)
            if found is not None and self.hub.is_spawning(username, name):
                self.hits[int(found[1])].append("a restart of the Hub")
        self._is_up = False
        await self.hub.kill(keeps_state=restart.keeps_state)
        await asyncio.sleep(restart.down_s)
        if not restart.keeps_state:
            for username in self.foreign:
                await self._put(username)
        await self.hub.start_again()
        self._is_up = True
        await asyncio.sleep(restart.down_s)
        for username, user in self.hub.users.items():
            for name, server in user.servers.items():
                if server.pending == "check":
                    self.hub.release(username, name)

    async def cull(self) -> None:
        """Stop idle servers again and again until cancelled, as jupyterhub-idle-culler does, but much sooner.

        A visitor uses a server from the moment at which there is a token for them. The culler takes a moment between
        its look at all servers and each stop, in which a launch may claim the server.
        """
        while True:
            await asyncio.sleep(_CULL_EVERY_S)
            for username in self._idle_members() if self._is_up else ():
                await asyncio.sleep(_CULL_PAUSE_S)
                user = self.hub.users.get(username)
                if self._is_up and user is not None and user.servers[""].ready:
                    self.culled.add(username)
                    await self.hub.stop_server(username, "", remove=False)

    def _idle_members(self) -> list[str]:
        used_at = dict[str, float]()
        for line in self.hub.journal:
            if line.what in ("server_ready", "activity_noted"):
                used_at[line.username] = line.at
            elif line.what == "token_minted":
                used_at[line.username] = math.inf
        idle_since = asyncio.get_running_loop().time() - self._idle_s
        return [
            username
            for username, user in self.hub.users.items()
            if username.startswith(_MEMBER) and user.servers[""].ready and used_at.get(username, math.inf) < idle_since
        ]

    def heal(self) -> None:
        """Stop all faults, and release the requests that hang."""
        self.hub.follow_script(None)


def _told(fault: Fault) -> str:
    how = str(fault.status) if fault.how == "answer" else fault.how
    return f"{how} {'after' if fault.act else 'before'} {fault.operation}"
