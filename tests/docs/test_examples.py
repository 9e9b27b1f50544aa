"""The examples in the README and the docs run as pasted, beside a service with a fake Hub."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Config

import hublaunch.binderhub
from hublaunch.demo.proxy import node_and_npm
from hublaunch.launch.course.admission import Position
from hublaunch.launch.feed import Feed
from hublaunch.settings import Settings
from tests.docs.pages import DOCS, PAGES, ROOT, TESTED, Block, blocks
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.debian import explained, install
from tests.support.served import Service, serve


def marked(page: Path, language: str) -> list[Block]:
    found = [block for block in blocks(page) if block.mark == TESTED and block.language == language]
    assert found, f"{page} has no {language} that is marked as tested"
    return found


def written_in(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


GENERATED = DOCS / "generated-clients.md"
"""Its programs are those of `test_generated_clients.py`."""
PROGRAMS = [block for block in written_in("python") if block.mark == TESTED and block.page != GENERATED]
TESTS_WITH_THE_FAKE = [block for block in PROGRAMS if "FakeHublaunch" in block.text]
CALLERS = [block for block in PROGRAMS if "LaunchClient" in block.text and block not in TESTS_WITH_THE_FAKE]
CONFIGURATIONS = [block for block in written_in("python") if block.mark != TESTED]
INSIDE_BINDERHUB = [block for block in CONFIGURATIONS if "import binderhub" in block.text]
HUB_CONFIGURATIONS = [block for block in CONFIGURATIONS if block not in INSIDE_BINDERHUB]


def placed(text: str, service: Service, hub: FakeHub) -> str:
    """Return the text with the addresses of this test in place of the readers' addresses."""
    url = str(service.http.base_url).rstrip("/")
    text = text.replace("http://127.0.0.1:8083", url).replace("https://hub.example.org/services/hublaunch", url)
    return text.replace("https://hub.example.org/", hub.url)


def variables(service: Service, directory: Path) -> dict[str, str]:
    return os.environ | {
        "HUBLAUNCH_URL": f"{str(service.http.base_url).rstrip('/')}/",
        "XDG_STATE_HOME": str(directory / "state"),
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
    }


async def run_in_bash(page: Path, service: Service, hub: FakeHub, directory: Path) -> str:
    """Run a page's blocks in one shell, which ends at the first failed command, and return their output."""
    await asyncio.to_thread(have_curl)
    (directory / ".venv").symlink_to(sys.prefix)
    script = "\n".join(["set -euo pipefail", *(block.text for block in marked(page, "bash"))])
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-c", placed(script, service, hub)),
        cwd=directory,
        env=variables(service, directory),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complained = await shell.communicate()
    assert shell.returncode == 0, complained.decode() + out.decode()
    return out.decode()


def have_curl() -> None:
    if not shutil.which("curl"):
        with explained():
            install("curl", advice="There is no curl (Debian: apt-get install curl).")


@asynccontextmanager
async def program(
    block: Block, service: Service, hub: FakeHub, directory: Path
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The block as a file that a new Python runs."""
    file = directory / "example.py"
    file.write_text(placed(block.text, service, hub))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", str(file)),
        cwd=directory,
        env=variables(service, directory) | {"LAUNCHER_HUB_API_TOKEN": hub.api_token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until_its_position_is_known(feed: Feed) -> None:
    """Return once the only follower has received its launch's position in the queue."""
    [launch_id] = [launch_id for launch_id, tail in feed._tails.items() if tail.followers]
    async with aclosing(feed.follow(launch_id)) as news:
        async for one in news:
            if isinstance(one, Position):
                return


async def test_the_tutorial_at_a_shell(service: Service, hub: FakeHub, tmp_path: Path) -> None:
    out = await run_in_bash(DOCS / "tutorial.md", service, hub, tmp_path)

    events = (tmp_path / "events.txt").read_text()
    accepted = json.loads((tmp_path / "launch.json").read_text())
    assert {"id", "secret", "events_url"} <= set(accepted)
    assert '"phase":"ready"' in events
    assert '"open_url"' in events
    assert "\nid: 3\n" in out
    assert "\n202\n" in out or "\n204\n" in out
    assert "The server is ready" in out.splitlines()[-1]


async def test_the_readme_at_a_shell(service: Service, hub: FakeHub, tmp_path: Path) -> None:
    out = await run_in_bash(ROOT / "README.md", service, hub, tmp_path)

    assert '"phase":"waiting"' in out
    assert '"phase":"ready"' in out


@pytest.mark.parametrize("block", TESTS_WITH_THE_FAKE, ids=str)
def test_a_test_with_the_fake_service_passes(block: Block) -> None:
    names: dict[str, Any] = {}

    exec(compile(block.text, str(block), "exec"), names)

    for name, function in names.items():
        if name.startswith("test_"):
            function()


@pytest.mark.parametrize("block", CALLERS, ids=str)
async def test_a_program_of_a_caller_follows_its_launch_through_the_queue(
    block: Block, settings: Settings, hub: FakeHub, tmp_path: Path
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings, max_concurrent_spawns=1) as service:
        await service.launch()
        await hub.until(lambda: hub.active_servers)
        hub.spawn_plan(None, SpawnPlan())

        async with asyncio.timeout(30), program(block, service, hub, tmp_path) as process:
            assert process.stdout
            assert process.stderr
            first = (await process.stdout.readline()).decode()
            await until_its_position_is_known(service.state["web"].feed)
            hub.release(next(iter(hub.users)))
            out, complained = first + (await process.stdout.read()).decode(), await process.stderr.read()
            status = await process.wait()

    assert status == 0, complained.decode()
    assert out.startswith("waiting 0 Accepted")
    assert "ready 100 The server is ready" in out
    assert ("1 of 1 in the queue" in out) is ("on_position" in block.text)


@pytest.mark.parametrize("block", [each for each in PROGRAMS if "Launcher.connect" in each.text], ids=str)
async def test_a_program_with_the_library_launches(
    block: Block, service: Service, hub: FakeHub, tmp_path: Path
) -> None:
    async with asyncio.timeout(30), program(block, service, hub, tmp_path) as process:
        out, complained = await process.communicate()

    assert process.returncode == 0, complained.decode()
    assert f"{hub.url}user/" in out.decode()


@pytest.mark.parametrize("block", HUB_CONFIGURATIONS, ids=str)
def test_each_configuration_of_the_hub_is_valid(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCHER_HUB_API_TOKEN", "0123456789abcdef")
    c = Config()
    text = block.text.replace("/srv/jupyterhub/hub_content.py", str(ROOT / "helm" / "hub_content.py"))

    exec(compile(text, str(block), "exec"), {"c": c})

    assert c


def test_the_lines_for_binderhub_replace_the_class_that_its_application_creates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = SimpleNamespace(app=SimpleNamespace(Launcher=object))
    monkeypatch.setitem(sys.modules, "binderhub", theirs)
    monkeypatch.setitem(sys.modules, "binderhub.app", theirs.app)
    (block,) = INSIDE_BINDERHUB

    exec(compile(block.text, str(block), "exec"))

    assert theirs.app.Launcher is hublaunch.binderhub.Launcher


@pytest.mark.parametrize("block", written_in("js"), ids=str)
async def test_javascript_has_no_syntax_error(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "example.mjs"
    file.write_text(block.text)
    node, _ = node_and_npm()

    process = await asyncio.create_subprocess_exec(node, "--check", str(file), stderr=asyncio.subprocess.PIPE)
    _, complained = await process.communicate()

    assert process.returncode == 0, complained.decode()


def test_every_marked_block_is_run_by_a_test() -> None:
    shell = [*marked(DOCS / "tutorial.md", "bash"), *marked(ROOT / "README.md", "bash")]

    has_marks = {str(block) for page in PAGES for block in blocks(page) if block.mark == TESTED and page != GENERATED}

    assert has_marks == {str(block) for block in (*PROGRAMS, *shell)}
    assert all("LaunchClient" in block.text or "Launcher.connect" in block.text for block in PROGRAMS)
