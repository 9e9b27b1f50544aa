"""Stalls: when a launch has been silent for longer than usual, and what an event then says about it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile

from hublaunch.launch.errors import (
    CommandNotFound,
    ImageNotFound,
    ImagePullFailed,
    NoRoom,
    ServerExited,
    SpawnFailed,
    VolumeFailed,
)
from hublaunch.launch.model import Event, Stage, StallReason, Status, Step
from hublaunch.launch.rules import signs
from hublaunch.launch.rules.estimate import quantile

SILENCES_MAX = 1000
"""How many of the last launches that became ready count, each by its longest silence."""
SILENCES_NEEDED = 100
"""The fewest launches that have a 99th percentile."""

_WAITS: Mapping[Stage, str] = {
    Stage.SCHEDULING: "Waiting for a machine",
    Stage.PULLING: "Pulling the image",
    Stage.STARTING: "Starting the server",
    Stage.OPENING: "Waiting for the server to answer",
}
_REASONS: Mapping[StallReason, str] = {
    StallReason.ADDING_MACHINE: "The cluster is adding one.",
    StallReason.NO_MACHINE: "No machine has room for the server yet.",
    StallReason.BATCH_QUEUE: "The server is in the cluster's queue.",
    StallReason.STORAGE: "The server's storage is not ready yet.",
    StallReason.PULL_FAILED: "The last try failed, and the cluster will try again.",
    StallReason.RESTARTING: "The server has ended, and the cluster is starting it again.",
}
_OF_CAUSE: Mapping[type[SpawnFailed], StallReason] = {
    NoRoom: StallReason.NO_MACHINE,
    VolumeFailed: StallReason.STORAGE,
    ImageNotFound: StallReason.PULL_FAILED,
    ImagePullFailed: StallReason.PULL_FAILED,
    CommandNotFound: StallReason.RESTARTING,
    ServerExited: StallReason.RESTARTING,
}
_OF_MARK = {signs.SCALE_UP: StallReason.ADDING_MACHINE, signs.BATCH_QUEUE: StallReason.BATCH_QUEUE}
_FAILED_SCHEDULING = re.compile(r"(?:\d+/\d+ nodes are|no nodes) available")
"""Kubernetes repeats this while the cluster adds a machine."""


def longest_usual_s(silences: Sequence[float], *, least_s: float, default_s: float) -> float:
    """Return the seconds of silence after which a launch is stalled.

    That is the 99th percentile of `silences`, the longest ones of launches that became ready, but at least `least_s`.
    With fewer than `SILENCES_NEEDED` of them it is `default_s`.
    """
    if len(silences) < SILENCES_NEEDED:
        return default_s
    return max(least_s, quantile(sorted(silences), 0.99))


def stall_step(events: Sequence[Event], at: datetime) -> Step:
    """Return the step that says that a launch is stalled at this time.

    `events`: its events, oldest first. The last one is the last news, and has the phase `launching`.
    """
    last = events[-1]
    stage = last.stage or Stage.STARTING
    of_stage = list(takewhile(lambda event: _is_of(event, stage, last.attempt), reversed(events)))
    reason = _reason(of_stage)
    minutes = max(1, int((at - of_stage[-1].at).total_seconds() // 60))
    words = f"{_WAITS[stage]} for {minutes} {'minute' if minutes == 1 else 'minutes'}."
    return Step(
        phase=Status.LAUNCHING,
        progress=None,
        message=f"{words} {_REASONS[reason]}" if reason else words,
        stage=stage,
        stalled_since=last.at,
        stalled_reason=reason,
    )


def _is_of(event: Event, stage: Stage, attempt: int) -> bool:
    return event.phase is Status.LAUNCHING and event.attempt == attempt and (event.stage or Stage.STARTING) is stage


def _reason(newest_first: Sequence[Event]) -> StallReason | None:
    """Return the reason that the events of one stage give for its taking so long."""
    found: StallReason | None = None
    for event in newest_first:
        if mark := signs.mark_in(event):
            return _OF_MARK.get(mark, found)
        if sign := signs.sign_in(event):
            found = found or _of_sign(event, sign)
            if not _FAILED_SCHEDULING.match(signs.said(event)):
                return found
    return found


def _of_sign(event: Event, sign: signs.Sign) -> StallReason | None:
    reason = _OF_CAUSE.get(sign.cause)
    is_anothers = event.raw_event is not None and not event.raw_event.is_of_server
    return None if is_anothers and reason is StallReason.RESTARTING else reason
