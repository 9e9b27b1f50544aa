"""Admin links: credentials that make a browser an admin for some hours, for a service without admin accounts.

A link contains its expiry time, sealed with the service's secret key, so nothing is stored and every replica recognizes
the link. Changing the secret key ends all links.
"""

from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Final

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import AdminLinkEnded
from hublaunch.sealing import SealedWithAnotherKey, Sealer

LINK_PREFIX = "hla_"
"""The start of every credential of an admin link, which tells it from other credentials."""
KIND: Final = "admin_link"
LONGEST = timedelta(hours=24)
PURPOSE = "admin links"
"""The purpose of the sealer."""


class AdminLinks:
    """Makes and recognizes the credentials of admin links."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def new(self, lasts: timedelta) -> tuple[str, str, datetime]:
        """Return the name of a new link, its credential, and its end. `lasts`: at most 24 hours."""
        name, until = token_hex(4), datetime.now(UTC).replace(microsecond=0) + min(lasts, LONGEST)
        return name, LINK_PREFIX + self._sealer.seal(f"{name} {until.isoformat()}").decode(), until

    def caller(self, credential: str) -> Caller:
        """Return the admin with this credential. Raises AdminLinkEnded if it is wrong or its time is over."""
        try:
            name, until = self._sealer.open(credential.removeprefix(LINK_PREFIX).encode()).split()
        except SealedWithAnotherKey:
            raise AdminLinkEnded from None
        if datetime.fromisoformat(until) <= datetime.now(UTC):
            raise AdminLinkEnded
        return Caller(kind=KIND, key=name, is_admin=True)
