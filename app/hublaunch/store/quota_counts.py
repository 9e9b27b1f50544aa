"""Counts for quotas: the active launches of one name, of the names that match a pattern, or all."""

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, true

from hublaunch.launch.rules.quota import Active, Quota, Scope
from hublaunch.store.tables import IS_ACTIVE, IS_MEMBER, launches

_NAME = {
    Scope.CALLER: launches.c.caller_name,
    Scope.INVITATION: launches.c.caller_name,  # its holders are counted as one caller
    Scope.REPOSITORY: launches.c.repo_name,
    Scope.IMAGE: launches.c.image_name,
    Scope.SIZE: launches.c.size,
}
_ALL = select(func.count()).where(IS_ACTIVE, ~(IS_MEMBER & launches.c.cancel_requested_at.is_not(None)))
_OF_NAME = {
    scope: select(func.count()).where(IS_ACTIVE, ~IS_MEMBER, column == bindparam("name"))
    for scope, column in _NAME.items()
}
_OF_NAMES = {
    scope: select(column.label("name"), func.count().label("number"))
    .where(IS_ACTIVE, ~IS_MEMBER, column.is_not(None))
    .group_by(column)
    for scope, column in _NAME.items()
}


def active(connection: Connection, quota: Quota) -> int:
    """Count the active launches of a quota. Partial indexes hold just these, so the history is not read.

    Members of warm pools count only in the total, and no longer once they are being retired.
    """
    if quota.name is not None:
        return int(connection.execute(_OF_NAME[quota.scope], {"name": quota.name}).scalar_one())
    if quota.is_of_several:
        found = connection.execute(_OF_NAMES[quota.scope])
        return sum(row.number for row in found if quota.counts(row.name))
    return int(connection.execute(_ALL).scalar_one())


def all_active(connection: Connection) -> Active:
    """Count the active launches of every name, with one statement for each scope."""
    names: dict[Scope, dict[str, int]] = {
        scope: {row.name: row.number for row in connection.execute(of_names)}
        for scope, of_names in _OF_NAMES.items()
        if scope is not Scope.INVITATION  # its holders are callers
    }
    return Active(total=int(connection.execute(_ALL).scalar_one()), names=names)


def is_counted(connection: Connection, quota: Quota) -> ColumnElement[bool]:
    """Return the condition for an active launch to count for the quota."""
    if quota.name is not None:
        return _NAME[quota.scope] == quota.name
    if quota.is_of_several:
        names = [row.name for row in connection.execute(_OF_NAMES[quota.scope]) if quota.counts(row.name)]
        return _NAME[quota.scope].in_(names)
    return true()
