"""Coordination of processes that share a PostgreSQL database: one clock, locks and notices.

A SQLite file belongs to one process with one writer thread. It uses that process's clock, needs no locks, and has
nobody to notify.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import ARRAY, Connection, String, bindparam, func, select

CHANNEL = "hublaunch"
"""The channel of LISTEN and NOTIFY. A notice is a launch's id and last `seq`, or WORK."""
WORK = ""
"""The notice that there is a launch to adopt or to cancel."""

_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))
_TRY_LOCK = select(func.pg_try_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))
_NOTIFY = select(func.pg_notify(CHANNEL, func.unnest(bindparam("notices", type_=ARRAY(String)))))
_NOW = select(func.now())


def is_shared(connection: Connection) -> bool:
    """Return whether other processes may write to this database."""
    return connection.dialect.name == "postgresql"


def now(connection: Connection) -> datetime:
    """Return the time by the clock that all processes of this database use, at the start of the transaction."""
    if not is_shared(connection):
        return datetime.now(UTC)
    at: datetime = connection.execute(_NOW).scalar_one()
    return at.astimezone(UTC)


def unlimit(connection: Connection) -> None:
    """Remove the time limits of this transaction."""
    if is_shared(connection):
        for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")


def lock(connection: Connection, names: Collection[str]) -> None:
    """Wait for the locks of these names, and hold them until this transaction ends."""
    if is_shared(connection):
        for name in sorted(names):
            connection.execute(_LOCK, {"name": name})


def try_lock(connection: Connection, name: str) -> bool:
    """Take the lock of this name until this transaction ends. Return False if another process has it."""
    return not is_shared(connection) or bool(connection.execute(_TRY_LOCK, {"name": name}).scalar_one())


def notify(connection: Connection, notices: Collection[str]) -> None:
    """Notify the other processes once this transaction is committed."""
    if is_shared(connection):
        connection.execute(_NOTIFY, {"notices": list(notices)})
