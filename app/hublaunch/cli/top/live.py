"""`hublaunch top` on a terminal: draw, wait for a key or a new reading, draw again."""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from hublaunch.cli.audited import audited
from hublaunch.cli.top.keyboard import Keyboard
from hublaunch.cli.top.reading import BackgroundReader, Seen, TopSource
from hublaunch.cli.top.screen import screen
from hublaunch.cli.top.view import Action, View
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.errors import StoreError
from hublaunch.store.ownership import cancel_in_progress

_WAIT_S = 0.2
"""How long a new reading or a new size of the terminal may wait to be drawn."""


def run(source: TopSource, interval_s: float) -> None:
    """Show the screen until the user quits. Afterwards the terminal is as it was, even after Ctrl-C or SIGTERM."""
    reader, view = BackgroundReader(source, interval_s), View()
    reader.start()
    console = Console(highlight=False)
    with (
        _terminable(),
        Keyboard(sys.stdin.fileno()) as keyboard,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        drawn: tuple[Seen, os.terminal_size] | None = None
        while True:
            seen, size = reader.seen, os.get_terminal_size(sys.stdout.fileno())
            if (seen, size) != drawn:
                console.size = ConsoleDimensions(size.columns, size.lines)
                live.update(screen(seen, source, view, columns=size.columns, lines=size.lines), refresh=True)
                drawn = seen, size
            try:
                keys = keyboard.keys(within_s=_WAIT_S)
            except EOFError:
                return
            for key in keys:
                drawn = None
                match view.press(key, seen.overview):
                    case Action.QUIT:
                        return
                    case Action.CANCEL:
                        view.notice = _outside(live, lambda: cancelled(source, view.cancelled_id))
                        reader.read_soon()


def cancelled(source: TopSource, launch_id: str) -> str:
    """Request the cancellation of a launch in progress, as an operator. Return what happened, in a sentence.

    The owner of the launch carries it out. Ends the command if the audit log cannot be written.
    """
    with audited() as audit:
        try:
            with transaction_beside_service(source.settings.database_url, writes=True) as connection:
                is_requested = cancel_in_progress(connection, launch_id)
        except StoreError as fault:
            return f"Launch {launch_id} was not cancelled. {fault}"
        if not is_requested:
            return f"Launch {launch_id} is ready, has ended, or is being cancelled already."
        audit("launch_cancel_requested", launch_id=launch_id)
    return f"Launch {launch_id} is being cancelled."


def _outside(live: Live, act: Callable[[], str]) -> str:
    """Act outside the full screen, where output of the audit log and of faults stays readable."""
    live.stop()
    try:
        return act()
    finally:
        live.start()


@contextmanager
def _terminable() -> Generator[None]:
    """Let SIGTERM and SIGHUP restore the terminal before they end the command."""

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
