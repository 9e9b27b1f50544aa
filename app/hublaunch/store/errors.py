"""Why the records cannot be opened or read, for operators.

    StoreError
    ├── DatabaseNotSupported   LAUNCHER_DATABASE_URL is not one that this release can use
    ├── DatabaseInUse          another hublaunch that is alive has the file
    ├── DatabaseUnusable       the file cannot be opened, written or understood
    ├── DatabaseUnreachable    the PostgreSQL cannot be reached, or does not let us in
    ├── NoRecords              there are none of this release where a command looks for them
    ├── SchemaUnknown          a newer hublaunch, or another program, made the tables
    ├── SecretKeyMissing       processes that share a database need a key that they share
    └── SecretKeyUnusable      the secret key's file cannot be made, read or trusted

`str()` of each is one sentence that says what to do. None holds a credential, and none a database URL, which may.
"""

from pathlib import Path


class StoreError(Exception):
    """Any of the errors above. A fault of a database that is open is SQLAlchemy's own error instead."""


class DatabaseNotSupported(StoreError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"LAUNCHER_DATABASE_URL {reason}: give a file, as in sqlite:///hublaunch.sqlite (below the working "
            "directory) or sqlite:////srv/hublaunch.sqlite, or for several replicas a PostgreSQL, as in "
            "postgresql+psycopg://user:password@host/database."
        )


class DatabaseInUse(StoreError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The database {path} is in use by another hublaunch that is still alive: end that one, or give this one "
            "a LAUNCHER_DATABASE_URL of its own."
        )


class DatabaseUnusable(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The database {path} (LAUNCHER_DATABASE_URL) cannot be used: {reason}.")


class DatabaseUnreachable(StoreError):
    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The database {url} (LAUNCHER_DATABASE_URL, its password left out) cannot be used: {reason}.")


class NoRecords(StoreError):
    def __init__(self, shown: str) -> None:
        super().__init__(
            f"{shown} (LAUNCHER_DATABASE_URL) has no records of this release of hublaunch: run this where the service "
            "runs, with its environment."
        )


class SchemaUnknown(StoreError):
    def __init__(self, version: str) -> None:
        super().__init__(
            f"The database has tables of version {version}, which a newer hublaunch or another program made: start "
            "that one, or give this one another LAUNCHER_DATABASE_URL."
        )


class SecretKeyMissing(StoreError):
    def __init__(self) -> None:
        super().__init__(
            "LAUNCHER_SECRET_KEY is not set: all that share a PostgreSQL need the same key, so that one can read what "
            "another has sealed. Make one with `openssl rand -base64 32` and give it to each."
        )


class SecretKeyUnusable(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The secret key in {path} cannot be used: {reason}; or set LAUNCHER_SECRET_KEY instead.")
