"""The plan of one run, drawn entirely from the seed.

Each actor has its own random stream, so a change to one actor affects no other. The plan is the same on every machine,
but the operating system still decides the exact timing.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.hub_faults import Cut, Fault, Operation

Action = Literal["kill", "freeze", "freeze_and_kill", "stop"]
Faults = Mapping[tuple[Operation, int], Mapping[str, Any]]
"""The fault of a request, by its operation and the number of earlier requests for that operation."""

_WAVE_S, _WAVE_SHARE = 12.0, 0.2
"""With a warm pool, launches come in the first part of each such time."""
_BUSY_SHARE = 0.1
"""The share of faults that may be a 429 with a warm pool. Each holds the queue, and with it the refill of pools."""
REPO_URL = "https://example.org/chaos/launch-{number}"
"""Ties events at the Hub to a launch: the URL is in the `user_options`, and hublaunch derives the user's name from
it."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of a run."""

    launches: int = 500
    per_s: float = 3.5
    """Launches started per second, on average."""
    replicas: int = 3
    """The number of processes; always 1 on SQLite."""
    lease_s: float = 2.0
    launch_timeout_s: float = 120.0
    max_concurrent_spawns: int = 16
    warm: int = 0
    """The servers that the warm pool keeps ready. With a pool, most launches want one of them."""
    settle_s: float = 120.0
    """How long to wait, once everything is quiet, for the Hub to be cleaned up."""
    kill_every_s: float = 15.0
    """The time between two kills, with two freezes."""
    least_kills: int = 5
    least_hit_share: float = 0.2
    long_faults: bool = True
    """Whether faults include hangs that only a timeout ends, and a 429 without `Retry-After`."""

    @property
    def pending_most(self) -> int:
        """The most spawns that may be pending. Members of a pool that give way still are for a moment."""
        return self.max_concurrent_spawns + (self.max_concurrent_spawns // 4 if self.warm else 0)

    @property
    def window_s(self) -> float:
        """The time from the first launch to the last."""
        return self.launches / self.per_s


@dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """One client: its own actions, and the faults that its launch meets at the Hub."""

    number: int
    at_s: float
    spawn: Mapping[str, Any]
    """A SpawnPlan in the form that `user_options` carry."""
    warm: bool
    """Whether it wants a warm server, which any launch of its environment can have."""
    posts_stream: bool
    """Whether the client follows on the POST's own stream while it lasts, rather than by GET."""
    repeats_after_s: Sequence[float]
    """Seconds after acceptance at which the POST is sent again with the same key."""
    misuses_key: bool
    """Whether the client sends another body with the key, which must be refused."""
    cuts_after_bytes: Sequence[int]
    """The bytes after which the client breaks each of its first streams."""
    cancels_after_s: float | None
    faults: Faults = field(default_factory=dict)
    cuts: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """The cut of each progress stream, numbered from 0."""

    @property
    def fails(self) -> bool:
        """Whether the spawner will fail."""
        return "fails" in self.spawn

    @property
    def repo_url(self) -> str:
        return REPO_URL.format(number=self.number)


@dataclass(frozen=True, kw_only=True)
class ProcessFault:
    """A fault of one hublaunch process."""

    at_s: float
    replica: int
    action: Action
    frozen_s: float
    down_s: float


@dataclass(frozen=True, kw_only=True)
class HubRestart:
    at_s: float
    down_s: float
    keeps_state: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a whole run."""

    launches: Sequence[LaunchPlan]
    processes: Sequence[ProcessFault]
    hub_restarts: Sequence[HubRestart]
    outages: Sequence[tuple[float, float]]
    """When the proxy in front of the Hub breaks all connections, and for how long it then accepts none."""
    foreign_at_s: Sequence[float]
    """When a foreign user with a server appears at the Hub."""
    members: Sequence[Faults]
    """The faults that the servers of warm pools meet, in the order in which their users appear."""
    idle_s: float
    """How long a server may be without activity until the culler stops it."""
    slow_spawn_timeout: float
    interrupt_s: float


def stream(seed: int, actor: object) -> random.Random:
    """Return the random numbers of one actor."""
    return random.Random(f"{seed}/{actor}")


def draw_plan(seed: int, scale: Scale) -> Plan:
    window, numbers = scale.window_s, stream(seed, "hub")
    restarts = max(1, round(window / 35))
    return Plan(
        launches=[_launch(seed, number, scale) for number in range(scale.launches)],
        processes=_processes(seed, scale),
        hub_restarts=[
            HubRestart(
                at_s=numbers.uniform(n + 0.3, n + 1) * window / restarts,
                down_s=numbers.uniform(0.1, 2.0),
                keeps_state=restarts == 1 or n % 3 != 1,
            )
            for n in range(restarts)
        ],
        outages=sorted((numbers.uniform(0, window), numbers.uniform(0.2, 2.0)) for _ in range(round(window / 20))),
        foreign_at_s=[0.0, 0.0, 0.0, *(numbers.uniform(0, window) for _ in range(5))],
        members=[_member(seed, number, scale) for number in range(3 * scale.launches if scale.warm else 0)],
        idle_s=stream(seed, "culler").uniform(5, 40),
        slow_spawn_timeout=numbers.choice([0.0, 0.5, 10.0]),
        interrupt_s=numbers.choice([0.0, 0.1, 0.5]),
    )


def _launch(seed: int, number: int, scale: Scale) -> LaunchPlan:
    numbers = stream(seed, f"launch/{number}")
    return LaunchPlan(
        number=number,
        at_s=_in_waves(numbers.uniform(0, scale.window_s)) if scale.warm else numbers.uniform(0, scale.window_s),
        spawn=_spawn(numbers),
        warm=scale.warm > 0 and stream(seed, f"warm/{number}").random() < 0.7,
        posts_stream=numbers.random() < 0.4,
        repeats_after_s=[numbers.expovariate(1.5) for _ in range(numbers.choice([0, 0, 1, 1, 2, 4]))],
        misuses_key=numbers.random() < 0.05,
        cuts_after_bytes=[numbers.randint(1, 1500) for _ in range(numbers.choice([0, 0, 1, 2, 3]))],
        cancels_after_s=numbers.expovariate(0.8) if numbers.random() < 0.12 else None,
        faults=dict(_fault(numbers, scale) for _ in range(numbers.choice([0, 0, 1, 1, 2]))),
        cuts={n: _cut(numbers) for n in range(2) if numbers.random() < 0.25},
    )


def _in_waves(at_s: float) -> float:
    """Return an earlier time, so that launches come in waves. In between, the pools are filled again."""
    return at_s - at_s % _WAVE_S * (1 - _WAVE_SHARE)


def _spawn(numbers: random.Random) -> Mapping[str, Any]:
    # Most spawns are quick. Some are still pending when a frozen process wakes.
    is_long = numbers.random() < 0.2
    count = numbers.randint(8, 20) if is_long else numbers.randint(1, 6)
    spawn: dict[str, Any] = {
        "messages": [step_message(n + 1, count, "…" * numbers.randint(0, 30)) for n in range(count)],
        "seconds": round(numbers.uniform(4, 9) if is_long else numbers.uniform(0.1, 1.5), 3),
        "start_returns": numbers.random() < 0.3,
    }
    if numbers.random() < 0.1:
        spawn["fails"] = "the image cannot be pulled"
    if numbers.random() < 0.25:
        spawn["stop_seconds"] = round(numbers.uniform(0.1, 3), 3)
    return spawn


def step_message(n: int, count: int, words: str) -> str:
    """Return a spawner message that can be recognized in a launch's log."""
    return f"Step {n} of {count}: {words}"


_OPERATIONS: Sequence[Operation] = (
    *("create_user", "create_user", "start_server", "start_server", "start_server", "mint_token", "mint_token"),
    *("get_user", "stop_server", "delete_user", "list_tokens", "progress", "reach_server"),
)


_MEMBERS_OPERATIONS: Sequence[Operation] = (
    *("mint_token", "mint_token", "get_user", "get_user", "reach_server", "list_tokens", "stop_server", "delete_user"),
    *("note_activity", "progress"),
)
"""Without those whose failure makes a pool pause, which the outages of the Hub do often enough."""


def _member(seed: int, number: int, scale: Scale) -> Faults:
    numbers = stream(seed, f"member/{number}")
    return dict(_fault(numbers, scale, _MEMBERS_OPERATIONS) for _ in range(numbers.choice([0, 0, 1, 1, 2])))


def _fault(
    numbers: random.Random, scale: Scale, operations: Sequence[Operation] = _OPERATIONS
) -> tuple[tuple[Operation, int], Mapping[str, Any]]:
    operation = numbers.choice(operations)
    act = numbers.random() < 0.5 and operation != "progress"
    wait_s = numbers.uniform(0.5, 4)
    kinds: list[Mapping[str, Any]] = [
        {"how": "answer", "status": 502, "body": "html", "act": act},
        {"how": "answer", "status": 502, "body": "html", "act": act},
        {"how": "answer", "status": 504, "body": "empty", "act": act},
        {"how": "answer", "status": 503, "act": False},
        {"how": "drop", "act": act},
        {"how": "drop", "act": act},
        {"how": "reset", "act": act},
        {"how": "reset", "act": act},
        {"how": "hang", "act": act, "hangs_s": wait_s},
        {"how": "answer", "status": 200, "body": "half", "act": True},
    ]
    is_busy = not scale.warm or numbers.random() < _BUSY_SHARE
    if operation in ("create_user", "start_server") and is_busy:
        kinds += [{"status": 429, "message": "Busy.", "headers": {"Retry-After": str(round(wait_s))}}] * 2
    if operation == "start_server":
        kinds.append({"status": 400, "message": "it is already running", "act": True})
    if scale.long_faults and numbers.random() < 0.1:
        kinds = [{"how": "hang", "act": act, "hangs_s": math.inf}]
        kinds += [{"status": 429, "message": "Busy."}] if is_busy else []
    return (operation, numbers.choice([0, 0, 0, 1])), numbers.choice(kinds)


def _cut(numbers: random.Random) -> Mapping[str, Any]:
    pieces = {"piece_bytes": numbers.choice([0, 1, 2, 7, 50])}
    if numbers.random() < 0.4:
        return {"piece_bytes": numbers.randint(1, 20)}
    return {
        **pieces,
        "after_events": numbers.randint(0, 4),
        "how": numbers.choice(["drop", "reset", "end"]),
        "in_event": numbers.random() < 0.5,
    }


def _processes(seed: int, scale: Scale) -> Sequence[ProcessFault]:
    numbers = stream(seed, "processes")
    kills = max(scale.least_kills, round(scale.window_s / scale.kill_every_s))
    actions: list[Action] = ["kill"] * kills
    actions += ["freeze"] * (2 * kills)
    actions += ["freeze_and_kill"] * (kills // 3)
    actions += ["stop"] * (kills // 3)
    numbers.shuffle(actions)
    share = scale.window_s / len(actions)
    return [
        ProcessFault(
            at_s=(n + numbers.random()) * share,
            replica=numbers.randrange(scale.replicas),
            action=action,
            frozen_s=numbers.choice([0.3, 1.0]) if numbers.random() < 0.25 else scale.lease_s * numbers.uniform(1.2, 3),
            down_s=numbers.choice([0.0, 0.0, 0.5, scale.lease_s * 2]),
        )
        for n, action in enumerate(actions)
    ]


def planned_fault(faults: Faults, operation: Operation, nth: int) -> Fault | None:
    """Return the planned fault of the nth request for this operation, or None."""
    told = faults.get((operation, nth))
    return None if told is None else Fault(operation=operation, **told)


def planned_cut(plan: LaunchPlan, username: str, server_name: str, nth: int) -> Cut | None:
    """Return the planned cut of the launch's nth progress stream, or None."""
    told = plan.cuts.get(nth)
    return None if told is None else Cut(username=username, server_name=server_name, **told)
