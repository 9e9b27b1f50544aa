"""Invitations in the database of a service, as `hublaunch invite` writes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hublaunch.launch.rules.invitation import Invitation, new_code
from hublaunch.store import invitations
from hublaunch.store.database import transaction_beside_service


def invitation(name: str = "pycon", **changes: Any) -> Invitation:
    """Return an invitation to the small SciPy of `tests/support/catalogue.py`."""
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "name": name,
        "environments": ("scipy",),
        "sizes": ("small",),
        "most": 200,
        "created_at": now,
        "until": now + timedelta(days=1),
    }
    return Invitation(**facts | changes)


def invited(database_url: str, name: str = "pycon", **changes: Any) -> str:
    """Add an invitation, and return its code."""
    code = new_code()
    with transaction_beside_service(database_url, writes=True) as connection:
        invitations.add(connection, invitation(name, **changes), code)
    return code


def revoke(database_url: str, name: str = "pycon") -> None:
    with transaction_beside_service(database_url, writes=True) as connection:
        invitations.revoke(connection, name)


def ended(database_url: str, name: str = "over") -> str:
    """Add an invitation whose time is over, and return its code."""
    return invited(database_url, name, until=datetime(2026, 5, 21, tzinfo=UTC))
