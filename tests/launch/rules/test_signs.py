"""Kubernetes' events in the words of two releases of KubeSpawner: the same causes and the same stages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.api.views import Views
from hublaunch.api.visibility import Visibility
from hublaunch.launch.errors import SpawnFailed
from hublaunch.launch.model import Event, Stage, Status, Step
from hublaunch.launch.problem import Problem
from hublaunch.launch.rules.causes import cause_of
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.launch.rules.session import SessionTerms
from hublaunch.launch.rules.signs import MARKS, SIGNS
from tests.store.launches import new_launch
from tests.support.told import steps_of

NEVER_STARTED = "Spawn failed: pod jhub/jupyter-ada did not start in 300 seconds!"
_LINE = re.compile(r"(?P<stage>\w+) \| (?P<type>\w+) (?P<reason>\w+) (?P<container>\S+) \| (?P<message>.*)")


@dataclass
class Situation:
    """A server that does not start, by the events of Kubernetes in their order."""

    name: str
    code: str
    stages: list[str] = field(default_factory=list)
    raw_events: list[dict[str, Any]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    """The words of kubespawner#910 for each event."""

    @property
    def at_7_1(self) -> list[dict[str, Any]]:
        """The progress events of KubeSpawner 7.1.0."""
        heads = [f"2026-01-31T10:20:30Z [{raw['type']}] " for raw in self.raw_events]
        return self._events([head + str(raw["message"]) for head, raw in zip(heads, self.raw_events, strict=True)])

    @property
    def at_910(self) -> list[dict[str, Any]]:
        """The progress events of kubespawner#910."""
        signs = {"Normal": "\u2139\ufe0f", "Warning": "\u26a0\ufe0f"}
        heads = [f"2026-01-31T10:20:30Z {signs[raw['type']]} " for raw in self.raw_events]
        return self._events([head + words for head, words in zip(heads, self.words, strict=True)])

    def _events(self, messages: Sequence[str]) -> list[dict[str, Any]]:
        pairs = zip(messages, self.raw_events, strict=True)
        return [{"progress": n, "message": message, "raw_event": raw} for n, (message, raw) in enumerate(pairs)]


def situations() -> list[Situation]:
    found: list[Situation] = []
    for line in Path(__file__).with_name("kubernetes_events.txt").read_text().splitlines():
        if line.startswith("["):
            code, _, name = line[1:].partition("] ")
            found.append(Situation(name, code))
        elif event := _LINE.fullmatch(line):
            found[-1].stages.append(event["stage"])
            found[-1].raw_events.append(raw_event(**event.groupdict()))
            found[-1].words.append(event["message"])
        elif line.startswith("  = "):
            found[-1].words[-1] = line.removeprefix("  = ")
    return found


def raw_event(*, type: str, reason: str, container: str, message: str, **_: str) -> dict[str, Any]:  # noqa: A002
    """Return an event as the Kubernetes API has it, with the fields that matter here."""
    involved = {"kind": "Pod", "name": "jupyter-ada"}
    if container != "-":
        involved["fieldPath"] = f"spec.containers{{{container}}}"
    return {"involvedObject": involved, "reason": reason, "type": type, "message": message}


SITUATIONS = situations()
EACH = pytest.mark.parametrize("situation", SITUATIONS, ids=[situation.name for situation in SITUATIONS])


def test_there_are_many_situations() -> None:
    assert len(SITUATIONS) >= 30
    assert {situation.code for situation in SITUATIONS} >= {sign.cause.code for sign in SIGNS if sign.reasons}


@EACH
def test_both_wordings_give_the_same_cause(situation: Situation) -> None:
    causes = [cause_of(NEVER_STARTED, steps_of(events)) for events in (situation.at_7_1, situation.at_910)]

    assert [cause.code for cause in causes] == [situation.code, situation.code]
    assert str(causes[0]) == str(causes[1])


@EACH
def test_both_wordings_give_the_same_stages(situation: Situation) -> None:
    for events in (situation.at_7_1, situation.at_910):
        assert [step.stage for step in steps_of(events)] == situation.stages


@EACH
def test_the_spawners_own_words_are_recorded_without_time_type_and_sign(situation: Situation) -> None:
    plain = [str(raw["message"]) for raw in situation.raw_events]

    assert [step.message for step in steps_of(situation.at_7_1)] == plain
    assert [step.message for step in steps_of(situation.at_910)] == situation.words


@EACH
def test_only_the_servers_own_image_is_blamed(situation: Situation) -> None:
    cause = cause_of(NEVER_STARTED, steps_of(situation.at_910))

    assert isinstance(cause, SpawnFailed)
    blamed = ("image_not_found", "image_pull_failed", "command_not_found", "server_exited")
    assert cause.is_of_image is (situation.code in blamed)


NOT_WORDS_ALONE = {
    "a sidecar is pulled after the server's image was not found": "start_timeout",
    "the hook after the start fails": "start_timeout",
    "Karpenter finds no fitting node": "start_timeout",
    "the node lacks processors, in the words of a later kubelet": "start_timeout",
    "the node does not match the selector": "start_timeout",
    "the node evicts the pod": "start_timeout",
    "a volume is not mounted, in words that we do not know": "start_timeout",
    "the image of an init container is absent": "image_not_found",
    "an init container crashes": "server_exited",
}
"""Situations that only Kubernetes' reason or the container explains, and what the words alone say."""


@EACH
def test_the_words_of_7_1_alone_explain_most_situations(situation: Situation) -> None:
    events = [event | {"raw_event": None} for event in situation.at_7_1]

    assert cause_of(NEVER_STARTED, steps_of(events)).code == NOT_WORDS_ALONE.get(situation.name, situation.code)


def test_a_reason_that_means_progress_is_never_trouble() -> None:
    raw = raw_event(type="Normal", reason="Pulled", container="notebook", message="Error: ErrImagePull")

    assert (
        cause_of(NEVER_STARTED, steps_of([{"progress": 1, "message": "x", "raw_event": raw}])).code == "start_timeout"
    )


def test_a_warning_that_explains_nothing_is_shown_in_kubernetes_words() -> None:
    raw = raw_event(type="Warning", reason="Unknown", container="-", message="no sandbox")
    steps = steps_of([{"progress": 1, "message": "Something went wrong", "raw_event": raw}])

    assert str(cause_of("Spawn failed: ", steps)).endswith("The last warning was: no sandbox")


@pytest.mark.parametrize(
    ("told", "stages"),
    [
        (["Server requested", "Spawning server..."], [None, None]),  # DockerSpawner, SwarmSpawner
        (["Pending in queue...", "Cluster job running... waiting to connect"], ["scheduling", "starting"]),
        (["Unknown status..."], [None]),
        (['2026-01-31T10:20:30Z [Normal] Pulling image "a"', "Have patience"], ["pulling", "pulling"]),
        (["2026-01-31T10:20:30Z [Normal] pod triggered scale-up: [{a 1->2}]"], ["scheduling"]),
    ],
)
def test_the_words_of_other_spawners_give_the_stage_where_they_can(told: list[str], stages: list[str | None]) -> None:
    assert [step.stage for step in steps_of(told)] == stages


@pytest.mark.parametrize(
    ("message", "container", "size"),
    [
        (
            'Successfully pulled image "a:1" in 2.1s (2.1s including waiting). Image size: 71026652 bytes.',
            "notebook",
            71026652,
        ),
        ('Successfully pulled image "a:1" in 2.1s (2.1s including waiting). Image size: 71026652 bytes.', "", 71026652),
        ('Successfully pulled image "a:1" in 2.1s (2.1s including waiting). Image size: 71026652 bytes.', "git", None),
        ('Successfully pulled image "a:1" in 2.1s', "notebook", None),
        (f"Successfully pulled image a Image size: {'9' * 16} bytes", "notebook", None),
        ("Image size: 7 bytes", "notebook", None),
    ],
)
def test_a_pull_reports_the_size_of_the_servers_image(message: str, container: str, size: int | None) -> None:
    assert RawEvent(message=message, container=container).image_bytes == size


SECRET = "kept-back"
REASONS = [reason for one in (*SIGNS, *MARKS) for reason in one.reasons]
ANYTHING = st.recursive(
    st.just(SECRET) | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", SECRET]), inner, max_size=2),
    max_leaves=4,
)
RAW_EVENTS = st.fixed_dictionaries(
    {"message": st.sampled_from([raw["message"] for one in SITUATIONS for raw in one.raw_events] + ["no sandbox"])},
    optional={
        "reason": st.sampled_from([*REASONS, "Failed", SECRET, f"OutOf{SECRET}"]) | ANYTHING,
        "type": st.sampled_from(["Normal", "Warning", SECRET]) | ANYTHING,
        "involvedObject": st.fixed_dictionaries(
            {"fieldPath": st.sampled_from([f"spec.containers{{{SECRET}}}", SECRET]), "name": st.just(SECRET)}
        )
        | ANYTHING,
        "source": st.just({"component": SECRET, "host": SECRET}),
        "metadata": ANYTHING,
        SECRET: ANYTHING,
    },
)
EVERYTHING = Visibility.PRIVATE | Visibility.ENTRY | Visibility.OPERATOR


@given(
    raw_events=st.lists(RAW_EVENTS | ANYTHING, max_size=6),
    failed=st.sampled_from([NEVER_STARTED, "Spawn failed: ", "Spawn failed: Timeout", "Spawn failed: boom"]),
)
def test_no_text_for_visitors_has_a_field_of_a_raw_event_except_its_message(raw_events: list[Any], failed: str) -> None:
    steps = steps_of({"progress": n, "message": "words", "raw_event": raw} for n, raw in enumerate(raw_events))
    problem = Problem.of(cause_of(failed, steps, after_s=60))
    ended = Step(phase=Status.FAILED, progress=None, message=problem.title, problem=problem)
    shown = [shown_to_all(step, seq) for seq, step in enumerate([*steps, ended], start=1)]

    assert SECRET not in "".join(shown)


def shown_to_all(step: Step, seq: int) -> str:
    """Return everything that the API shows of a step to a reader who may see all, with the launch that it ends."""
    views = Views(unseal=bytes.decode, token_in_url=True, prefix="", terms=SessionTerms())
    launch = new_launch()
    event = Event(
        launch_id=launch.id,
        seq=seq,
        at=launch.created_at,
        attempt=1,
        phase=step.phase,
        progress=step.progress or 0,
        message=step.message,
        stage=step.stage or Stage.of(step.phase),
        raw_event=step.raw_event,
        problem=step.problem,
    )
    return views.sse([event], launch, visibility=EVERYTHING).decode() + str(
        views.launch(replace(launch, last_event=event), visibility=EVERYTHING)
    )
