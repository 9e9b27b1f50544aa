"""How a file is watched without being read."""

from pathlib import Path

Fingerprint = tuple[int, int, int, int]


def fingerprint(path: Path) -> Fingerprint | None:
    """What changes when the file does, also when a link on its way is turned to another (as Kubernetes does).

    The time of its last change of status is among it, for the sake of chmod and of copies that keep their times. None
    if the file is not there.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
