"""Native histograms: buckets that grow by a twelfth each, so that any quantile is known to a few percent.

https://prometheus.io/docs/specs/native_histograms/
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SCHEMA = 3
"""Eight buckets for each doubling."""
ZERO_THRESHOLD = 2.0**-10
"""Values up to this one, a millisecond, are told apart no further."""
_MOST = 2.0**20
"""Twelve days, and all beyond: so there are 240 buckets at most."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Buckets that hold anything, as Prometheus takes them: runs of neighbours, and from each count to the next."""

    spans: Sequence[tuple[int, int]]
    """How many buckets are left out before a run (before the first: its index), and how many are in it."""
    deltas: Sequence[int]


class NativeHistogram:
    """Counts values of at least 0 in buckets; bucket i holds those above 2 ** ((i - 1) / 8) up to 2 ** (i / 8)."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.zero_count = 0
        self._counts: Counter[int] = Counter()

    def observe(self, value: float) -> None:
        self.count += 1
        self.sum += value
        if value <= ZERO_THRESHOLD:
            self.zero_count += 1
        else:
            self._counts[math.ceil(math.log2(min(value, _MOST)) * 2**SCHEMA)] += 1

    def spans(self) -> Spans:
        indexes = sorted(self._counts)
        counts = [self._counts[index] for index in indexes]
        spans: list[tuple[int, int]] = []
        end = 0
        for index in indexes:
            if spans and index == end:
                spans[-1] = (spans[-1][0], spans[-1][1] + 1)
            else:
                spans.append((index - end, 1))
            end = index + 1
        return Spans(spans, [later - earlier for earlier, later in pairwise([0, *counts])])
