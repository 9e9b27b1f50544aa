"""Displacement: in a full queue, the caller with the largest share makes room for a caller with a smaller one.

A launch adds to the share of its caller, and of the IPv6 networks around the caller. The share of a network that counts
as four callers (`networks.py`) is its launches divided by four. A caller of weight 2 has half the share for the same
number of launches.
"""

from collections.abc import Mapping

from hublaunch.launch.rules.networks import groups_of
from hublaunch.launch.rules.queue_order import Weight


class Crowd:
    """The callers' shares of the queue, by their launches that were never admitted."""

    def __init__(self, waiting: Mapping[str, int], *, weight: Weight) -> None:
        """`waiting`: the number of launches, by `caller_name`."""
        self._weight = weight
        self._waiting = dict[str, int]()
        self._parts = dict[str, Mapping[str, float]]()
        """The amount that one launch adds to the share of its caller and of each network around the caller."""
        self._shares = dict[str, float]()
        """The share of each caller and each network, by name."""
        for caller, number in waiting.items():
            self.add(caller, number)

    def add(self, caller: str, number: int = 1) -> None:
        """Add launches to the queue, or remove them with a negative number."""
        self._waiting[caller] = self._waiting.get(caller, 0) + number
        for group, part in self._of(caller).items():
            self._shares[group] = self._shares.get(group, 0.0) + number * part

    def makes_room_for(self, newcomer: str) -> str | None:
        """Return the caller whose launch makes room for one of `newcomer`; None if the newcomer has too many itself.

        That is the caller whose share, without that launch, is the largest and still at least the newcomer's. So each
        displacement reduces the larger of two shares, and the other stays below it: displacing ends, however often
        callers launch again. The share of a network that both are in does not count.
        """
        own = {group: self._shares.get(group, 0.0) + part for group, part in self._of(newcomer).items()}
        if own[newcomer] >= max(self._shares.values(), default=0.0):
            return None
        chosen, most = None, [0.0]
        for caller, number in self._waiting.items():
            if number < 1 or caller == newcomer:
                continue
            parts = self._parts[caller]
            left = sorted(
                (self._shares[group] - part for group, part in parts.items() if group not in own), reverse=True
            )
            if left > most and left[0] >= max(share for group, share in own.items() if group not in parts):
                chosen, most = caller, left
        return chosen

    def _of(self, caller: str) -> Mapping[str, float]:
        if caller not in self._parts:
            one = 1 / self._weight(caller)
            self._parts[caller] = {group.name: one / group.share for group in groups_of(caller)}
        return self._parts[caller]
