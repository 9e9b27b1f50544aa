"""How the commands that call the service end."""

import json
from collections.abc import Generator
from contextlib import contextmanager

import typer

FAILED, USAGE, REFUSED, INTERRUPTED = 1, 2, 3, 130
EXITS = (
    "Exit status: 0 ready, or done; 1 the launch failed or was cancelled, or the service cannot be reached; 2 wrong "
    "usage; 3 the service refused; 130 interrupted by Ctrl-C."
)


@contextmanager
def told_faults(*, as_json: bool) -> Generator[None]:
    """End as EXITS says, with a sentence on standard error; with `as_json` a refusal is on standard output too."""
    from app.client import LaunchClientError, Refused  # noqa: PLC0415 - httpx is for those who call

    try:
        yield
    except Refused as refusal:
        if as_json:
            typer.echo(json.dumps(refusal.problem.shown))
        typer.echo(printable(str(refusal)), err=True)
        raise typer.Exit(REFUSED) from None
    except LaunchClientError as fault:
        typer.echo(printable(str(fault)), err=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def printable(text: str) -> str:
    """Words of others, without what a terminal obeys."""
    return "".join(character if character.isprintable() else " " for character in text)
