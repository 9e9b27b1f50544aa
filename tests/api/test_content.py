"""Environments that fetch the repository: what a launch of them opens, and what it refuses."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hublaunch.files.keys import add_key
from hublaunch.launch.course.content import NO_NBGITPULLER
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.callers import bearer
from tests.support.served import Service, serve

REPO = "https://github.com/org/course"
COMMIT = "0a" * 20
CATALOGUE = {
    "environments": {
        "pulled": {"title": "P", "image": "quay.io/org/a:1", "content": "nbgitpuller", "open": "lab"},
        "fetched": {"title": "F", "image": "quay.io/org/a:1", "content": "spawner", "open": "lab"},
        "label": {"title": "L", "image": "quay.io/org/a:1", "open": "lab"},
    }
}
WITH_NBGITPULLER = (400, {"message": "Missing argument repo"})


@pytest.fixture
async def service(settings: Settings, tmp_path: Path, hub: FakeHub) -> AsyncGenerator[Service]:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(CATALOGUE))
    hub.pages["git-pull"] = WITH_NBGITPULLER
    keys = tmp_path / "keys.json"
    key = add_key(keys, name="ci")[1]
    access = ("anonymous", "key")
    async with serve(settings, catalogue_file=path, access=access, api_keys_file=keys) as service:
        service.http.headers.update(bearer(key))
        yield service


async def ready(service: Service, **body: str) -> dict[str, Any]:
    """Launch, and return the event `ready`."""
    answer = await service.http.post("/launch", json={"repo_url": REPO, **body})
    assert answer.status_code in (200, 202), answer.text
    event: dict[str, Any] = (await service.events(answer.json()["events_url"]))[-1]
    assert event["phase"] == "ready", event
    return event | {"launch": answer.json()}


def opened(event: dict[str, Any]) -> str:
    """Return what `open_url` opens below the server's root."""
    return str(event["open_url"].removeprefix(event["url"]).rpartition("token=")[0].rstrip("?&"))


async def test_nbgitpuller_is_led_to_the_repository_the_branch_and_the_file(service: Service, hub: FakeHub) -> None:
    event = await ready(service, environment="pulled", ref="v1", path="week 1/x.ipynb")

    link = urlsplit(event["open_url"])
    assert link.path == urlsplit(event["url"]).path + "git-pull"
    assert parse_qs(link.query) == {
        "repo": [REPO],
        "branch": ["v1"],
        "urlpath": ["lab/tree/course/week%201/x.ipynb"],
        "targetPath": ["course"],
        "token": [event["token"]],
    }
    assert event["content_fault"] is None
    assert event["launch"]["path"] == "week 1/x.ipynb"
    options = [line.user_options for line in hub.journal if line.what == "spawn_started"]
    assert options == [{"image": "quay.io/org/a:1", "repo_url": REPO, "ref": "v1"}]


async def test_a_spawner_is_told_the_folder_and_the_file_in_it_opens(service: Service, hub: FakeHub) -> None:
    event = await ready(service, environment="fetched", ref=COMMIT, path="x.ipynb")

    [options] = [line.user_options for line in hub.journal if line.what == "spawn_started"]
    assert options == {"image": "quay.io/org/a:1", "repo_url": REPO, "ref": COMMIT, "content_dir": "course"}
    assert opened(event) == "lab/tree/course/x.ipynb"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"environment": "label"}, "lab"),
        ({"environment": "label", "path": "lab/tree/x.ipynb"}, "lab/tree/x.ipynb"),
        ({"environment": "pulled", "repo_url": ""}, "lab"),
        ({"environment": "fetched"}, "lab/tree/course"),
    ],
)
async def test_the_environment_decides_without_content_a_repository_or_a_path(
    service: Service, body: dict[str, str], expected: str
) -> None:
    assert opened(await ready(service, **body)) == expected


async def test_without_nbgitpuller_the_server_opens_without_the_files_and_says_why(
    service: Service, hub: FakeHub
) -> None:
    hub.pages.clear()

    event = await ready(service, environment="pulled", path="x.ipynb")

    shown = (await service.http.get(f"/launch/{event['launch']['id']}")).json()
    del service.http.headers["Authorization"]
    public = (await service.http.get(f"/launch/{event['launch']['id']}")).json()
    assert event["content_fault"] == shown["content_fault"] == NO_NBGITPULLER
    assert NO_NBGITPULLER in event["message"]
    assert opened(event) == "lab"
    assert shown["open_url"] == event["open_url"]
    assert "content_fault" not in public
    assert public["message"] == "The server is ready"


async def test_if_the_spawner_could_not_fetch_the_files_its_note_opens(service: Service, hub: FakeHub) -> None:
    hub.pages["api/contents/course/CONTENT-FAILED.md"] = (200, {"content": "fatal: not found\n"})

    event = await ready(service, environment="fetched", path="x.ipynb")

    assert event["content_fault"] == "fatal: not found"
    assert opened(event) == "lab/tree/course/CONTENT-FAILED.md"


@pytest.mark.parametrize(
    ("environment", "body", "field"),
    [
        ("pulled", {"ref": COMMIT}, "ref"),
        ("pulled", {"repo_url": "git@github.com:org/course"}, "repo_url"),
        ("fetched", {"repo_url": "http://github.com/org/course"}, "repo_url"),
        ("fetched", {"path": "../x"}, "path"),
        ("pulled", {"path": "x?urlpath=git-pull%3Frepo%3Dfile%3A%2F%2F%2Fetc"}, "path"),
    ],
)
async def test_what_cannot_be_fetched_is_refused_before_anything_starts(
    service: Service, hub: FakeHub, environment: str, body: dict[str, str], field: str
) -> None:
    answer = await service.http.post("/launch", json={"environment": environment, "repo_url": REPO, **body})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert hub.count("spawn_started") == 0


async def test_a_reused_launch_opens_the_file_of_the_new_request_and_another_ref_is_another_launch(
    service: Service,
) -> None:
    first = await ready(service, environment="fetched", path="x.ipynb")

    again = await service.http.post(
        "/launch", json={"environment": "fetched", "repo_url": REPO, "path": "y.ipynb", "if_running": "reuse"}
    )
    other = await service.http.post(
        "/launch", json={"environment": "fetched", "repo_url": REPO, "ref": "v2", "if_running": "reuse"}
    )

    assert (again.status_code, again.json()["id"]) == (200, first["launch"]["id"])
    assert "/lab/tree/course/y.ipynb?" in again.json()["open_url"]
    assert (other.status_code, other.json()["ref"]) == (202, "v2")
