"""The order in which launches that wait are admitted: round-robin over callers, first come first served within one.

Start-time fair queuing (Goyal, Vin, Cheng 1996) on a tree: over callers, and, for callers without a name, over the
repositories of each. Callers of one IPv6 network take turns within it, and the network has the turns of a few callers
(`networks.py`). A caller who comes new is behind each other waiting caller by one launch at most, however many those
have waiting.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from typing import NamedTuple

from hublaunch.launch.rules.networks import groups_of

_SEPARATOR = "\n"
"""Neither an address nor a name nor a repository has one."""
_NO_REPO = "-"

Turns = Mapping[str, float]
"""How far each has come, in virtual time: what has to be kept from one admission to the next.

Its keys are paths in the tree, each part of them ended by a separator; the present of a round is kept under the path of
whatever has the round.
"""
Weight = Callable[[str], float]
"""Of a caller, by the name that `caller_name` gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A launch in the queue."""

    launch_id: str
    caller: str
    """As `caller_name` gives it."""
    repo_url: str
    image: str


def weight_of(patterns: Mapping[str, float]) -> Weight:
    """The weight that the first glob pattern gives which a caller's name matches; 1 if none does."""
    return lambda caller: next((weight for name, weight in patterns.items() if fnmatchcase(caller, name)), 1.0)


def equal(_: str) -> float:
    """Give every caller the same weight."""
    return 1.0


class FairQueue:
    """Launches in the queue, oldest first as given, to be taken out one by one in their order.

    Those that `may_go` does not let through when it is their turn are passed over, and cost their caller no turn. Once
    passed over they stay so: what holds one back while others are let through holds it back until the next admission.
    """

    def __init__(
        self,
        waiting: Sequence[Waiting],
        turns: Turns,
        *,
        weight: Weight = equal,
        may_go: Callable[[Waiting], bool] = lambda _: True,
    ) -> None:
        self._may_go = may_go
        self._all = _Branch("", _by_round(turns), gone=set())
        for one in waiting:
            self._all.add(one, _path(one, weight))
        self._all.line_up()

    def take(self) -> Waiting | None:
        """Take out the next; None if none is left that may go."""
        return self._all.take(self._may_go)

    def __iter__(self) -> Iterator[Waiting]:
        """Take out all, until none is left that may go."""
        return iter(self.take, None)

    @property
    def turns(self) -> Turns:
        """What to keep, now that some were taken out: what is past says nothing, and of nobody waiting neither."""
        return dict(self._all.turns())


class _Node(NamedTuple):
    """A part of the path that leads to a launch."""

    name: str
    share: int
    """How many times the weight of its heaviest member it has at most."""
    weight: float | None
    """None adds up the weights of its members."""


def _path(one: Waiting, weight: Weight) -> Sequence[_Node]:
    caller, *networks = groups_of(one.caller)
    path = [_Node(network.name, network.share, None) for network in reversed(networks)]
    path.append(_Node(caller.name, 1, weight(one.caller)))
    if one.caller.startswith("anonymous:"):
        path.append(_Node(one.repo_url or _NO_REPO, 1, 1.0))
    return path


_Kept = Mapping[str, Mapping[str, float]]
"""By the path of a round: its members' turns by their names, and its present under `""`."""


def _by_round(turns: Turns) -> _Kept:
    kept: dict[str, dict[str, float]] = {}
    for path, at in turns.items():
        of_round, separator, name = path.rpartition(_SEPARATOR)
        kept.setdefault(of_round + separator, {})[name] = at
    return kept


class _Branch:
    """What waits of one network, caller or repository: members that take turns, or launches one after the other."""

    def __init__(self, path: str, kept: _Kept, *, gone: set[str], share: int = 1, weight: float | None = None) -> None:
        """`gone`: the launches that were taken out or passed over, of the whole tree."""
        self._path = path
        self._kept = kept
        self._gone = gone
        self._share = share
        self._members: dict[str, _Branch] = {}
        self._round = _Round(kept.get(path, {}))
        self._launches: deque[Waiting] = deque()
        self._left: deque[str] = deque()
        self._waits = 0
        """Launches of it that are not taken out."""
        self.weight = weight or 0.0
        self.heaviest = self.weight

    def add(self, one: Waiting, path: Sequence[_Node]) -> None:
        """Put a launch where the path leads."""
        self._left.append(one.launch_id)
        self._waits += 1
        if not path:
            self._launches.append(one)
            return
        (name, share, weight), *further = path
        if name not in self._members:
            inner = f"{self._path}{name}{_SEPARATOR}"
            self._members[name] = _Branch(inner, self._kept, gone=self._gone, share=share, weight=weight)
        self._members[name].add(one, further)

    def line_up(self) -> None:
        """Begin the round of its members, now that all are there."""
        for name, member in self._members.items():
            member.line_up()
            self._round.stand(name, member.oldest())
        if self._members and not self.weight:
            self.heaviest = max(member.heaviest for member in self._members.values())
            together = sum(member.weight for member in self._members.values())
            self.weight = min(self._share * self.heaviest, together)

    @property
    def has_rounds(self) -> bool:
        """Whether it has something waiting, and members that take turns for it."""
        return bool(self._waits and self._members)

    def oldest(self) -> str | None:
        """Of those that were neither taken out nor passed over; None if there is none."""
        while self._left and self._left[0] in self._gone:
            self._left.popleft()
        return self._left[0] if self._left else None

    def take(self, may_go: Callable[[Waiting], bool]) -> Waiting | None:
        """Take out the one whose turn it is; None if none may go."""
        one = self._take_of_members(may_go) if self._members else self._take_launch(may_go)
        self._waits -= one is not None
        return one

    def _take_of_members(self, may_go: Callable[[Waiting], bool]) -> Waiting | None:
        while (name := self._round.next()) is not None:
            member = self._members[name]
            if one := member.take(may_go):
                self._round.took(name, member.oldest(), member.weight)
                return one
            self._round.leave(name)
        return None

    def _take_launch(self, may_go: Callable[[Waiting], bool]) -> Waiting | None:
        while self._launches:
            one = self._launches.popleft()
            self._gone.add(one.launch_id)
            if may_go(one):
                return one
        return None

    def turns(self) -> Iterator[tuple[str, float]]:
        """The turns to keep of this round, and of those within it that have something waiting.

        Within a caller or a network only members that wait are remembered: others come up with new names at will.
        """
        for name, at in self._round.kept():
            if not self._path or not name or name in self._members:
                yield self._path + name, at
        for member in self._members.values():
            if member.has_rounds:
                yield from member.turns()


class _Round:
    """Turns of several names, one after another."""

    def __init__(self, kept: Mapping[str, float]) -> None:
        """`kept`: the turns by name, and the present, once somebody has had a turn in it, under `""`."""
        self._turns = {name: at for name, at in kept.items() if name}
        self._present = self._at = kept.get("", 0.0)
        self._now: list[tuple[str, str]] = []
        """A heap of (its oldest launch, name): those whose turn has come."""
        self._later: list[tuple[float, str, str]] = []
        """A heap of (when, its oldest launch, name)."""

    def stand(self, name: str, oldest: str | None) -> None:
        """The name has something in the queue; None for `oldest` if it has nothing more."""
        if oldest is None:
            return
        at = self._turns.get(name, 0.0)
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

    def took(self, name: str, oldest: str | None, weight: float) -> None:
        """The name whose turn it was has had it."""
        self.leave(name)
        self._present = self._at
        self._turns[name] = self._at + 1 / weight
        self.stand(name, oldest)

    def leave(self, name: str) -> None:
        """The name whose turn it was has nothing that may go."""
        assert self._now[0][1] == name, "it is its turn"
        heappop(self._now)

    def kept(self) -> Iterator[tuple[str, float]]:
        """The present, and the turns that are yet to come; those that are past say nothing."""
        yield "", self._present
        for name, at in self._turns.items():
            if at > self._present:
                yield name, at
