"""`hublaunch`: the command line."""

import asyncio
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.keys import ApiKey

cli = typer.Typer(
    name="hublaunch",
    help="Launch-as-a-service for JupyterHub: hand it an image and a repository URL, get a ready Jupyter server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
State = Annotated[Path, typer.Option(help="Directory for everything the demo writes.")]
Check = Annotated[bool, typer.Option("--check", help="Launch once, run 1+1 in a kernel, clean up, and exit.")]


@cli.callback()
def _root() -> None:
    """Keep the commands below subcommands."""


@cli.command()
def serve(host: Host = "127.0.0.1", port: Port = 8083) -> None:
    """Serve the API beside a JupyterHub.

    Settings come from the environment and from .env; at least LAUNCHER_HUB_URL, LAUNCHER_HUB_API_TOKEN and
    LAUNCHER_ALLOWED_IMAGES are needed. .env.example lists all of them.

    SIGTERM and Ctrl-C end open streams politely and exit with 0 within LAUNCHER_DRAIN_S; launches go on in the other
    replicas, or at the next start. Exits with 1 for a fault in the settings, and with 3 if it cannot start for another
    reason.
    """
    import uvicorn  # noqa: PLC0415  # the command line stays light

    from app.main import create_app, settings_or_exit  # noqa: PLC0415
    from app.serving import server_config  # noqa: PLC0415

    settings = settings_or_exit()
    config = server_config(create_app(settings), host=host, port=port, drain_s=settings.drain_s)
    # uvicorn raises the signal that stopped it once more when all is over. That was then no failure, so it is heard
    # out and exit is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run()


@cli.command()
def demo(
    state: State = Path(".demo"),
    port: Port = 8083,
    *,
    check: Check = False,
) -> None:
    """Run a real JupyterHub with hublaunch beside it, on this machine, until Ctrl-C.

    Servers are local processes from this Python environment, whatever image is named. Needs
    `pip install 'hublaunch[demo]'`, and a Node.js (`pip install 'hublaunch[node]'` brings one).
    """
    from app.demo.run import run_demo  # noqa: PLC0415

    sys.exit(asyncio.run(run_demo(state=state, port=port, check=check)))


guard = typer.Typer(
    name="guard",
    help="The Hub guard, which keeps failed spawns from ending JupyterHub (LAUNCHER_HUB_GUARD).",
    invoke_without_command=True,
)
cli.add_typer(guard)


@guard.callback()
def show_guard(context: typer.Context) -> None:
    """Tell how things stand: whether launches are held back, why, and which images are refused."""
    if context.invoked_subcommand is not None:
        return
    from app.guarding import guard_lines  # noqa: PLC0415

    with _told_faults():
        typer.echo("\n".join(guard_lines()))


@guard.command("clear")
def clear_guard(
    image: Annotated[str, typer.Option(help="Let this image through again, and nothing else.")] = "",
) -> None:
    """Count failed spawns from nothing again, as JupyterHub does once it was restarted or a server was ready.

    Run it where the service runs: it writes into the database of LAUNCHER_DATABASE_URL, and the service goes on within
    a second.
    """
    from app.guarding import clear_guard as clear  # noqa: PLC0415

    with _told_faults():
        typer.echo(clear(image or None))


keys = typer.Typer(
    name="keys",
    help="API keys, by which backends call (LAUNCHER_ACCESS=key).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.add_typer(keys)

KeysFile = Annotated[
    Path | None, typer.Option("--file", help="The file of the keys; LAUNCHER_API_KEYS_FILE if not given.")
]
KeyName = Annotated[str, typer.Argument(help="What to call it: 1 to 64 of a-z, 0-9, `.`, `_` and `-`.")]
KeyImages = Annotated[
    list[str] | None,
    typer.Option("--image", help="A pattern of images it may launch, in place of LAUNCHER_ALLOWED_IMAGES; repeatable."),
]
MaxActive = Annotated[int | None, typer.Option(min=1, help="Launches that may be under way or ready at once.")]
ExpiresDays = Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until it is no longer taken.")]
MayNameUser = Annotated[bool, typer.Option("--may-name-user", help="It may launch on the account of any Hub user.")]
Admin = Annotated[bool, typer.Option("--admin", help="It sees and cancels everybody's launches.")]


@keys.command("add")
def keys_add(
    name: KeyName,
    image: KeyImages = None,
    max_active: MaxActive = None,
    expires_days: ExpiresDays = None,
    file: KeysFile = None,
    *,
    may_name_user: MayNameUser = False,
    admin: Admin = False,
) -> None:
    """Make a key and print it, this once: only its SHA-256 is kept.

    A running service takes it at once. For example:

    hublaunch keys add course-site --image 'quay.io/jupyter/*' --max-active 20 > course-site.key
    """
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from app.keys import add_key  # noqa: PLC0415

    with _told_faults():
        _, key = add_key(
            _keys_file(file),
            name=name,
            allowed_images=image or None,
            max_active=max_active,
            expires_at=datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None,
            may_name_user=may_name_user,
            is_admin=admin,
        )
    typer.echo(f"The key {name}, shown this once. Send it as the header `Authorization: Bearer …`.", err=True)
    typer.echo(key)


@keys.command("list")
def keys_list(
    file: KeysFile = None, *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False
) -> None:
    """List the keys and what they may do."""
    from app.keys import read_keys  # noqa: PLC0415

    with _told_faults():
        path = _keys_file(file)
        found = read_keys(path, may_be_missing=True)
    if as_json:
        for key in found:
            typer.echo(key.model_dump_json(exclude={"sha256"}))
    elif not found:
        typer.echo(f"No keys in {path} yet: `hublaunch keys add NAME` makes one.", err=True)
    else:
        for row in _table(found):
            typer.echo(row)


@keys.command("revoke")
def keys_revoke(name: KeyName, file: KeysFile = None) -> None:
    """Take a key away. A running service refuses it at once; launches made with it go on."""
    from app.keys import revoke_key  # noqa: PLC0415

    with _told_faults():
        revoke_key(_keys_file(file), name)
    typer.echo(f"The key {name} is revoked.", err=True)


def _keys_file(given: Path | None) -> Path:
    from app.settings import load_api_keys_file  # noqa: PLC0415

    path = given or load_api_keys_file()
    if path is None:
        typer.echo("Say which file holds the keys: --file FILE, or LAUNCHER_API_KEYS_FILE.", err=True)
        raise typer.Exit(2)
    return path


@contextmanager
def _told_faults() -> Generator[None]:
    from app.keys import KeysFault  # noqa: PLC0415
    from app.launch.errors import InvalidRequest  # noqa: PLC0415
    from app.settings import SettingsFault  # noqa: PLC0415
    from app.store.errors import StoreError  # noqa: PLC0415

    try:
        yield
    except (InvalidRequest, KeysFault, SettingsFault, StoreError) as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None


def _table(found: "Sequence[ApiKey]") -> Generator[str]:
    """A line a key under a heading, nothing cut off or broken: patterns may be long, and lines are searched."""
    rows = [("NAME", "MADE", "ENDS", "AT ONCE", "RIGHTS", "IMAGES")]
    for key in found:
        rights = [right for right, has in (("names users", key.may_name_user), ("admin", key.is_admin)) if has]
        rows.append(
            (
                key.name,
                f"{key.created_at:%Y-%m-%d}",
                f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never",
                str(key.max_active or "any number"),
                ", ".join(rights) or "-",
                ", ".join(key.allowed_images) if key.allowed_images is not None else "the service's",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def main() -> None:
    """The console script."""
    cli()


if __name__ == "__main__":
    main()
