"""`hublaunch serve` as a process: how it starts, how it ends, and how it reports errors."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from hublaunch.files.keys import add_key
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.processes import free_port, started, until_running
from tests.support.served import BODY


def environment(hub: FakeHub) -> dict[str, str]:
    return {
        "LAUNCHER_HUB_URL": hub.url,
        "LAUNCHER_HUB_API_TOKEN": hub.api_token,
        "LAUNCHER_ALLOWED_IMAGES": "*",
        "LAUNCHER_LOG_LEVEL": "DEBUG",
    }


SERVERS = [
    (("hublaunch.cli", "serve", "--port"), 0),
    (("uvicorn", "--factory", "hublaunch.main:create_app", "--no-proxy-headers", "--port"), -signal.SIGTERM),
]


@pytest.mark.parametrize(("command", "status"), SERVERS)
async def test_sigterm_closes_open_streams_cleanly_within_a_second(
    hub: FakeHub, command: tuple[str, ...], status: int
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    port = free_port()
    async with started(*command, str(port), **environment(hub)) as process:
        said = await until_running(process)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            accepted = (await http.post("/launch", json=BODY)).json()
            async with http.stream("GET", accepted["events_url"]) as stream:
                await hub.until(lambda: hub.active_servers)
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(1):
                    lines = [line async for line in stream.aiter_lines()]
        async with asyncio.timeout(5):
            said += (await process.communicate())[0].decode()

    assert lines[-2].startswith("data: ")
    assert lines[-1] == "", "the stream ends where a block ends"
    assert process.returncode == status
    assert "Traceback" not in said
    assert accepted["secret"] not in said
    assert hub.api_token not in said
    assert hub.active_servers, "a stopping service stops nothing at the Hub"


async def test_each_missing_setting_is_named_at_startup() -> None:
    async with started("hublaunch.cli", "serve") as process:
        said = (await process.communicate())[0].decode()

    assert process.returncode == 1
    assert len(said.splitlines()) == 2
    assert "LAUNCHER_HUB_URL is not set" in said


async def test_a_database_in_use_stops_startup(hub: FakeHub) -> None:
    async with started("hublaunch.cli", "serve", "--port", str(free_port()), **environment(hub)) as first:
        await until_running(first)
        async with started("hublaunch.cli", "serve", "--port", str(free_port()), **environment(hub)) as second:
            said = (await second.communicate())[0].decode()

    assert second.returncode == 3
    assert "in use by another hublaunch" in said
    assert "Traceback" not in said


async def test_help_names_the_required_settings() -> None:
    async with started("hublaunch.cli", "serve", "--help", COLUMNS="120") as process:
        said = (await process.communicate())[0].decode()

    assert process.returncode == 0
    assert "LAUNCHER_HUB_URL" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LAUNCHER_HUB_CA_FILE", "has no certificates in PEM format"),
        ("LAUNCHER_HUB_CERT_FILE", "not a certificate and its key"),
    ],
)
async def test_a_file_that_is_not_pem_stops_startup(hub: FakeHub, tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_text("no PEM")
    async with started("hublaunch.cli", "serve", **environment(hub), **{name: str(tmp_path / "file")}) as process:
        said = (await process.communicate())[0].decode()

    assert process.returncode == 3
    assert words in said
    assert "Traceback" not in said


async def test_anonymous_callers_without_temporary_users_stop_startup(hub: FakeHub) -> None:
    async with started("hublaunch.cli", "serve", **environment(hub), LAUNCHER_CREATE_USER="false") as process:
        said = (await process.communicate())[0].decode()

    assert process.returncode == 3
    assert "LAUNCHER_CREATE_USER is false" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "`hublaunch keys add`"),
        ("{}", 0o620, "chmod 600"),
        ('{"version": 1, "kyes": []}', 0o600, "kyes"),
    ],
)
async def test_an_unusable_file_of_api_keys_stops_startup(
    hub: FakeHub, tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    path = tmp_path / "api-keys.json"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    access = {"LAUNCHER_ACCESS": "key", "LAUNCHER_API_KEYS_FILE": str(path)}
    async with started("hublaunch.cli", "serve", **environment(hub), **access) as process:
        said = (await process.communicate())[0].decode()

    assert process.returncode == 3
    assert str(path) in said
    assert words in said
    assert "Traceback" not in said


async def test_a_running_service_refuses_a_revoked_key(hub: FakeHub, tmp_path: Path) -> None:
    path = tmp_path / "api-keys.json"
    _, key = add_key(path, name="ci")
    port = free_port()
    access = {"LAUNCHER_ACCESS": "key", "LAUNCHER_API_KEYS_FILE": str(path)}
    async with started("hublaunch.cli", "serve", "--port", str(port), **environment(hub), **access) as process:
        said = await until_running(process)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            credentials = {"Authorization": f"Bearer {key}"}
            before = await http.get("/session", headers=credentials)
            async with started("hublaunch.cli", "keys", "revoke", "ci", "--file", str(path)) as revoking:
                await revoking.communicate()
            after = await http.get("/session", headers=credentials)
        process.send_signal(signal.SIGTERM)
        said += (await process.communicate())[0].decode()

    assert revoking.returncode == 0
    assert (before.status_code, after.status_code) == (200, 401)
    assert key not in said
