"""How long a start usually takes, printed beside the events of a launch."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from hublaunch.cli.display import Display
from hublaunch.cli.wording import usual_text
from hublaunch.client import ExpectedBasis, LaunchEvent

SETTLED_S = 0.3
"""Time for the stored events of a launch to arrive, so that no outdated estimate is printed."""


class UsualTime:
    """Prints the usual time when the service sends it, and again once the launch takes longer.

    Use it with `async with`. Leaving the block ends the background task, so nothing is printed after the last event.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._telling: asyncio.Task[None] | None = None
        self._told = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def event(self, event: LaunchEvent) -> None:
        """Note an event that was shown. Raises OSError if nobody reads the output anymore."""
        changes = "expected_basis" in event.shown
        if changes or event.phase != "launching":
            await self._stop()
        if changes and event.expected_basis is not None:
            admitted_at = event.at - timedelta(seconds=event.expected_basis.passed_s)
            self._telling = asyncio.create_task(self._tell(event.expected_basis, admitted_at))

    async def _tell(self, basis: ExpectedBasis, admitted_at: datetime) -> None:
        await asyncio.sleep(SETTLED_S)
        left_s = basis.p90_s - (datetime.now(UTC) - admitted_at).total_seconds()
        if left_s > 0:
            self._print(usual_text(basis.p50_s, is_long=False))
            await asyncio.sleep(left_s)
        self._print(usual_text(basis.p50_s, is_long=True))

    def _print(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._display.note(text)

    async def _stop(self) -> None:
        if self._telling is not None:
            telling, self._telling = self._telling, None
            telling.cancel()
            await asyncio.wait({telling})
            if not telling.cancelled() and (error := telling.exception()):
                raise error
