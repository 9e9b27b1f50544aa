"""Exit statuses and errors of the commands that call the service."""

import errno
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import typer

from hublaunch.cli.output import printable

FAILED, USAGE, REFUSED, INTERRUPTED = 1, 2, 3, 130
EXITS = (
    "Exit status: 0 ready, or done; 1 the launch failed or was cancelled, or the service is unreachable; 2 wrong "
    "usage, or an optional package is not installed; 3 the service refused; 130 interrupted by Ctrl-C."
)


@contextmanager
def reported_faults(*, as_json: bool) -> Generator[None]:
    """Turn errors into exit statuses, with a sentence on standard error; with `as_json`, print refusals as JSON too."""
    from hublaunch.cli.wording import problem_text  # noqa: PLC0415 - --help needs no httpx
    from hublaunch.client import LaunchClientError, Refused  # noqa: PLC0415 - as above

    try:
        yield
    except Refused as refusal:
        if as_json:
            typer.echo(json.dumps(refusal.problem.shown))
        typer.echo(printable(problem_text(refusal.problem)), err=True)
        raise typer.Exit(REFUSED) from None
    except LaunchClientError as fault:
        typer.echo(printable(str(fault)), err=True)
        raise typer.Exit(FAILED) from None
    except UnicodeEncodeError:
        typer.echo("An argument contains bytes that are not UTF-8.", err=True)
        raise typer.Exit(USAGE) from None
    except OSError as error:  # of the output: network errors are LaunchClientErrors
        if error.errno == errno.EPIPE:  # nobody reads the output anymore; Click ends quietly
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails again at exit
        typer.echo(f"The output cannot be written: {error.strerror}.", err=True)
        raise typer.Exit(FAILED) from None
