"""Why a spawn failed, read from the messages of JupyterHub and of its spawner.

The signs are whole phrases of KubeSpawner, DockerSpawner, SwarmSpawner, batchspawner, Kubernetes and container
runtimes. Each matches only at the beginning of a message and contains a space, which names of images and repositories
cannot contain. So no name is mistaken for a cause.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from hublaunch.launch.errors import (
    ClusterQuotaExceeded,
    ClusterRefused,
    CommandNotFound,
    ImageNotFound,
    ImagePullFailed,
    NoRoom,
    ServerExited,
    ServerSilent,
    SpawnCancelled,
    SpawnError,
    SpawnFailed,
    SpawnRefused,
    StartTimedOut,
    VolumeFailed,
)
from hublaunch.launch.rules.messages import MESSAGE_MAX, clean


class _Stage(IntEnum):
    """The stages in which Kubernetes starts a server, in order."""

    PLACE = 1
    VOLUMES = 2
    IMAGE = 3
    RUN = 4


@dataclass(frozen=True, slots=True)
class _Sign:
    cause: type[SpawnFailed]
    stage: _Stage
    words: re.Pattern[str]


_KIND = r"(?:pods|persistentvolumeclaims|secrets|services|namespaces)"
_PULLING = r'(?:Failed to pull image|Back-off pulling image) "[^"]*"'
_DOCKER = r"\d{3} (?:Client|Server) Error\b"
_DOCKER_SAID = rf'(?>{_DOCKER}.*?\(")'
"""The text up to the first `("`, after which Docker's own message begins; no other `("` is tried."""
_ABSENT = (
    r"manifest unknown|name unknown|no such image: |pull access denied|not found: does not exist or no pull access|"
    r"requested access to the resource is denied|access to the requested resource is not authorized|"
    r"(?<!proxy )authentication required|incorrect username or password|invalid reference format|"
    r"no matching manifest for |no image found in [a-z ]{1,40} for architecture|does not match the specified platform"
)
"""Messages of registries and Docker about a missing image."""
_ABSENT_IN_PULL = rf"{_ABSENT}|: not found\b|40[13] (?:Unauthorized|Forbidden)\b"
_NO_COMMAND = (
    r"exec: [^:]+: (?:executable file not found in \$PATH|stat [^:]+: no such file or directory|permission denied)"
)


def _sign(cause: type[SpawnFailed], stage: _Stage, *words: str) -> _Sign:
    return _Sign(cause, stage, re.compile(rf"(?:{'|'.join(words)})", re.IGNORECASE))


_SIGNS = (
    _sign(
        VolumeFailed,
        _Stage.PLACE,
        r"(?:\d+/\d+ nodes are available: )?(?:\d+ )?pod has unbound immediate PersistentVolumeClaims",
        r'(?:\d+/\d+ nodes are available: )?(?:\d+ )?persistentvolumeclaim "[^"]+" (?:not found|is being deleted)',
        r"\d+/\d+ nodes are available: .*didn't find available persistent volumes to bind",
        r"Could not create PVC ",
    ),
    _sign(
        NoRoom,
        _Stage.PLACE,
        r"\d+/\d+ nodes are available: ",
        r"no nodes available to schedule pods",
        r"pod didn't trigger scale-up",
        r"Node scale up in zones .+ failed: ",
        r"(?:Pod was rejected: )?Node didn't have enough resource: ",
        r"\[Errno 1[12]\] (?:Resource temporarily unavailable|Cannot allocate memory)",
    ),
    _sign(
        ClusterQuotaExceeded,
        _Stage.PLACE,
        rf'{_KIND} "[^"]+" is forbidden: \[?exceeded quota: ',
    ),
    _sign(
        ClusterRefused,
        _Stage.PLACE,
        rf'{_KIND} (?:"[^"]+" )?is forbidden: ',
        r'Pod "[^"]+" is invalid: ',
        r'admission webhook "[^"]+" denied the request',
    ),
    _sign(
        VolumeFailed,
        _Stage.VOLUMES,
        r"Unable to (?:attach or )?mount volumes",
        r"(?:Mount|Map)Volume\.\w+ failed for volume ",
        r"AttachVolume\.\w+ failed for volume ",
        r"Multi-Attach error for volume ",
        rf'{_DOCKER}.*\("(?:invalid mount config for type |invalid volume specification: )',
        rf'{_DOCKER}.*\("error while (?:mounting volume|creating mount source path) ',
    ),
    _sign(
        ImageNotFound,
        _Stage.IMAGE,
        rf"{_PULLING}: .*(?:{_ABSENT_IN_PULL})",
        r"Failed to apply default image tag ",
        r"Error: (?:InvalidImageName|ErrImageNeverPull)$",
        r'Container image "[^"]*" is not present with pull policy of Never',
        rf'(?>{_DOCKER} for \S+/images/create\b.*?\(").*(?:{_ABSENT_IN_PULL})',
        rf"{_DOCKER_SAID}.*(?:{_ABSENT})",
        r"Service \S+ not running: .*'Err': 'No such image: ",
    ),
    _sign(
        ImagePullFailed,
        _Stage.IMAGE,
        _PULLING,
        r"Error: (?:ErrImagePull|ImagePullBackOff|RegistryUnavailable)$",
        rf"{_DOCKER} for \S+/images/create\b",
        rf'{_DOCKER}.*\("toomanyrequests: ',
    ),
    _sign(
        CommandNotFound,
        _Stage.RUN,
        rf"Error: failed to (?:create|start) .*{_NO_COMMAND}",
        rf"{_DOCKER_SAID}(?>.*?OCI runtime create failed: ).*{_NO_COMMAND}",
    ),
    _sign(
        ServerExited,
        _Stage.RUN,
        r"Exec lifecycle hook \(\[",
        r"Container \S+ failed (?:liveness|startup) probe",
    ),
    _sign(
        ServerExited,
        _Stage.RUN,
        r"Back-off restarting failed container",
        r"Service \S+ not running: .*'Err': 'task: non-zero exit \(",
        r"The Jupyter batch job has disappeared while pending in the queue or died immediately after starting",
        r"the server process ended with status -?\d+ before it was ready",
    ),
)
"""Within a stage, the first sign is the most specific."""

_PASSED = (
    (_Stage.PLACE, re.compile(r"Successfully assigned ")),
    (_Stage.VOLUMES, re.compile(r"Pulling image |Container image .* already present on machine")),
    (_Stage.IMAGE, re.compile(r"Successfully pulled image |Container image .* already present on machine")),
    (_Stage.IMAGE, re.compile(r"(?:Created|Started) container ")),
)
"""Messages of Kubernetes once a stage, and every stage before it, is done."""

_SILENT = re.compile(r"Server at \S+ didn't respond in [\d.]+ seconds")
_START_TIMEOUT = re.compile(r"Timeout|pod[ /]\S+ did not start in [\d.]+ seconds!")
_START_TIMEOUT_MIN_S = 10.0
"""A failure without a reason that comes sooner is not the Hub's start_timeout, which is 60 s by default."""
_NO_REASON = "Spawn failed"

_HTTP_ERROR = re.compile(r"HTTP (\d{3}): error(?: \((.*?)\)?)?", re.DOTALL)
_SPAWN_EXCEPTION = re.compile(r"(\d{3}) \w+\(reason=[^)]*\): (.*)", re.DOTALL)
_KUBERNETES_ANSWER = re.compile(r'(?>.*?HTTP response body: \{).*?"message":\s*("(?:[^"\\]|\\.)*")', re.DOTALL)
_KUBERNETES_EVENT = re.compile(r"(?:\S+ ){1,2}\[(Normal|Warning)\] ")


def cause_of(failed: str, earlier: Sequence[str], *, after_s: float | None = None) -> SpawnError | SpawnRefused:
    """Return the error for the Hub's cleaned `failed` message.

    `earlier`: the cleaned earlier messages, oldest first; they may explain a failure without a reason, or a timeout.
    `after_s`: how long the spawn took to fail; None if unknown. JupyterHub 5 and later give no reason for a
    start_timeout, nor for an exception without text. A spawner's own refusal becomes SpawnRefused, as in the Hub's
    answer to the start.
    """
    if failed == "Spawn cancelled":
        return SpawnCancelled()
    status, said = _unwrapped(failed[: 4 * MESSAGE_MAX].removeprefix("Spawn failed:").strip())
    if 400 <= status < 500:
        return SpawnRefused("start the server", status, said or "no reason given")
    if said in ("", _NO_REASON):
        return _explained(earlier) or _without_words(after_s, timed=not said, warned=_last_warning(earlier))
    if _SILENT.fullmatch(said):
        return _explained(earlier) or ServerSilent(said)
    if _START_TIMEOUT.fullmatch(said):
        words = "" if said == "Timeout" else said
        return _explained(earlier) or StartTimedOut(words, after_s=after_s, warned=_last_warning(earlier))
    sign = next((sign for sign in _SIGNS if sign.words.match(said)), None)
    return sign.cause(said) if sign else SpawnFailed(said)


def _without_words(after_s: float | None, *, timed: bool, warned: str) -> SpawnFailed:
    """Return the error for a failure without a reason, depending on how long it took."""
    if timed and after_s is not None and after_s >= _START_TIMEOUT_MIN_S:
        return StartTimedOut("", after_s=after_s, warned=warned)
    took = "" if after_s is None else f", after {after_s:.1f} s"
    sentence = f"The spawn failed{took}, and neither JupyterHub nor its spawner gave a reason."
    return SpawnFailed(f"{sentence} The last warning was: {warned}" if warned else sentence)


def _unwrapped(text: str) -> tuple[int, str]:
    """Return the status of an HTTP error, or 0, and the message inside the text that frameworks put around it."""
    status = 0
    if wrapped := _HTTP_ERROR.fullmatch(text) or _SPAWN_EXCEPTION.fullmatch(text):
        status, text = int(wrapped[1]), wrapped[2] or ""
    if answer := _KUBERNETES_ANSWER.match(text):
        with suppress(ValueError):
            text = json.loads(answer[1], strict=False)
    return status, clean(text)


def _explained(earlier: Sequence[str]) -> SpawnFailed | None:
    """Return the error for the latest stage with trouble that was not overcome, or None."""
    passed = 0
    troubles: list[tuple[_Sign, str]] = []
    for message in reversed([_without_head(message) for message in earlier]):
        passed = max(passed, *(stage for stage, words in _PASSED if words.match(message)), 0)
        troubles += [(sign, message) for sign in _SIGNS if sign.stage > passed and sign.words.match(message)]
    if not troubles:
        return None
    sign, message = min(troubles, key=lambda trouble: (-trouble[0].stage, _SIGNS.index(trouble[0])))
    return sign.cause(message)


def _without_head(message: str) -> str:
    event = _KUBERNETES_EVENT.match(message)
    return message[event.end() :] if event else message


def _last_warning(earlier: Sequence[str]) -> str:
    for message in reversed(earlier):
        event = _KUBERNETES_EVENT.match(message)
        if event and event[1] == "Warning":
            return message[event.end() :]
    return ""
