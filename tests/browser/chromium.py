"""The Chromium that browser tests run on. Run as a program, it installs one if needed."""

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.debian import Missing, install

DEBIANS = Path("/usr/bin/chromium")
ADVICE = (
    "There is no browser to test with. Name one with CHROMIUM_PATH=/path/to/chromium, or install Playwright's own "
    "(.venv/bin/playwright install --with-deps chromium), or your system's (Debian: apt-get install chromium)."
)
_PACKAGES = ["chromium", "fonts-liberation"]


def chromium() -> Path:
    """Return `CHROMIUM_PATH` if it is set, else Playwright's own browser, else Debian's. Raises Missing."""
    if given := os.environ.get("CHROMIUM_PATH"):
        if not os.access(given, os.X_OK):
            raise Missing(f"CHROMIUM_PATH is {given}, which is not a program.")
        return Path(given)
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    for path in (own, DEBIANS):
        if os.access(path, os.X_OK):
            return path
    raise Missing(ADVICE)


def main() -> None:
    """Print the path. Without a browser, install one as root on Debian; elsewhere print how to install one."""
    try:
        sys.stdout.write(f"{_chromium_or_debians()}\n")
    except Missing as error:
        sys.exit(str(error))


def _chromium_or_debians() -> Path:
    try:
        return chromium()
    except Missing:
        if os.environ.get("CHROMIUM_PATH"):
            raise
    install(*_PACKAGES, advice=ADVICE)
    return chromium()


if __name__ == "__main__":
    main()
