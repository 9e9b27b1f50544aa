"""`hublaunch serve` as a process: how it starts, how it ends, and how it reports errors."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from hublaunch.files.keys import add_key
from hublaunch.files.watched import FileFault
from hublaunch.main import create_app
from hublaunch.settings import Settings, SettingsFault
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


async def refusal(hub: FakeHub, **variables: str) -> str:
    """Return the log of a service that refuses to start."""
    async with started("hublaunch.cli", "serve", **environment(hub), **variables) as process:
        said = (await process.communicate())[0].decode()
    assert process.returncode == 3
    assert "Traceback" not in said
    return said


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
        assert "in use by another hublaunch" in await refusal(hub)


async def test_a_service_that_cannot_start_logs_a_sentence_and_exits_with_3(hub: FakeHub) -> None:
    no_keys = await refusal(hub, LAUNCHER_ACCESS="key", LAUNCHER_API_KEYS_FILE="/nowhere")

    assert "/nowhere" in no_keys
    assert "LAUNCHER_CREATE_USER is false" in await refusal(hub, LAUNCHER_CREATE_USER="false")


@pytest.mark.parametrize(
    ("name", "content", "mode", "words"),
    [
        ("hub_ca_file", "no PEM", 0o600, "has no certificates in PEM format"),
        ("hub_cert_file", "no PEM", 0o600, "not a certificate and its key"),
        ("api_keys_file", None, 0, "`hublaunch keys add`"),
        ("api_keys_file", "{}", 0o620, "chmod 600"),
        ("api_keys_file", '{"version": 1, "kyes": []}', 0o600, "kyes"),
    ],
)
async def test_an_unusable_file_stops_startup(
    settings: Settings, tmp_path: Path, name: str, content: str | None, mode: int, words: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    access = "key" if name == "api_keys_file" else "anonymous"
    app = create_app(settings.model_copy(update={"access": (access,), name: path}))

    with pytest.raises((SettingsFault, FileFault), match=words) as fault:
        await app.router.lifespan_context(app).__aenter__()

    assert (str(path) in str(fault.value)) is (access == "key")


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
