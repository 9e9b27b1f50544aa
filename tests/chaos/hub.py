"""The fake Hub of a run, with planned faults, restarts, and users and servers that hublaunch must leave alone."""

import asyncio
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from tests.chaos.plan import HubRestart, LaunchPlan, Plan, planned_cut, planned_fault
from tests.fakes.hub import FakeHub
from tests.fakes.hub_faults import Cut, Fault, Operation

_NUMBER = re.compile(r"chaos-launch-(\d+)-")


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
        self._plans: Mapping[int, LaunchPlan] = {launch.number: launch for launch in plan.launches}
        self._asked: Counter[tuple[int, str]] = Counter()
        hub.slow_spawn_timeout = plan.slow_spawn_timeout
        hub.slow_stop_timeout = 0.5
        hub.interrupt_s = plan.interrupt_s
        hub.follow_script(self)

    # --- the script ---------------------------------------------------------------------------------------------------

    def fault(self, operation: Operation, username: str) -> Fault | None:
        plan = self._plan_of(username)
        if plan is None:
            return None
        nth = self._asked[plan.number, operation]
        self._asked[plan.number, operation] += 1
        fault = planned_fault(plan, operation, nth)
        if fault is not None:
            told = str(fault.status) if fault.how == "answer" else fault.how
            self.hits[plan.number].append(f"{told} {'after' if fault.act else 'before'} {operation}")
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
        await self.hub.kill(keeps_state=restart.keeps_state)
        await asyncio.sleep(restart.down_s)
        if not restart.keeps_state:
            for username in self.foreign:
                await self._put(username)
        await self.hub.start_again()
        await asyncio.sleep(restart.down_s)
        for username, user in self.hub.users.items():
            for name, server in user.servers.items():
                if server.pending == "check":
                    self.hub.release(username, name)

    def heal(self) -> None:
        """Stop all faults, and release the requests that hang."""
        self.hub.follow_script(None)
