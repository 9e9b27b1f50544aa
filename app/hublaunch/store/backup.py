"""A copy of a SQLite file and of its secret key, made while the service runs."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import quote

from hublaunch.store.database import database_file
from hublaunch.store.errors import BackupRefused
from hublaunch.store.secret_key import key_file, read_key, write_key


def back_up(database_url: str, to: Path) -> tuple[Path, ...]:
    """Write the database to the new file `to` as it is at one moment, and its key beside it. Return the new files.

    The files have the mode 0600. There is no second file if LAUNCHER_SECRET_KEY is configured instead. The database is
    written under another name and checked. It gets the name `to` once the key is written. So `to` is a whole backup, or
    does not exist. If this process is killed, a file whose name begins with that of `to` stays. Blocks; the service can
    write meanwhile. Raises BackupRefused. That includes PostgreSQL, which has its own programs for this.
    """
    source = database_file(database_url)
    if source is None:
        raise BackupRefused(
            "This is a PostgreSQL database. Back it up with pg_dump, and keep a copy of LAUNCHER_SECRET_KEY with the "
            "backup."
        )
    if not source.exists():
        raise BackupRefused(f"{source} does not exist.")
    keys = (key_file(source), key_file(to))
    if keys[1] == to:
        raise BackupRefused(
            f"{to} is the name for a key. Choose another one for the database, such as {to.stem}.sqlite."
        )
    for path in (to, keys[1]):
        if path.exists():
            raise BackupRefused(f"{path} exists already. A backup replaces no file.")
    draft = None
    try:
        descriptor, name = mkstemp(dir=to.parent, prefix=f"{to.name}.")  # mode 0600
        os.close(descriptor)
        draft = Path(name)
        _copy(source, draft)
        key = read_key(keys[0]) if keys[0].exists() else None
        if key is not None:
            write_key(keys[1], key)
        draft = draft.rename(to)
    except (OSError, sqlite3.Error) as error:
        raise BackupRefused(f"{to} could not be written: {error}") from error
    finally:
        if draft is not None and draft != to:
            draft.unlink()
    return (to,) if key is None else (to, keys[1])


def _copy(source: Path, to: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as reading,
        closing(sqlite3.connect(to)) as writing,
    ):
        reading.backup(writing)
        (answer,) = writing.execute("PRAGMA quick_check").fetchone()
        if answer != "ok":
            raise BackupRefused(f"{source} is damaged: {answer}.")
