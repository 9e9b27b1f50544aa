"""`hublaunch admin-link`: a link that makes a browser an admin for some hours."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hublaunch.api.callers.admin_links import PURPOSE, AdminLinks
from hublaunch.sealing import Sealer
from hublaunch.settings import load_settings
from hublaunch.wiring.parts import secret_keys_of

FRAGMENT = "link"
"""The name before the credential in the link's fragment, which browsers send to no server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdminLink:
    """A new admin link."""

    name: str
    """What the audit log calls its holders."""
    url: str = field(repr=False)
    until: datetime


def new_admin_link(lasts: timedelta) -> AdminLink:
    """Return a new link, which lasts at most 24 hours. Raises SettingsFault or StoreError."""
    settings = load_settings()
    sealer = Sealer(secret_keys_of(settings)[:1], purpose=PURPOSE)
    name, credential, until = AdminLinks(sealer).new(lasts)
    return AdminLink(name=name, url=f"{settings.page_url}admin#{FRAGMENT}={credential}", until=until)
