"""Ways to show a launch in progress: a live bar on a terminal, one line per event in a pipe, or JSON."""

import json
import sys
from typing import Protocol

import typer

from hublaunch.cli.output import is_terminal
from hublaunch.cli.wording import clock, event_text, position_text
from hublaunch.client import LaunchEvent, Position


class Display(Protocol):
    """Shows one launch until it is closed: its events, its positions, and notes for people."""

    def event(self, event: LaunchEvent) -> None: ...

    def position(self, position: Position) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


def chosen(*, as_json: bool) -> Display:
    """Return the display that suits standard output. A bar needs a terminal and UTF-8."""
    if as_json:
        return JsonLines()
    if is_terminal(sys.stdout) and sys.stdout.encoding.lower().startswith("utf"):
        from hublaunch.cli.bar import Bar  # noqa: PLC0415 - only terminals need rich

        return Bar()
    return EventLines()


class JsonLines:
    """Prints each event and position as the service sends it, one JSON object per line."""

    def event(self, event: LaunchEvent) -> None:
        typer.echo(json.dumps(event.shown))

    def position(self, position: Position) -> None:
        typer.echo(json.dumps(position.shown))

    def note(self, text: str) -> None:
        """Do nothing: programs read what the service sends."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


class EventLines:
    """Prints a line for each event, each new position and each note."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._state = ""

    def event(self, event: LaunchEvent) -> None:
        self._state = f"{event.stage or event.phase:<10}  {event.progress:>3}%"
        typer.echo(f"{clock(event.at)}  {self._state}  {event_text(event)}")

    def position(self, position: Position) -> None:
        current = position.position, position.queue_size
        if current != self._last:
            self._last = current
            eta = "" if position.eta_s is None or not position.position else f", about {position.eta_s} s"
            typer.echo(f"{clock()}  {'queued':<10}    0%  {position_text(position)}{eta}")

    def note(self, text: str) -> None:
        typer.echo(f"{clock()}  {self._state}  {text}")

    def close(self) -> None:
        """Do nothing: nothing is open."""
