"""How the commands that call the service end."""

import errno
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO

import typer

FAILED, USAGE, REFUSED, INTERRUPTED = 1, 2, 3, 130
EXITS = (
    "Exit status: 0 ready, or done; 1 the launch failed or was cancelled, or the service cannot be reached; 2 wrong "
    "usage; 3 the service refused; 130 interrupted by Ctrl-C."
)


@contextmanager
def told_faults(*, as_json: bool) -> Generator[None]:
    """End as EXITS says, with a sentence on standard error; with `as_json` a refusal is on standard output too."""
    from hublaunch.cli.problems import problem_told  # noqa: PLC0415 - httpx is for those who call
    from hublaunch.client import LaunchClientError, Refused  # noqa: PLC0415 - as above

    try:
        yield
    except Refused as refusal:
        if as_json:
            typer.echo(json.dumps(refusal.problem.shown))
        typer.echo(printable(problem_told(refusal.problem)), err=True)
        raise typer.Exit(REFUSED) from None
    except LaunchClientError as fault:
        typer.echo(printable(str(fault)), err=True)
        raise typer.Exit(FAILED) from None
    except UnicodeEncodeError:
        typer.echo("An argument has bytes that are not UTF-8.", err=True)
        raise typer.Exit(USAGE) from None
    except OSError as error:  # of the output: those of the network are LaunchClientErrors
        if error.errno == errno.EPIPE:  # nobody reads any more, which Click takes for an end
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails at it once more when it exits
        typer.echo(f"The output cannot be written: {error.strerror}.", err=True)
        raise typer.Exit(FAILED) from None


_JOINERS = "\u200c\u200d"
"""Without these Persian, Hindi and emoji fall apart."""


def printable(text: str) -> str:
    """Return the words of others without characters that control a terminal."""
    return "".join(one if one.isprintable() or one in _JOINERS else " " for one in text)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person is at the other end of a standard stream; Python has None for one that is closed."""
    return stream is not None and stream.isatty()
