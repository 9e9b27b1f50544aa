"""The Hub's progress events as steps of an attempt."""

from datetime import UTC, datetime

import pytest

from hublaunch.launch.course.progress import EVENTS_MAX, ProgressFilter
from hublaunch.launch.model import Event, Stage, Step
from hublaunch.launch.ports import Progress


def progress_and_messages(steps: list[Step | None]) -> list[tuple[int | None, str]]:
    return [(step.progress, step.message) for step in steps if step]


def event_of(step: Step, seq: int) -> Event:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    return Event(
        launch_id="one", seq=seq, at=at, attempt=1, phase=step.phase, progress=step.progress or 0, message=step.message
    )


def test_a_reopened_stream_repeats_nothing() -> None:
    first = [Progress(progress=0, message="Server requested"), Progress(progress=50, message="Pulling")]
    hub = ProgressFilter()
    hub.begin_stream()
    before = [hub.step(event) for event in first]

    hub.begin_stream()
    after = [hub.step(event) for event in [*first, Progress(progress=60, message="Pulled")]]

    assert progress_and_messages(before) == [(0, "Server requested"), (50, "Pulling")]
    assert progress_and_messages(after) == [(60, "Pulled")]


def test_a_message_that_follows_itself_makes_one_step_unless_the_progress_rises() -> None:
    hub = ProgressFilter()
    hub.begin_stream()

    sent = [
        (10, "Pending in queue..."),
        (10, "Pending in queue..."),
        (None, "Pending in queue..."),
        (20, "Pending in queue..."),
    ]
    steps = [hub.step(Progress(progress=progress, message=message)) for progress, message in sent]

    assert progress_and_messages(steps) == [(10, "Pending in queue..."), (20, "Pending in queue...")]


def test_a_message_of_kubernetes_that_follows_itself_at_a_later_time_makes_one_step() -> None:
    hub = ProgressFilter()
    hub.begin_stream()

    steps = [hub.step(Progress(message=f"2026-01-31T10:20:{second}Z [Warning] No room")) for second in (30, 40)]

    assert progress_and_messages(steps) == [(0, "No room")]


def test_a_message_that_comes_again_after_another_makes_a_step() -> None:
    hub = ProgressFilter()
    hub.begin_stream()

    steps = [hub.step(Progress(message=message)) for message in ("Pulling", "Back-off", "Pulling")]

    assert progress_and_messages(steps) == [(0, "Pulling"), (0, "Back-off"), (0, "Pulling")]


@pytest.mark.parametrize("by", ["reopening", "adoption"])
def test_a_stream_that_repeats_a_repeated_message_makes_no_step(by: str) -> None:
    said = [*[Progress(message="Pending in queue...")] * 50, Progress(message="Running"), Progress(message="Waiting")]
    hub = ProgressFilter()
    hub.begin_stream()
    stored = [step for event in said if (step := hub.step(event))]

    if by == "adoption":
        hub = ProgressFilter([event_of(step, seq) for seq, step in enumerate(stored, 1)])
    hub.begin_stream()
    again = [hub.step(event) for event in [*said, Progress(message="Running"), Progress(message="Up")]]

    assert progress_and_messages(list(stored)) == [(0, "Pending in queue..."), (0, "Running"), (0, "Waiting")]
    assert progress_and_messages(again) == [(0, "Running"), (0, "Up")]


def test_progress_never_falls() -> None:
    hub = ProgressFilter()
    hub.begin_stream()

    steps = [hub.step(Progress(progress=p, message=f"m{i}")) for i, p in enumerate([10, 80, 30, None, 90])]

    assert [progress for progress, _ in progress_and_messages(steps)] == [10, 80, 80, 80, 90]


def test_beyond_500_events_only_a_rise_of_progress_makes_a_step() -> None:
    hub = ProgressFilter()
    hub.begin_stream()

    steps = [hub.step(Progress(progress=10, message=f"event {i}")) for i in range(EVENTS_MAX + 100)]
    rise = hub.step(Progress(progress=11, message="further"))

    assert len(progress_and_messages(steps)) == EVENTS_MAX
    assert progress_and_messages([rise]) == [(11, "further")]


def test_hublaunchs_own_steps_count_as_events_of_the_attempt() -> None:
    hub = ProgressFilter()
    hub.begin_stream()
    for _ in range(EVENTS_MAX - 1):
        hub.own_step("Asking", None)

    steps = [hub.step(Progress(progress=0, message=f"event {i}")) for i in range(10)]

    assert progress_and_messages(steps) == [(0, "event 0")]


def test_an_event_without_a_message_keeps_the_last_one_and_makes_no_step_alone() -> None:
    hub = ProgressFilter()
    hub.begin_stream()

    steps = [
        hub.step(event)
        for event in (
            Progress(message="", progress=5),
            Progress(message="Pulling", progress=10),
            Progress(message="", progress=10),
            Progress(message="\u200b", progress=20),
            Progress(message=""),
        )
    ]

    assert progress_and_messages(steps) == [(5, "The server is starting"), (10, "Pulling"), (20, "Pulling")]


def test_a_message_without_a_stage_keeps_the_stage_until_a_requeue() -> None:
    hub = ProgressFilter()
    pulling = '2026-01-31T10:20:30Z [Normal] Pulling image "a"'

    steps = [hub.step(Progress(message=message)) for message in ("Server requested", pulling, "Have patience")]
    own = hub.own_step("Asking again", None)
    hub.requeue()
    again = hub.own_step("Asking JupyterHub for a server again", None)

    stages = [step.stage for step in (*steps, own, again) if step]
    assert stages == [None, Stage.PULLING, Stage.PULLING, Stage.PULLING, None]
