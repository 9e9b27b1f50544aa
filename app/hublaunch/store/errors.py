"""Reasons why the database cannot be opened or read, for operators.

    StoreError
    ├── DatabaseNotSupported   this release cannot use LAUNCHER_DATABASE_URL
    ├── DatabaseInUse          another running hublaunch has the file
    ├── DatabaseUnusable       the file cannot be opened, written or understood
    ├── DatabaseUnreachable    PostgreSQL cannot be reached, or refuses the connection
    ├── TablesMissing          the database has no tables of this release
    ├── SchemaUnknown          a newer hublaunch, or another program, made the tables
    ├── SecretKeyMissing       processes that share a database must share the key
    ├── SecretKeyUnusable      the secret key's file cannot be created, read or trusted
    ├── CopyRefused            the database must not be copied, or not into this one
    └── BackupRefused          the database cannot be backed up, or not to this file

`str()` of each is one line that says what to do. None contains a credential, or a database URL, which may contain one.
"""

from pathlib import Path


class StoreError(Exception):
    """Any of the errors above. Errors of a database that is open are SQLAlchemy's own."""


class DatabaseNotSupported(StoreError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"LAUNCHER_DATABASE_URL {reason}. Use a file, such as sqlite:///hublaunch.sqlite (below the working "
            "directory) or sqlite:////srv/hublaunch.sqlite, or for several replicas a PostgreSQL database, such as "
            "postgresql+psycopg://user:password@host/database."
        )


class DatabaseInUse(StoreError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The database {path} is in use by another hublaunch. Stop that one, or set a different "
            "LAUNCHER_DATABASE_URL here."
        )


class DatabaseUnusable(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The database {path} (LAUNCHER_DATABASE_URL) cannot be used: {reason}.")


class DatabaseUnreachable(StoreError):
    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"The database {url} (LAUNCHER_DATABASE_URL, shown without its password) cannot be used: {reason}."
        )


class TablesMissing(StoreError):
    def __init__(self, shown: str) -> None:
        super().__init__(
            f"{shown} (LAUNCHER_DATABASE_URL) has no tables of this release of hublaunch. Run this command where the "
            "service runs, with the same environment."
        )


class SchemaUnknown(StoreError):
    def __init__(self, version: str) -> None:
        super().__init__(
            f"The database has tables of version {version}, which a newer hublaunch or another program created. Start "
            "that version, or set a different LAUNCHER_DATABASE_URL."
        )


class SecretKeyMissing(StoreError):
    def __init__(self) -> None:
        super().__init__(
            "LAUNCHER_SECRET_KEY is not set. All replicas that share a PostgreSQL database need the same key, to read "
            "each other's encrypted tokens. Create one with `openssl rand -base64 32` and set it for each replica."
        )


class SecretKeyUnusable(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The secret key in {path} cannot be used: {reason}. You can set LAUNCHER_SECRET_KEY instead.")


class CopyRefused(StoreError):
    """The reason and the advice are its text."""


class BackupRefused(StoreError):
    """As above."""
