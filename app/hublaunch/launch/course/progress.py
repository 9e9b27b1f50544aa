"""Which of the Hub's progress events become steps of an attempt."""

from collections import Counter
from collections.abc import Sequence

from hublaunch.launch.model import Event, Status, Step
from hublaunch.launch.ports import Progress
from hublaunch.launch.rules.messages import clean

EVENTS_MAX = 500
"""Events an attempt stores, of whatever kind; beyond them only what raises the progress, and its end."""


_NO_WORDS = "The server is starting"


class ProgressFilter:
    """Turns the Hub's progress streams of one attempt into steps without repetition.

    The Hub tells a spawn from its beginning to every reader, so a stream that is opened again repeats what is known:
    as many of each message as were seen are passed over. Progress never falls. `told` is what the log has of the
    attempt already, where another process began it.
    """

    def __init__(self, told: Sequence[Event] = ()) -> None:
        self._seen = Counter(event.message for event in told)
        self._repeated: Counter[str] = Counter()
        self._progress = max((event.progress for event in told), default=0)
        self._steps = len(told)
        self._last = told[-1].message if told else _NO_WORDS

    def count(self, steps: int) -> None:
        """So many steps that are not the Hub's progress were stored too."""
        self._steps += steps

    def begin_stream(self) -> None:
        """A stream is opened: what was seen so far may come again."""
        self._repeated = self._seen.copy()

    def step(self, event: Progress) -> Step | None:
        """The step that the event makes, None if it says nothing new.

        An event without words that raises the progress keeps the words before it.
        """
        message = clean(event.message)
        rises = event.progress is not None and event.progress > self._progress
        if message:
            if self._repeated[message]:
                self._repeated[message] -= 1
                return None
            self._seen[message] += 1
            self._last = message
        if not rises and (self._steps >= EVENTS_MAX or not message):
            return None
        self._steps += 1
        self._progress = max(self._progress, event.progress or 0)
        return Step(phase=Status.LAUNCHING, progress=self._progress, message=self._last)
