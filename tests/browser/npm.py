"""What the tests take from npm: a React page's parts, the tools that build and check it, and axe."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from app.demo import proxy

LOCKED = Path(__file__).with_name("npm")


def node_modules() -> Path:
    """The locked versions, installed once in the virtual environment."""
    lock = hashlib.sha256((LOCKED / "package-lock.json").read_bytes()).hexdigest()[:12]
    directory = Path(sys.prefix) / "share" / "hublaunch" / f"browser-tests-{lock}"
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".installing-") as made:
            aside = Path(made) / directory.name
            shutil.copytree(LOCKED, aside)
            _, npm = proxy._node()
            run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=aside)
            aside.rename(directory)
    return directory / "node_modules"


def node(script: Path, *arguments: str, cwd: Path) -> None:
    """Run a package's program."""
    run([proxy._node()[0], str(script), *arguments], cwd=cwd)


def run(command: list[str], *, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
