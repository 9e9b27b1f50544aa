"""The signs of a spawn's trouble and of its progress, in the words and reasons of spawners and of Kubernetes.

The words are whole phrases of KubeSpawner, DockerSpawner, SwarmSpawner, batchspawner, Kubernetes and container
runtimes. Each matches only at the beginning of a message and contains a space, which names of images and repositories
cannot contain. So no name is mistaken for a sign. Kubernetes' own reason takes precedence over the words of its
message, which change with its releases. A reason such as `Failed` or `BackOff` has many meanings, so there the words
decide.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from hublaunch.launch.errors import (
    ClusterQuotaExceeded,
    ClusterRefused,
    CommandNotFound,
    ImageNotFound,
    ImagePullFailed,
    NoRoom,
    ServerExited,
    SpawnFailed,
    VolumeFailed,
)
from hublaunch.launch.model import Stage
from hublaunch.launch.rules.raw_event import RawEvent


class Message(Protocol):
    """A message of the Hub about a spawn: a step, or a stored event."""

    @property
    def message(self) -> str: ...

    @property
    def raw_event(self) -> RawEvent | None: ...


class Hurdle(IntEnum):
    """What Kubernetes must get done for a server, in order."""

    PLACE = 1
    VOLUMES = 2
    IMAGE = 3
    RUN = 4


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of trouble."""

    cause: type[SpawnFailed]
    hurdle: Hurdle
    words: re.Pattern[str]
    reasons: tuple[str, ...]
    """Reasons of Kubernetes that mean this whatever the words are, unless another sign of the hurdle matches them."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign of progress."""

    passed: Hurdle | None
    """This hurdle, and every one before it, is passed."""
    stage: Stage
    """What the spawner does from here on."""
    words: re.Pattern[str]
    reasons: tuple[str, ...]


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


def _sign(cause: type[SpawnFailed], hurdle: Hurdle, *words: str, reasons: tuple[str, ...] = ()) -> Sign:
    return Sign(cause, hurdle, re.compile(rf"(?:{'|'.join(words)})", re.IGNORECASE), reasons)


SIGNS = (
    _sign(
        VolumeFailed,
        Hurdle.PLACE,
        r"(?:\d+/\d+ nodes are available: )?(?:\d+ )?pod has unbound immediate PersistentVolumeClaims",
        r'(?:\d+/\d+ nodes are available: )?(?:\d+ )?persistentvolumeclaim "[^"]+" (?:not found|is being deleted)',
        r"\d+/\d+ nodes are available: .*didn't find available persistent volumes to bind",
        r"Could not create PVC ",
    ),
    _sign(
        NoRoom,
        Hurdle.PLACE,
        r"\d+/\d+ nodes are available: ",
        r"no nodes available to schedule pods",
        r"pod didn't trigger scale-up",
        r"Node scale up in zones .+ failed: ",
        r"(?:Pod was rejected: )?Node didn't have enough resource: ",
        r"\[Errno 1[12]\] (?:Resource temporarily unavailable|Cannot allocate memory)",
        reasons=("FailedScheduling", "NotTriggerScaleUp", "FailedScaleUp", "NodeAffinity", "Evicted", "OutOf"),
    ),
    _sign(
        ClusterQuotaExceeded,
        Hurdle.PLACE,
        rf'{_KIND} "[^"]+" is forbidden: \[?exceeded quota: ',
    ),
    _sign(
        ClusterRefused,
        Hurdle.PLACE,
        rf'{_KIND} (?:"[^"]+" )?is forbidden: ',
        r'Pod "[^"]+" is invalid: ',
        r'admission webhook "[^"]+" denied the request',
    ),
    _sign(
        VolumeFailed,
        Hurdle.VOLUMES,
        r"Unable to (?:attach or )?mount volumes",
        r"(?:Mount|Map)Volume\.\w+ failed for volume ",
        r"AttachVolume\.\w+ failed for volume ",
        r"Multi-Attach error for volume ",
        rf'{_DOCKER}.*\("(?:invalid mount config for type |invalid volume specification: )',
        rf'{_DOCKER}.*\("error while (?:mounting volume|creating mount source path) ',
        reasons=("FailedMount", "FailedAttachVolume", "FailedMapVolume"),
    ),
    _sign(
        ImageNotFound,
        Hurdle.IMAGE,
        rf"{_PULLING}: .*(?:{_ABSENT_IN_PULL})",
        r"Failed to apply default image tag ",
        r"Error: (?:InvalidImageName|ErrImageNeverPull)$",
        r'Container image "[^"]*" is not present with pull policy of Never',
        rf'(?>{_DOCKER} for \S+/images/create\b.*?\(").*(?:{_ABSENT_IN_PULL})',
        rf"{_DOCKER_SAID}.*(?:{_ABSENT})",
        r"Service \S+ not running: .*'Err': 'No such image: ",
        reasons=("ErrImageNeverPull", "InspectFailed"),
    ),
    _sign(
        ImagePullFailed,
        Hurdle.IMAGE,
        _PULLING,
        r"Error: (?:ErrImagePull|ImagePullBackOff|RegistryUnavailable)$",
        rf"{_DOCKER} for \S+/images/create\b",
        rf'{_DOCKER}.*\("toomanyrequests: ',
    ),
    _sign(
        CommandNotFound,
        Hurdle.RUN,
        rf"Error: failed to (?:create|start) .*{_NO_COMMAND}",
        rf"{_DOCKER_SAID}(?>.*?OCI runtime create failed: ).*{_NO_COMMAND}",
    ),
    _sign(
        ServerExited,
        Hurdle.RUN,
        r"Exec lifecycle hook \(\[",
        r"Container \S+ failed (?:liveness|startup) probe",
        reasons=("FailedPostStartHook",),
    ),
    _sign(
        ServerExited,
        Hurdle.RUN,
        r"Back-off restarting failed container",
        r"Service \S+ not running: .*'Err': 'task: non-zero exit \(",
        r"The Jupyter batch job has disappeared while pending in the queue or died immediately after starting",
        r"the server process ended with status -?\d+ before it was ready",
    ),
)
"""Within a hurdle, the first sign is the most specific."""


def _mark(passed: Hurdle | None, stage: Stage, *words: str, reasons: tuple[str, ...] = ()) -> Mark:
    return Mark(passed, stage, re.compile("|".join(words)), reasons)


SCALE_UP = _mark(None, Stage.SCHEDULING, r"pod triggered scale-up: ", reasons=("TriggeredScaleUp", "Nominated"))
"""The cluster adds a machine. Karpenter says `Nominated`."""
BATCH_QUEUE = _mark(None, Stage.SCHEDULING, r"Pending in queue\b")
"""The words of batchspawner."""
MARKS = (
    SCALE_UP,
    BATCH_QUEUE,
    _mark(
        Hurdle.PLACE,
        Stage.STARTING,
        r"Successfully assigned ",
        r"Cluster job running\b",  # batchspawner
        reasons=("Scheduled",),
    ),
    _mark(Hurdle.VOLUMES, Stage.PULLING, r"Pulling image ", reasons=("Pulling",)),
    _mark(
        Hurdle.IMAGE,
        Stage.STARTING,
        r"Successfully pulled image ",
        r"Container image .* already present on machine",
        r"(?:Created|Started) container ",
        reasons=("Pulled", "Created", "Started"),
    ),
)
"""Signs of progress: words of batchspawner and Kubernetes, and Kubernetes' reasons."""

_SIGN_BY_REASON = {reason: sign for sign in SIGNS for reason in sign.reasons}
_MARK_BY_REASON = {reason: mark for mark in MARKS for reason in mark.reasons}
_STAGES = {Hurdle.PLACE: Stage.SCHEDULING, Hurdle.IMAGE: Stage.PULLING}


def said(message: Message) -> str:
    """Return Kubernetes' own words, or else the spawner's."""
    return message.raw_event.message if message.raw_event else message.message


def sign_in(message: Message) -> Sign | None:
    """Return the sign of trouble in a message, or None."""
    reason = _reason(message)
    if reason in _MARK_BY_REASON:
        return None
    by_reason, words = _SIGN_BY_REASON.get(reason), said(message)
    for sign in SIGNS:
        if (by_reason is None or sign.hurdle is by_reason.hurdle) and sign.words.match(words):
            return sign
    return by_reason


def mark_in(message: Message) -> Mark | None:
    """Return the sign of progress in a message, or None."""
    reason = _reason(message)
    if reason in _MARK_BY_REASON or reason in _SIGN_BY_REASON:
        return _MARK_BY_REASON.get(reason)
    words = said(message)
    for mark in MARKS:
        if mark.words.match(words):
            return mark
    return None


def stage_in(message: Message) -> Stage | None:
    """Return what the spawner does according to a message, or None if it does not say."""
    if mark := mark_in(message):
        return mark.stage
    if sign := sign_in(message):
        return _STAGES.get(sign.hurdle, Stage.STARTING)
    return None


def _reason(message: Message) -> str:
    """Return Kubernetes' reason. `OutOfcpu` and the like name the resource that a node lacks."""
    reason = message.raw_event.reason if message.raw_event else ""
    return "OutOf" if reason.startswith("OutOf") else reason
