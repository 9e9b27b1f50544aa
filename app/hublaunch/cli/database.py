"""`hublaunch db`: look at the database, back it up, and copy it into another one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hublaunch.cli.audited import audited, reported_faults
from hublaunch.cli.exits import USAGE
from hublaunch.cli.output import aligned, is_terminal

if TYPE_CHECKING:
    from hublaunch.settings import Settings

database = typer.Typer(
    name="db",
    help=(
        "Look at the database, back it up, and copy it into another one.\n\n"
        "Run it where the service gets its settings (LAUNCHER_…, .env). Needs `pip install 'hublaunch[server]'`."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
From = Annotated[str, typer.Argument(metavar="FROM", help="URL of the database to copy, without a password.")]
To = Annotated[
    str,
    typer.Argument(
        metavar="[TO]", help="URL of the new database, without a password; LAUNCHER_DATABASE_URL by default."
    ),
]


@database.command("version")
def show_version() -> None:
    """Show the database, the version of its tables, and how many processes use it.

    Exits with 1 if this release cannot use the tables. For example:

        hublaunch db version
    """
    with reported_faults():
        from hublaunch.settings import load_settings  # noqa: PLC0415 - needs the server extra
        from hublaunch.store.database import transaction_beside_service  # noqa: PLC0415 - as above
        from hublaunch.store.drain import left  # noqa: PLC0415 - as above
        from hublaunch.store.inspect import inspect  # noqa: PLC0415 - as above
        from hublaunch.store.schema import HEAD  # noqa: PLC0415 - as above

        url = load_settings().database_url
        found = inspect(url)
        rows = [("Database", found.described)]
        if not found.is_current:
            tables = "none yet" if found.version is None else f"version {found.version}"
            rows.append(("Tables", f"{tables}; the next start of this release creates or upgrades them to {HEAD}"))
        else:
            rows.append(("Tables", f"version {HEAD}, which this release uses"))
            with transaction_beside_service(url, writes=False) as connection:
                now = left(connection)
            rows.append(("Processes", str(now.processes)))
            rows.append(("Launches", f"{now.waiting} in the queue, {now.launching} starting, {now.ready} ready"))
    typer.echo("\n".join(aligned(rows)))


@database.command("backup")
def back_up(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file, such as backup.sqlite.")],
) -> None:
    """Back up a SQLite database and its secret key to a new file, whether or not the service is running.

    The key goes to a second file beside it, unless you configure LAUNCHER_SECRET_KEY. Both have the mode 0600. Keep
    them as safe as the originals. For PostgreSQL, use pg_dump. For example:

        hublaunch db backup /backup/hublaunch-2026-12-01.sqlite
    """
    with reported_faults(), audited() as audit:
        from hublaunch.settings import load_settings  # noqa: PLC0415 - needs the server extra
        from hublaunch.store.backup import back_up as write  # noqa: PLC0415 - as above

        written = write(load_settings().database_url, file)
        audit("database_backed_up")
    for path in written:
        typer.echo(str(path))


@database.command("copy")
def copy(source: From, target: To = "") -> None:
    """Copy the database into a new one: from SQLite to PostgreSQL, or back. The old one stays as it is.

    Stop the service first. Start it on the new database afterwards: it continues every launch. Never start it on the
    old one again, or two services would run the same launches. The secret key must be the same: for PostgreSQL, set
    LAUNCHER_SECRET_KEY; beside a new SQLite file, this command writes it. All rows are copied in one transaction, and
    counted at the end.

    Arguments are visible to every user of the machine, so the URLs must contain no password. Set PGPASSWORD, or use a
    password file (PGPASSFILE, ~/.pgpass). For example, with LAUNCHER_DATABASE_URL set to the new database:

        hublaunch db copy sqlite:////srv/hublaunch.sqlite
    """
    with reported_faults():
        from hublaunch.settings import load_settings  # noqa: PLC0415 - needs the server extra

        _check_no_password(source, target)
        settings = load_settings()
        with audited() as audit:
            counts = _copy(source, target or settings.database_url, settings)
            audit("database_copied")
    typer.echo(f"Copied {sum(counts.values())} rows, with {counts['launches']} launches. All counts agree.")
    typer.echo("Start the service on the new database, and never again on the old one.")


def _check_no_password(*urls: str) -> None:
    from sqlalchemy import make_url  # noqa: PLC0415 - needs the server extra
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as above

    for url in filter(None, urls):
        try:
            parts = make_url(url)
        except ArgumentError:
            continue  # the copy says so
        if parts.password or any("password" in name for name in parts.query):
            typer.echo(
                "An argument has a password, which every user of this machine can read. Leave it out, and set "
                "PGPASSWORD, or leave out TO and set LAUNCHER_DATABASE_URL.",
                err=True,
            )
            raise typer.Exit(USAGE)


def _copy(source: str, target: str, settings: "Settings") -> dict[str, int]:
    from rich.console import Console  # noqa: PLC0415 - the other commands need no rich
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from hublaunch.sealing import Sealer  # noqa: PLC0415 - needs the server extra
    from hublaunch.store.copied_key import carry_key, keys_of_copy  # noqa: PLC0415 - as above
    from hublaunch.store.copy import copy_database  # noqa: PLC0415 - as above

    secrets = (*([settings.secret_key] if settings.secret_key else []), *settings.old_secret_keys)
    keys = keys_of_copy(source, target, [key.get_secret_value() for key in secrets])

    def carry() -> None:
        if written := carry_key(target, keys):
            typer.echo(f"The secret key is in {written}.")

    console = Console(stderr=True)
    with Progress(console=console, disable=not is_terminal(sys.stderr), transient=True) as progress:
        task = progress.add_task("Copying", total=None)
        counts = copy_database(
            source,
            target,
            sealer=Sealer(keys, purpose="stored tokens"),
            tell=lambda copied, most: progress.update(task, completed=copied, total=most),
            carry_key=carry,
        )
    return dict(counts)
