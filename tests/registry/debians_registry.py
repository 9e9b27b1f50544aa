"""Finds docker-registry and skopeo. Run as a program, it installs them if needed."""

import shutil
import sys
from contextlib import suppress

from tests.support.debian import Missing, install

PROGRAMS = ("docker-registry", "skopeo")
ADVICE = "The tests need docker-registry and skopeo. Install them from Debian, or add them to the PATH."


def program(name: str) -> str:
    """Return the path of a program. Raises Missing if it is missing."""
    if found := shutil.which(name):
        return found
    raise Missing(ADVICE)


def main() -> None:
    """Print the paths. If they are missing, install them as root on Debian, or else print how to install them."""
    if not all(map(shutil.which, PROGRAMS)):
        with suppress(Missing):
            install(*PROGRAMS, advice=ADVICE)
    try:
        sys.stdout.write("".join(f"{program(name)}\n" for name in PROGRAMS))
    except Missing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
