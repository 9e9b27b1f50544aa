"""A small storm, and proof that its verdict notices every fault. `make storm` runs it in full."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.report import findings
from tests.storm.clicks import Click, Scale, Seen, draw_clicks
from tests.storm.run import storm_hub, storm_hublaunch, table
from tests.storm.verdict import Evidence, Verdict, judge
from tests.support.postgres import Postgres

SMALL = Scale(
    clicks=60,
    within_s=1.5,
    heavy_share=0.5,
    hub_limit=8,
    max_concurrent_spawns=8,
    spawn_s=1.0,
    on_the_way_s=2.0,
    naive_pauses_s=(0.1, 0.2, 0.4),
)
CLICKS = draw_clicks(1, SMALL)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_sixty_clicks_at_once_are_served_in_turn_without_a_429(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    replicas, url = 1, f"sqlite:///{tmp_path}/hublaunch.sqlite"
    if database == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        replicas, url = 2, postgres.database()

    verdict = await storm_hublaunch(SMALL, CLICKS, replicas=replicas, database_url=url, directory=tmp_path)

    assert not list(findings(verdict.bad))
    assert verdict.figures["ready"] == 60
    assert verdict.figures["most pending at the Hub"] == 8
    assert (verdict.figures["highest position seen"] or 0) > 8


async def test_without_hublaunch_the_same_clicks_are_refused(tmp_path: Path) -> None:
    verdict = await storm_hub(SMALL, CLICKS, directory=tmp_path)

    assert {name for name, found in verdict.bad.items() if found} >= {"not ready", "429 or 5xx", "left behind"}
    assert "429 or 5xx" in table([verdict, verdict])


def test_a_seed_always_draws_the_same_clicks_and_one_caller_has_many() -> None:
    assert draw_clicks(7, SMALL) == draw_clicks(7, SMALL)
    assert draw_clicks(7, SMALL) != draw_clicks(8, SMALL)
    assert [click.at_s for click in CLICKS] == sorted(click.at_s for click in CLICKS)
    assert sum(click.caller == "198.19.0.1" for click in CLICKS) == 30


# --- the verdict ------------------------------------------------------------------------------------------------------


def seen(number: int, caller: str = "ada", *, at: float = 0.0, places: Sequence[int] = ()) -> Seen:
    """Return a click that became ready, with positions in the queue one second apart."""
    visits = [[(at + n, place) for n, place in enumerate(places, 1)]]
    click = Click(number=number, caller=caller, at_s=at)
    return Seen(click=click, clicked_at=at, accepted_at=at, ready_at=at + 9, ending="ready", visits=visits)


def judged(all_seen: Sequence[Seen], starts: Sequence[tuple[int, float]] = (), **report: Any) -> Verdict:
    """Return the verdict on these clicks, with their starts at the Hub by number and time."""
    urls = {one.click.number: one.click.repo_url for one in all_seen}
    journal = [{"what": "spawn_started", "user_options": {"repo_url": urls[number]}, "at": at} for number, at in starts]
    told = {"journal": journal, "most_pending": 2, "answers": {"202": 2}, "users": [], **report}
    return judge(Evidence(seen=all_seen, report=told, limit=2, on_the_way_s=0.5, ended_at=10.0))


def faults(verdict: Verdict) -> dict[str, int]:
    return {column: len(found) for column, found in verdict.bad.items() if found}


def test_a_storm_that_went_well_has_no_findings() -> None:
    verdict = judged([seen(1, places=[3, 1, 0]), seen(2, "bob")], [(1, 3.0), (2, 0.1)])

    assert verdict.is_good
    assert verdict.figures["ready"] == 2


def test_clicks_without_a_server_unexpected_answers_and_load_on_the_hub_are_noticed() -> None:
    not_ready = replace(seen(1), ending="failed", ready_at=None)
    refused = replace(seen(1), statuses=[202, 200, 429, 503, 404], error="ServerDisconnectedError()")

    assert faults(judged([not_ready], users=["click-1"])) == {"not ready": 1, "left behind": 1}
    assert faults(judged([refused])) == {"429 or 5xx": 3}
    assert faults(judged([seen(1)], most_pending=5, answers={"202": 1, "429": 7})) == {
        "pending above the limit": 3,
        "429 from the Hub": 7,
    }


def test_a_caller_overtaken_by_more_than_one_turn_has_less_than_a_fair_share() -> None:
    bobs = [seen(n, "bob") for n in range(1, 6)]
    starts = [(n, 1.0 + n) for n in range(1, 6)]

    first_come = judged([*bobs, seen(9, "ada", at=0.5)], [*starts, (9, 8.0)])
    in_turn = judged([*bobs, seen(9, "ada", at=0.5)], [starts[0], (9, 3.0), *starts[1:]])

    assert faults(first_come) == {"beyond the fair share": 1}
    assert first_come.figures["slots beyond the fair share, most"] == 4
    assert faults(in_turn) == {}


def test_a_caller_with_many_clicks_has_no_claim_before_others_had_as_many_turns() -> None:
    adas = [seen(n, "ada") for n in range(3)]
    bobs = [seen(n, "bob") for n in range(3, 6)]

    verdict = judged([*adas, *bobs], [(0, 2.0), (3, 3.0), (1, 4.0), (4, 5.0), (5, 6.0), (2, 9.0)])

    assert faults(verdict) == {}


@pytest.mark.parametrize(
    ("places", "columns"),
    [
        ([], {}),
        ([5, 2, 0], {}),
        ([5, 2], {"not down to 0": 1}),
        ([5, 7, 0], {"rises": 1}),
        ([5, 0, 1, 0], {"rises": 1}),
    ],
)
def test_implausible_positions_of_a_follower_are_noticed(places: Sequence[int], columns: dict[str, int]) -> None:
    assert faults(judged([seen(1, places=places)])) == columns


def test_a_position_may_rise_if_as_many_others_have_joined_the_queue() -> None:
    others = [seen(n, f"caller-{n}", at=2.0) for n in (3, 4)]

    assert faults(judged([seen(1, places=[5, 7, 0]), seen(2), *others])) == {}
    assert faults(judged([seen(1, places=[5, 8, 0]), seen(2), *others])) == {"rises": 1}


def test_a_caller_with_one_click_is_not_overtaken_by_later_clicks() -> None:
    later = seen(2, "bob", at=1.5)
    stored_late = replace(seen(2, "bob"), accepted_at=1.5)

    assert faults(judged([seen(1, places=[5, 6, 0]), later])) == {"rises": 1}
    assert faults(judged([seen(1, places=[5, 6, 0]), stored_late])) == {}


def test_a_requeued_follower_may_start_from_a_higher_position() -> None:
    again = replace(seen(1), visits=[[(1.0, 3), (2.0, 0)], [(3.0, 2), (4.0, 0)]])

    assert faults(judged([again])) == {}
