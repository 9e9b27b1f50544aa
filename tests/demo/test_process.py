import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hublaunch.demo import leftovers
from hublaunch.demo.errors import DemoError
from hublaunch.demo.leftovers import MARK, kill_marked_processes, marked_processes
from hublaunch.demo.process import HubProcess, free_port


@contextmanager
def listening(port: int = 0) -> Generator[int]:
    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()[1]


def test_the_preferred_port_is_used_if_it_is_free_and_the_next_free_one_otherwise() -> None:
    with listening() as port:
        assert port < free_port(port) <= port + 100
    assert free_port(port) == port

    with listening(65535), pytest.raises(DemoError, match="65535"):
        free_port(65535)


def put(script: Path, line: str) -> None:
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a script in place of JupyterHub's Python, which survives SIGTERM and answers no request."""
    script = tmp_path / "python"
    put(script, 'trap "echo told to end" TERM; echo "not listening"; while :; do sleep 100 & wait; done')
    monkeypatch.setattr(sys, "executable", str(script))
    return script


async def test_a_hub_that_does_not_answer_in_time_is_reported_and_killed(tmp_path: Path, python: Path) -> None:
    hub = HubProcess(state=tmp_path / "state", proxy_command=["unused"], start_timeout_s=0.3, stop_timeout_s=0.1)

    async with asyncio.timeout(10):
        with pytest.raises(DemoError, match=r"did not start in time.\nnot listening"):
            await hub.__aenter__()

        assert await hub.wait() == -9
    assert marked_processes(hub.state) == []


async def test_a_hub_is_killed_immediately_when_its_exit_is_cancelled(tmp_path: Path, python: Path) -> None:
    hub = HubProcess(state=tmp_path / "state", proxy_command=["unused"], stop_timeout_s=20)
    starting = asyncio.create_task(hub.__aenter__())
    await until_said(hub, "not listening")
    starting.cancel()
    await until_said(hub, "told to end")

    starting.cancel()

    done, _ = await asyncio.wait({starting}, timeout=5)
    assert done
    assert starting.cancelled()
    assert await hub.wait() == -9
    assert marked_processes(hub.state) == []


async def until_said(hub: HubProcess, words: str) -> None:
    async with asyncio.timeout(10):
        while not hub.log_path.exists() or words not in hub.log_path.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # a process reports itself only by its file


async def test_a_hub_that_cannot_start_is_reported_with_the_end_of_its_log_and_without_our_environment(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(python, "env; echo no such luck; exit 1")
    monkeypatch.setenv("LAUNCHER_HUB_API_TOKEN", "of another Hub")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "of another Hub")
    hub = HubProcess(state=tmp_path / "state", proxy_command=["unused"])

    with pytest.raises(DemoError, match="ended while it was starting") as raised:
        await hub.__aenter__()

    environment = hub.log_path.read_text()
    assert "no such luck" in str(raised.value)
    assert f"{MARK}={hub.state}" in environment
    assert "of another Hub" not in environment
    assert marked_processes(hub.state) == []


def test_processes_are_found_by_their_demos_directory_and_killed(tmp_path: Path) -> None:
    mine, other = (
        subprocess.Popen(["sleep", "100"], env=os.environ | {MARK: str(tmp_path / name)}) for name in ("mine", "other")
    )
    with mine, other:
        assert marked_processes(tmp_path / "mine") == [mine.pid]

        kill_marked_processes(tmp_path / "mine")

        assert marked_processes(tmp_path / "mine") == []
        assert mine.wait(5) == -9
        assert marked_processes(tmp_path / "other") == [other.pid]
        other.kill()


def test_processes_that_cannot_be_ended_are_named(tmp_path: Path) -> None:
    again_and_again = f"while :; do {MARK}={tmp_path} sleep 100; done"
    with subprocess.Popen(["sh", "-c", again_and_again], stderr=subprocess.DEVNULL) as parent:
        try:
            while not marked_processes(tmp_path):
                pass  # it has not begun yet

            with pytest.raises(DemoError, match=r"could not be ended: \d+"):
                kill_marked_processes(tmp_path, timeout_s=0.1)
        finally:
            parent.kill()

    kill_marked_processes(tmp_path)


def test_a_process_that_ends_before_it_is_killed_causes_no_error(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()

    leftovers._kill(ended.pid)

    assert marked_processes(tmp_path) == []


def test_a_process_whose_parent_is_already_gone_ends() -> None:
    code = f"from hublaunch.demo.leftovers import end_with_parent; end_with_parent({os.getpid()} + 1)"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr.strip()) == (1, "The process that started this JupyterHub is gone.")
