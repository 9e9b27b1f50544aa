"""When a launch counts as stalled, and what its event says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hublaunch.launch.model import Event, Stage, StallReason, Status
from hublaunch.launch.rules import raw_event
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.launch.rules.signs import stage_in
from hublaunch.launch.rules.stall import SILENCES_NEEDED, longest_usual_s, stall_step

BEGUN_AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
BUSY = {"least_s": 60.0, "default_s": 180.0}
NO_ROOM = "0/3 nodes are available: 3 Insufficient memory."


def kubernetes(reason: str, message: str, *, container: str = "") -> RawEvent:
    return RawEvent(reason=reason, message=message, container=container)


def events(*said: str | RawEvent, every_s: float = 1.0) -> Sequence[Event]:
    """Return the stored events of a launch for these messages of the Hub, one each second, each with its stage."""
    stored: list[Event] = []
    for message in ("Asking JupyterHub for a server", *said):
        raw = message if isinstance(message, RawEvent) else None
        words, read = raw_event.read(raw.message if raw else str(message), raw)
        event = Event(
            launch_id="01JDB9Z3N8Q4V7R2M5X6C1T0YK",
            seq=len(stored) + 1,
            at=BEGUN_AT + timedelta(seconds=every_s * len(stored)),
            attempt=1,
            phase=Status.LAUNCHING,
            progress=0,
            message=words,
            raw_event=read,
        )
        stage = stage_in(event) or (stored[-1].stage if stored else Stage.STARTING)
        stored.append(replace(event, stage=stage))
    return stored


def told(*said: str | RawEvent, after_s: float = 190.0) -> tuple[str, str | None]:
    """Return the message and the reason of the stall after these messages."""
    step = stall_step(events(*said), BEGUN_AT + timedelta(seconds=after_s))
    return step.message, step.stalled_reason


def test_a_silence_is_unusual_once_it_is_longer_than_that_of_99_of_100_launches() -> None:
    silences = [float(seconds) for seconds in range(1, 200)]

    assert longest_usual_s(silences, **BUSY) == 198
    assert longest_usual_s(sorted(silences, reverse=True), **BUSY) == 198


def test_no_silence_is_unusual_within_the_first_minute() -> None:
    assert longest_usual_s([0.5] * 500, **BUSY) == 60


def test_with_fewer_than_100_launches_three_minutes_are_unusual() -> None:
    assert longest_usual_s([1.0] * (SILENCES_NEEDED - 1), **BUSY) == 180
    assert longest_usual_s([], **BUSY) == 180


@pytest.mark.parametrize(
    ("said", "message", "reason"),
    [
        ([], "Starting the server for 3 minutes.", None),
        (["Server requested"], "Starting the server for 3 minutes.", None),
        (
            [kubernetes("FailedScheduling", NO_ROOM)],
            "Waiting for a machine for 3 minutes. No machine has room for the server yet.",
            "no_machine",
        ),
        (
            [kubernetes("FailedScheduling", NO_ROOM), kubernetes("TriggeredScaleUp", "pod triggered scale-up: [1->2]")],
            "Waiting for a machine for 3 minutes. The cluster is adding one.",
            "adding_machine",
        ),
        (
            [
                kubernetes("FailedScheduling", NO_ROOM),
                kubernetes("TriggeredScaleUp", "pod triggered scale-up: [1->2]"),
                kubernetes("FailedScheduling", "0/2 nodes are available: 2 Insufficient memory."),
            ],
            "Waiting for a machine for 3 minutes. The cluster is adding one.",
            "adding_machine",
        ),
        (
            [
                kubernetes("TriggeredScaleUp", "pod triggered scale-up: [1->2]"),
                kubernetes("FailedScaleUp", "Node scale up in zones a failed: out of stock"),
            ],
            "Waiting for a machine for 3 minutes. No machine has room for the server yet.",
            "no_machine",
        ),
        (
            ["2026-01-31T10:20:30Z [Normal] pod triggered scale-up: [{pool 1->2 (max: 9)}]"],
            "Waiting for a machine for 3 minutes. The cluster is adding one.",
            "adding_machine",
        ),
        (
            [
                kubernetes(
                    "FailedScheduling", "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
                )
            ],
            "Waiting for a machine for 3 minutes. The server's storage is not ready yet.",
            "storage",
        ),
        (
            ["Pending in queue..."],
            "Waiting for a machine for 3 minutes. The server is in the cluster's queue.",
            "batch_queue",
        ),
        (
            [kubernetes("Scheduled", "Successfully assigned a to b"), kubernetes("FailedMount", "Unable to attach")],
            "Starting the server for 3 minutes. The server's storage is not ready yet.",
            "storage",
        ),
        ([kubernetes("Pulling", 'Pulling image "a"')], "Pulling the image for 3 minutes.", None),
        (
            [kubernetes("Pulling", 'Pulling image "a"'), kubernetes("BackOff", 'Back-off pulling image "a"')],
            "Pulling the image for 3 minutes. The last try failed, and the cluster will try again.",
            "pull_failed",
        ),
        (
            [kubernetes("BackOff", 'Back-off pulling image "a"'), kubernetes("Pulling", 'Pulling image "a"')],
            "Pulling the image for 3 minutes.",
            None,
        ),
        (
            [kubernetes("BackOff", "Back-off restarting failed container")],
            "Starting the server for 3 minutes. The server has ended, and the cluster is starting it again.",
            "restarting",
        ),
        (
            [kubernetes("BackOff", "Back-off restarting failed container", container="proxy")],
            "Starting the server for 3 minutes.",
            None,
        ),
    ],
)
def test_a_stalled_launch_says_why(said: list[str | RawEvent], message: str, reason: str | None) -> None:
    assert told(*said) == (message, reason)


def test_every_reason_has_a_case_above() -> None:
    cases = next(mark for mark in test_a_stalled_launch_says_why.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]

    assert {reason for _, _, reason in cases.args[1]} - {None} == {reason.value for reason in StallReason}


@pytest.mark.parametrize(
    ("seconds", "time"), [(61, "1 minute"), (119, "1 minute"), (125, "2 minutes"), (20, "1 minute")]
)
def test_the_time_counts_from_the_beginning_of_the_stage(seconds: float, time: str) -> None:
    scheduling_at_s = 1.0

    message, _ = told("Pending in queue...", after_s=scheduling_at_s + seconds)

    assert message.startswith(f"Waiting for a machine for {time}.")


def test_the_step_keeps_the_progress_and_the_stage_and_has_the_time_of_the_last_news() -> None:
    step = stall_step(events("Pending in queue..."), BEGUN_AT + timedelta(minutes=4))

    assert (step.phase, step.progress, step.stage) == (Status.LAUNCHING, None, Stage.SCHEDULING)
    assert step.stalled_since == BEGUN_AT + timedelta(seconds=1)


def test_only_the_last_attempt_counts() -> None:
    first, again = events("Pending in queue..."), events("Pending in queue...", every_s=30)
    later = [replace(event, attempt=2) for event in again]

    step = stall_step([*first, *later], BEGUN_AT + timedelta(minutes=4))

    assert step.message.startswith("Waiting for a machine for 3 minutes.")
