import sys
from pathlib import Path

import pytest

from app.demo.run import DemoSettings, run_demo
from app.store.sqlite import FileLock


async def refused(state: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert await run_demo(state=state, port=0, check=True) == 1
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
    assert said == f"Another demo runs in {tmp_path}: stop it, or name another directory with --state.\n"


async def test_a_directory_with_somebodys_files_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "jupyterhub.sqlite"
    database.write_text("a real Hub's")

    said = await refused(tmp_path, capsys)

    assert "holds files that are not the demo's" in said
    assert database.exists()


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()

    said = await refused(tmp_path / "file" / "state", capsys)

    assert said == f"{tmp_path / 'file' / 'state'} cannot be used as the demo's directory: Not a directory.\n"


async def test_a_missing_jupyterhub_is_said_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupyterhub", None)

    said = await refused(tmp_path / "state", capsys)

    assert said == "The demo needs JupyterHub and JupyterLab: pip install 'hublaunch[demo]'\n"
    assert not (tmp_path / "state").exists()


def test_settings_for_another_hub_do_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAUNCHER_PROXY_URL", "https://hub.example.org/")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/somebody/")
    (tmp_path / ".env").write_text("LAUNCHER_CREATE_USER=false\n")

    settings = DemoSettings(hub_url="http://127.0.0.1:8000/", hub_api_token="of-the-demo")

    assert settings.server_check_url == "http://127.0.0.1:8000/"
    assert settings.prefix == ""
    assert settings.create_user
