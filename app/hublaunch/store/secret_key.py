"""The secret key of a service that was given none: kept beside its database."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from hublaunch.store.errors import SecretKeyUnusable

_CHARACTERS_MIN = 32


def load_secret_key(database_path: Path) -> str:
    """The key in `NAME.secret-key` beside the database `NAME.sqlite`.

    The file is made at the first call: 256 random bits as base64url, mode 0600. Of processes that make it at once
    one does, and all return the same key. SecretKeyUnusable if it cannot be made or read, or if others may read it.
    """
    path = database_path.with_suffix(".secret-key")
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except FileNotFoundError as error:
        raise SecretKeyUnusable(path, "its directory does not exist") from error
    except OSError as error:
        raise SecretKeyUnusable(path, error.strerror or str(error)) from error


def _make(path: Path) -> None:
    """Write the key elsewhere and then link it, so that it is there whole or not at all, and never replaced."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.name}.", encoding="ascii") as draft:
        draft.write(secrets.token_urlsafe(32) + "\n")
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):  # another process was quicker, and its key is the one
            path.hardlink_to(draft.name)


def _read(path: Path) -> str:
    with path.open(encoding="ascii", errors="replace") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise SecretKeyUnusable(path, "others than its owner may read it, so make another, or chmod 600 it")
        key = file.read().strip()
    if len(key) < _CHARACTERS_MIN:
        raise SecretKeyUnusable(path, f"it has fewer than {_CHARACTERS_MIN} characters, so restore or delete it")
    return key
