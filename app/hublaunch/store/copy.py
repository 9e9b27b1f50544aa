"""Copying a whole database into an empty one: from SQLite to PostgreSQL, or back."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from sqlalchemy import Connection, Table, delete, func, insert, select
from sqlalchemy.exc import DBAPIError

from hublaunch.sealing import SealedWithAnotherKey, Sealer
from hublaunch.store.database import database, database_file, described
from hublaunch.store.errors import CopyRefused, TablesMissing
from hublaunch.store.schema import HEAD, version_of
from hublaunch.store.tables import admission, launch_events, launch_owners, metadata

_BATCH = 500
"""Rows in memory at once."""
_COPIED = [table for table in metadata.sorted_tables if table is not launch_owners]
"""All tables but the leases: no process owns a launch in the new database, so the next process adopts them all."""

_NEWEST_TOKEN = (
    select(launch_events.c.sealed_token)
    .where(launch_events.c.sealed_token.is_not(None))
    .order_by(launch_events.c.at.desc())
    .limit(1)
)

Tell = Callable[[int, int], None]
"""Receives the number of rows copied so far, and the total."""


def copy_database(
    source_url: str, target_url: str, *, sealer: Sealer, tell: Tell, carry_key: Callable[[], None]
) -> Mapping[str, int]:
    """Copy all rows in one transaction of the target. Return the number of rows by table. Blocks.

    `sealer`: with the secret keys that the service will have on the target. `carry_key` writes the key beside the
    target, just before the rows are stored there: a service that found rows without their key would make another one.
    The source stays as it is. No process of hublaunch can start or write on either database meanwhile. If anything
    fails, the target has empty tables, or none.

    Raises CopyRefused if a process uses one of the databases, if the source has tables of another release, if the
    target has rows, if the keys do not open the newest token, or if the counts differ at the end. Raises another
    StoreError if a database cannot be used.
    """
    if described(source_url) == described(target_url):
        raise CopyRefused("Both URLs name the same database.")
    file = database_file(source_url)
    if file is not None and not file.exists():
        raise TablesMissing(str(file))
    with ExitStack() as stack:
        source = stack.enter_context(database(source_url, readers=1, lease_s=15).alone(migrates=False))
        _check_source(source, described(source_url), sealer)
        target = stack.enter_context(database(target_url, readers=1, lease_s=15).alone(migrates=True))
        _check_target(target, described(target_url))
        try:
            counts = _copy_rows(source, target, tell)
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            raise CopyRefused(f"The copy failed, and nothing is stored in {described(target_url)}: {reason}") from error
        carry_key()
        return counts


def _check_source(source: Connection, shown: str, sealer: Sealer) -> None:
    version = version_of(source)
    if version is None:
        raise TablesMissing(shown)
    if version != HEAD:
        raise CopyRefused(
            f"{shown} has tables of version {version}, but this release copies only version {HEAD}. Start this release "
            "on it once, which upgrades the tables, and stop it again."
        )
    token = source.execute(_NEWEST_TOKEN).scalar_one_or_none()
    try:
        if token is not None:
            sealer.open(token)
    except SealedWithAnotherKey:
        raise CopyRefused(
            f"The tokens in {shown} were sealed with another secret key. Set LAUNCHER_SECRET_KEY to the key of the "
            "service that uses this database, or add that key to LAUNCHER_OLD_SECRET_KEYS."
        ) from None


def _check_target(target: Connection, shown: str) -> None:
    for table in _COPIED:
        if table is not admission and (rows := _count(target, table)):
            raise CopyRefused(
                f"{shown} is not empty: {table.name} has {rows} rows. Copy into a new database, so that no launch is "
                "mixed with another service's."
            )


def _copy_rows(source: Connection, target: Connection, tell: Tell) -> Mapping[str, int]:
    counts = {table.name: _count(source, table) for table in _COPIED}
    most, copied = sum(counts.values()), 0
    target.execute(delete(admission))  # the migrations add its row
    for table in _COPIED:
        with source.execute(select(table).execution_options(yield_per=_BATCH)) as result:
            for rows in result.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in rows])
                copied += len(rows)
                tell(copied, most)
    _check_counts(target, counts, _COPIED)
    return counts


def _check_counts(target: Connection, counts: Mapping[str, int], tables: Sequence[Table]) -> None:
    for table in tables:
        if (stored := _count(target, table)) != counts[table.name]:
            raise CopyRefused(
                f"The copy failed, and nothing is stored: {table.name} has {counts[table.name]} rows, and {stored} "
                "arrived."
            )


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
