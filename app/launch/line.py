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
    image: str


def caller_name(kind: str, key: str) -> str:
    """Who stands in line as one: `hub:ada`, `key:course`, `anonymous:192.0.2.7`; of IPv6 the network."""
    return f"{kind}:{network(key) if kind == 'anonymous' else key}"


def weight_of(patterns: Mapping[str, float]) -> Weight:
    """The weight that the first glob pattern gives which a caller's name matches; 1 if none does."""
    return lambda caller: next((weight for name, weight in patterns.items() if fnmatchcase(caller, name)), 1.0)


def network(address: str) -> str:
    """What counts as one address: of IPv6 the /64, which is one customer's."""
    try:
        if isinstance(ip_address(address), IPv6Address):
            return str(ip_network((address, 64), strict=False))
    except ValueError:
        pass  # a name in place of an address stands for itself
    return address


class Line:
    """Launches in line, oldest first as given, to be taken out one by one in their order.

    Those that `may_go` does not let through when it is their turn are passed over, and cost their caller no turn. Once
    passed over they stay so: what holds one back while others are let through holds it back until the next admission.
    """

    def __init__(
        self,
        waiting: Sequence[Waiting],
        turns: Turns,
        *,
        weight: Weight = lambda _: 1.0,
        may_go: Callable[[Waiting], bool] = lambda _: True,
    ) -> None:
        self._turns = dict(turns)
        self._may_go = may_go
        self._callers: dict[str, _Caller] = {}
        self._round = _Round(_OVER_CALLERS, self._turns, weight=weight)
        for one in waiting:
            if one.caller not in self._callers:
                self._callers[one.caller] = _Caller(one.caller, self._turns)
            self._callers[one.caller].add(one)
        for name, caller in self._callers.items():
            self._round.stand(name, caller.oldest())

    def take(self) -> Waiting | None:
        """Take out the next; None if none is left that may go."""
        while (name := self._round.next()) is not None:
            caller = self._callers[name]
            if one := caller.take(self._may_go):
                self._round.took(name, caller.oldest())
                return one
            self._round.leave(name)
        return None

    def __iter__(self) -> Iterator[Waiting]:
        """Take out all, until none is left that may go."""
        return iter(self.take, None)

    @property
    def turns(self) -> Turns:
        """What to keep, now that some were taken out: what is past says nothing, and of nobody waiting neither."""
        now = self._turns.get(_OVER_CALLERS, 0.0)
        kept = {name: at for name, at in self._turns.items() if _SEPARATOR not in name and at > now}
        for name, caller in self._callers.items():
            if caller.waits:
                kept |= {inner: at for inner, at in self._turns.items() if inner.startswith(f"{name}{_SEPARATOR}")}
        return {**kept, _OVER_CALLERS: now}


class _Caller:
    """What one caller has in line."""

    def __init__(self, name: str, turns: dict[str, float]) -> None:
        self._round = _Round(f"{name}{_SEPARATOR}", turns)
        self._repos: dict[str, deque[Waiting]] = {}
        self._left: deque[Waiting] = deque()
        self._gone: set[str] = set()
        self.waits = 0
        """Launches of theirs that are not taken out."""

    def add(self, one: Waiting) -> None:
        repo = _repo(one)
        if repo not in self._repos:
            self._repos[repo] = deque()
            self._round.stand(repo, one.launch_id)
        self._repos[repo].append(one)
        self._left.append(one)
        self.waits += 1

    def oldest(self) -> str | None:
        """Of those that were neither taken out nor passed over; None if there is none."""
        while self._left and self._left[0].launch_id in self._gone:
            self._gone.remove(self._left.popleft().launch_id)
        return self._left[0].launch_id if self._left else None

    def take(self, may_go: Callable[[Waiting], bool]) -> Waiting | None:
        """Take out the one whose turn it is; None if none may go."""
        while (repo := self._round.next()) is not None:
            queue = self._repos[repo]
            while queue:
                one = queue.popleft()
                self._gone.add(one.launch_id)
                if may_go(one):
                    self.waits -= 1
                    self._round.took(repo, queue[0].launch_id if queue else None)
                    return one
            self._round.leave(repo)
        return None


def _repo(one: Waiting) -> str:
    return one.repo_url if one.caller.startswith("anonymous:") else ""


@dataclass
class _Round:
    """Whose turn it is, of several. Times are kept under `prefix` with the name, the present one under `prefix`."""

    prefix: str
    turns: dict[str, float]
    weight: Weight = lambda _: 1.0
    _now: list[tuple[str, str]] = field(default_factory=list)
    """A heap of (its oldest launch, name): those whose turn has come."""
    _later: list[tuple[float, str, str]] = field(default_factory=list)
    """A heap of (when, its oldest launch, name)."""

    def __post_init__(self) -> None:
        self._at = self.turns.get(self.prefix, 0.0)
        """The present, which is kept once somebody has had a turn in it."""

    def stand(self, name: str, oldest: str | None) -> None:
        """The name has something in line; None for `oldest` if it has nothing more."""
        if oldest is None:
            return
        at = self.turns.get(self.prefix + name, 0.0)
        if at <= self._at:
            heappush(self._now, (oldest, name))
        else:
            heappush(self._later, (at, oldest, name))

    def next(self) -> str | None:
        """The name whose turn it is; None if nobody is left. It stays so until `took` or `leave`."""
        if not self._now and self._later:
            self._at = self._later[0][0]
        while self._later and self._later[0][0] <= self._at:
            _, oldest, name = heappop(self._later)
            heappush(self._now, (oldest, name))
        return self._now[0][1] if self._now else None

    def took(self, name: str, oldest: str | None) -> None:
        """The name whose turn it was has had it."""
        self.leave(name)
        self.turns |= {self.prefix: self._at, self.prefix + name: self._at + 1 / self.weight(name)}
        self.stand(name, oldest)

    def leave(self, name: str) -> None:
        """The name whose turn it was has nothing that may go."""
        assert self._now[0][1] == name, "it is its turn"
        heappop(self._now)
