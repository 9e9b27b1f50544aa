"""Which service the commands call, and as whom."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from hublaunch.cli.exits import USAGE

if TYPE_CHECKING:
    from hublaunch.client import LaunchClient

DEFAULT_URL = "http://127.0.0.1:8083/"
"""Where `hublaunch serve` and `hublaunch demo` listen."""
ASKING_S = 10.0
"""For so long a service is asked that does not answer: somebody sits there and waits."""
FOLLOWING_S = 300.0
"""And so long where a launch is followed, which goes on meanwhile."""
TOKEN_VARIABLE = "HUBLAUNCH_TOKEN"
_TOKEN_MAX = 16_384

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="HUBLAUNCH_URL",
        help=f"The service, with the path it is served under; {DEFAULT_URL} if not given.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="HUBLAUNCH_TOKEN_FILE",
        help=f"A file that holds a JupyterHub token or an API key; or set {TOKEN_VARIABLE} to one.",
    ),
]
"""A token itself is no option: arguments are seen by everybody on the machine."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One service and one caller."""

    url: str
    token: str | None = field(repr=False)

    def watch_command(self, launch_id: str) -> str:
        """Return the command that watches a launch of this service from any shell."""
        return f"hublaunch watch {launch_id}{'' if self.url == DEFAULT_URL else f' --url {self.url}'}"

    @classmethod
    def of(cls, url: str | None, token_file: Path | None) -> Self:
        """Return the connection that options and environment name; end the command if they cannot be used."""
        connection = cls(url or DEFAULT_URL, _token(token_file))
        try:
            return replace(connection, url=connection.client({}).url)
        except ValueError as fault:
            typer.echo(str(fault), err=True)
            raise typer.Exit(USAGE) from None

    def client(self, launch_secrets: Mapping[str, str], *, patience_s: float = ASKING_S) -> "LaunchClient":
        """For one event loop."""
        from hublaunch.client import LaunchClient  # noqa: PLC0415 - httpx is for those who call

        return LaunchClient(self.url, token=self.token, launch_secrets=launch_secrets, patience_s=patience_s)


def _token(file: Path | None) -> str | None:
    """The caller's token; None for an anonymous one. The file goes before the variable."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        with file.open(encoding="utf-8") as opened:
            token = opened.read(_TOKEN_MAX)
    except OSError as error:
        reason = error.strerror
    except ValueError:
        reason = "it is no text"
    else:
        return token.strip()
    typer.echo(f"The token in {file} cannot be read: {reason}.", err=True)
    raise typer.Exit(USAGE)
