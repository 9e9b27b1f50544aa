"""Which calls to the Hub are noted, and that no note is lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from hublaunch.launch.log_context import working_on
from hublaunch.launch.model import Attempt
from hublaunch.launch.ports import NotedCalls
from hublaunch.observe.hub_calls import HubCallNotes

ATTEMPT = Attempt(launch_id="01JDB9Z3N8Q4V7R2M5X6C1T0YK", number=2, username="a", server_name="", creates_user=True)


@dataclass
class Clock:
    """A clock that a test moves."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Kept:
    """A database for the notes, which can be down."""

    noted: list[NotedCalls] = field(default_factory=list)
    is_down: bool = False
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def add(self, noted: Sequence[NotedCalls]) -> None:
        self.was_asked.set()
        if self.is_down:
            raise OSError("down")
        self.noted.extend(noted)


def call(notes: HubCallNotes, clock: Clock, kind: str, outcome: str, seconds: float = 0.1) -> None:
    with working_on(ATTEMPT):
        end = notes.on_hub_request(kind, {})
    clock.seconds += seconds
    end(outcome)


@pytest.mark.parametrize(
    ("kind", "outcome", "seconds"),
    [
        ("get_user", "answered", 0.9),
        ("start_server", "answered", 10.5),
        ("stop_server", "given_up", 10.5),
        ("get_user", "given_up", 0.1),
        ("reach_server", "failed", 0.1),
    ],
)
async def test_a_call_that_went_as_usual_leaves_no_note(kind: str, outcome: str, seconds: float) -> None:
    clock, kept = Clock(), Kept()
    notes = HubCallNotes(kept.add, every_s=0, clock=clock)

    call(notes, clock, kind, outcome, seconds)
    await notes.store()

    assert not kept.was_asked.is_set()


@pytest.mark.parametrize(
    ("kind", "outcome", "seconds"),
    [
        ("get_user", "answered", 1.1),
        ("start_server", "answered", 11.5),
        ("get_user", "given_up", 5.0),
        ("get_user", "failed", 0.1),
        ("create_user", "busy", 0.1),
        ("start_server", "refused", 0.1),
        ("reach_server", "unreachable", 0.1),
        ("mint_token", "broken", 0.1),
    ],
)
async def test_a_call_that_failed_or_was_slow_is_noted_with_its_attempt(
    kind: str, outcome: str, seconds: float
) -> None:
    clock, kept = Clock(), Kept()
    notes = HubCallNotes(kept.add, every_s=0, clock=clock)

    call(notes, clock, kind, outcome, seconds)
    await notes.store()

    (noted,) = kept.noted
    assert (noted.launch_id, noted.attempt) == (ATTEMPT.launch_id, 2)
    assert (noted.kind, noted.outcome, noted.count) == (kind, outcome, 1)
    assert noted.slowest_s == pytest.approx(seconds)


async def test_the_same_failure_again_and_again_is_one_note_with_a_count() -> None:
    clock, kept = Clock(), Kept()
    notes = HubCallNotes(kept.add, every_s=0, clock=clock)

    for seconds in (0.1, 4.0, 0.2):
        call(notes, clock, "get_user", "failed", seconds)
    await notes.store()

    (noted,) = kept.noted
    assert noted.count == 3
    assert noted.slowest_s == pytest.approx(4.0)
    assert noted.first_at <= noted.last_at


async def test_a_call_outside_of_every_attempt_is_not_noted() -> None:
    kept = Kept()
    notes = HubCallNotes(kept.add, every_s=0)

    notes.on_hub_request("get_version", {})("failed")
    await notes.store()

    assert not kept.was_asked.is_set()


async def test_notes_that_the_database_refused_are_stored_later_with_those_that_came_since() -> None:
    clock, kept = Clock(), Kept(is_down=True)
    notes = HubCallNotes(kept.add, every_s=0, clock=clock)
    call(notes, clock, "get_user", "failed")
    with pytest.raises(OSError, match="down"):
        await notes.store()
    call(notes, clock, "get_user", "failed")
    kept.is_down = False

    await notes.store()

    assert [noted.count for noted in kept.noted] == [2]


async def test_notes_are_stored_without_being_asked_for() -> None:
    clock, kept = Clock(), Kept()
    notes = HubCallNotes(kept.add, every_s=0, clock=clock)
    running = asyncio.create_task(notes.run())

    call(notes, clock, "get_user", "failed")
    await asyncio.wait_for(kept.was_asked.wait(), 10)
    running.cancel()

    assert len(kept.noted) == 1
