"""The Firefox that browser tests run on. Run as a program, it installs one if needed."""

import os
import shutil
import sys
from pathlib import Path

from tests.support.debian import Missing, install

ADVICE = (
    "There is no Firefox to test with. Name one with FIREFOX_PATH=/path/to/firefox, or install your system's "
    "(Debian: apt-get install firefox-esr)."
)


def firefox() -> Path:
    """Return `FIREFOX_PATH` if it is set, else the `firefox-esr` or `firefox` on PATH. Raises Missing."""
    if given := os.environ.get("FIREFOX_PATH"):
        if not os.access(given, os.X_OK):
            raise Missing(f"FIREFOX_PATH is {given}, which is not a program.")
        return Path(given)
    for name in ("firefox-esr", "firefox"):
        if found := shutil.which(name):
            return Path(found)
    raise Missing(ADVICE)


def main() -> None:
    """Print the path. Without a Firefox, install one as root on Debian; elsewhere print how to install one."""
    try:
        sys.stdout.write(f"{_firefox_or_debians()}\n")
    except Missing as error:
        sys.exit(str(error))


def _firefox_or_debians() -> Path:
    try:
        return firefox()
    except Missing:
        if os.environ.get("FIREFOX_PATH"):
            raise
    install("firefox-esr", advice=ADVICE)
    return firefox()


if __name__ == "__main__":
    main()
