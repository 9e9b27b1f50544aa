"""`hublaunch admin-link`: print a link to the page for admins."""

from datetime import timedelta
from typing import Annotated

import typer

from hublaunch.cli.audited import audited, reported_faults


def admin_link(
    hours: Annotated[
        float, typer.Option("--hours", min=0.1, max=24, metavar="HOURS", help="How long the link works.")
    ] = 1,
) -> None:
    """Print a link to the page for admins. It works for an hour, or for --hours. Nobody needs an account for it.

    Everybody who has the link sees all launches, and may cancel them and drain the service, so send it like a
    password. You cannot revoke a single link: changing LAUNCHER_SECRET_KEY ends all links. Hub users and API keys who
    are admins need no link; they open /admin.

    Run it where the service gets its settings (LAUNCHER_…, .env). Needs `pip install 'hublaunch[server]'`. For example:

        hublaunch admin-link --hours 8
    """
    with reported_faults(), audited() as audit:
        from hublaunch.doctor.admin_link import new_admin_link  # noqa: PLC0415 - needs the server extra

        link = new_admin_link(timedelta(hours=hours))
        audit("admin_link_created", admin_link=link.name, until=link.until.isoformat())
    typer.echo(link.url)
    typer.echo(f"It works until {link.until:%Y-%m-%d %H:%M:%S} UTC.", err=True)
