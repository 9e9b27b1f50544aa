"""A copy of a SQLite file and of its secret key, made while the service runs."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from hublaunch.store.database import database_file
from hublaunch.store.errors import BackupRefused
from hublaunch.store.secret_key import key_file, read_key, write_key


def back_up(database_url: str, to: Path) -> tuple[Path, ...]:
    """Write the database to the new file `to` as it is at one moment, and its key beside it. Return the new files.

    The files have the mode 0600. There is no second file if LAUNCHER_SECRET_KEY is configured instead. Blocks; the
    service can write meanwhile. Raises BackupRefused. That includes PostgreSQL, which has its own programs for this.
    """
    source = database_file(database_url)
    if source is None:
        raise BackupRefused("The database is PostgreSQL's. Back it up with pg_dump, and LAUNCHER_SECRET_KEY with it.")
    if not source.exists():
        raise BackupRefused(f"{source} does not exist.")
    keys = (key_file(source), key_file(to))
    for path in (to, keys[1]):
        if path.exists():
            raise BackupRefused(f"{path} exists already. A backup replaces no file.")
    try:
        os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _copy(source, to)
        except BaseException:
            to.unlink()
            raise
    except (OSError, sqlite3.Error) as error:
        raise BackupRefused(f"{to} could not be written: {error}") from error
    if not keys[0].exists():
        return (to,)
    write_key(keys[1], read_key(keys[0]))
    return (to, keys[1])


def _copy(source: Path, to: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as reading,
        closing(sqlite3.connect(to)) as writing,
    ):
        reading.backup(writing)
        (answer,) = writing.execute("PRAGMA quick_check").fetchone()
        if answer != "ok":
            raise BackupRefused(f"{source} is damaged: {answer}.")
