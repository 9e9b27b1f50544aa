"""Programs that tests need and PyPI does not have. On Debian, as root, they are installed."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

_APT = ["apt-get", "-o", "DPkg::Lock::Timeout=600"]


class Missing(Exception):
    """A program is missing; `str()` says what to do."""


@contextmanager
def explained() -> Generator[None]:
    """Fail the test with the advice alone, without a traceback, if a program is missing."""
    try:
        yield
    except Missing as error:
        pytest.fail(str(error), pytrace=False)


def may_install() -> bool:
    """Return whether this is Debian and we are root."""
    try:
        is_debian = "ID=debian" in Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return False
    return is_debian and os.geteuid() == 0


def install(*packages: str, advice: str) -> None:
    """Install the packages as root on Debian. Raises Missing with the advice elsewhere, and if it fails."""
    if not may_install():
        raise Missing(advice)
    sys.stderr.write(f"Installing {packages[0]} from Debian ...\n")
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*_APT, *command], stdout=sys.stderr, check=False)
        if done.returncode:
            raise Missing(f"apt-get {command[0]} failed. {advice}")
