"""Node.js with the packages of `tests/npm`.

`python -m tests.support.node install` installs the locked packages; `… lock` locks those of `package.json`.
"""

import asyncio
import json
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from hublaunch.demo.proxy import node_and_npm

PACKAGES = Path(__file__).parents[1] / "npm"
_LOCK = PACKAGES / "package-lock.json"
_WHOLE = ("thebe-core",)
"""Packages whose file for browsers contains all their dependencies, so that none of them is installed."""
_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@asynccontextmanager
async def running(script: str, *arguments: str, flags: tuple[str, ...] = ()) -> AsyncGenerator[asyncio.StreamReader]:
    """Run a script of `tests/npm` and yield its output. It is killed on leaving if it still runs."""
    assert (PACKAGES / "node_modules").is_dir(), "`make install` installs the packages from npm"
    node, _ = node_and_npm()
    process = await asyncio.create_subprocess_exec(
        node, *flags, str(PACKAGES / script), *arguments, stdout=asyncio.subprocess.PIPE, stderr=None
    )
    assert process.stdout
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(script: str, *arguments: str, cwd: Path) -> str:
    """Run a program of one of the packages, or another with its whole path, and return its output.

    If it fails, the AssertionError has the output.
    """
    node, _ = node_and_npm()
    process = await asyncio.create_subprocess_exec(
        node, str(PACKAGES / "node_modules" / script), *arguments, cwd=cwd, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def install() -> None:
    """Install the packages from npm."""
    _npm("ci")


def lock() -> None:
    """Lock the packages and their dependencies, without addresses of a registry or of sponsors."""
    _npm("install", "--package-lock-only")
    locked = json.loads(_LOCK.read_text())
    packages = locked["packages"]
    for name in _WHOLE:
        for others in ("dependencies", "peerDependencies"):
            packages[f"node_modules/{name}"].pop(others, None)
    needed: set[str] = set()
    waiting = [""]
    while waiting:
        path = waiting.pop()
        needed.add(path)
        names = packages[path].get("dependencies", {}) | packages[path].get("optionalDependencies", {})
        required = (_found_from(path, name, packages) for name in names)
        waiting += [found for found in required if found and found not in needed]
    kept = {path: package for path, package in packages.items() if path in needed}
    for package in kept.values():
        package.pop("resolved", None)
        package.pop("funding", None)
    _LOCK.write_text(json.dumps({**locked, "packages": kept}, indent=2) + "\n")


def _found_from(path: str, name: str, packages: Collection[str]) -> str | None:
    """Return where Node.js finds a package for the one at `path`: below it, or below the nearest folder above."""
    while True:
        found = f"{path}/node_modules/{name}".removeprefix("/")
        if found in packages:
            return found
        if not path:
            return None
        path = path.rpartition("node_modules/")[0].removesuffix("/")


def _npm(*command: str) -> None:
    _, npm = node_and_npm()
    subprocess.run([*npm, *command, *_QUIET], cwd=PACKAGES, check=True)


if __name__ == "__main__":
    {"install": install, "lock": lock}[sys.argv[1]]()
