"""Blocks that are marked as tested do what their pages say, beside a service with a fake Hub."""

import ast
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.debian import NotInstalled, install, may_install
from tests.docs.pages import DOCS, PAGES, ROOT, TESTED, Block, blocks
from tests.fakes.hub import FakeHub
from tests.served import Service


def marked(page: Path, language: str) -> list[Block]:
    found = [block for block in blocks(page) if block.mark == TESTED and block.language == language]
    assert found, f"{page} has no {language} that is marked as tested"
    return found


def placed(text: str, service: Service, hub: FakeHub) -> str:
    """With the addresses of this test in place of the ones that readers have."""
    url = str(service.http.base_url).rstrip("/")
    text = text.replace("http://127.0.0.1:8083", url).replace("https://hub.example.org/services/hublaunch", url)
    return text.replace("https://hub.example.org/", hub.url)


async def run_in_bash(page: Path, service: Service, hub: FakeHub, directory: Path) -> str:
    """What all its blocks put out, one after the other in one shell, which ends at the first command that fails."""
    await asyncio.to_thread(have_curl)
    (directory / ".venv").symlink_to(sys.prefix)
    script = "\n".join(["set -euo pipefail", *(block.text for block in marked(page, "bash"))])
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-c", placed(script, service, hub)),
        cwd=directory,
        env=os.environ
        | {"HUBLAUNCH_URL": str(service.http.base_url), "XDG_STATE_HOME": str(directory / "state")}
        | {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complained = await shell.communicate()
    assert shell.returncode == 0, complained.decode() + out.decode()
    return out.decode()


def have_curl() -> None:
    if shutil.which("curl"):
        return
    if not may_install():
        pytest.fail("There is no curl (Debian: apt-get install curl).", pytrace=False)
    try:
        install("curl")
    except NotInstalled as error:
        pytest.fail(str(error), pytrace=False)


async def run_in_python(block: Block, service: Service, hub: FakeHub, given: Mapping[str, object]) -> None:
    """As in `python -m asyncio`."""
    code = compile(placed(block.text, service, hub), str(block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, dict(given))


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


async def test_the_tutorial_in_python(service: Service, hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    [block] = marked(DOCS / "tutorial.md", "python")

    await run_in_python(block, service, hub, {})

    assert "ready 100 The server is ready" in capsys.readouterr().out
    await hub.until(lambda: not hub.active_servers)


async def test_the_readme_at_a_shell(service: Service, hub: FakeHub, tmp_path: Path) -> None:
    out = await run_in_bash(ROOT / "README.md", service, hub, tmp_path)

    assert '"phase":"waiting"' in out
    assert '"phase":"ready"' in out


@pytest.mark.parametrize(
    "block", [*marked(ROOT / "README.md", "python"), *marked(DOCS / "client.md", "python")], ids=str
)
async def test_python_of_the_readme_and_of_the_clients_page(
    block: Block, service: Service, hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    token: Any = hub.api_token if "Launcher.connect" in block.text else None  # callers here need none

    await run_in_python(block, service, hub, {"token": token})

    assert "/user/" in capsys.readouterr().out or "LaunchClient" in block.text
    assert hub.active_servers


def test_no_mark_stands_where_no_test_looks() -> None:
    looked_at = {DOCS / "tutorial.md", ROOT / "README.md", DOCS / "client.md"}

    has_marks = {page for page in PAGES for block in blocks(page) if block.mark == TESTED}

    assert has_marks == looked_at
