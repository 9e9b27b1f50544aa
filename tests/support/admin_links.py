"""Credentials of admin links, as `hublaunch admin-link` makes them."""

from datetime import timedelta

from hublaunch.api.callers.admin_links import PURPOSE, AdminLinks
from hublaunch.sealing import Sealer
from hublaunch.store.database import secret_key


def admin_link(database_url: str, *, lasts: timedelta = timedelta(hours=1)) -> str:
    """Return the credential of a link to the service on this database, which has its secret key beside it."""
    _, credential, _ = AdminLinks(Sealer([secret_key(None, database_url)], purpose=PURPOSE)).new(lasts)
    return credential
