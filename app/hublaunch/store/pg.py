"""What processes that share a PostgreSQL need of each other: one clock, locks and notices.

A SQLite file is one process's alone, and its writer is one thread: there the clock is the process's own, every lock is
held already, and there is nobody to notify.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import ARRAY, Connection, String, bindparam, func, select

CHANNEL = "hublaunch"
"""Of LISTEN and NOTIFY. A notice is a launch's id and its last `seq`, or empty: there is something to do."""
WORK = ""

_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))
_NOTIFY = select(func.pg_notify(CHANNEL, func.unnest(bindparam("notices", type_=ARRAY(String)))))
_NOW = select(func.now())


def is_shared(connection: Connection) -> bool:
    """Whether other processes may be writing to this database."""
    return connection.dialect.name == "postgresql"


def now(connection: Connection) -> datetime:
    """The time by the clock that all who share the database go by: that of the transaction's beginning."""
    if not is_shared(connection):
        return datetime.now(UTC)
    at: datetime = connection.execute(_NOW).scalar_one()
    return at.astimezone(UTC)


def unlimit(connection: Connection) -> None:
    """Let this transaction take and wait as long as it needs."""
    if is_shared(connection):
        for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")


def lock(connection: Connection, names: Collection[str]) -> None:
    """Wait until no other transaction has a lock of these names, and hold them to the end of this one."""
    if is_shared(connection):
        for name in sorted(names):
            connection.execute(_LOCK, {"name": name})


def notify(connection: Connection, notices: Collection[str]) -> None:
    """Tell the other processes, once this transaction is stored."""
    if is_shared(connection):
        connection.execute(_NOTIFY, {"notices": list(notices)})
