"""The live progress bar on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from hublaunch.cli.wording import clock, event_text, position_text
from hublaunch.client import LaunchEvent, Position

_BAR_COLUMNS = 10
"""Keeps the whole line below 40 columns. A terminal that is made narrower folds longer lines, and cannot erase them."""


class Bar:
    """Prints the events line by line, with a progress bar below them."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(_BAR_COLUMNS),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("queued", total=100)
        self._progress.start()

    def event(self, event: LaunchEvent) -> None:
        self._console.print(Text(f"{clock(event.at)}  {event_text(event)}"))
        self._progress.update(self._task, completed=event.progress, description=event.stage or event.phase)

    def position(self, position: Position) -> None:
        self._progress.update(self._task, description=position_text(position))

    def note(self, text: str) -> None:
        self._console.print(Text(f"{clock()}  {text}"))

    def close(self) -> None:
        """Remove the bar. The lines above it stay."""
        self._progress.stop()
