"""Finds docker-registry and skopeo. Run as a program, it installs them if needed."""

import shutil
import sys
from contextlib import suppress

from tests.support.debian import NotInstalled, install, may_install

PROGRAMS = ("docker-registry", "skopeo")
ADVICE = "The tests need {name}. On Debian: apt-get install docker-registry skopeo. Elsewhere, add it to the PATH."


class NoRegistry(Exception):
    """A program is missing. `str()` says what to do."""


def program(name: str) -> str:
    """Return the path of a program. NoRegistry if it is missing."""
    if found := shutil.which(name):
        return found
    raise NoRegistry(ADVICE.format(name=name))


def main() -> None:
    """Print the paths. If they are missing, install them as root on Debian, or else print how to install them."""
    if not all(map(shutil.which, PROGRAMS)) and may_install():
        with suppress(NotInstalled):
            install(*PROGRAMS)
    try:
        sys.stdout.write("".join(f"{program(name)}\n" for name in PROGRAMS))
    except NoRegistry as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
