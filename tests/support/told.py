"""The Hub's reports on a spawn, as the steps that hublaunch stores."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hublaunch.hub.progress import ProgressStream
from hublaunch.launch.course.progress import ProgressFilter
from hublaunch.launch.model import Step


def steps_of(events: Iterable[str | Mapping[str, Any]]) -> list[Step]:
    """Return the steps for the events of one progress stream; a text is an event that has only a message."""
    stream, recorded = ProgressStream(), ProgressFilter()
    sent = [{"message": event} if isinstance(event, str) else event for event in events]
    read = [parsed for event in sent for parsed in stream.feed(f"data: {json.dumps(event)}\n\n".encode())]
    return [step for event in read if (step := recorded.step(event))]
