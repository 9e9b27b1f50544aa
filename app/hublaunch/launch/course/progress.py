"""Progress: the Hub's words about one spawn, recorded as steps of the attempt."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

from hublaunch.launch.errors import LaunchError
from hublaunch.launch.model import Event, Stage, Status, Step
from hublaunch.launch.ports import Progress
from hublaunch.launch.rules import raw_event
from hublaunch.launch.rules.causes import cause_of
from hublaunch.launch.rules.messages import clean
from hublaunch.launch.rules.named_images import other_image
from hublaunch.launch.rules.signs import stage_in

log = logging.getLogger(__name__)

Record = Callable[[Step], Awaitable[object]]
"""Stores a step. Everything that depends on the step waits until this has returned."""

EVENTS_MAX = 500
"""The most events of one attempt. Beyond these, only the last one and those that raise the progress are stored."""

_NO_WORDS = "The server is starting"

_OTHER_IMAGE_ADVICE = (
    "The Hub's spawner must take `image` from user_options; KubeSpawner's default profile overwrites it, unless "
    "profile_list is a function that returns no profiles for launches."
)


class SpawnLog:
    """Records the progress of one spawn, and remembers it for the cause of a failure."""

    def __init__(self, record: Record, *, image: str, past_events: Sequence[Event] = ()) -> None:
        """`image`: the image that the launch asks for, `""` if unknown.

        `past_events`: the attempt's stored events, if another process began it.
        """
        self._record = record
        self._image = image
        self._filter = ProgressFilter(past_events)
        self._earlier: list[Event | Step] = list(past_events)
        self._requested_at = _requested_at(past_events)

    def begin_request(self) -> None:
        """Note that the Hub is asked for the server now."""
        self._requested_at = datetime.now(UTC)

    def begin_stream(self) -> None:
        """Note that a progress stream is opened, which repeats what earlier streams said."""
        self._filter.begin_stream()

    async def add(self, event: Progress) -> None:
        """Record an event of the Hub if it says something new."""
        if step := self._filter.step(event):
            self._earlier.append(replace(step, hub_event=None))
            await self._record(step)

    async def say(self, message: str, stage: Stage | None = None) -> None:
        """Record a message of hublaunch's own, and the stage if it changes."""
        await self._record(self._filter.own_step(message, stage))

    async def say_requeued(self) -> None:
        """Record that the Hub is asked again after a requeue, which has stored a step as well."""
        self._filter.requeue()
        await self.say("Asking JupyterHub for a server again")

    async def say_opening(self) -> None:
        """Record once that the Hub calls the server ready, but the server has not answered yet."""
        if self._filter.stage is not Stage.OPENING:
            await self.say("JupyterHub says that the server is ready. Waiting for its answer", Stage.OPENING)

    async def say_other_image(self) -> None:
        """If the spawner runs a different image, record that and log what the operator can do."""
        if not (other := other_image(self._image, self._earlier)):
            return
        message = clean(f"JupyterHub runs the image {other}, not the image that this launch asked for")
        if message not in [each.message for each in self._earlier]:
            log.warning("JupyterHub runs the image %s for a launch of %s. %s", other, self._image, _OTHER_IMAGE_ADVICE)
            await self.say(message)

    def failure(self, event: Progress) -> LaunchError:
        """Return the cause of a failed spawn, from the Hub's last event and those before it."""
        after_s = None if self._requested_at is None else (datetime.now(UTC) - self._requested_at).total_seconds()
        cause = cause_of(event.message, self._earlier, after_s=after_s)
        cause.hub_event = event.hub_event
        return cause


class ProgressFilter:
    """Turns the Hub's progress streams of one attempt into steps without repetition.

    The Hub sends every reader the whole spawn from its beginning, so a reopened stream repeats old messages: as many
    copies of each message are skipped as were seen before. A message that follows itself counts once: batchspawner
    repeats `Pending in queue...` every second, and Kubernetes its events. Progress never falls.
    """

    def __init__(self, past_events: Sequence[Event] = ()) -> None:
        """`past_events`: the attempt's stored events, if another process began it."""
        self._seen = Counter(message for message, _ in groupby(event.message for event in past_events))
        self._heard = ""
        """The last message of this stream."""
        self._repeated: Counter[str] = Counter()
        self._progress = max((event.progress for event in past_events), default=0)
        self._steps = len(past_events)
        self._last = past_events[-1].message if past_events else _NO_WORDS
        self.stage = past_events[-1].stage if past_events and past_events[-1].phase is Status.LAUNCHING else None

    def own_step(self, message: str, stage: Stage | None) -> Step:
        """Return the step for a message of hublaunch's own. A stage of None leaves the stage unchanged."""
        self._steps += 1
        self.stage = stage or self.stage
        return Step(phase=Status.LAUNCHING, progress=None, message=message, stage=self.stage)

    def requeue(self) -> None:
        """Note that the launch went back to the queue, which stored a step: the Hub begins from the beginning."""
        self._steps += 1
        self.stage = None

    def begin_stream(self) -> None:
        """Expect everything seen so far to be repeated."""
        self._repeated = self._seen.copy()
        self._heard = ""

    def step(self, event: Progress) -> Step | None:
        """Return the step for an event, or None if the event says nothing new.

        An event that raises the progress without a message keeps the message before it.
        """
        message, raw = raw_event.read(event.message, event.raw_event)
        rises = event.progress is not None and event.progress > self._progress
        is_same = message == self._heard
        self._heard = message or self._heard
        if is_same and not rises:
            return None
        if message and not is_same:
            if self._repeated[message]:
                self._repeated[message] -= 1
                return None
            self._seen[message] += 1
        self._last = message or self._last
        if not rises and (self._steps >= EVENTS_MAX or not message):
            return None
        self._steps += 1
        self._progress = max(self._progress, event.progress or 0)
        step = Step(
            phase=Status.LAUNCHING,
            progress=self._progress,
            message=self._last,
            raw_event=raw,
            hub_event=event.hub_event,
        )
        self.stage = stage_in(step) or self.stage
        return replace(step, stage=self.stage)


def _requested_at(past_events: Sequence[Event]) -> datetime | None:
    """Return when the attempt last asked the Hub for the server, or None if it has not."""
    requested_at: datetime | None = None
    for event in past_events:
        requested_at = None if event.phase is Status.WAITING else requested_at or event.at
    return requested_at
