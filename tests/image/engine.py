"""A Docker engine for the tests: the running one, or else one of Debian's, started for them."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.support.debian import Missing, install, may_install

DEBIANS = (Path("/usr/bin/docker"), Path("/usr/sbin/dockerd"), Path("/usr/bin/mmdebstrap"))
_PACKAGES = ("docker.io", "iptables", "iproute2", "mmdebstrap")
ADVICE = (
    "No Docker engine was found to test the image with. Start an engine that `docker info` reaches, or run this as "
    "root on Debian (apt-get install docker.io)."
)
_START_WITHIN_S = 60


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    command: Sequence[str]
    has_registry: bool
    """Whether the engine can pull base images from a registry."""

    def __call__(self, *arguments: str, ok: bool = True, timeout_s: float = 600) -> str:
        """Return the output of `docker …`. Raises a RuntimeError if it fails, unless `ok` is False."""
        done = subprocess.run(
            [*self.command, *arguments],
            env=os.environ | {"DOCKER_BUILDKIT": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if ok and done.returncode:
            raise RuntimeError(f"docker {' '.join(arguments)} -> {done.returncode}\n{done.stdout}")
        return done.stdout.strip()


@contextmanager
def running_engine(state: Path) -> Generator[Engine]:
    """Yield the engine that `docker info` reaches, or else one of Debian's, which keeps its images in `state`.

    Networks and firewall rules of the latter are removed at the end. Raises Missing.
    """
    if _answers(["docker"]):
        yield Engine(["docker"], has_registry=True)
        return
    if not may_install():
        raise Missing(ADVICE)
    if not all(path.exists() for path in DEBIANS):
        install(*_PACKAGES, advice=ADVICE)
    with _network_as_before(), _debians_engine(state) as command:
        yield Engine(command, has_registry=False)


def _answers(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    info = [*command, "info", "--format", "{{.ServerVersion}}"]
    return subprocess.run(info, capture_output=True, check=False).returncode == 0


@contextmanager
def _debians_engine(state: Path) -> Generator[Sequence[str]]:
    state.mkdir(parents=True, exist_ok=True)
    # A socket's path is limited to 107 characters, which a checkout's path may exceed.
    short = Path(mkdtemp(prefix="hublaunch-image-test-", dir="/run"))
    socket = short / "docker.sock"
    cli, daemon, _ = map(str, DEBIANS)
    options = {
        "--host": f"unix://{socket}",
        "--data-root": str(state / "data"),
        "--exec-root": str(short / "exec"),
        "--pidfile": str(short / "docker.pid"),
        "--oom-score-adjust": "0",
    }
    log = state / "dockerd.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [daemon, *(word for option in options.items() for word in option)], stdout=lines, stderr=lines
        )
    try:
        command = [cli, "--host", f"unix://{socket}"]
        deadline = time.monotonic() + _START_WITHIN_S
        while not _answers(command):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"Debian's dockerd did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield command
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(short, ignore_errors=True)


@contextmanager
def _network_as_before() -> Generator[None]:
    """Restore the firewall rules at the end, and remove a bridge that was not there before."""
    had_bridge = Path("/sys/class/net/docker0").exists()
    rules = subprocess.run(["iptables-save"], capture_output=True, check=True).stdout
    try:
        yield
    finally:
        subprocess.run(["iptables-restore"], input=rules or b"*filter\nCOMMIT\n", check=True)
        if not had_bridge:
            subprocess.run(["ip", "link", "delete", "docker0"], check=False, stderr=sys.stderr)
