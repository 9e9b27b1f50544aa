"""Prometheus's promtool, which tests of docs/alerts.yaml run on; as a program it sees to it that there is one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ADVICE = (
    "There is no promtool to test the alerts with. Install Prometheus (Debian: apt-get install prometheus), or put its "
    "promtool on the PATH."
)
_APT = ["apt-get", "-o", "DPkg::Lock::Timeout=600"]


class NoPromtool(Exception):
    """`str()` says what to do."""


def promtool() -> str:
    """Its path; NoPromtool."""
    if found := shutil.which("promtool"):
        return found
    raise NoPromtool(ADVICE)


def main() -> None:
    """Print its path. Where there is none, root on Debian installs one, and everybody else reads how to."""
    if not shutil.which("promtool") and os.geteuid() == 0 and Path("/etc/debian_version").exists():
        sys.stderr.write("Installing Prometheus from Debian ...\n")
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "prometheus"]):
            subprocess.run([*_APT, *command], stdout=sys.stderr, check=False)
    try:
        sys.stdout.write(f"{promtool()}\n")
    except NoPromtool as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
