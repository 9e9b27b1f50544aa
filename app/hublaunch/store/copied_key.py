"""The secret key of a database that is copied. Without it, every launch's secret and every stored token is lost."""

from collections.abc import Sequence
from pathlib import Path

from hublaunch.store.database import database_file
from hublaunch.store.errors import CopyRefused
from hublaunch.store.secret_key import key_file, read_key, write_key


def keys_of_copy(source_url: str, target_url: str, given: Sequence[str]) -> Sequence[str]:
    """Return the secret keys of the service on the target, the first one first. Changes nothing.

    `given`: LAUNCHER_SECRET_KEY and LAUNCHER_OLD_SECRET_KEYS. Raises CopyRefused if they lack the key that is in the
    file beside a SQLite source, and the target cannot have such a file, or has another one. Raises SecretKeyUnusable.
    """
    source, target = _existing(source_url), database_file(target_url)
    if target is None:
        if source is not None and read_key(source) not in given:
            raise CopyRefused(
                f"LAUNCHER_SECRET_KEY is not the key in {source}. Links to launches and stored tokens would be lost. "
                f'Set LAUNCHER_SECRET_KEY="$(cat {source})" for this command and for the service.'
            )
        if not given:
            raise CopyRefused("Set LAUNCHER_SECRET_KEY to the key of the service that uses the source.")
        return given
    keys = [*([] if source is None else [read_key(source)]), *given]
    if not keys:
        raise CopyRefused("Set LAUNCHER_SECRET_KEY to the key of the service that uses the source.")
    if (present := key_file(target)).exists() and read_key(present) not in keys:
        raise CopyRefused(f"The key in {present} is another service's. Choose another file for the copy.")
    return keys


def carry_key(target_url: str, keys: Sequence[str]) -> Path | None:
    """Write the first key to the file beside a SQLite target, unless there is one. Return the file that was written."""
    target = database_file(target_url)
    if target is None or key_file(target).exists():
        return None
    write_key(key_file(target), keys[0])
    return key_file(target)


def _existing(database_url: str) -> Path | None:
    file = database_file(database_url)
    return key_file(file) if file is not None and key_file(file).exists() else None
