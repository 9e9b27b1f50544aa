"""The package as pip installs it: the contents of the wheel, and the parts that work without the server extra."""

import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import hublaunch

ROOT = Path(__file__).parents[1]
SERVER = (
    *("aiohttp", "alembic", "cryptography", "fastapi", "fastapi_swagger", "httptools", "prometheus_client"),
    *("pydantic_settings", "sqlalchemy", "sse_starlette", "starlette", "structlog", "ulid", "uvicorn", "yaml"),
)
"""Modules that `hublaunch[server]` installs. It installs pydantic too, but so does typer."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with an `app` package of its own, in an environment without the server extra."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise AssertionError('imported the wrong app')\n")
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({SERVER}))\n")
    return tmp_path


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=os.environ | {"PYTHONPATH": ".", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_the_wheel_holds_the_package_and_needs_three_others(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata,) = [wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]

    assert {name.split("/")[0].partition("-")[0] for name in names} == {"hublaunch"}
    web = ROOT / "app" / "hublaunch" / "web"
    assert {f"hublaunch/web/{path.relative_to(web)}" for path in web.rglob("*.*")} <= set(names)
    needed: dict[str, set[str]] = {}
    for each in Parser().parsestr(metadata).get_all("Requires-Dist") or []:
        requirement, _, extra = each.partition("; extra == ")
        needed.setdefault(extra.strip("'"), set()).add(re.split(r"[<>\[]", requirement)[0])
    assert needed[""] == {"httpx", "rich", "typer"}
    for extra in ("demo", "otel", "postgresql"):
        assert needed[extra] > needed["server"] > {"fastapi", "sqlalchemy", "uvicorn"}
    assert needed["binderhub"] - {"tornado", "traitlets"} < needed["server"]


@pytest.mark.parametrize("command", [["-c", "from hublaunch import LaunchClient"], ["-m", "hublaunch.cli", "--help"]])
def test_the_client_and_the_command_line_work_without_the_server_extra(project: Path, command: list[str]) -> None:
    done = run(project, *command)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["serve"], "server"),
        (["demo"], "demo"),
        (["doctor"], "server"),
        (["guard"], "server"),
        (["keys", "list"], "server"),
        (["show", "ID"], "server"),
    ],
)
def test_a_command_that_lacks_its_extra_names_it(project: Path, command: list[str], extra: str) -> None:
    done = run(project, "-m", "hublaunch.cli", *command)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hublaunch {command[0]} needs ")
    assert f"pip install 'hublaunch[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_launcher_that_lacks_its_extra_names_it(project: Path) -> None:
    done = run(project, "-c", "from hublaunch import Launcher")

    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: Launcher needs ")
    assert last.endswith("Run: pip install 'hublaunch[server]'")


@pytest.mark.parametrize("missing", ["tornado", "traitlets", "httptools"])
def test_binderhubs_launcher_that_lacks_its_extra_names_it(project: Path, missing: str) -> None:
    (project / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")

    done = run(project, "-c", "from hublaunch.binderhub import Launcher")

    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: hublaunch.binderhub.Launcher needs {missing}")
    assert last.endswith("Run: pip install 'hublaunch[binderhub]'")


def test_binderhubs_launcher_needs_only_its_extra(project: Path) -> None:
    without = set(SERVER) - {"httptools", "pydantic_settings", "ulid"}
    (project / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({without}))\n")

    done = run(project, "-c", "from hublaunch.binderhub import Launcher; print(Launcher().retries)")

    assert (done.stdout, done.stderr) == ("4\n", "")


def test_binderhubs_api_needs_neither_tornado_nor_traitlets() -> None:
    program = "import sys, hublaunch.binderhub.routes; print({'tornado', 'traitlets'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)

    assert (done.stdout, done.stderr) == ("set()\n", "")


HELP = """
from hublaunch.cli import cli
for command in ("launch", "watch", "list", "cancel", "serve", "demo", "doctor", "guard", "keys", "show"):
    try:
        cli([command, "--help"])
    except SystemExit as end:
        assert end.code == 0
"""


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [("from hublaunch import LaunchClient", {"typer", "pydantic"}), (HELP, {"httpx"})],
    ids=["client", "help"],
)
def test_client_and_help_load_only_what_they_need(program: str, unwanted: set[str]) -> None:
    unwanted |= {*SERVER, "hublaunch.settings", "hublaunch.launch"}
    program += f"\nimport sys; sys.exit(' '.join({unwanted} & set(sys.modules)) or None)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")


def test_public_classes_are_imported_from_the_package() -> None:
    from hublaunch import LaunchClient, Launcher

    assert {"LaunchClient", "Launcher"} <= set(dir(hublaunch))
    assert (LaunchClient.__name__, Launcher.__name__) == ("LaunchClient", "Launcher")
    assert not hasattr(hublaunch, "Anything")
