"""Invitations in SQL. Every replica reads them for each request, so a change applies everywhere at once."""

import hmac
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from hublaunch.launch.errors import InvalidRequest, InvitationUnknown
from hublaunch.launch.rules.invitation import Invitation, InvitationUse, digest_of
from hublaunch.launch.rules.networks import caller_name
from hublaunch.store.coordination import lock, now
from hublaunch.store.tables import IS_ACTIVE, invitations, launches
from hublaunch.store.transactions import Transactions

KIND: Final = "invitation"
"""The kind of callers who hold an invitation."""

_LOCK = "invitations"
_OF_CODE = select(invitations).where(invitations.c.sha256 == bindparam("digest"))
_OF_NAME = select(invitations).where(invitations.c.name == bindparam("of_name"))
_ALL = select(invitations).order_by(invitations.c.created_at.desc(), invitations.c.name)
_ACTIVE = (
    select(launches.c.caller_name, func.count().label("number"))
    .where(IS_ACTIVE, launches.c.caller_name.in_(bindparam("names", expanding=True)))
    .group_by(launches.c.caller_name)
)


def find(connection: Connection, code: str) -> Invitation:
    """Return the invitation with this code. Raises InvitationUnknown or InvitationEnded."""
    digest = digest_of(code)
    row = connection.execute(_OF_CODE, {"digest": digest}).first()
    if row is None or not hmac.compare_digest(row.sha256, digest):
        raise InvitationUnknown
    invitation = _invitation_of(row)
    invitation.check(now(connection))
    return invitation


def uses(connection: Connection, *, limit: int | None = None) -> Sequence[InvitationUse]:
    """Return the invitations, newest first, with their use; only those that are not over if there is a limit."""
    at = now(connection)
    found = [_invitation_of(row) for row in connection.execute(_ALL)]
    if limit is not None:
        found = [invitation for invitation in found if not invitation.is_over(at)][:limit]
    names = {invitation.name: caller_name(KIND, invitation.name) for invitation in found}
    active = {row.caller_name: row.number for row in connection.execute(_ACTIVE, {"names": list(names.values())})}
    return [
        InvitationUse(
            invitation=invitation, active=active.get(names[invitation.name], 0), is_over=invitation.is_over(at)
        )
        for invitation in found
    ]


def use_of(connection: Connection, name: str) -> InvitationUse:
    """Return the invitation of this name with its use. Raises InvalidRequest for an unknown name."""
    found = next((use for use in uses(connection) if use.invitation.name == name), None)
    if found is None:
        raise _missing()
    return found


def add(connection: Connection, invitation: Invitation, code: str) -> None:
    """Store an invitation with the digest of its code. It replaces an invitation of this name that is over.

    Raises InvalidRequest if an invitation of this name can still be used.
    """
    lock(connection, [_LOCK])
    row = connection.execute(_OF_NAME, {"of_name": invitation.name}).first()
    if row is not None and not _invitation_of(row).is_over(now(connection)):
        raise InvalidRequest("name", "an invitation of this name is in use. Revoke it, or choose another name")
    connection.execute(delete(invitations).where(invitations.c.name == invitation.name))
    connection.execute(insert(invitations).values({**asdict(invitation), "sha256": digest_of(code)}))


def revoke(connection: Connection, name: str) -> InvitationUse:
    """Refuse the invitation from now on. Return its use. Raises InvalidRequest if it is over or unknown."""
    return _changed(connection, name, revoked_at=now(connection))


def change(connection: Connection, name: str, *, most: int | None, until: datetime | None) -> InvitationUse:
    """Change the limits of an invitation. Return its use. Raises InvalidRequest if it was revoked or is unknown.

    An invitation whose time is over can be used again.
    """
    given = {"most": most, "until": until}
    return _changed(connection, name, **{column: value for column, value in given.items() if value is not None})


def _changed(connection: Connection, name: str, **values: Any) -> InvitationUse:
    lock(connection, [_LOCK])
    use = use_of(connection, name)
    if use.invitation.revoked_at is not None:
        raise InvalidRequest("name", "this invitation was revoked. Add one again with `hublaunch invite add`")
    connection.execute(update(invitations).where(invitations.c.name == name).values(**values))
    return use_of(connection, name)


def _missing() -> InvalidRequest:
    return InvalidRequest("name", "there is no invitation of this name. `hublaunch invite list` shows all")


def _invitation_of(row: Row[Any]) -> Invitation:
    return Invitation(
        name=row.name,
        environments=tuple(row.environments),
        sizes=tuple(row.sizes),
        most=row.most,
        created_at=row.created_at,
        until=row.until,
        repo_url=row.repo_url,
        ref=row.ref,
        path=row.path,
        revoked_at=row.revoked_at,
    )


class SqlInvitations:
    """The invitations in the database of a running service."""

    def __init__(self, sql: Transactions) -> None:
        self._sql = sql

    async def find(self, code: str) -> Invitation:
        """Return the invitation with this code. Raises InvitationUnknown or InvitationEnded."""
        return await self._sql.read(find, code)

    async def in_use(self, limit: int) -> Sequence[InvitationUse]:
        """Return the newest invitations that are not over, with their use."""
        return await self._sql.read(_in_use, limit)


def _in_use(connection: Connection, limit: int) -> Sequence[InvitationUse]:
    return uses(connection, limit=limit)
