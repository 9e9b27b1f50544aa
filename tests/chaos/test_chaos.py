"""A small chaos run, and proof that its verdict notices every fault. `make chaos` runs it in full."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from hublaunch.store.pool_claims import CLAIMED
from tests.chaos.clients import Final
from tests.chaos.notes import Notes, Pass, Seen
from tests.chaos.plan import LaunchPlan, Scale, draw_plan
from tests.chaos.proxy import ChaosProxy
from tests.chaos.replicas import PROJECT
from tests.chaos.report import findings, stories
from tests.chaos.run import run
from tests.chaos.verdict import Evidence, Verdict, faults_of, faults_of_log, judge
from tests.fakes.hub import FakeHub
from tests.fakes.hub_settings import Happening, What
from tests.support.postgres import Postgres

SMALL = Scale(
    launches=30,
    per_s=4,
    max_concurrent_spawns=6,
    least_kills=2,
    long_faults=False,
    launch_timeout_s=30,
    settle_s=50,
)
SEED = 1
PLAN = draw_plan(SEED, replace(SMALL, launches=1)).launches[0]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_launches_survive_every_fault(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    if database == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.database()

    outcome = await run(SEED, SMALL, database_url=url, module="hublaunch.cli", directory=tmp_path)

    assert not list(findings(outcome.verdict.bad)), stories(outcome)
    assert outcome.verdict.counts["kills"] >= 2
    assert outcome.verdict.hit_share >= 0.2


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_warm_servers_survive_every_fault(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/hublaunch.sqlite"
    if database == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.database()

    outcome = await run(SEED, replace(SMALL, warm=6), database_url=url, module="hublaunch.cli", directory=tmp_path)

    assert not list(findings(outcome.verdict.bad)), stories(outcome)
    assert outcome.verdict.counts["with a warm server"] > 0


def test_a_seed_always_draws_the_same_plan() -> None:
    assert draw_plan(7, SMALL) == draw_plan(7, SMALL)
    assert draw_plan(7, SMALL) != draw_plan(8, SMALL)


# --- the verdict ------------------------------------------------------------------------------------------------------


def seen(seq: int, phase: str = "launching", **told: Any) -> Seen:
    event = {"seq": seq, "phase": phase, "attempt": 1, "progress": 0, "message": ""} | told
    return Seen(seq, json.dumps(event).encode())


LOG = [seen(1, "waiting"), seen(2), seen(3, "ready")]


class Case:
    """One launch that went well, for tests to change."""

    def __init__(self, plan: LaunchPlan = PLAN) -> None:
        self.notes = Notes(plan, secrets={"01A": "secret"}, passes=[Pass(0, 0, list(LOG))], ended="ready", ready_at=9.0)
        self.final = Final(200, {"status": "ready", "username": "u", "server_name": "", "ended_at": "…"}, list(LOG))
        self.journal: list[Happening] = []
        self.happened("spawn_started", at=1.0)
        self.happened("server_ready", at=2.0)
        self.users = {"u", "foreign"}
        self.servers = {("u", ""), ("foreign", "")}
        self.culled: set[str] = set()
        self.others: list[tuple[Notes, Final]] = []
        """Further launches, with the answers for them."""

    def happened(self, what: What, username: str = "u", *, at: float = 0.0) -> None:
        options = {"repo_url": self.notes.plan.repo_url} if what == "spawn_started" else None
        self.journal.append(Happening(what=what, username=username, at=at, user_options=options))

    def verdict(self) -> Verdict:
        return judge(
            Evidence(
                notes=[self.notes, *(notes for notes, _ in self.others)],
                finals={self.notes.plan.number: self.final, **{one.plan.number: final for one, final in self.others}},
                journal=self.journal,
                users=self.users,
                servers=self.servers,
                foreign={"foreign"},
                culled=self.culled,
                hits={self.notes.plan.number: ["502 before create_user"]},
                kills=5,
                max_concurrent_spawns=2,
            )
        )

    def faults(self) -> dict[str, int]:
        return {column: len(found) for column, found in self.verdict().bad.items() if found}


def test_a_launch_that_went_well_has_no_findings() -> None:
    verdict = Case().verdict()

    assert not list(findings(verdict.bad))
    assert verdict.counts["ready"] == 1
    assert verdict.is_good(least_kills=5, least_hit_share=0.2)
    assert not verdict.is_good(least_kills=6, least_hit_share=0.2)


def test_a_run_that_hit_too_few_launches_does_not_count() -> None:
    verdict = Case().verdict()
    verdict.counts["accepted"] = 10

    assert not verdict.is_good(least_kills=5, least_hit_share=0.2)


def test_a_launch_without_an_end_or_unknown_at_the_end_is_lost() -> None:
    endless, unknown = Case(), Case()
    endless.notes.ended = ""
    unknown.final = Final(404, {}, [])

    assert endless.faults() == {"lost": 1}
    assert unknown.faults() == {"lost": 1, "orphaned users": 1, "orphaned servers": 1}


def test_a_ready_launch_without_its_server_is_lost_unless_the_hub_forgot_or_culled_the_server() -> None:
    case = Case()
    case.users, case.servers = {"foreign"}, {("foreign", "")}
    assert case.faults() == {"lost": 1}

    case.culled = {"u"}
    assert case.faults() == {}

    case.culled = set()
    case.happened("state_lost", username="", at=3.0)
    assert case.faults() == {}


def test_two_servers_at_once_a_start_after_ready_and_two_launches_of_a_key_are_double_starts() -> None:
    at_once, after_ready, of_a_key = Case(), Case(), Case()
    at_once.journal.insert(0, replace(at_once.journal[0], username="v", at=0.5))
    after_ready.happened("server_stopped", at=9.5)
    after_ready.happened("spawn_started", at=10.0)
    of_a_key.notes.secrets["01B"] = "another"

    assert [case.faults() for case in (at_once, after_ready, of_a_key)] == [{"double-started": 1}] * 3


@pytest.mark.parametrize("end", ["spawn_failed", "spawn_lost", "server_stopped", "state_lost"])
def test_a_server_started_after_another_has_gone_is_a_second_attempt(end: What) -> None:
    case = Case()
    first = replace(case.journal[0], username="v", at=0.5)
    case.journal[:0] = [first, Happening(what=end, username="v", at=0.6)]

    verdict = case.verdict()

    assert not list(findings(verdict.bad))
    assert verdict.counts["second attempts"] == 1


def test_a_server_of_two_launches_is_noticed() -> None:
    case = Case()
    other = Notes(replace(PLAN, number=PLAN.number + 1), secrets={"01B": "secret"}, ended="ready")
    case.others = [(other, case.final)]

    assert case.faults()["two holders"] == 1


def test_a_member_that_is_started_twice_handed_out_early_or_given_a_token_early_is_noticed() -> None:
    case = Case()
    case.journal = []
    for what in ("spawn_started", "token_minted", "server_ready", "spawn_started"):
        options = {"repo_url": ""} if what == "spawn_started" else None
        case.journal.append(Happening(what=what, username="u", at=9.5, user_options=options))
    case.final = Final(200, {**case.final.launch, "warm": True}, case.final.events)

    assert case.faults() == {"credentials before a claim": 2, "reused members": 1, "unready handed out": 1}


def test_tokens_for_more_members_than_were_claimed_are_noticed() -> None:
    case = Case()
    log = [LOG[0], seen(2, message=CLAIMED), LOG[2]]
    case.notes.passes = [Pass(0, 0, log)]
    case.final = Final(200, {**case.final.launch, "warm": True}, log)
    for username in ("u", "v"):
        case.journal.append(Happening(what="spawn_started", username=username, at=1.0, user_options={"repo_url": ""}))
        case.happened("server_ready", username=username, at=2.0)
    case.happened("token_minted", username="u", at=3.0)
    case.journal = case.journal[2:]
    assert case.faults() == {}

    case.happened("token_minted", username="v", at=3.0)
    assert case.faults() == {"credentials before a claim": 1}


def test_a_user_or_server_of_no_ready_launch_is_an_orphan() -> None:
    case = Case()
    case.users |= {"v", "w"}
    case.servers |= {("v", ""), ("u", "named")}

    assert case.faults() == {"orphaned users": 2, "orphaned servers": 2}


def test_a_stopped_or_missing_foreign_server_is_noticed() -> None:
    case = Case()
    case.servers -= {("foreign", "")}
    case.happened("server_stopped", username="foreign")

    assert case.faults() == {"foreign deletions": 2}


@pytest.mark.parametrize(
    ("asked", "cursor", "seqs", "columns"),
    [
        (0, 0, [1, 2, 3], []),
        (2, 2, [3], []),
        (2, 2, [], []),
        (0, 0, [1, 3], ["events missed"]),
        (1, 1, [4], ["events missed", "events missed"]),
        (0, 0, [1, 1, 2], ["events repeated"]),
        (2, 2, [2, 3], ["events repeated"]),
        (2, 0, [1, 2, 3], ["events repeated"]),
        (0, 0, [1, 3, 2], ["out of order"]),
    ],
)
def test_gaps_and_repeats_are_noticed(asked: int, cursor: int, seqs: Sequence[int], columns: list[str]) -> None:
    read = Pass(asked, cursor, [seen(seq) for seq in seqs])

    assert [column for column, _ in faults_of(read)] == columns


def test_events_that_are_missing_or_differ_between_replicas_are_noticed() -> None:
    missing, different = Case(), Case()
    missing.notes.passes = [Pass(0, 0, LOG[:1]), Pass(1, 1, LOG[1:2])]
    different.notes.passes = [Pass(0, 0, [LOG[0], seen(2, message="other"), LOG[2]])]

    assert missing.faults() == {"events missed": 1}
    assert different.faults() == {"events changed": 1}


@pytest.mark.parametrize(
    ("steps", "columns"),
    [
        ([(1, 10, 1), (2, 20, 1), (1, 10, 2)], []),
        ([(1, 10, 1), (3, 20, 1)], []),
        ([(1, 10, 1), (2, 20, 1), (2, 20, 1)], ["events repeated"]),
        ([(1, 10, 1), (3, 30, 1), (2, 30, 1)], ["out of order"]),
        ([(1, 10, 1), (2, 5, 1)], ["out of order"]),
    ],
)
def test_repeated_and_unordered_steps_are_noticed(steps: Sequence[tuple[int, int, int]], columns: list[str]) -> None:
    log = [
        seen(seq, message=f"Step {step} of 9: …", progress=progress, attempt=attempt)
        for seq, (step, progress, attempt) in enumerate(steps, 1)
    ]

    assert [column for column, _ in faults_of_log(log)] == columns


def test_spawns_beyond_the_limit_are_noticed() -> None:
    case = Case()
    case.journal[1:1] = [Happening(what="spawn_started", username=name, at=1.5) for name in ("foreign", "v", "w", "x")]

    verdict = case.verdict()

    assert case.faults() == {"pending above the limit": 2}
    assert verdict.counts["most pending at once"] == 4


def test_a_clients_surprise_is_a_broken_promise() -> None:
    case = Case()
    case.notes.surprises.append("418 to POST")
    case.notes.asked_to_cancel = True

    assert case.faults() == {"broken promises": 2}


# --- the parts of a run -----------------------------------------------------------------------------------------------


async def test_the_proxy_forwards_everything_except_during_an_outage(hub: FakeHub) -> None:
    async with ChaosProxy(hub.url, stream=lambda _: Random(SEED)) as proxy, httpx.AsyncClient(trust_env=False) as http:
        proxy.calm = True
        url = f"{proxy.url}/hub/api/"
        assert (await http.get(url)).json() == {"version": hub.version}

        outage = asyncio.create_task(proxy.outage(0.05))
        await asyncio.sleep(0)
        with pytest.raises(httpx.TransportError):
            await http.get(url)

        await outage
        assert (await http.get(url)).status_code == 200


def test_the_mutant_is_hublaunch_without_its_fence() -> None:
    command = [sys.executable, "-m", "tests.chaos.mutant", "serve", "--help"]

    assert subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout
