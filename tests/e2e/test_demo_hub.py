"""The demo's JupyterHub for real: the messages of its servers, and that no process outlives it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.client import LaunchClient
from hublaunch.demo.images import REGISTRY
from hublaunch.demo.leftovers import marked_processes
from hublaunch.demo.process import CONFIG, HubProcess, free_port
from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.demo.run import _served
from hublaunch.demo.settings import demo_settings

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(180)]


@asynccontextmanager
async def hub_running(state: Path, *, server_command: list[str] | None = None) -> AsyncGenerator[HubProcess]:
    """Run the demo's Hub, in which every server runs this command instead of JupyterLab."""
    config = CONFIG
    if server_command:
        config = state.with_suffix(".config.py")
        config.write_text(f"load_subconfig({str(CONFIG)!r})\nc.Spawner.cmd = {server_command!r}\n")
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with HubProcess(state=state, proxy_command=proxy, config=config) as hub:
        yield hub


@asynccontextmanager
async def api_of(hub: HubProcess) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"token {hub.token}"}
    async with httpx.AsyncClient(base_url=hub.api_url, headers=headers, timeout=60, trust_env=False) as api:
        yield api


async def start_server(api: httpx.AsyncClient) -> None:
    (await api.post("users/alice")).raise_for_status()
    answer = await api.post("users/alice/servers/", json={"image": "org/image:1", "repo_url": "https://example.org/r"})
    assert answer.status_code == 202


async def progress_events(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    stream = await api.get("users/alice/server/progress")
    return [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line]


async def until_nothing_is_left(state: Path) -> None:
    async with asyncio.timeout(30):
        while marked_processes(state):  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # there is no notice of the end of processes that are not our children


async def test_a_server_starts_opens_and_ends_with_its_hub(tmp_path: Path) -> None:
    async with hub_running(tmp_path / "state") as hub, api_of(hub) as api:
        assert (await api.get("")).json()["version"]
        await start_server(api)
        token = (await api.post("users/alice/tokens", json={"scopes": ["access:servers!server=alice/"]})).json()[
            "token"
        ]

        events = await progress_events(api)
        page = await api.get(f"{hub.public_url}user/alice/lab", params={"token": token}, headers={"Authorization": ""})

        assert events[-1]["ready"], events
        assert any("local Python environment; the image org/image:1 is not used" in e["message"] for e in events)
        assert page.status_code == 200
        assert "jupyter-config-data" in page.text
    log = hub.log_path.read_text()
    assert marked_processes(hub.state) == []
    assert hub.token not in log
    assert token not in log


async def test_a_server_whose_process_dies_fails_immediately_and_its_home_is_deleted_with_the_user(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    async with hub_running(tmp_path / "state", server_command=command) as hub, api_of(hub) as api:
        async with asyncio.timeout(10):
            await start_server(api)
            events = await progress_events(api)
        had_home = (hub.state / "home" / "alice").exists()
        deleted = await api.delete("users/alice")

    assert events[-1]["failed"]
    assert "ended with status 3 before it was ready" in events[-1]["message"]
    assert had_home
    assert deleted.status_code == 204
    assert not (hub.state / "home" / "alice").exists()


async def test_a_killed_hub_leaves_neither_proxy_nor_server_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(300)"]
    async with hub_running(tmp_path / "state", server_command=command) as hub, api_of(hub) as api:
        await start_server(api)
        os.kill(hub.pid, signal.SIGKILL)
        status = await hub.wait()
        left = marked_processes(hub.state)

    assert status == -signal.SIGKILL
    assert len(left) >= 2
    assert marked_processes(hub.state) == []


async def failure_of(client: LaunchClient, image: str) -> tuple[str, str]:
    """Return the code and the detail with which a launch of a demo image fails."""
    launch = await client.launch(f"{REGISTRY}/{image}")
    async for event in client.follow(launch.id):
        if event.is_last:
            assert event.problem, event
            return event.problem.code, event.problem.detail
    raise AssertionError("The stream ended before the launch did.")


async def until_the_hub_has_no_users(api: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while (await api.get("users")).raise_for_status().json():  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # there is no notice of a deleted user


async def test_simulated_images_fail_as_on_kubernetes_or_are_cancelled_and_leave_nothing(
    tmp_path: Path,
) -> None:
    async with hub_running(tmp_path / "state") as hub, api_of(hub) as api:
        settings, port = demo_settings(hub, origins=(), spawns=2, warm=0), free_port()
        async with _served(settings, port), LaunchClient(f"http://127.0.0.1:{port}{settings.prefix}/") as client:
            missing, no_room = await asyncio.gather(failure_of(client, "missing"), failure_of(client, "no-room"))
            launch = await client.launch(f"{REGISTRY}/slow")
            async for event in client.follow(launch.id):
                if "Pulling image" in event.message:
                    await client.cancel(launch.id)
                last = event
            await until_the_hub_has_no_users(api)

    assert missing[0] == "image_not_found"
    assert missing[1].startswith(f'Failed to pull image "{REGISTRY}/missing": rpc error: code = NotFound')
    assert no_room[0] == "no_room"
    assert "Insufficient memory" in no_room[1]
    assert last.phase == "cancelled"
    assert not any((hub.state / "home").iterdir())


@asynccontextmanager
async def demo_running(state: Path, *options: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run `hublaunch demo`, and yield it once it has reported that everything answers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hublaunch.cli", "demo", "--state", str(state), *options),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout
        async with asyncio.timeout(90):
            await process.stdout.readuntil(b"Ctrl-C ends everything.")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_ctrl_c_ends_the_demo_and_its_queue_with_0_and_leaves_no_process(tmp_path: Path) -> None:
    async with demo_running(tmp_path, "--queue", "2") as demo:
        demo.send_signal(signal.SIGINT)
        said, _ = await demo.communicate()

    assert demo.returncode == 0, said
    assert marked_processes(tmp_path) == []


async def test_a_killed_demo_takes_its_hub_and_proxy_with_it(tmp_path: Path) -> None:
    async with demo_running(tmp_path) as demo:
        assert len(marked_processes(tmp_path)) >= 2
        demo.kill()

        await until_nothing_is_left(tmp_path)


async def test_a_demo_whose_hub_dies_reports_it_and_ends(tmp_path: Path) -> None:
    async with demo_running(tmp_path) as demo:
        for pid in marked_processes(tmp_path):
            os.kill(pid, signal.SIGKILL)
        said, _ = await demo.communicate()

    assert demo.returncode == 1
    assert b"JupyterHub ended with exit status -9" in said
