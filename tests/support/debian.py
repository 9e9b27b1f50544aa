"""Programs that tests need and PyPI does not have. On Debian, as root, they are installed."""

import os
import subprocess
import sys
from pathlib import Path

_APT = ["apt-get", "-o", "DPkg::Lock::Timeout=600"]


class NotInstalled(Exception):
    """A program could not be installed; `str()` says why."""


def may_install() -> bool:
    """Return whether this is Debian and we are root."""
    try:
        is_debian = "ID=debian" in Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return False
    return is_debian and os.geteuid() == 0


def install(*packages: str) -> None:
    """Install the packages. Raises NotInstalled."""
    sys.stderr.write(f"Installing {packages[0]} from Debian ...\n")
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*_APT, *command], stdout=sys.stderr, check=False)
        if done.returncode:
            raise NotInstalled(f"apt-get {command[0]} failed.")
