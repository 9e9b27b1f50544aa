"""One attempt at the fake Hub, through the real client."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hublaunch.hub.client import HubClient
from hublaunch.launch.course.attempt import Entry, run
from hublaunch.launch.course.cleanup import Traces
from hublaunch.launch.model import Attempt, LaunchRequest, Step
from hublaunch.launch.pace import Pace
from tests.fakes.hub import FakeHub
from tests.support.pace import QUICK

ATTEMPT = Attempt(launch_id="01JDB9Z3N8Q4V7R2M5X6C1T0YK", number=1, username="alice")
EVERYTHING = Traces.unknown(mints_token=True)
REQUEST = LaunchRequest(image="quay.io/a/b", repo_url="https://example.org/a/b", extra_args={"binder_ref_url": "x"})


class Attempted:
    """An attempt and its recorded steps."""

    def __init__(self, hub: FakeHub, client: HubClient, *, pace: Pace = QUICK, **entry: Any) -> None:
        self.steps: list[Step] = []
        self.traces = Traces()
        self._recorded = asyncio.Event()
        self._client = client
        self._pace = pace
        given: dict[str, Any] = {"token_mode": "hub", "token_lifetime_s": 60} | entry
        self._entry = Entry(**given)

    async def record(self, step: Step) -> None:
        self.steps.append(step)
        recorded, self._recorded = self._recorded, asyncio.Event()
        recorded.set()

    async def until_recorded(self, message: str) -> None:
        """Return once a step has this message."""
        while message not in self.messages:
            await self._recorded.wait()

    def run(self, attempt: Attempt = ATTEMPT, request: LaunchRequest = REQUEST) -> Coroutine[Any, Any, None]:
        return run(
            attempt,
            request,
            hub=self._client,
            entry=self._entry,
            record=self.record,
            traces=self.traces,
            pace=self._pace,
        )

    @property
    def messages(self) -> list[str]:
        return [step.message for step in self.steps]
