"""Why a spawn failed: the real messages in `spawner_words.txt`, and the cause of each."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.errors import HubRefused, LaunchError, SpawnCancelled, SpawnFailed, SpawnLost, SpawnTimedOut
from hublaunch.launch.rules.causes import cause_of
from tests.support.told import steps_of

NEVER_STARTED = "Spawn failed: pod jhub/jupyter-ada did not start in 300 seconds!"
SILENT = "Spawn failed: Server at http://10.0.0.7:8888/user/ada/api didn't respond in 30 seconds"

ASSIGNED = "Successfully assigned jhub/jupyter-ada to node-1"
PULLING = 'Pulling image "a/b"'
PULLED = 'Successfully pulled image "a/b" in 1m35.245028196s'
PRESENT = 'Container image "a/b" already present on machine'
CREATED = "Created container notebook"
STARTED = "Started container notebook"

NO_MEMORY = "0/5 nodes are available: 5 Insufficient memory."
MULTI_ATTACH = 'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node'
NOT_FOUND = 'Failed to pull image "a/b": rpc error: code = NotFound desc = docker.io/a/b:latest: not found'
NO_COMMAND = (
    'Error: failed to create containerd task: exec: "jupyterhub-singleuser": executable file not found in $PATH'
)
EXITED = "Back-off restarting failed container"


def words(kind: str) -> list[tuple[str, str]]:
    """Return the file's `failed` or `told` messages, each with its code."""
    code, found = "", []
    for line in Path(__file__).with_name("spawner_words.txt").read_text().splitlines():
        if line.startswith("["):
            code = line.strip("[]")
        elif line.startswith(kind):
            found.append((line.removeprefix(f"{kind} ").replace("\\n", "\n"), code))
    return found


def event(message: str) -> str:
    """Return a Kubernetes event as KubeSpawner words it."""
    return f"2026-01-31T10:20:30.123456Z [Warning] {message}"


@pytest.mark.parametrize(("failed", "code"), words("failed"))
def test_a_failure_message_gives_its_cause(failed: str, code: str) -> None:
    assert cause_of(failed, []).code == code


@pytest.mark.parametrize("failed", ["Spawn failed: ", "Spawn failed: Timeout", "Spawn failed", NEVER_STARTED])
@pytest.mark.parametrize(("told", "code"), [(told, code) for told, code in words("told") if code != "start_timeout"])
def test_earlier_messages_explain_a_failure_without_a_reason(failed: str, told: str, code: str) -> None:
    cause = cause_of(failed, steps_of(["Server requested", event(told)]))

    assert (cause.code, str(cause)) == (code, told)


@pytest.mark.parametrize("told", [told for told, code in words("told") if code == "start_timeout"])
def test_without_an_explanation_a_timeout_stays_a_timeout(told: str) -> None:
    assert cause_of(NEVER_STARTED, steps_of([event(told)])).code == "start_timeout"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([NOT_FOUND, "Error: ErrImagePull", 'Back-off pulling image "a/b"', "Error: ImagePullBackOff"], NOT_FOUND),
        ([PULLING, NOT_FOUND, PULLING], NOT_FOUND),
        ([NO_COMMAND, EXITED], NO_COMMAND),
        ([NO_MEMORY, NOT_FOUND], NOT_FOUND),
        ([NO_MEMORY, "pod triggered scale-up: [{nodes 1->2 (max: 5)}]"], NO_MEMORY),
        ([NO_MEMORY, NO_MEMORY.replace("5", "6")], NO_MEMORY.replace("5", "6")),
        ([PRESENT, CREATED, STARTED, PULLING, NOT_FOUND], NOT_FOUND),
        ([STARTED, EXITED, STARTED], EXITED),
    ],
)
def test_of_several_problems_the_most_specific_is_reported(told: list[str], said: str) -> None:
    assert str(cause_of(NEVER_STARTED, steps_of(event(message) for message in told))) == said


@pytest.mark.parametrize(
    "told",
    [
        [NO_MEMORY, ASSIGNED],
        [MULTI_ATTACH, PULLING],
        [MULTI_ATTACH, PRESENT],
        [NOT_FOUND, PULLED],
        [NOT_FOUND, PRESENT],
        [NOT_FOUND, CREATED],
        [NOT_FOUND, STARTED],
        [NO_MEMORY, STARTED, PULLING],
    ],
)
def test_problems_that_were_overcome_are_ignored(told: list[str]) -> None:
    assert cause_of(NEVER_STARTED, steps_of(event(message) for message in told)).code == "start_timeout"


@pytest.mark.parametrize("at", ["2019-08-16 11:44:01+00:00", "2022-04-06T16:14:08Z", "None"])
def test_a_server_that_keeps_exiting_is_not_just_silent(at: str) -> None:
    assert cause_of(SILENT, steps_of([f"{at} [Normal] {STARTED}", f"{at} [Warning] {EXITED}"])).code == "server_exited"


def test_a_failure_with_a_reason_is_not_explained_by_earlier_messages() -> None:
    cause = cause_of("Spawn failed: boom", steps_of([event(NOT_FOUND)]))

    assert (type(cause), str(cause)) == (SpawnFailed, "boom")


@pytest.mark.parametrize("failed", ["Spawn failed: ", "Spawn failed:", "", "Spawn failed: \u200b\x00"])
@pytest.mark.parametrize(
    ("after_s", "code", "sentence"),
    [
        (0.6, "spawn_failed", "The spawn failed, after 0.6 s, and neither JupyterHub nor its spawner gave a reason."),
        (None, "spawn_failed", "The spawn failed, and neither JupyterHub nor its spawner gave a reason."),
        (
            61.4,
            "start_timeout",
            "The server had not started after 61 s. "  # noqa: ISC004
            "JupyterHub gave no reason, which is usual when a server takes longer than the Hub allows.",
        ),
    ],
)
def test_a_failure_without_a_reason_is_a_timeout_only_after_enough_time(
    failed: str, after_s: float | None, code: str, sentence: str
) -> None:
    cause = cause_of(failed, [], after_s=after_s)

    assert (cause.code, str(cause)) == (code, sentence)


def test_the_one_word_timeout_is_a_timeout() -> None:
    cause = cause_of("Spawn failed: Timeout", [])

    assert (cause.code, str(cause)) == ("start_timeout", "The server did not start in the time that JupyterHub allows.")


def test_a_failure_without_a_reason_shows_the_last_warning() -> None:
    assert str(cause_of("Spawn failed: ", steps_of([event("no sandbox")]))).endswith("The last warning was: no sandbox")


def test_an_unknown_warning_is_shown_with_the_timeout() -> None:
    told = [event("no sandbox"), event("no network"), f"2026-01-31T10:20:30Z [Normal] {STARTED}", "Have patience"]

    assert str(cause_of(NEVER_STARTED, steps_of(told))) == (
        "pod jhub/jupyter-ada did not start in 300 seconds! The last warning was: no network"
    )


def test_a_refusal_reads_as_the_hubs_own_answer_to_the_start() -> None:
    cause = cause_of("Spawn failed: HTTP 403: error (no quota (2 of 2)\nfor you)", [])

    assert isinstance(cause, HubRefused)
    assert str(cause) == "JupyterHub refused to start the server (403): no quota (2 of 2) for you"


def test_only_the_message_of_a_kubernetes_answer_is_shown() -> None:
    message = 'pods "jupyter-ada" is forbidden: exceeded quota: hub, requested: pods=1, used: pods=9, limited: pods=9'
    body = json.dumps({"kind": "Status", "message": message, "code": 403})

    assert str(cause_of(f"Spawn failed: (403)\nReason: Forbidden\nHTTP response body: {body}\n\n", [])) == message


@pytest.mark.parametrize("body", [r'{"message": "\x41"}', '{"message": "cut of', '{"code": 403}', "", "[]"])
def test_an_unreadable_kubernetes_answer_is_shown_as_it_is(body: str) -> None:
    failed = f"(403)\nReason: Forbidden\nHTTP response body: {body}"

    assert str(cause_of(f"Spawn failed: {failed}", [])) == " ".join(failed.split())


def test_a_spawners_message_is_cleaned() -> None:
    cause = cause_of("Spawn failed: cannot clone\nhttps://ada:secret@example.org/?token=secret \ud800", [])

    assert str(cause) == "cannot clone https://example.org/"


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        ("Spawn failed: " + "x" * 9000 + 'HTTP response body: {"message": "Could not create PVC x"}', "spawn_failed"),
        ("Spawn failed: HTTP 403: error (" + "x" * 9000 + ")", "hub_refused"),
    ],
)
def test_only_the_beginning_of_a_long_failure_is_read(failed: str, code: str) -> None:
    cause = cause_of(failed, [])

    assert cause.code == code
    assert len(str(cause)) < 1100


NAMES = st.one_of(
    st.from_regex(r"[a-z0-9]+([._/-][a-z0-9]+){0,4}(:[A-Za-z0-9_.-]{1,20})?", fullmatch=True),
    st.sampled_from(
        [
            "evil.example/errimagepull:ErrImagePull",
            "evil.example/manifest-unknown:not-found",
            "https://example.org/0/3-nodes-are-available:/exceeded-quota:",
            "https://example.org/pods/is-forbidden:/Back-off-restarting-failed-container",
            "Timeout",
            "Multi-Attach",
        ]
    ),
)


@given(
    name=NAMES,
    sentence=st.sampled_from(
        [
            "cannot start {}",
            "{} is forbidden: ask the operator",
            "image {} is forbidden: not on the list",
            "{} not found",
            'repository "{}" is invalid: too large',
            "{}: no such image in our catalogue",
            "clone of {} did not finish in 30 seconds",
            "quota of {} exceeded",
        ]
    ),
)
def test_no_image_or_repository_name_is_mistaken_for_a_cause(name: str, sentence: str) -> None:
    said = sentence.format(name)

    assert cause_of(f"Spawn failed: {said}", []).code == "spawn_failed"
    assert cause_of(NEVER_STARTED, steps_of([said, event(said)])).code == "start_timeout"


def test_only_a_lost_spawn_is_retried() -> None:
    kinds: list[type[LaunchError]] = [SpawnLost, SpawnCancelled, SpawnTimedOut, SpawnFailed]

    assert [kind for kind in kinds + SpawnFailed.__subclasses__() if kind.retryable] == [SpawnLost]
