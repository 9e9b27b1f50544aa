"""The verdict on a run, counted only from the fake Hub's journal and the clients' notes.

lost
    A launch that was accepted (a 202, or the stream of a POST), but whose client did not see it end in time, or whose
    id was unknown later. Also a `ready` launch whose server is not at the Hub, unless the Hub has lost its state since,
    or the culler stopped the server while the launch took it.
double-started
    A launch that had two servers at the Hub at one instant, counted from the start of a spawn to its failure or to the
    end of its stop. Also a launch for which a spawn started after its client had seen `ready`, and a key that gave two
    launches. A second server after the first has gone is a second attempt, and not counted here.
orphaned users, orphaned servers
    Users and servers that are still at the Hub at the end of the time to settle, and belong to no `ready` launch.
foreign deletions
    Users and servers of the chaos itself that were deleted or stopped, or are missing at the end.
events missed, repeated, out of order, changed
    Counted for each stream that a client read. The stream must begin at the cursor that the client sent, and each event
    number must be one above the last. Together, the streams of a launch must have all its events, byte for byte as
    another replica sends them at the end. In that log, each attempt must have every step of its spawn once and in
    order, whichever replica owned the launch, and its progress must never fall.
pending above the limit
    Spawns beyond LAUNCHER_MAX_CONCURRENT_SPAWNS that were pending at the Hub at one instant. They count for all
    processes together, and include launches that were adopted, retried or cleaned up.
two holders, reused members
    Users of servers that two launches were given, and members of a warm pool whose server was started twice.
unready handed out, credentials before a claim
    Launches that were ready with a warm server before the Hub had it ready. Visitors' tokens made for a member before
    its server was ready, when nobody can have claimed it, and members with such tokens beyond the claims that the
    launches' logs report.
broken promises
    Answers that the API does not promise, clients that never got a launch, and processes that ended by themselves.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain

from hublaunch.store.pool_claims import ANOTHER, CLAIMED
from tests.chaos.clients import Final
from tests.chaos.notes import Notes, Pass, Seen
from tests.chaos.plan import REPO_URL, step_message
from tests.fakes.hub_settings import Happening, most_pending

BAD = (
    "lost",
    "double-started",
    "orphaned users",
    "orphaned servers",
    "foreign deletions",
    "events missed",
    "events repeated",
    "out of order",
    "events changed",
    "pending above the limit",
    "two holders",
    "reused members",
    "unready handed out",
    "credentials before a claim",
    "broken promises",
)

_ENDS_SERVER = ("spawn_failed", "spawn_lost", "server_stopped")
_STEP = re.compile(re.escape(step_message(0, 0, "")).replace("0", r"(\d+)", 1).replace("0", r"\d+"))
_TAKES_AWAY = ("user_deleted", "server_stopped", "server_removed", "spawn_cancelled", "token_revoked")

ServerKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The facts that a verdict is based on."""

    notes: Sequence[Notes]
    finals: Mapping[int, Final]
    """The answers at the end of the run, by launch number."""
    journal: Sequence[Happening]
    users: AbstractSet[str]
    """The users at the Hub at the end."""
    servers: AbstractSet[ServerKey]
    """The servers active at the Hub at the end."""
    foreign: AbstractSet[str]
    """Users that the chaos itself added, each with a default server."""
    culled: AbstractSet[str] = frozenset()
    """The users whose servers the culler stopped."""
    hits: Mapping[int, Sequence[str]]
    """The faults that each launch met, by launch number."""
    kills: int
    max_concurrent_spawns: int
    surprises: Sequence[str] = ()
    """Surprises noted about the processes."""


@dataclass
class Verdict:
    """The table: figures to look at, and the findings in each column that must be zero."""

    counts: dict[str, int] = field(default_factory=dict)
    bad: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in BAD})
    numbers: set[int] = field(default_factory=set)
    """The launches with a finding."""

    def is_good(self, *, least_kills: int, least_hit_share: float) -> bool:
        enough = self.counts["kills"] >= least_kills and self.hit_share >= least_hit_share
        return enough and not any(self.bad.values())

    @property
    def hit_share(self) -> float:
        return self.counts["hit by a fault"] / max(1, self.counts["accepted"])

    def blame(self, column: str, what: str, number: int | None = None) -> None:
        self.bad[column].append(what if number is None else f"launch {number}: {what}")
        if number is not None:
            self.numbers.add(number)


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict, as the module defines it."""
    verdict = Verdict()
    accepted = [notes for notes in evidence.notes if notes.ids]
    phases = [_last_phase(evidence.finals.get(notes.plan.number)) for notes in accepted]
    verdict.counts = {
        "accepted": len(accepted),
        **{phase: phases.count(phase) for phase in ("ready", "failed", "cancelled")},
        "failed, and not by plan": sum(
            phase == "failed" and not notes.plan.fails for notes, phase in zip(accepted, phases, strict=True)
        ),
        "with a warm server": sum(bool(final.launch.get("warm")) for final in evidence.finals.values()),
        "second attempts": _second_attempts(evidence.journal),
        "hit by a fault": sum(bool(evidence.hits.get(notes.plan.number)) for notes in accepted),
        "kills": evidence.kills,
        "most pending at once": _most_pending(evidence),
        "disconnects of clients": sum(notes.disconnects for notes in evidence.notes),
    }
    for notes in evidence.notes:
        _judge_ending(notes, evidence, verdict)
        _judge_events(notes, evidence.finals.get(notes.plan.number), verdict)
    _judge_starts(evidence, verdict)
    _judge_pending(evidence, verdict)
    _judge_leftovers(evidence, verdict)
    _judge_warm(evidence, verdict)
    for surprise in evidence.surprises:
        verdict.blame("broken promises", surprise)
    return verdict


# --- endings ----------------------------------------------------------------------------------------------------------


def _judge_ending(notes: Notes, evidence: Evidence, verdict: Verdict) -> None:
    number, final = notes.plan.number, evidence.finals.get(notes.plan.number)
    for surprise in notes.surprises:
        verdict.blame("broken promises", surprise, number)
    if not notes.ids:
        verdict.blame("broken promises", "it was never accepted", number)
        return
    if final is None or final.status != 200:
        verdict.blame("lost", f"in the end it is answered with {final.status if final else 'nothing'}", number)
    elif not notes.ended:
        verdict.blame("lost", f"its client saw no end; it is {final.launch['status']}", number)
    elif final.launch["status"] == "ready" and not _has_server(final, evidence):
        verdict.blame("lost", f"it is ready, and {_server_of(final)} is not at the Hub", number)
    if len(notes.ids) > 1:
        verdict.blame("double-started", f"one key, and the launches {notes.ids}", number)
    if notes.asked_to_cancel and not notes.is_cancelled:
        verdict.blame("broken promises", "its cancellation was never confirmed", number)


def _last_phase(final: Final | None) -> str:
    return final.events[-1].phase if final is not None and final.events else ""


def _server_of(final: Final) -> ServerKey:
    return final.launch["username"], final.launch["server_name"]


def _has_server(final: Final, evidence: Evidence) -> bool:
    """Return whether a ready launch's server is at the Hub, or was culled, or lost with the Hub's state."""
    server = _server_of(final)
    ready = [n for n, line in enumerate(evidence.journal) if line.what == "server_ready" and _key(line) == server]
    lost = [n for n, line in enumerate(evidence.journal) if line.what == "state_lost"]
    return server in evidence.servers or server[0] in evidence.culled or bool(ready and lost and lost[-1] > ready[-1])


# --- the journal ------------------------------------------------------------------------------------------------------


def _key(line: Happening) -> ServerKey:
    return line.username, line.server_name


def number_of(line: Happening) -> int | None:
    """Return the number of the launch that a spawn belongs to, by the repository in its options."""
    prefix, _, suffix = REPO_URL.partition("{number}")
    repo_url = str((line.user_options or {}).get("repo_url", ""))
    number = repo_url.removeprefix(prefix).removesuffix(suffix)
    return int(number) if number.isdecimal() else None


def _second_attempts(journal: Sequence[Happening]) -> int:
    """Return the number of spawns beyond the first of each launch."""
    numbers = [number for line in journal if line.what == "spawn_started" and (number := number_of(line)) is not None]
    return len(numbers) - len(set(numbers))


def _judge_starts(evidence: Evidence, verdict: Verdict) -> None:
    ready_at = {notes.plan.number: notes.ready_at for notes in evidence.notes if notes.ready_at is not None}
    standing: dict[ServerKey, int] = {}
    for line in evidence.journal:
        if line.what == "state_lost":
            standing.clear()
        elif line.what in _ENDS_SERVER:
            standing.pop(_key(line), None)
        elif line.what == "spawn_started" and (number := number_of(line)) is not None:
            others = [server for server, owner in standing.items() if owner == number]
            if others:
                verdict.blame("double-started", f"{_key(line)} starts while {others} exist", number)
            if line.at > ready_at.get(number, line.at):
                verdict.blame("double-started", f"{_key(line)} starts after its client saw it ready", number)
            standing[_key(line)] = number


def _most_pending(evidence: Evidence) -> int:
    return most_pending(line for line in evidence.journal if line.username not in evidence.foreign)


def _judge_pending(evidence: Evidence, verdict: Verdict) -> None:
    for pending in range(evidence.max_concurrent_spawns + 1, _most_pending(evidence) + 1):
        verdict.blame("pending above the limit", f"{pending} were pending, and {evidence.max_concurrent_spawns} may be")


def _judge_warm(evidence: Evidence, verdict: Verdict) -> None:
    """Judge the servers that were started before anybody asked: their spawns have no repository."""
    members, ready_at, with_token = Counter[str](), dict[str, float](), set[str]()
    for line in evidence.journal:
        if line.what == "spawn_started" and (line.user_options or {}).get("repo_url") == "":
            members[line.username] += 1
        elif line.what == "server_ready":
            ready_at.setdefault(line.username, line.at)
        elif line.what == "token_minted" and line.username in members:
            with_token.add(line.username)
            if line.username not in ready_at:
                verdict.blame("credentials before a claim", line.username)
    claims = sum(_claims(final.events) for final in evidence.finals.values())
    if len(with_token) > claims:
        verdict.blame("credentials before a claim", f"{len(with_token)} members have tokens after {claims} claims")
    for username, starts in members.items():
        if starts > 1:
            verdict.blame("reused members", f"{username} was started {starts} times")
    _judge_holders(evidence, verdict, ready_at)


def _claims(events: Sequence[Seen]) -> int:
    return sum(json.loads(seen.data)["message"] in (CLAIMED, ANOTHER) for seen in events)


def _judge_holders(evidence: Evidence, verdict: Verdict, ready_at: Mapping[str, float]) -> None:
    """Judge who got which server. `ready_at`: when the server of each user was ready at the Hub."""
    holders = defaultdict[str, list[int]](list)
    for notes in evidence.notes:
        final = evidence.finals.get(notes.plan.number)
        username = str(final.launch.get("username", "")) if final is not None else ""
        if final is None or not username:
            continue
        holders[username].append(notes.plan.number)
        is_unready = notes.ready_at is not None and ready_at.get(username, math.inf) > notes.ready_at
        if final.launch.get("warm") and is_unready:
            verdict.blame("unready handed out", username, notes.plan.number)
    for username, numbers in holders.items():
        if len(numbers) > 1:
            verdict.blame("two holders", f"{username} of {numbers}")


def _judge_leftovers(evidence: Evidence, verdict: Verdict) -> None:
    ready = {_server_of(final) for final in evidence.finals.values() if final.launch.get("status") == "ready"}
    foreign = {(username, "") for username in evidence.foreign}
    numbers = {_key(line): number for line in evidence.journal if (number := number_of(line)) is not None}
    for username in sorted(evidence.users - {name for name, _ in ready} - evidence.foreign):
        verdict.blame("orphaned users", username, numbers.get((username, "")))
    for server in sorted(evidence.servers - ready - foreign):
        verdict.blame("orphaned servers", str(server), numbers.get(server))
    for server in sorted(foreign - evidence.servers):
        verdict.blame("foreign deletions", f"{server} is not there")
    for line in evidence.journal:
        if line.what in _TAKES_AWAY and line.username in evidence.foreign:
            verdict.blame("foreign deletions", f"{line.what} {_key(line)}")


# --- events -----------------------------------------------------------------------------------------------------------


def _judge_events(notes: Notes, final: Final | None, verdict: Verdict) -> None:
    number = notes.plan.number
    for read in notes.passes:
        for column, what in faults_of(read):
            verdict.blame(column, what, number)
    if final is None or not final.events:
        return
    told = {seen.seq: seen.data for seen in final.events}
    if [seen.seq for seen in final.events] != list(range(1, len(told) + 1)):
        verdict.blame("events missed", f"the log is {[seen.seq for seen in final.events]}", number)
    for column, what in faults_of_log(final.events):
        verdict.blame(column, what, number)
    got = defaultdict(set)
    for seen in chain.from_iterable(read.seen for read in notes.passes):
        got[seen.seq].add(seen.data)
    for seq in sorted(told.keys() - got.keys()):
        verdict.blame("events missed", f"event {seq} of {len(told)} never came", number)
    for seq in sorted(got):
        if got[seq] != {told.get(seq)}:
            verdict.blame("events changed", f"event {seq} was {got[seq]}, and is {told.get(seq)!r}", number)


def faults_of(read: Pass) -> Iterator[tuple[str, str]]:
    """Yield each fault in the numbers of one stream, as a column and a sentence."""
    if read.cursor != read.asked:
        yield "events repeated", f"a stream after {read.asked} began after {read.cursor}"
    expected, seqs, missing = read.cursor + 1, [seen.seq for seen in read.seen], set[int]()
    for seq in seqs:
        if seq >= expected:
            missing |= set(range(expected, seq))
            expected = seq + 1
        elif seq in missing:
            missing.remove(seq)
            yield "out of order", f"{seqs} after {read.cursor}"
        else:
            yield "events repeated", f"{seqs} after {read.cursor}"
    for seq in sorted(missing):
        yield "events missed", f"{seq} between {seqs} after {read.cursor}"


def faults_of_log(events: Sequence[Seen]) -> Iterator[tuple[str, str]]:
    """Yield each fault in a log's steps of its spawns, as a column and a sentence."""
    steps, progress = defaultdict[int, list[int]](list), defaultdict[int, int](int)
    for seen in events:
        event = json.loads(seen.data)
        attempt, found = event["attempt"], _STEP.match(event["message"])
        if event["progress"] < progress[attempt]:
            yield "out of order", f"event {seen.seq} falls from {progress[attempt]} to {event['progress']}"
        progress[attempt] = event["progress"]
        if found is None:
            continue
        step, before = int(found[1]), steps[attempt]
        if step in before:
            yield "events repeated", f"event {seen.seq} repeats step {step} after {before}"
        elif before and step < before[-1]:
            yield "out of order", f"event {seen.seq} has step {step} after {before}"
        before.append(step)
