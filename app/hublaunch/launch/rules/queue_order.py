"""The order in which queued launches are admitted: round-robin over callers, first come first served for each caller.

Start-time fair queuing (Goyal, Vin, Cheng 1996) on a tree: over callers, and for anonymous callers also over their
repositories. Callers of one IPv6 network share its turns, which are those of a few callers (`networks.py`). A new
caller waits for at most one launch of every other caller, however many launches those have queued.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from typing import NamedTuple

from hublaunch.launch.rules.networks import groups_of

_SEPARATOR = "\n"
"""Appears in no address, name or repository."""
_NO_REPO = "-"

Turns = Mapping[str, float]
"""The virtual time that each member of the tree has reached, which is kept from one admission to the next.

The keys are paths in the tree, with a separator after each part. The current time of a round is kept under the path of
the branch that has the round.
"""
Weight = Callable[[str], float]
"""Returns the weight of a caller, by `caller_name`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A launch in the queue."""

    launch_id: str
    caller: str
    """See `caller_name`."""
    repo_url: str
    image: str


def weight_of(patterns: Mapping[str, float]) -> Weight:
    """Return the weights by glob patterns of callers' names. The first match applies. Without one, it is 1."""
    return lambda caller: next((weight for name, weight in patterns.items() if fnmatchcase(caller, name)), 1.0)


def equal(_: str) -> float:
    """Give every caller the same weight."""
    return 1.0


class FairQueue:
    """The queued launches, given oldest first, to be taken out one by one in the order of admission.

    A launch for which `may_go` is false at its turn is skipped, and costs its caller no turn. It stays skipped until
    the next admission, because the reason to hold it back lasts at least until then.
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
        for launch in waiting:
            self._all.add(launch, _path(launch, weight))
        self._all.start_round()

    def take(self) -> Waiting | None:
        """Take out the next launch; None if none is left that may go."""
        return self._all.take(self._may_go)

    def __iter__(self) -> Iterator[Waiting]:
        """Take out launches until none is left that may go."""
        return iter(self.take, None)

    @property
    def turns(self) -> Turns:
        """The turns to keep until the next admission, now that some launches were taken out."""
        return dict(self._all.turns())


class _Node(NamedTuple):
    """A part of the path to a launch in the tree."""

    name: str
    share: int
    """Its highest weight, as a multiple of its heaviest member's."""
    weight: float | None
    """None for the sum of its members' weights."""


def _path(launch: Waiting, weight: Weight) -> Sequence[_Node]:
    caller, *networks = groups_of(launch.caller)
    path = [_Node(network.name, network.share, None) for network in reversed(networks)]
    path.append(_Node(caller.name, 1, weight(launch.caller)))
    if launch.caller.startswith("anonymous:"):
        path.append(_Node(launch.repo_url or _NO_REPO, 1, 1.0))
    return path


_Kept = Mapping[str, Mapping[str, float]]
"""The turns of each round by its path: its members' turns by name, and its current time under `""`."""


def _by_round(turns: Turns) -> _Kept:
    kept: dict[str, dict[str, float]] = {}
    for path, at in turns.items():
        of_round, separator, name = path.rpartition(_SEPARATOR)
        kept.setdefault(of_round + separator, {})[name] = at
    return kept


class _Branch:
    """The queued launches of a network, caller or repository: members that take turns, or launches in order."""

    def __init__(self, path: str, kept: _Kept, *, gone: set[str], share: int = 1, weight: float | None = None) -> None:
        """`gone`: the launches of the whole tree that were taken out or skipped."""
        self._path = path
        self._kept = kept
        self._gone = gone
        self._share = share
        self._members: dict[str, _Branch] = {}
        self._round = _Round(kept.get(path, {}))
        self._launches: deque[Waiting] = deque()
        self._left: deque[str] = deque()
        self._waits = 0
        """The number of its launches that were not taken out."""
        self.weight = weight or 0.0
        self.heaviest = self.weight

    def add(self, launch: Waiting, path: Sequence[_Node]) -> None:
        """Add a launch at the end of the path."""
        self._left.append(launch.launch_id)
        self._waits += 1
        if not path:
            self._launches.append(launch)
            return
        (name, share, weight), *further = path
        if name not in self._members:
            inner = f"{self._path}{name}{_SEPARATOR}"
            self._members[name] = _Branch(inner, self._kept, gone=self._gone, share=share, weight=weight)
        self._members[name].add(launch, further)

    def start_round(self) -> None:
        """Start the round of its members, once all launches are added."""
        for name, member in self._members.items():
            member.start_round()
            self._round.enter(name, member.oldest())
        if self._members and not self.weight:
            self.heaviest = max(member.heaviest for member in self._members.values())
            together = sum(member.weight for member in self._members.values())
            self.weight = min(self._share * self.heaviest, together)

    @property
    def has_rounds(self) -> bool:
        """Whether it has queued launches, and members that take turns."""
        return bool(self._waits and self._members)

    def oldest(self) -> str | None:
        """Return the id of its oldest launch that was neither taken out nor skipped, or None."""
        while self._left and self._left[0] in self._gone:
            self._left.popleft()
        return self._left[0] if self._left else None

    def take(self, may_go: Callable[[Waiting], bool]) -> Waiting | None:
        """Take out the launch that is next in turn; None if none may go."""
        launch = self._take_of_members(may_go) if self._members else self._take_launch(may_go)
        self._waits -= launch is not None
        return launch

    def _take_of_members(self, may_go: Callable[[Waiting], bool]) -> Waiting | None:
        while (name := self._round.next()) is not None:
            member = self._members[name]
            if launch := member.take(may_go):
                self._round.took(name, member.oldest(), member.weight)
                return launch
            self._round.leave(name)
        return None

    def _take_launch(self, may_go: Callable[[Waiting], bool]) -> Waiting | None:
        while self._launches:
            launch = self._launches.popleft()
            self._gone.add(launch.launch_id)
            if may_go(launch):
                return launch
        return None

    def turns(self) -> Iterator[tuple[str, float]]:
        """Yield the turns to keep of this round, and of the rounds within it that have queued launches.

        Within a caller or a network only members with queued launches are kept, because names there can be invented.
        """
        for name, at in self._round.kept():
            if not self._path or not name or name in self._members:
                yield self._path + name, at
        for member in self._members.values():
            if member.has_rounds:
                yield from member.turns()


class _Round:
    """The turns of several names, one after another."""

    def __init__(self, kept: Mapping[str, float]) -> None:
        """`kept`: the turns by name, and under `""` the current time, once a turn was taken."""
        self._turns = {name: at for name, at in kept.items() if name}
        self._present = self._at = kept.get("", 0.0)
        self._now: list[tuple[str, str]] = []
        """A heap of (oldest launch, name), for the names that may take their turn now."""
        self._later: list[tuple[float, str, str]] = []
        """A heap of (turn, oldest launch, name)."""

    def enter(self, name: str, oldest: str | None) -> None:
        """Enter a name with its oldest launch; nothing happens if it has none."""
        if oldest is None:
            return
        at = self._turns.get(name, 0.0)
        if at <= self._at:
            heappush(self._now, (oldest, name))
        else:
            heappush(self._later, (at, oldest, name))

    def next(self) -> str | None:
        """Return the name that is next, until `took` or `leave`; None if no name is left."""
        if not self._now and self._later:
            self._at = self._later[0][0]
        while self._later and self._later[0][0] <= self._at:
            _, oldest, name = heappop(self._later)
            heappush(self._now, (oldest, name))
        return self._now[0][1] if self._now else None

    def took(self, name: str, oldest: str | None, weight: float) -> None:
        """Record that this name has used its turn."""
        self.leave(name)
        self._present = self._at
        self._turns[name] = self._at + 1 / weight
        self.enter(name, oldest)

    def leave(self, name: str) -> None:
        """Take out this name, which has no launch that may go."""
        assert self._now[0][1] == name, "it is this name's turn"
        heappop(self._now)

    def kept(self) -> Iterator[tuple[str, float]]:
        """Yield the current time, and the turns later than it; earlier ones have no effect."""
        yield "", self._present
        for name, at in self._turns.items():
            if at > self._present:
                yield name, at
