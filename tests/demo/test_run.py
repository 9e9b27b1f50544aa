import asyncio
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from hublaunch.demo import run
from hublaunch.demo.check import CHECK_BODY
from hublaunch.demo.errors import DemoError
from hublaunch.demo.images import SIMULATED_IMAGES
from hublaunch.demo.process import HubProcess, free_port
from hublaunch.demo.run import run_demo
from hublaunch.demo.settings import DemoSettings, demo_settings
from hublaunch.store.sqlite import FileLock
from tests.fakes.hub import FakeHub


async def refused(state: Path, capsys: pytest.CaptureFixture[str], *, cors: Sequence[str] = ()) -> str:
    assert await run_demo(state=state, port=0, check=True, cors=cors, spawns=1, warm=0) == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


async def test_a_second_demo_in_the_same_directory_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = FileLock(tmp_path / "demo.lock")
    assert first.acquire()

    said = await refused(tmp_path, capsys)

    first.release()
    assert said == f"Another demo runs in {tmp_path}. Stop it, or name another directory with --state.\n"


async def test_a_directory_with_other_files_is_refused_and_not_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "jupyterhub.sqlite"
    database.write_text("a real Hub's")

    said = await refused(tmp_path, capsys)

    assert "contains files that are not the demo's" in said
    assert database.exists()


async def test_a_directory_that_cannot_be_created_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    said = await refused(tmp_path / "file" / "state", capsys)

    assert said == f"{tmp_path / 'file' / 'state'} cannot be used as the demo's directory: Not a directory.\n"


async def test_a_missing_jupyterhub_is_reported_before_anything_is_created(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupyterhub", None)

    said = await refused(tmp_path / "state", capsys)

    assert said == "The demo needs JupyterHub and JupyterLab: pip install 'hublaunch[demo]'\n"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("origin", ["*", "book.example.org", "https://book.example.org/chapter-1"])
async def test_an_invalid_cors_option_stops_the_demo_before_anything_is_created(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], origin: str
) -> None:
    said = await refused(tmp_path / "state", capsys, cors=[origin])

    assert said == ("--cors: each must be an origin such as https://book.example.org, without a path and without *.\n")
    assert not (tmp_path / "state").exists()


def process_at(hub: FakeHub, state: Path) -> HubProcess:
    """Return the demo's Hub process, with the fake Hub's addresses."""
    process = HubProcess(state=state, proxy_command=["unused"])
    process.public_url, process.token, process.local_url = hub.url, hub.api_token, hub.url
    return process


def settings_at(hub: FakeHub, state: Path, *, origins: Sequence[str] = ()) -> DemoSettings:
    return demo_settings(process_at(hub, state), origins=origins, spawns=1, warm=0)


async def test_the_simulated_images_are_served_to_the_named_origins_until_the_context_ends(
    hub: FakeHub, tmp_path: Path
) -> None:
    port, settings = free_port(), settings_at(hub, tmp_path, origins=["http://localhost:5500"])
    url = f"http://127.0.0.1:{port}{settings.prefix}"
    async with run._served(settings, port) as serving, httpx.AsyncClient(trust_env=False) as http:
        session = (await http.get(f"{url}/session")).json()
        own, other = [
            await http.post(f"{url}/launch", json=CHECK_BODY, headers={"Origin": f"http://localhost:{number}"})
            for number in (5500, 5501)
        ]

    assert session["images"] == [CHECK_BODY["image"], *(simulated.image for simulated in SIMULATED_IMAGES), "*"]
    assert (own.status_code, other.status_code) == (202, 403)
    assert own.headers["Access-Control-Allow-Origin"] == "http://localhost:5500"
    assert serving.done()


async def test_a_database_that_cannot_be_used_ends_the_demo_with_a_sentence(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "hublaunch.sqlite").mkdir()

    with pytest.raises(DemoError, match="hublaunch could not start"):
        await run._served(settings_at(hub, tmp_path), free_port()).__aenter__()


async def test_a_port_that_was_taken_meanwhile_ends_the_demo_with_a_sentence(hub: FakeHub, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(DemoError, match="hublaunch could not start"):
        await run._served(settings_at(hub, tmp_path), other.getsockname()[1]).__aenter__()


async def test_the_demo_ends_when_hublaunch_is_told_to_stop(tmp_path: Path) -> None:
    process = HubProcess(state=tmp_path, proxy_command=["unused"])
    process._process = child = await asyncio.create_subprocess_exec("sleep", "100")
    serving = asyncio.create_task(asyncio.sleep(0))

    async with asyncio.timeout(5):
        await run._until_either_ends(serving, process)

    assert child.returncode is None
    child.kill()
    await child.wait()


async def test_the_demo_answers_only_below_its_random_path(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, int] = {}

    async def ask(*_: object) -> None:
        """Send requests while the demo runs, instead of waiting for its end."""
        [url] = set(re.findall(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", capsys.readouterr().out))
        async with httpx.AsyncClient(trust_env=False) as http:
            for place, base in {
                "with": url,
                "without": urljoin(url, "/"),
                "another": urljoin(url, f"/{'x' * 32}/"),
            }.items():
                for path in ("", "session", "launch", "docs", "status", "openapi.json"):
                    answer = await http.get(f"{base}{path}")
                    asked[f"{place} {path}"] = answer.status_code
                asked[f"{place} POST"] = (await http.post(f"{base}launch", json=CHECK_BODY)).status_code

    monkeypatch.setattr(run, "_until_either_ends", ask)
    await run._serve(process_at(hub, tmp_path), settings_at(hub, tmp_path), port=free_port(), check=False)

    assert {status for place, status in asked.items() if not place.startswith("with ")} == {404}
    assert (asked["with "], asked["with session"], asked["with POST"]) == (200, 200, 202)


def welcome(state: Path, *, origins: Sequence[str] = (), warm: int = 0) -> str:
    process = HubProcess(state=state, proxy_command=[])
    return run._welcome("http://127.0.0.1:8083", process, demo_settings(process, origins=origins, spawns=1, warm=warm))


def test_the_demo_explains_how_to_see_failures_the_queue_and_other_origins(tmp_path: Path) -> None:
    said = welcome(tmp_path)

    assert all(f"{simulated.image:32}  {simulated.shows}\n" in said for simulated in SIMULATED_IMAGES)
    assert "demo --queue 3" in said
    assert "demo --warm 1" in said
    assert "demo --warm 0" in welcome(tmp_path, warm=1)
    assert "demo --cors http://localhost:5500" in said
    assert "Pages of these origins may launch: https://a.example, http://localhost:5500." in welcome(
        tmp_path, origins=["https://a.example", "http://localhost:5500"]
    )


def test_the_command_that_it_prints_can_be_run_where_hublaunch_is_not_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    said = welcome(tmp_path)

    commands = {line.split()[0] for line in said.splitlines() if " launch " in line and "--open" in line}
    assert len(commands) == 1
    assert Path(commands.pop()).is_file()
