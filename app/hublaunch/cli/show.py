"""How a launch is shown while it goes on: a live bar on a terminal, a line for each event in a pipe, or JSON."""

import json
import sys
from datetime import datetime
from typing import Protocol

import typer

from hublaunch.cli.exits import is_terminal, printable
from hublaunch.cli.problems import problem_told
from hublaunch.client import LaunchEvent, Position


class Show(Protocol):
    """Takes what is told of one launch, and is closed when nothing more is."""

    def event(self, event: LaunchEvent) -> None: ...

    def position(self, position: Position) -> None: ...

    def close(self) -> None: ...


def chosen(*, as_json: bool) -> Show:
    """Return the show that standard output is good for; a bar has characters that only UTF-8 has."""
    if as_json:
        return JsonLines()
    if is_terminal(sys.stdout) and sys.stdout.encoding.lower().startswith("utf"):
        from hublaunch.cli.bar import Bar  # noqa: PLC0415 - rich is for terminals alone

        return Bar()
    return Lines()


class JsonLines:
    """Each event and each place in the queue as the service sends it, one JSON object a line."""

    def event(self, event: LaunchEvent) -> None:
        typer.echo(json.dumps(event.shown))

    def position(self, position: Position) -> None:
        typer.echo(json.dumps(position.shown))

    def close(self) -> None:
        """Nothing is open."""


class Lines:
    """A line for each event, and for each change of the place in line."""

    def __init__(self) -> None:
        self._place: tuple[int, int] | None = None

    def event(self, event: LaunchEvent) -> None:
        typer.echo(f"{clock(event.at)}  {event.phase:<9}  {event.progress:>3}%  {told(event)}")

    def position(self, position: Position) -> None:
        place = position.position, position.queue_size
        if place != self._place:
            self._place = place
            about = "" if position.eta_s is None or not position.position else f", about {position.eta_s} s"
            typer.echo(f"{clock(None)}  {'waiting':<9}    0%  {place_told(position)}{about}")

    def close(self) -> None:
        """Nothing is open."""


def told(event: LaunchEvent) -> str:
    """What an event says, on one line; the last with what the reader can do next."""
    if event.phase == "ready" and event.open_url:
        return printable(f"{event.message}: {event.open_url}")
    if event.problem:
        return printable(problem_told(event.problem))
    return printable(event.message)


def place_told(position: Position) -> str:
    """Return `3 of 12 in the queue`, and at last `out of the queue`."""
    return f"{position.position} of {position.queue_size} in the queue" if position.position else "out of the queue"


def clock(at: datetime | None) -> str:
    """The time of day here; now if none is given."""
    return f"{(at or datetime.now().astimezone()).astimezone():%H:%M:%S}"
