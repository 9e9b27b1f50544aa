"""The live bar of a launch on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from hublaunch.cli.show import clock, place_told, told
from hublaunch.client import LaunchEvent, Position

_BAR_COLUMNS = 10
"""With all beside it the line stays below 40 columns: a longer one that a terminal folds when it is made narrower could
not be taken back."""


class Bar:
    """What happened, line by line, and below it how far it is by now."""

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
        self._task = self._progress.add_task("waiting", total=100)
        self._progress.start()

    def event(self, event: LaunchEvent) -> None:
        self._console.print(Text(f"{clock(event.at)}  {told(event)}"))
        self._progress.update(self._task, completed=event.progress, description=event.phase)

    def position(self, position: Position) -> None:
        self._progress.update(self._task, description=place_told(position))

    def close(self) -> None:
        """Take the bar away; the lines above it stay."""
        self._progress.stop()
