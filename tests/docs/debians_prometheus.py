"""Prometheus and its promtool; run as a program, this sees to it that they are there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ADVICE = (
    "There is no {name} to test with. Install Prometheus (Debian: apt-get install prometheus), or put it on the PATH."
)
_APT = ["apt-get", "-o", "DPkg::Lock::Timeout=600"]


class NoPrometheus(Exception):
    """`str()` says what to do."""


def program(name: str) -> str:
    """The path of one of them; NoPrometheus."""
    if found := shutil.which(name):
        return found
    raise NoPrometheus(ADVICE.format(name=name))


def main() -> None:
    """Print their paths. Where they are not, root on Debian installs them, and everybody else reads how to."""
    if not shutil.which("promtool") and os.geteuid() == 0 and Path("/etc/debian_version").exists():
        sys.stderr.write("Installing Prometheus from Debian ...\n")
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "prometheus"]):
            subprocess.run([*_APT, *command], stdout=sys.stderr, check=False)
    try:
        sys.stdout.write(f"{program('prometheus')}\n{program('promtool')}\n")
    except NoPrometheus as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
