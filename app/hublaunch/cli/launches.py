"""`hublaunch launch`, `watch`, `extend`, `list` and `cancel`: the commands of callers."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hublaunch.cli.connection import Connection, TokenFile, Url
from hublaunch.cli.duration import seconds_of
from hublaunch.cli.exits import FAILED, reported_faults
from hublaunch.cli.remembered import CannotRemember, RememberedLaunch, remember, remembered, secrets_for

if TYPE_CHECKING:
    from hublaunch.client import Launch

IfRunning = Literal["reuse", "new", "refuse"]
Status = Literal["waiting", "launching", "ready", "failed", "cancelled", "stopped"]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line, as the service sends them.")]
Open = Annotated[bool, typer.Option("--open", help="Open the server in your browser once it is ready.")]


def _known_ids(incomplete: str) -> list[str]:
    """Return the ids that start with this text, for the shell."""
    return [launch.id for launch in _remembered() if launch.id.startswith(incomplete)]


LaunchId = Annotated[str, typer.Argument(metavar="ID", help="Id of the launch.", autocompletion=_known_ids)]


def _duration(text: str) -> int:
    try:
        return seconds_of(text)
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from None


def launch(
    target: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|ENVIRONMENT",
            help="Image of the server, such as quay.io/jupyter/base-notebook:latest, or the name of an environment "
            "from `hublaunch catalogue`. A word without `/`, `:` or `@` is a name.",
        ),
    ],
    size: Annotated[str, typer.Option(help="Size of the environment's server; the first one by default.")] = "",
    repo: Annotated[
        str, typer.Option(help="Repository URL. The name of the server comes from it, and the spawner gets it.")
    ] = "",
    ref: Annotated[str, typer.Option(help="Branch, tag or commit of the repository.")] = "",
    path: Annotated[
        str, typer.Option(help="Path to open in the server, or in the repository if the environment fetches it.")
    ] = "",
    user: Annotated[str, typer.Option(help="Hub user to launch for, if you may launch for others.")] = "",
    server_name: Annotated[str, typer.Option(help="Named server to start on an existing account.")] = "",
    if_running: Annotated[
        IfRunning,
        typer.Option(
            help="If you already have an active launch of this image, repository and ref: reuse it, start a new one, "
            "or refuse."
        ),
    ] = "new",
    url: Url = None,
    token_file: TokenFile = None,
    *,
    wait: Annotated[bool, typer.Option(help="Follow the launch to its end, or print its id and exit.")] = True,
    open_it: Open = False,
    as_json: AsJson = False,
) -> None:
    """Launch a server, show its progress, and print the address to open.

    Ctrl-C asks whether to cancel the launch. If you do not cancel, it continues, and `hublaunch watch ID` follows it
    again. Keep the printed address to yourself: it contains the token of the server.

    Needs a running service (--url), and a token unless the service accepts anonymous callers. For example:

        hublaunch launch quay.io/jupyter/base-notebook --repo https://github.com/org/repo --open
        hublaunch launch scipy --size small
    """
    from hublaunch.cli.following import follow_to_the_end  # noqa: PLC0415 - --help needs no httpx

    if open_it and not wait:
        raise typer.BadParameter("needs --wait: a server can only be opened once it is ready.", param_hint="--open")
    connection = Connection.of(url, token_file)
    names = {**_named(target), "size": size, "username": user, "server_name": server_name}
    with reported_faults(as_json=as_json):
        accepted = _accepted(connection, **names, repo_url=repo, ref=ref, path=path, if_running=if_running)
    secret = accepted.secret or ""
    _remember(accepted, secret, connection.url)
    if wait:
        secrets = {accepted.id: secret}
        follow_to_the_end(connection, accepted.id, secrets, is_accepted=True, as_json=as_json, open_it=open_it)
        return
    typer.echo(f"Accepted. To watch it: {connection.watch_command(accepted.id)}", err=True)
    with reported_faults(as_json=False):
        typer.echo(json.dumps(accepted.shown) if as_json else accepted.id)


def _named(target: str) -> dict[str, str]:
    """Return the target as an image or, if it is a word without `/`, `:` or `@`, as an environment."""
    is_image = any(mark in target for mark in "/:@")
    return {"image": target} if is_image else {"environment": target}


def _accepted(connection: Connection, **asked: Any) -> "Launch":
    """Return the accepted launch. Print a hint if the environment is refused, or if Ctrl-C comes before the answer."""
    from hublaunch.client import InvalidRequest  # noqa: PLC0415 - as above

    async def ask() -> "Launch":
        async with connection.client({}) as client:
            return await client.launch(**asked)

    try:
        return asyncio.run(ask())
    except KeyboardInterrupt:
        typer.echo("Interrupted before the service answered. It may have accepted the launch.", err=True)
        raise
    except InvalidRequest as refusal:
        if any(error["field"] == "environment" for error in refusal.problem.errors):
            name = asked["environment"]
            typer.echo(f"For an image called {name}, write {name}:latest. `hublaunch catalogue` lists names.", err=True)
        raise


def watch(
    launch_id: LaunchId,
    url: Url = None,
    token_file: TokenFile = None,
    *,
    open_it: Open = False,
    as_json: AsJson = False,
) -> None:
    """Follow a launch from its first event to its end, as `hublaunch launch` does.

    For a launch started on this machine, the id is enough. For any other launch, give --url. Without the token of the
    launch's caller, you only see the progress. For example:

        hublaunch watch 01JDB9Z3N8Q4V7R2M5X6C1T0YK --open
    """
    from hublaunch.cli.following import follow_to_the_end  # noqa: PLC0415 - as above

    known = _remembered()
    connection = Connection.of(url or _service_of(launch_id, known), token_file)
    secrets = secrets_for(connection.url, known)
    follow_to_the_end(connection, launch_id, secrets, is_accepted=False, as_json=as_json, open_it=open_it)


def cancel(launch_id: LaunchId, url: Url = None, token_file: TokenFile = None) -> None:
    """Cancel a launch, or stop its server if it is ready, and wait until JupyterHub confirms.

    Run it on the machine that started the launch, or with the token of the launch's caller. For example:

        hublaunch cancel 01JDB9Z3N8Q4V7R2M5X6C1T0YK
    """
    from hublaunch.cli.following import cancel_and_tell  # noqa: PLC0415 - as above

    known = _remembered()
    connection = Connection.of(url or _service_of(launch_id, known), token_file)
    with reported_faults(as_json=False):
        confirmed = cancel_and_tell(connection, launch_id, secrets_for(connection.url, known))
    if not confirmed:
        raise typer.Exit(FAILED)


def extend(
    launch_id: LaunchId,
    by: Annotated[
        int,
        typer.Option(parser=_duration, metavar="TIME", help="How much longer the server may run, such as 30m or 1h."),
    ],
    url: Url = None,
    token_file: TokenFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let a ready server run longer, and print when it will be stopped.

    The service stops servers after a set time if its operator has set a limit; `hublaunch list` shows when. Run it
    on the machine that started the launch, or with the token of the launch's caller. For example:

        hublaunch extend 01JDB9Z3N8Q4V7R2M5X6C1T0YK --by 1h
    """
    known = _remembered()
    connection = Connection.of(url or _service_of(launch_id, known), token_file)

    async def ask() -> "Launch":
        async with connection.client(secrets_for(connection.url, known)) as client:
            return await client.extend(launch_id, by)

    with reported_faults(as_json=as_json):
        extended = asyncio.run(ask())
        typer.echo(json.dumps(extended.shown) if as_json else _ends(extended))


def list_launches(
    url: Url = None,
    token_file: TokenFile = None,
    status: Annotated[Status | None, typer.Option(help="Show only launches with this status.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="Show only launches of this environment of the catalogue.")
    ] = None,
    invitation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show the launches of everybody with this invitation; for admins."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many launches.")] = 50,
    *,
    everybody: Annotated[bool, typer.Option("--everybody", help="Show everybody's launches; for admins.")] = False,
    as_json: AsJson = False,
) -> None:
    """List your launches, newest first.

    With a token, the service lists all your launches. Without a token or with an invitation, the list has those started
    on this machine.
    For example:

        hublaunch list --status ready
    """
    from hublaunch.cli import listing  # noqa: PLC0415 - as above

    connection = Connection.of(url, token_file)
    mine = secrets_for(connection.url, _remembered())
    with reported_faults(as_json=as_json):
        if connection.is_shared and not everybody and invitation is None:
            listed = listing.of_this_machine(
                connection.client(mine), list(mine), status=status, environment=environment, limit=limit
            )
        else:
            filters = {
                "status": status,
                "environment": environment,
                "invitation": invitation,
                "everybody": "true" if everybody else None,
            }
            listed = listing.of_the_caller(connection.client({}), filters, limit=limit)
        found = asyncio.run(listed)
        if not found:
            words = f"{f'{status} ' if status else ''}launches{f' of {environment}' if environment else ''}"
            words += f" with the invitation {invitation}" if invitation else ""
            typer.echo(f"No {words} at {connection.url}.", err=True)
        elif as_json:
            for one in found:
                typer.echo(json.dumps(one.shown))
        else:
            for row in listing.table(found):
                typer.echo(row)


def _ends(launch: "Launch") -> str:
    from hublaunch.cli.listing import time_left  # noqa: PLC0415 - as above

    if launch.will_end_at is None:  # a repeated request found it stopped
        return f"Launch {launch.id} is {launch.status}."
    at = launch.will_end_at.astimezone()
    return f"The server will be stopped at {at:%Y-%m-%d %H:%M} ({time_left(launch.will_end_at)})."


def _remember(accepted: "Launch", secret: str, url: str) -> None:
    created_at = accepted.created_at.isoformat()
    try:
        remember(RememberedLaunch(id=accepted.id, url=url, secret=secret, created_at=created_at))
    except CannotRemember as fault:
        typer.echo(
            f"{fault} Launch {accepted.id} continues, but its secret is not stored. "
            "Without a token, later commands can only watch it.",
            err=True,
        )


def _remembered() -> list[RememberedLaunch]:
    try:
        return list(remembered())
    except CannotRemember as fault:
        typer.echo(str(fault), err=True)
        return []


def _service_of(launch_id: str, known: list[RememberedLaunch]) -> str | None:
    return next((launch.url for launch in known if launch.id == launch_id), None)
