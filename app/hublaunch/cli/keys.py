"""`hublaunch keys`: add, list and revoke the API keys of applications."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hublaunch.cli.audited import audited, reported_faults
from hublaunch.cli.output import aligned

if TYPE_CHECKING:
    from hublaunch.files.keys import ApiKey

keys = typer.Typer(
    name="keys",
    help=(
        "Add, list and revoke the API keys of applications that launch (LAUNCHER_ACCESS=key).\n\n"
        "Run it where the service gets its settings (LAUNCHER_…, .env), or name the file with --file. "
        "Needs `pip install 'hublaunch[server]'`."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
KeysFile = Annotated[Path | None, typer.Option("--file", help="File of the keys; LAUNCHER_API_KEYS_FILE by default.")]
KeyName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the key: 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`.")
]
KeyImages = Annotated[
    list[str] | None,
    typer.Option(
        "--image", help="Pattern of images the key may launch, instead of LAUNCHER_ALLOWED_IMAGES; repeatable."
    ),
]
KeyEnvironments = Annotated[
    list[str] | None,
    typer.Option(
        "--environment",
        help="Environment of the catalogue the key may launch; repeatable. Without --image, the key may launch nothing "
        "else.",
    ),
]
MaxActive = Annotated[
    int | None, typer.Option(min=1, help="Maximum number of launches that may be active at the same time.")
]
ExpiresDays = Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until the key expires.")]
MayNameUser = Annotated[
    bool, typer.Option("--may-name-user", help="The key may launch on the account of any Hub user.")
]
Admin = Annotated[bool, typer.Option("--admin", help="The key sees and cancels everybody's launches.")]


@keys.command("add")
def keys_add(
    name: KeyName,
    image: KeyImages = None,
    environment: KeyEnvironments = None,
    max_active: MaxActive = None,
    expires_days: ExpiresDays = None,
    file: KeysFile = None,
    *,
    may_name_user: MayNameUser = False,
    admin: Admin = False,
) -> None:
    """Create a key and print it. It will not be shown again: only its SHA-256 is stored.

    A running service accepts the key immediately. For example:

        hublaunch keys add course-site --image 'quay.io/jupyter/*' --max-active 20 > course-site.key
    """
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from hublaunch.files.keys import add_key  # noqa: PLC0415

    with reported_faults(), audited() as audit:
        entry, key = add_key(
            _keys_file(file),
            name=name,
            allowed_images=image or None,
            environments=environment or None,
            max_active=max_active,
            expires_at=datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None,
            may_name_user=may_name_user,
            is_admin=admin,
        )
        rights = entry.model_dump(mode="json", exclude={"name", "sha256", "created_at"}, exclude_none=True)
        audit("key_added", key=name, rights=rights)
    typer.echo(
        f"API key for {name}. It will not be shown again. Send it as the header `Authorization: Bearer …`.", err=True
    )
    typer.echo(key)


@keys.command("list")
def keys_list(
    file: KeysFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the keys and their rights."""
    from hublaunch.files.keys import read_keys  # noqa: PLC0415

    with reported_faults():
        path = _keys_file(file)
        found = read_keys(path, may_be_missing=True)
    if as_json:
        for key in found:
            typer.echo(key.model_dump_json(exclude={"sha256"}))
    elif not found:
        typer.echo(f"No keys in {path} yet. Create one with `hublaunch keys add NAME`.", err=True)
    else:
        for row in _table(found):
            typer.echo(row)


@keys.command("revoke")
def keys_revoke(name: KeyName, file: KeysFile = None) -> None:
    """Revoke a key. A running service refuses it immediately. Launches of the key continue."""
    from hublaunch.files.keys import revoke_key  # noqa: PLC0415

    with reported_faults(), audited() as audit:
        revoke_key(_keys_file(file), name)
        audit("key_revoked", key=name)
    typer.echo(f"API key for {name} revoked.", err=True)


def _keys_file(given: Path | None) -> Path:
    from hublaunch.settings import load_keys_settings  # noqa: PLC0415

    path = given or load_keys_settings().api_keys_file
    if path is None:
        typer.echo("Name the file of the keys with --file or LAUNCHER_API_KEYS_FILE.", err=True)
        raise typer.Exit(2)
    return path


def _listed(names: "Sequence[str] | None") -> str:
    return ", ".join(names or ())


def _table(found: "Sequence[ApiKey]") -> Generator[str]:
    """Yield a heading, then one line per key."""
    rows = [("NAME", "CREATED", "EXPIRES", "MAX ACTIVE", "RIGHTS", "ENVIRONMENTS", "IMAGES")]
    for key in found:
        rights = [right for right, has in (("names users", key.may_name_user), ("admin", key.is_admin)) if has]
        rows.append(
            (
                key.name,
                f"{key.created_at:%Y-%m-%d}",
                f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never",
                str(key.max_active or "no limit"),
                ", ".join(rights) or "-",
                _listed(key.environments) or ("the service's" if key.allowed_images is None else "by image"),
                _listed(key.allowed_images) or ("the service's" if key.environments is None else "-"),
            )
        )
    return aligned(rows)
