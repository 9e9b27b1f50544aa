"""The image, built from this tree and run with the strictest options: `make image-test`."""

import json
import re
import sys
import threading
import tomllib
from typing import Any

import pytest

from tests.image.base import ROOT, WANTED
from tests.image.conftest import Image
from tests.image.container import caller, container
from tests.support.served import BODY

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]

SSE = {"Accept": "text/event-stream"}
MOST_MB = 150
"""The most that hublaunch may add to the base image. It adds 143 MB, half of that compiled code."""
SHELLS = ("/bin/sh", "/bin/bash", "/bin/dash")
FILES = """
import hashlib, json, pathlib
files = [path for path in pathlib.Path("/opt/hublaunch").rglob("*") if path.is_file()]
print(json.dumps({str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}))
"""


def config(image: Image) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(image.engine("inspect", image.tag, "--format", "{{json .Config}}"))
    return found


def in_image(image: Image, code: str) -> str:
    return image.engine("run", "--rm", "--read-only", "--entrypoint", "python", image.tag, "-c", code)


def test_a_container_with_the_fewest_rights_is_healthy_without_a_hub(image: Image) -> None:
    with container(image) as running:
        running.wait_until_healthy()

        with caller(running) as http:
            ready = http.get("/readyz")

    assert ready.status_code == 200
    assert ready.json()["hub"]["fault"]


def test_the_image_needs_no_shell(image: Image) -> None:
    without = [word for shell in SHELLS for word in ("--volume", f"/dev/null:{shell}:ro")]

    with container(image, *without) as running:
        running.wait_until_healthy()


def test_a_stop_closes_an_open_stream_and_exits_with_0(image: Image) -> None:
    with container(image) as running:
        running.wait_until_healthy()
        with caller(running) as http, http.stream("POST", "/launch", json=BODY, headers=SSE) as stream:
            lines = stream.iter_lines()
            assert any("Accepted" in line for line in lines)
            stopping = threading.Thread(target=running.image.engine, args=("stop", "--time", "30", running.name))
            stopping.start()
            rest = list(lines)
            stopping.join()

        state = running.state()

    assert rest[-1] == "", "the stream ends where a block ends"
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


def test_a_launch_survives_in_the_next_container_on_the_same_volume(image: Image) -> None:
    volume = "hublaunch-test-data"
    image.engine("volume", "rm", "--force", volume)
    with container(image, volume=volume) as first:
        first.wait_until_healthy()
        with caller(first) as http:
            accepted = http.post("/launch", json=BODY).json()
        first.image.engine("stop", first.name)

    with container(image, volume=volume) as second:
        second.wait_until_healthy()
        with caller(second) as http:
            found = http.get(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
    image.engine("volume", "rm", volume)

    assert found.status_code == 200
    assert found.json()["repo_url"] == BODY["repo_url"]


def test_the_image_runs_as_an_unprivileged_user_without_a_shell(image: Image) -> None:
    found = config(image)

    assert found["User"] == "1000"
    assert found["Entrypoint"] == ["hublaunch"]
    assert found["Healthcheck"]["Test"][0] == "CMD"
    assert list(found["Volumes"]) == ["/data"]
    assert in_image(image, "import os; print(os.getuid(), os.getgid())") == "1000 1000"


def test_the_labels_of_the_image_match_the_project(image: Image) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name = "org.opencontainers.image."

    labels = {key.removeprefix(name): value for key, value in config(image)["Labels"].items() if key.startswith(name)}

    assert labels == {
        "title": project["name"],
        "description": project["description"].partition(":")[0],
        "version": project["version"],
        "licenses": project["license"],
        "base.name": f"docker.io/library/{image.base}",
    }


def test_the_image_contains_the_locked_packages_and_no_pip(image: Image) -> None:
    listing = "import importlib.metadata as m; print(*sorted(f'{d.name}=={d.version}' for d in m.distributions()))"
    locked = re.findall(r"^([\w.-]+==[^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = f"{project['name']}=={project['version']}"

    found = {re.sub(r"[_.]", "-", name.lower()) for name in in_image(image, listing).split()}

    normal = {re.sub(r"[_.]", "-", name.lower()) for name in [*locked, own]}
    assert found <= normal
    assert {name.partition("==")[0] for name in normal - found} <= {"colorama", "tzdata"}, "these are for Windows"


def test_the_image_is_small(image: Image) -> None:
    whole, base = (int(image.engine("inspect", tag, "--format", "{{.Size}}")) for tag in (image.tag, image.base))

    sizes = f"hublaunch adds {(whole - base) / 1e6:.0f} MB to a base of {base / 1e6:.0f} MB"
    sys.stdout.write(f"\nPython {image.python_version}: {sizes}\n")
    assert (whole - base) / 1e6 < MOST_MB


def test_a_second_build_has_the_same_files(image: Image) -> None:
    first = json.loads(in_image(image, FILES))

    again = Image(image.engine, f"{image.tag}-again", image.python_version, image.base)
    again.build("--no-cache")

    second = json.loads(in_image(again, FILES))
    assert {path for path in first | second if first.get(path) != second.get(path)} == set()


def test_the_tests_use_the_python_of_the_dockerfile() -> None:
    assert f"ARG PYTHON_VERSION={WANTED}\n" in (ROOT / "Dockerfile").read_text()
