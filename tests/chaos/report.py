"""The report of a run: a table, and the story of each launch with a finding."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from tests.chaos.plan import Scale
from tests.chaos.run import Run
from tests.chaos.verdict import Evidence, number_of

_LINES_MAX = 10


def is_good(outcome: Run, scale: Scale) -> bool:
    return outcome.verdict.is_good(least_kills=scale.least_kills, least_hit_share=scale.least_hit_share)


def table(outcome: Run, scale: Scale) -> str:
    """Return the counts of a run, one per line."""
    verdict = outcome.verdict
    lines = [
        *verdict.counts.items(),
        *outcome.done.items(),
        *((name, len(found)) for name, found in verdict.bad.items()),
    ]
    least = f"at least {scale.least_hit_share:.0%} hit and {scale.least_kills} kills"
    return "\n".join(
        [
            *(f"{name:36} {value:6}" for name, value in lines),
            f"{verdict.hit_share:.0%} of the launches were hit by a fault; {least} are required",
            f"{'PASSED' if is_good(outcome, scale) else 'FAILED'} in {outcome.seconds:.0f} s",
        ]
    )


def findings(bad: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the findings of each column, one per line, and only the first few of each."""
    for name, found in bad.items():
        yield from (f"{name}: {what}" for what in found[:_LINES_MAX])
        if len(found) > _LINES_MAX:
            yield f"{name}: and {len(found) - _LINES_MAX} more"


def stories(outcome: Run) -> str:
    """Return the story of each launch with a finding: its plan, its log, and the Hub's journal."""
    told = (_story_of(number, outcome.evidence) for number in sorted(outcome.verdict.numbers))
    return "\n\n".join("\n".join(lines) for lines in told)


def _story_of(number: int, evidence: Evidence) -> list[str]:
    notes, final = evidence.notes[number], evidence.finals.get(number)
    users = {line.username for line in evidence.journal if number_of(line) == number}
    streams = "; ".join(f"after {read.cursor}: {[seen.seq for seen in read.seen]}" for read in notes.passes)
    log = [f"  event  {seen.seq}: {seen.data.decode()}" for seen in final.events] if final else []
    hub = [
        f"  Hub    {_wall_clock(line.at)}: {line.what} {line.username} {line.server_name}"
        for line in evidence.journal
        if line.username in users or not line.username
    ]
    return [
        f"launch {number}: {', '.join(notes.ids) or 'never accepted'}",
        f"  plan   {notes.plan}",
        f"  faults {', '.join(evidence.hits.get(number, [])) or 'none'}",
        f"  client saw its end as {notes.ended!r}, and ready {_wall_clock(notes.ready_at)}; its streams {streams}",
        *log,
        *hub,
    ]


def _wall_clock(at: float | None) -> str:
    """Format a time of the loop's monotonic clock as a time of day, as in events and logs."""
    if at is None:
        return "never"
    return datetime.fromtimestamp(at - time.monotonic() + time.time(), UTC).strftime("%H:%M:%S.%f")[:-3]
