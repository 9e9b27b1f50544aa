"""`hublaunch invite`: invitations, the links with which visitors launch without an account."""

import json
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hublaunch.cli.audited import audited, reported_faults
from hublaunch.cli.exits import FAILED, USAGE
from hublaunch.cli.output import aligned, is_terminal

if TYPE_CHECKING:
    from datetime import datetime

    from hublaunch.launch.rules.invitation import Invitation, InvitationUse

invite = typer.Typer(
    name="invite",
    help=(
        "Add, list, change and revoke invitations: links with which visitors launch without an account "
        "(LAUNCHER_ACCESS=invitation).\n\n"
        "Run it where the service gets its settings (LAUNCHER_…, .env): it reads and writes the database. The service "
        "need not be running. Needs `pip install 'hublaunch[server]'`."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the invitation: 1 to 64 of a-z, 0-9, `.`, `_` and `-`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
_UNTIL = "Last day in UTC, such as 2027-05-20, or a time with its zone, such as 2027-05-20T18:00:00+02:00."
_MOST = "Launches of all holders that may be active at the same time."


@invite.command("add")
def invite_add(
    name: Name,
    environment: Annotated[
        list[str], typer.Option("--environment", help="Environment of the catalogue that holders launch; repeatable.")
    ],
    most: Annotated[int, typer.Option(min=1, max=1_000_000, help=_MOST)],
    until: Annotated[str, typer.Option(help=_UNTIL)],
    size: Annotated[
        list[str] | None,
        typer.Option(
            "--size", help="Size that holders may choose; repeatable. By default, all that everybody may have."
        ),
    ] = None,
    repo: Annotated[str, typer.Option(help="Repository to open. Without it, holders may choose one.")] = "",
    ref: Annotated[str, typer.Option(help="Branch, tag or commit of the repository.")] = "",
    path: Annotated[str, typer.Option(help="Path to open.")] = "",
    qr: Annotated[
        Path | None, typer.Option(help="Also write the QR code into this file: .svg or .png.", dir_okay=False)
    ] = None,
) -> None:
    """Create an invitation, and print its link and the QR code of the link. The link will not be shown again.

    Everybody who has the link can launch, so send it like a password. The database has only its SHA-256. For example:

        hublaunch invite add pycon --environment scipy --size small --most 200 --until 2027-05-20
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from hublaunch.doctor.invitations import add_invitation, end_of  # noqa: PLC0415
    from hublaunch.launch.rules.invitation import Invitation  # noqa: PLC0415

    if qr is not None and qr.suffix not in (".svg", ".png"):
        typer.echo("--qr: the name of the file must end in .svg or .png.", err=True)
        raise typer.Exit(USAGE)
    with reported_faults(), audited() as audit:
        added = add_invitation(
            Invitation(
                name=name,
                environments=tuple(dict.fromkeys(environment)),
                sizes=tuple(dict.fromkeys(size or ())),
                most=most,
                created_at=datetime.now(UTC),
                until=end_of(until),
                repo_url=repo,
                ref=ref,
                path=path.lstrip("/"),
            )
        )
        audit("invitation_added", invitation=name, rights=_rights(added.invitation))
    typer.echo(f"Invitation {name}. Its link will not be shown again.", err=True)
    for warning in added.warnings:
        typer.echo(warning, err=True)
    typer.echo(added.link)
    _draw(added.link, qr)


@invite.command("list")
def invite_list(*, as_json: AsJson = False) -> None:
    """List the invitations, newest first, with how many of their launches are active."""
    from hublaunch.doctor.invitations import list_invitations  # noqa: PLC0415

    with reported_faults():
        found = list_invitations()
    if as_json:
        for use in found:
            typer.echo(json.dumps(_shown(use)))
    elif not found:
        typer.echo("No invitations yet. Create one with `hublaunch invite add NAME`.", err=True)
    else:
        for row in _table(found):
            typer.echo(row)


@invite.command("show")
def invite_show(name: Name, *, as_json: AsJson = False) -> None:
    """Show an invitation and its use, but not its link. `hublaunch show ID` shows a launch."""
    from hublaunch.doctor.invitations import show_invitation  # noqa: PLC0415

    with reported_faults():
        use = show_invitation(name)
    _print(use, as_json=as_json)


@invite.command("change")
def invite_change(
    name: Name,
    most: Annotated[int | None, typer.Option(min=1, max=1_000_000, help=_MOST)] = None,
    until: Annotated[str | None, typer.Option(help=_UNTIL)] = None,
) -> None:
    """Change how many launches an invitation allows, or when it ends. Its link stays the same.

    The change takes effect at the next request to every replica. Existing launches continue. For example:

        hublaunch invite change pycon --most 300 --until 2027-05-21
    """
    from hublaunch.doctor.invitations import change_invitation, end_of  # noqa: PLC0415

    if most is None and until is None:
        typer.echo("Name what to change: --most or --until.", err=True)
        raise typer.Exit(USAGE)
    with reported_faults(), audited() as audit:
        use = change_invitation(name, most=most, until=end_of(until) if until is not None else None)
        audit("invitation_changed", invitation=name, rights=_rights(use.invitation))
    _print(use, as_json=False)


@invite.command("revoke")
def invite_revoke(name: Name) -> None:
    """Revoke an invitation. Every replica refuses the next request with it. Existing launches continue."""
    from hublaunch.doctor.invitations import revoke_invitation  # noqa: PLC0415

    with reported_faults(), audited() as audit:
        use = revoke_invitation(name)
        audit("invitation_revoked", invitation=name)
    left = f" {use.active} of its launches are active, and continue." if use.active else ""
    typer.echo(f"Invitation {name} revoked.{left}", err=True)


def _draw(link: str, file: Path | None) -> None:
    """Draw the QR code of a link on a terminal, and into the file if there is one."""
    import segno  # noqa: PLC0415 - with the server extra

    code = segno.make(link, micro=False)
    if is_terminal(sys.stdout):
        code.terminal(compact=True)
    if file is not None:
        try:
            code.save(str(file), scale=8)
        except OSError as error:
            typer.echo(f"The QR code cannot be written to {file}: {error.strerror}.", err=True)
            raise typer.Exit(FAILED) from None


def _print(use: "InvitationUse", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_shown(use)))
        return
    invitation = use.invitation
    rows = [
        ("Name", invitation.name),
        ("State", _state(use)),
        ("Active", f"{use.active} of {invitation.most}"),
        ("Created", _time(invitation.created_at)),
        ("Until", _time(invitation.until)),
        ("Environments", ", ".join(invitation.environments)),
        ("Sizes", ", ".join(invitation.sizes) or "all that are for everybody"),
        ("Repository", invitation.repo_url or "the visitor chooses"),
        *((what, text) for what, text in (("Ref", invitation.ref), ("Path", invitation.path)) if text),
    ]
    for row in aligned(rows):
        typer.echo(row)


def _table(found: "Sequence[InvitationUse]") -> Generator[str]:
    """Yield a heading, then one line per invitation."""
    rows = [("NAME", "STATE", "ACTIVE", "MOST", "UNTIL", "ENVIRONMENTS", "SIZES", "REPOSITORY")]
    for use in found:
        one = use.invitation
        environments, sizes = ", ".join(one.environments), ", ".join(one.sizes) or "-"
        facts = (str(use.active), str(one.most), _time(one.until), environments, sizes, one.repo_url or "-")
        rows.append((one.name, _state(use), *facts))
    return aligned(rows)


def _state(use: "InvitationUse") -> str:
    if use.invitation.revoked_at is not None:
        return "revoked"
    return "ended" if use.is_over else "full" if use.active >= use.invitation.most else "open"


def _time(at: "datetime") -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _rights(invitation: "Invitation") -> dict[str, Any]:
    return {
        "environments": list(invitation.environments),
        "sizes": list(invitation.sizes),
        "most": invitation.most,
        "until": invitation.until.isoformat(),
        "repo_url": invitation.repo_url,
        "ref": invitation.ref,
        "path": invitation.path,
    }


def _shown(use: "InvitationUse") -> dict[str, Any]:
    invitation = use.invitation
    return {
        "name": invitation.name,
        "state": _state(use),
        "active": use.active,
        "created_at": invitation.created_at.isoformat(),
        **_rights(invitation),
    }
