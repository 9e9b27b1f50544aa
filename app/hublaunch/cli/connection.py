"""The service that the commands call, and the caller's token."""

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
"""The address at which `hublaunch serve` and `hublaunch demo` listen."""
ASKING_S = 10.0
"""Seconds to retry a request while somebody waits at the terminal."""
FOLLOWING_S = 300.0
"""Seconds to retry while following a launch, which continues all the while."""
TOKEN_VARIABLE = "HUBLAUNCH_TOKEN"
_TOKEN_MAX = 16_384

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="HUBLAUNCH_URL",
        help=f"Address of the service, with its path, or the link of an invitation; {DEFAULT_URL} by default.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="HUBLAUNCH_TOKEN_FILE",
        help=f"File with a JupyterHub token, an API key or an invitation's code. Or set {TOKEN_VARIABLE} to the token.",
    ),
]
"""There is no option for the token itself: everybody on the machine can read arguments."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One service and one caller."""

    url: str
    token: str | None = field(repr=False)

    @property
    def is_shared(self) -> bool:
        """Whether the service cannot tell this caller from others: there is no token, or only an invitation."""
        from hublaunch.client.invitation import is_code  # noqa: PLC0415 - --help needs no httpx

        return self.token is None or is_code(self.token)

    def watch_command(self, launch_id: str) -> str:
        """Return the command that watches a launch of this service in any shell."""
        return f"hublaunch watch {launch_id}{'' if self.url == DEFAULT_URL else f' --url {self.url}'}"

    @classmethod
    def of(cls, url: str | None, token_file: Path | None) -> Self:
        """Return the connection that options and environment name. Ends the command if they cannot be used."""
        from hublaunch.client.invitation import split_link  # noqa: PLC0415 - --help needs no httpx

        address, code = split_link(url or DEFAULT_URL)
        token = _token(token_file)
        if code is not None and token is not None:
            typer.echo(
                f"The address is the link of an invitation, so it cannot be combined with {TOKEN_VARIABLE} or "
                "--token-file. Leave out either the link or the token.",
                err=True,
            )
            raise typer.Exit(USAGE)
        connection = cls(address, code or token)
        try:
            return replace(connection, url=connection.client({}).url)
        except ValueError as fault:
            typer.echo(str(fault), err=True)
            raise typer.Exit(USAGE) from None

    def client(self, launch_secrets: Mapping[str, str], *, patience_s: float = ASKING_S) -> "LaunchClient":
        """Return a client for use in one event loop."""
        from hublaunch.client import LaunchClient  # noqa: PLC0415 - --help needs no httpx

        return LaunchClient(self.url, token=self.token, launch_secrets=launch_secrets, patience_s=patience_s)


def _token(file: Path | None) -> str | None:
    """Return the caller's token; None for an anonymous caller. The file takes precedence over the variable."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        with file.open(encoding="utf-8") as opened:
            token = opened.read(_TOKEN_MAX)
    except OSError as error:
        reason = error.strerror
    except ValueError:
        reason = "it is not text"
    else:
        return token.strip()
    typer.echo(f"The token in {file} cannot be read: {reason}.", err=True)
    raise typer.Exit(USAGE)
