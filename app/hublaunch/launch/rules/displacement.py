"""Room in a full queue: the caller with the most launches in it makes room for a caller with fewer.

A launch counts for its caller, and in IPv6 for the networks around it as well; a network that counts as four callers
(`networks.py`) has as much as its launches divided by four. A caller of weight 2 has half as much by the same launches.
"""

from collections.abc import Mapping

from hublaunch.launch.rules.networks import groups_of
from hublaunch.launch.rules.queue_order import Weight


class Crowd:
    """How much each caller has in the queue, of launches that were never admitted."""

    def __init__(self, waiting: Mapping[str, int], *, weight: Weight) -> None:
        """`waiting`: the number of launches by `caller_name`."""
        self._weight = weight
        self._waiting = dict[str, int]()
        self._parts = dict[str, Mapping[str, float]]()
        """What one launch of a caller adds to the share of the caller, and of each network around it."""
        self._shares = dict[str, float]()
        """What each caller and each network has, by its name."""
        for caller, number in waiting.items():
            self.add(caller, number)

    def add(self, caller: str, number: int = 1) -> None:
        """Count launches that come; with a negative number launches that leave."""
        self._waiting[caller] = self._waiting.get(caller, 0) + number
        for group, part in self._of(caller).items():
            self._shares[group] = self._shares.get(group, 0.0) + number * part

    def makes_room_for(self, newcomer: str) -> str | None:
        """Return the caller whose launch makes room for one more of `newcomer`; None if the newcomer has too many.

        It is the caller that has most even without that launch, and it then has no less than the newcomer. So each time
        the largest of two shares gets smaller and the other stays below it. Displacing ends, however often callers
        launch again. What both have in one network counts for neither.
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
