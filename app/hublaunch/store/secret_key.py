"""The secret key beside the database, for a service without LAUNCHER_SECRET_KEY."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from hublaunch.store.errors import SecretKeyUnusable

_CHARACTERS_MIN = 32


def load_secret_key(database_path: Path) -> str:
    """Return the key in `NAME.secret-key` beside the database `NAME.sqlite`.

    The first call creates the file: 256 random bits as base64url, mode 0600. Processes that call this at the same time
    return the same key. Raises SecretKeyUnusable if the file cannot be created or read, or if other users may read it.
    """
    path = key_file(database_path)
    if not path.exists():
        write_key(path, secrets.token_urlsafe(32))
    return read_key(path)


def key_file(database_path: Path) -> Path:
    """Return the file of the key beside this database."""
    return database_path.with_suffix(".secret-key")


def read_key(path: Path) -> str:
    """Return the key in a file. Raises SecretKeyUnusable."""
    with _faults_of(path):
        return _read(path)


def write_key(path: Path, key: str) -> None:
    """Write a key to a new file, mode 0600. If another process was faster, its key stays. Raises SecretKeyUnusable.

    The key is written to another file that is then linked, so that it exists completely or not at all.
    """
    with (
        _faults_of(path),
        NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.name}.", encoding="ascii") as draft,
    ):
        draft.write(key + "\n")
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft.name)


@contextmanager
def _faults_of(path: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SecretKeyUnusable(path, "its directory does not exist") from error
    except OSError as error:
        raise SecretKeyUnusable(path, error.strerror or str(error)) from error


def _read(path: Path) -> str:
    with path.open(encoding="ascii", errors="replace") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise SecretKeyUnusable(path, "other users may read it. Replace it, or run chmod 600 on it")
        key = file.read().strip()
    if len(key) < _CHARACTERS_MIN:
        raise SecretKeyUnusable(path, f"it has fewer than {_CHARACTERS_MIN} characters, so restore or delete it")
    return key
