"""Finds Prometheus and promtool. Run as a program, it installs them if needed."""

import shutil
import sys
from contextlib import suppress

from tests.support.debian import Missing, install

ADVICE = "The tests need {name}. Install Prometheus (on Debian: apt-get install prometheus), or add it to the PATH."


def program(name: str) -> str:
    """Return the path of a program. Raises Missing if it is missing."""
    if found := shutil.which(name):
        return found
    raise Missing(ADVICE.format(name=name))


def main() -> None:
    """Print the paths. If they are missing, install them as root on Debian, or else print how to install them."""
    if not shutil.which("promtool"):
        with suppress(Missing):
            install("prometheus", advice=ADVICE)
    try:
        sys.stdout.write(f"{program('prometheus')}\n{program('promtool')}\n")
    except Missing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
