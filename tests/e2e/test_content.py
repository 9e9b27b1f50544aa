"""A launched repository's files in real servers: by nbgitpuller, and by a hook of a real spawner."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hublaunch.client import LaunchEvent
from hublaunch.demo.process import CONFIG, HubProcess, free_port
from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.demo.run import _served
from hublaunch.demo.settings import demo_settings
from tests.fakes.certificates import server_context, write_certificate
from tests.support.git import commit, git, git_server
from tests.support.served import read_events

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(240)]

HOOK = Path(__file__).parents[2] / "helm" / "hub_content.py"
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
CATALOGUE = {
    "environments": {
        "pulled": {"title": "P", "image": "quay.io/org/a:1", "content": "nbgitpuller", "open": "lab"},
        "fetched": {"title": "F", "image": "quay.io/org/a:1", "content": "spawner", "open": "lab"},
    }
}


class Launching:
    """A hublaunch beside the demo's Hub."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ready(self, environment: str, **body: str) -> LaunchEvent:
        """Launch, and return the event `ready`."""
        asked = {"environment": environment, **body}
        headers = {"Accept": "text/event-stream"}
        async with self._http.stream("POST", "launch", json=asked, headers=headers) as stream:
            assert stream.status_code == 200, await stream.aread()
            last = [event async for event in read_events(stream)][-1]
        assert last["phase"] == "ready", last
        return LaunchEvent.of(last)


@asynccontextmanager
async def launching(directory: Path, *, config: str = "") -> AsyncGenerator[Launching]:
    """Run the demo's Hub with more configuration, and hublaunch with the catalogue."""
    (directory / "catalogue.json").write_text(json.dumps(CATALOGUE))
    (directory / "jupyterhub_config.py").write_text(f"load_subconfig({str(CONFIG)!r})\n{config}")
    state, configured = directory / "state", directory / "jupyterhub_config.py"
    hub = HubProcess(state=state, proxy_command=proxy_command(proxy_directory(state)), config=configured)
    async with hub:
        settings = demo_settings(hub, origins=(), spawns=2, warm=0)
        settings = settings.model_copy(update={"catalogue_file": directory / "catalogue.json"})
        port = free_port()
        url = f"http://127.0.0.1:{port}{settings.prefix}/"
        async with (
            _served(settings, port),
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=120) as http,
        ):
            yield Launching(http)


def browser() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=60, follow_redirects=True)


async def content_of(event: LaunchEvent, path: str) -> Any:
    """Return the content of a file in the server, or the HTTP status of the refusal."""
    async with browser() as http:
        headers = {"Authorization": f"token {event.token}"}
        answer = await http.get(f"{event.url}api/contents/{path}", headers=headers)
        return answer.json()["content"] if answer.status_code == 200 else answer.status_code


async def pulled(event: LaunchEvent) -> list[dict[str, Any]]:
    """Open the launch as a browser without scripts does, then ask for the files as nbgitpuller's page does."""
    async with browser() as http:
        assert event.open_url is not None
        page = await http.get(event.open_url)
        assert page.status_code == 200, page.text[:500]
        asked = parse_qs(urlsplit(event.open_url).query)
        wanted = {"repo": asked["repo"], "targetpath": asked["targetPath"], "branch": asked.get("branch", [])}
        told = await http.get(f"{event.url}git-pull/api", params=wanted)
        assert asked["urlpath"][0] in page.text
        return [json.loads(line.removeprefix("data: ")) for line in told.text.splitlines() if line]


async def test_nbgitpuller_fetches_the_launched_repository_at_its_branch_tag_and_default(tmp_path: Path) -> None:
    repository = tmp_path / "served" / "course"
    commit(repository, {"week 1/x.ipynb": json.dumps(NOTEBOOK)})
    git(repository, "tag", "v1")
    commit(repository, {"later.ipynb": json.dumps(NOTEBOOK)})
    async with git_server(repository.parent) as url, launching(tmp_path) as service:
        for ref, has_later in (("v1", False), ("refs/heads/main", True), ("", True)):
            event = await service.ready("pulled", repo_url=f"{url}/course", ref=ref, path="week 1/x.ipynb")

            told = await pulled(event)

            assert event.shown["content_fault"] is None
            assert told[-1] == {"phase": "finished"}, told
            assert await content_of(event, "course/week%201/x.ipynb") == NOTEBOOK
            assert (await content_of(event, "course/later.ipynb") == NOTEBOOK) is has_later


async def test_a_server_without_nbgitpuller_opens_without_the_files_and_says_why(tmp_path: Path) -> None:
    off = {"ServerApp": {"jpserver_extensions": {"nbgitpuller": False}}}
    config = f"""
import json
path = STATE / "jupyter" / "jupyter_server_config.json"
path.parent.mkdir(exist_ok=True)
path.write_text({json.dumps(json.dumps(off))})
"""
    async with launching(
        tmp_path, config=f"from pathlib import Path\nimport os\nSTATE = Path({str(tmp_path / 'state')!r})\n{config}"
    ) as service:
        event = await service.ready("pulled", repo_url="https://github.com/org/course", path="x.ipynb")
        async with browser() as http:
            page = await http.get(event.open_url or "")

    assert "nbgitpuller is not installed" in event.shown["content_fault"]
    assert event.open_url == f"{event.url}lab?token={event.token}"
    assert "jupyter-config-data" in page.text


async def test_a_hook_of_a_real_spawner_fetches_the_files_or_leaves_a_note(tmp_path: Path) -> None:
    repository = tmp_path / "served" / "course"
    first = commit(repository, {"x.ipynb": json.dumps(NOTEBOOK)})
    commit(repository, {"later.ipynb": json.dumps(NOTEBOOK)})
    cert_file, key_file = write_certificate(tmp_path, "git")
    config = f"""

from pathlib import Path
exec(Path({str(HOOK)!r}).read_text())
c.Spawner.pre_spawn_hook = hublaunch_fetch_before_server
c.Spawner.environment = {{**c.Spawner.environment, "GIT_SSL_CAINFO": {str(cert_file)!r}}}
"""
    tls = server_context(cert_file, key_file)
    async with git_server(repository.parent, tls=tls) as url, launching(tmp_path, config=config) as service:
        fetched = await service.ready("fetched", repo_url=f"{url}/course", ref=first, path="x.ipynb")
        files = await content_of(fetched, "course/x.ipynb"), await content_of(fetched, "course/later.ipynb")
        failed = await service.ready("fetched", repo_url=f"{url}/course", ref="none", path="x.ipynb")
        note = await content_of(failed, "course/CONTENT-FAILED.md")

    assert fetched.shown["content_fault"] is None
    assert urlsplit(fetched.open_url or "").path.endswith("/lab/tree/course/x.ipynb")
    assert files == (NOTEBOOK, 404)
    assert "Remote branch none not found" in note
    assert "Remote branch none not found" in failed.shown["content_fault"]
    assert urlsplit(failed.open_url or "").path.endswith("/lab/tree/course/CONTENT-FAILED.md")
