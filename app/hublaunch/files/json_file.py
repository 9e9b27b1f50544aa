"""A JSON file that several processes change. The command line uses it, so it imports the standard library only."""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile


class JsonFile:
    """A JSON file that one process at a time changes, and that is always whole.

    If its path is a link, the file behind the link is changed: other programs may read that by another path.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other processes from changing the file. Raises OSError if the lock beside it cannot be opened."""
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def write(self, content: object) -> None:
        """Replace the file atomically, with its owner and mode; a new file has mode 0600. Raises OSError."""
        text = json.dumps(content, indent=2)
        prefix = f"{self.path.name}."
        with NamedTemporaryFile("w", dir=self.path.parent, prefix=prefix, encoding="utf-8", delete=False) as file:
            draft = Path(file.name)
            try:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
                if self.path.exists():  # it may belong to the service's user, while root changes it
                    before = self.path.stat()
                    os.fchmod(file.fileno(), before.st_mode & 0o777)
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)  # only left if it could not be moved
