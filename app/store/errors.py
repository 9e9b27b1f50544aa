"""Why the records cannot be opened or read, for operators.

    StoreError
    ├── DatabaseNotSupported   LAUNCHER_DATABASE_URL is not one that this release can use
    ├── DatabaseInUse          another hublaunch that is alive has the file
    ├── DatabaseUnusable       the file cannot be opened, written or understood
    ├── SchemaUnknown          a newer hublaunch, or another program, made the tables
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
            "directory) or sqlite:////srv/hublaunch.sqlite."
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


class SchemaUnknown(StoreError):
    def __init__(self, version: str) -> None:
        super().__init__(
            f"The database has tables of version {version}, which a newer hublaunch or another program made: start "
            "that one, or give this one another LAUNCHER_DATABASE_URL."
        )


class SecretKeyUnusable(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The secret key in {path} cannot be used: {reason}; or set LAUNCHER_SECRET_KEY instead.")
