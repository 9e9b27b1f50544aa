"""The Hub's progress events as steps of an attempt."""

from hublaunch.launch.course.progress import EVENTS_MAX, ProgressFilter
from hublaunch.launch.model import Stage, Step
from hublaunch.launch.ports import Progress


def progress_and_messages(steps: list[Step | None]) -> list[tuple[int | None, str]]:
    return [(step.progress, step.message) for step in steps if step]


def test_a_reopened_stream_repeats_nothing() -> None:
    first = [Progress(progress=0, message="Server requested"), Progress(progress=50, message="Pulling")]
    hub = ProgressFilter()
    hub.begin_stream()
    before = [hub.step(event) for event in first]

    hub.begin_stream()
    after = [hub.step(event) for event in [*first, Progress(progress=60, message="Pulled")]]

    assert progress_and_messages(before) == [(0, "Server requested"), (50, "Pulling")]
    assert progress_and_messages(after) == [(60, "Pulled")]


def test_a_message_sent_twice_in_one_stream_makes_two_steps() -> None:
    hub = ProgressFilter()
    hub.begin_stream()

    steps = [hub.step(Progress(progress=10, message="still waiting")) for _ in range(2)]

    assert progress_and_messages(steps) == [(10, "still waiting")] * 2


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
