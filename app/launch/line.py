"""The order in which launches that wait are admitted: round-robin over callers, first come first served within one.

Start-time fair queuing (Goyal, Vin, Cheng 1996), once over callers and once more, for callers without a name, over the
repositories of each. Whoever comes new is behind each other waiting caller by one launch at most, however many those
have waiting.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from ipaddress import IPv6Address, ip_address, ip_network

_OVER_CALLERS = ""
_SEPARATOR = "\n"
"""Neither an address nor a name nor a repository has one."""

Turns = Mapping[str, float]
"""How far each has come, in virtual time: what has to be kept from one admission to the next."""
Weight = Callable[[str], float]
"""Of a caller, by the name that `caller_name` gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A launch in line."""

    launch_id: str
    caller: str
    """As `caller_name` gives it."""
    repo_url: str


def caller_name(kind: str, key: str) -> str:
    """Who stands in line as one: `hub:ada`, `key:course`; of an IPv6 address the /64, which is one customer's."""
    return f"{kind}:{_network(key) if kind == 'anonymous' else key}"


def weight_of(patterns: Mapping[str, float]) -> Weight:
    """The weight that the first glob pattern gives which a caller's name matches; 1 if none does."""
    return lambda caller: next((weight for name, weight in patterns.items() if fnmatchcase(caller, name)), 1.0)


def _network(address: str) -> str:
    try:
        if isinstance(ip_address(address), IPv6Address):
            return str(ip_network((address, 64), strict=False))
    except ValueError:
        pass  # a name in place of an address stands for itself
    return address


class Line:
    """Launches in line, oldest first as given, to be taken out one by one in their order."""

    def __init__(self, waiting: Sequence[Waiting], turns: Turns, *, weight: Weight = lambda _: 1.0) -> None:
        self._turns = dict(turns)
        self._callers: dict[str, _Round] = {}
        of_caller: dict[str, list[Waiting]] = {}
        for one in waiting:
            of_caller.setdefault(one.caller, []).append(one)
        for caller, ones in of_caller.items():
            repos = _Round(f"{caller}{_SEPARATOR}", self._turns)
            for one in ones:
                repos.add(_repo(one), one.launch_id, one)
            self._callers[caller] = repos
        self._round = _Round(_OVER_CALLERS, self._turns, weight=weight)
        for caller, ones in of_caller.items():
            for one in ones:
                self._round.add(caller, one.launch_id, one)

    def __iter__(self) -> Iterator[Waiting]:
        """Take out the next, until none is left."""
        while (caller := self._round.next()) is not None:
            yield self._callers[caller].take()

    @property
    def turns(self) -> Turns:
        """What to keep, now that some were taken out: what is past says nothing, and of nobody waiting neither."""
        now = self._turns.get(_OVER_CALLERS, 0.0)
        kept = {name: at for name, at in self._turns.items() if _SEPARATOR not in name and at > now}
        for caller, repos in self._callers.items():
            if repos:
                kept |= {name: at for name, at in self._turns.items() if name.startswith(f"{caller}{_SEPARATOR}")}
        return {**kept, _OVER_CALLERS: now}


def _repo(one: Waiting) -> str:
    return one.repo_url if one.caller.startswith("anonymous:") else ""


@dataclass
class _Round:
    """Takes one of each name in turn. Times are kept under `prefix`, the present one under `prefix` alone."""

    prefix: str
    turns: dict[str, float]
    weight: Weight = lambda _: 1.0
    _queues: dict[str, deque[tuple[str, Waiting]]] = field(default_factory=dict)
    _now: list[tuple[str, str]] = field(default_factory=list)
    """A heap of (its oldest launch, name): those whose turn has come."""
    _later: list[tuple[float, str, str]] = field(default_factory=list)
    """A heap of (when, its oldest launch, name)."""

    def __bool__(self) -> bool:
        return any(self._queues.values())

    def add(self, name: str, launch_id: str, one: Waiting) -> None:
        queue = self._queues.setdefault(name, deque())
        queue.append((launch_id, one))
        if len(queue) == 1:
            self._stand(name)

    def next(self) -> str | None:
        """The name whose turn it is, its oldest taken out; None if nobody is left."""
        taken = self._take()
        return None if taken is None else taken[0]

    def take(self) -> Waiting:
        """The one whose turn it is, taken out."""
        taken = self._take()
        assert taken is not None, "somebody is left"
        return taken[1]

    def _take(self) -> tuple[str, Waiting] | None:
        if not self._now and self._later:
            self.turns[self.prefix] = self._later[0][0]
        now = self.turns.get(self.prefix, 0.0)
        while self._later and self._later[0][0] <= now:
            _, oldest, name = heappop(self._later)
            heappush(self._now, (oldest, name))
        if not self._now:
            return None
        _, name = heappop(self._now)
        _, one = self._queues[name].popleft()
        self.turns[self.prefix + name] = now + 1 / self.weight(name)
        if self._queues[name]:
            self._stand(name)
        return name, one

    def _stand(self, name: str) -> None:
        oldest, now = self._queues[name][0][0], self.turns.get(self.prefix, 0.0)
        at = self.turns.get(self.prefix + name, 0.0)
        if at <= now:
            heappush(self._now, (oldest, name))
        else:
            heappush(self._later, (at, oldest, name))
