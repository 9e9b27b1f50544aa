"""The verdict on a storm, counted from what the visitors saw and from the Hub's journal.

not ready
    Clicks that did not end with a server.
429 or 5xx
    Answers with such a status that a visitor saw, and connections that broke.
429 from the Hub
    The Hub's refusals to start a server: how many times it had to defend itself.
pending above the limit
    Spawns beyond the limit that were pending at the Hub at one instant.
beyond the fair share
    Clicks that were served later than a turn-by-turn order would have served them. While a caller's first click waits,
    each other caller gets at most one slot; while a later click waits, at most one more than the caller. The Hub's
    journal has the start of a spawn, which is after the admission. So starts that were already on the way at the
    beginning or end of the wait do not count.
not down to 0
    Stays in the queue in which the last position was not 0.
rises
    Positions above the previous one, without as many new clicks of other callers in the queue since then. For a caller
    with one click, the other clicks count only if they were made before it and stored after it.
left behind
    Users at the Hub at the end whose click did not become ready.
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.storm.clicks import REPO_URL, Seen

BAD = (
    "not ready",
    "429 or 5xx",
    "429 from the Hub",
    "pending above the limit",
    "beyond the fair share",
    "not down to 0",
    "rises",
    "left behind",
)
_LOOK_S = 1.0
"""Seconds between two checks of the queue."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The table: figures to look at, and the findings in each column that must be zero."""

    figures: Mapping[str, float | None]
    bad: Mapping[str, Sequence[str]]
    """The findings of each column, a sentence each."""

    @property
    def is_good(self) -> bool:
        return not any(self.bad.values())


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The facts that a verdict is based on."""

    seen: Sequence[Seen]
    report: Mapping[str, Any]
    """The Hub's report, as `tests/fakes/hub_process.py` writes it."""
    limit: int
    """The number of pending spawns allowed."""
    on_the_way_s: float
    """Seconds from an admission to the spawn, and from a check of the queue to a follower, at most."""
    ended_at: float
    started_at: Mapping[int, float] = field(init=False)
    """The time at which each click's spawn began at the Hub."""

    def __post_init__(self) -> None:
        numbers = {REPO_URL.format(number=seen.click.number): seen.click.number for seen in self.seen}
        spawns = [line for line in self.report["journal"] if line["what"] == "spawn_started"]
        started_at = {numbers[line["user_options"]["repo_url"]]: line["at"] for line in reversed(spawns)}
        object.__setattr__(self, "started_at", started_at)


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict, as the module defines it."""
    seen, report = evidence.seen, evidence.report
    most, refused = report["most_pending"], report["answers"].get("429", 0)
    ready = sum(one.ending == "ready" for one in seen)
    late = _slots_beyond_share(evidence)
    return Verdict(
        figures=_figures(evidence, late),
        bad={
            "not ready": [f"{_name(one)} ended as {one.ending}" for one in seen if one.ending != "ready"],
            "429 or 5xx": [f"{_name(one)} saw {told}" for one in seen for told in _refusals(one)],
            "429 from the Hub": ["a start was refused"] * refused,
            "pending above the limit": [
                f"{n} were pending, and {evidence.limit} may be" for n in range(evidence.limit + 1, most + 1)
            ],
            "beyond the fair share": [f"click {n}: by {slots} slots" for n, slots in late.items() if slots > 0],
            "not down to 0": [
                f"the last position of {_name(one)} was {visit[-1][1]}"
                for one in seen
                for visit in one.visits
                if visit and visit[-1][1]
            ],
            "rises": [
                f"{_name(one)} {rise}" for one in seen for rise, has_reason in _rises(one, evidence) if not has_reason
            ],
            "left behind": ["a user without a server"] * max(0, len(report["users"]) - ready),
        },
    )


def _name(seen: Seen) -> str:
    return f"click {seen.click.number} of {seen.click.caller}"


def _refusals(seen: Seen) -> list[str]:
    broken = [seen.error] if seen.error else []
    return [str(status) for status in seen.statuses if status == 429 or status >= 500] + broken


def _slots_beyond_share(evidence: Evidence) -> Mapping[int, int]:
    """Return, for each click served, by how many slots another caller exceeded its share meanwhile, at most."""
    callers = {seen.click.number: seen.click.caller for seen in evidence.seen}
    served = sorted((at, callers[number], number) for number, at in evidence.started_at.items())
    beyond, known = {}, set[str]()
    for seen in sorted(evidence.seen, key=lambda one: one.accepted_at):
        number, caller = seen.click.number, seen.click.caller
        is_first = caller not in known
        known.add(caller)
        if (end := evidence.started_at.get(number)) is None:
            continue
        own = sum(seen.accepted_at <= at <= end for at, name, _ in served if name == caller)
        others = Counter(
            name
            for at, name, _ in served
            if name != caller and seen.accepted_at + evidence.on_the_way_s < at < end - evidence.on_the_way_s
        )
        beyond[number] = max(others.values(), default=0) - (1 if is_first and own == 1 else own + 1)
    return beyond


def _rises(seen: Seen, evidence: Evidence) -> Iterator[tuple[str, bool]]:
    """Yield each rise of a position, and whether new clicks explain it."""
    is_only = sum(one.click.caller == seen.click.caller for one in evidence.seen) == 1
    others = [
        one
        for one in evidence.seen
        if one.click.caller != seen.click.caller and (one.clicked_at <= seen.accepted_at or not is_only)
    ]
    for visit in seen.visits:
        for (before_at, before), (at, position) in pairwise(visit):
            since = before_at - _LOOK_S - evidence.on_the_way_s
            came = sum(one.clicked_at <= at and one.accepted_at >= since for one in others)
            if position > before:
                yield f"rose from {before} to {position}, and {came} others joined", position - before <= came


def _figures(evidence: Evidence, late: Mapping[int, int]) -> Mapping[str, float | None]:
    seen = evidence.seen
    clicks = Counter(one.click.caller for one in seen)
    heavy, _ = clicks.most_common(1)[0]
    waits = {one.click.number: evidence.started_at.get(one.click.number, 0) - one.clicked_at for one in seen}
    served = [one for one in seen if one.click.number in evidence.started_at]
    of_one = sorted(waits[one.click.number] for one in served if clicks[one.click.caller] == 1)
    of_heavy = sorted(waits[one.click.number] for one in served if one.click.caller == heavy)
    ready = sorted(one.ready_at - one.clicked_at for one in seen if one.ready_at is not None)
    places = [position for one in seen for visit in one.visits for _, position in visit]
    return {
        "clicks": len(seen),
        "callers": len(clicks),
        "ready": len(ready),
        "ready after, p50 s": _quantile(ready, 0.5),
        "ready after, p95 s": _quantile(ready, 0.95),
        "ready after, max s": _quantile(ready, 1),
        "all over after s": round(evidence.ended_at - min(one.clicked_at for one in seen), 1),
        "most pending at the Hub": evidence.report["most_pending"],
        "followers that saw a position": sum(any(one.visits) for one in seen) or None,
        "highest position seen": max(places, default=None),
        "rises as others came": sum(has_reason for one in seen for _, has_reason in _rises(one, evidence))
        if places
        else None,
        "wait after one click, p50 s": _quantile(of_one, 0.5),
        "wait after one click, max s": _quantile(of_one, 1),
        f"wait after {clicks[heavy]} clicks, p50 s": _quantile(of_heavy, 0.5),
        f"wait after {clicks[heavy]} clicks, max s": _quantile(of_heavy, 1),
        "slots beyond the fair share, most": max(0, *late.values()) if late else None,
    }


def _quantile(values: Sequence[float], share: float) -> float | None:
    """Return a quantile of sorted values."""
    if not values:
        return None
    return round(statistics.median(values) if share == 0.5 else values[max(0, round(len(values) * share) - 1)], 1)
