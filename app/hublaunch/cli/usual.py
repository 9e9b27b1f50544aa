"""How long a start usually takes, printed beside the events of a launch."""

import asyncio
from types import TracebackType
from typing import Self

from hublaunch.cli.display import Display
from hublaunch.cli.wording import usual_text
from hublaunch.client import LaunchClient, LaunchClientError, LaunchEvent


class UsualTime:
    """Asks the service once the launch is at the Hub, and again when it pulls its image.

    Within `async with`. Leaving it ends the task in the background, so that nothing is printed after the last event.
    """

    def __init__(self, client: LaunchClient, launch_id: str, display: Display) -> None:
        self._client = client
        self._launch_id = launch_id
        self._display = display
        self._telling: asyncio.Task[None] | None = None
        self._last: tuple[str, str | None] | None = None
        self._told = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def event(self, event: LaunchEvent) -> None:
        """Note an event that was shown. Raises OSError if nobody reads the output any more."""
        before, self._last = self._last, (event.phase, event.stage)
        if event.phase != "launching":
            await self._stop()
        elif before is None or before[0] != "launching" or (event.stage == "pulling" and before[1] != "pulling"):
            await self._stop()
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            basis = (await self._client.get(self._launch_id)).expected_basis
        except LaunchClientError:
            return  # there is no estimate then, and following shows whether the service is there
        if basis is None:
            return
        if basis.passed_s <= basis.p90_s:
            self._print(usual_text(basis.p50_s, is_long=False))
            await asyncio.sleep(basis.p90_s - basis.passed_s)
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
