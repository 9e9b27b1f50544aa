"""Security advisories of other launchers and of JupyterHub that could concern hublaunch, one test each."""

import asyncio
import json
import re
from urllib.parse import quote

import httpx
import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.ports import LaunchFilter
from hublaunch.launch.rules.messages import MESSAGE_MAX
from hublaunch.settings import Settings
from tests.cli.test_serve import SERVERS, environment
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.processes import free_port, started, until_running
from tests.support.served import BODY, Service, serve

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
FORGED = "x\r\n2026-11-25 03:00:00,000 INFO    hublaunch.main: forged\u202e\u2028\u200b\x1b[2K\x85\x00"
"""Every way to start a line that looks like hublaunch's, or to hide one."""


async def test_kubespawner_cve_2020_15110_names_are_unique_and_not_chosen_by_callers(
    service: Service, hub: FakeHub
) -> None:
    await asyncio.gather(*(service.launch() for _ in range(20)))
    await hub.until(lambda: len(hub.users) == 20)

    named = await service.http.post("/launch", json=BODY | {"username": next(iter(hub.users))})

    assert named.status_code == 403
    assert len(hub.users) == 20


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_jupyterhub_cve_2026_40864_and_cve_2024_28233_another_sites_page_cannot_launch(
    service: Service, hub: FakeHub, site: str
) -> None:
    no_cors = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Content-Type": "text/plain"}
    as_json = {"Sec-Fetch-Site": site, "Origin": "https://user-alice.hub.example.org"}

    answers = [
        await service.http.post("/launch", content=b'{"image": "a"}', headers=no_cors),
        await service.http.post("/launch", json=BODY, headers=as_json),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert hub.count("user_created") == 0


@pytest.mark.parametrize("path", ["/launch", "/", "/session", "/launch/x", "/launch/x/events", "/docs"])
async def test_coder_ghsa_m3cr_vc2j_pm27_and_nbgitpuller_cve_2021_39160_no_link_starts_a_launch(
    service: Service, hub: FakeHub, path: str
) -> None:
    query = "?image=quay.io/jupyter/base-notebook:latest&repo_url=https://github.com/org/repo&token=x"

    for method in ("GET", "HEAD", "OPTIONS"):
        await service.http.request(method, path + query)

    assert await service.state["web"].service.page(LaunchFilter(), limit=1) == []
    assert hub.count("user_created") == 0


@pytest.mark.parametrize("command", [command for command, _ in SERVERS])
async def test_jupyter_server_cve_2022_24757_and_24758_no_token_or_secret_is_logged(
    hub: FakeHub, command: tuple[str, ...]
) -> None:
    port = free_port()
    async with started(*command, str(port), **environment(hub)) as process:
        said = await until_running(process)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=15) as http:
            accepted = (await http.post("/launch", json=BODY)).json()
            stream = (await http.get(accepted["events_url"])).text
            await http.get("/launch", headers={"Authorization": "Bearer a-wrong-token-of-somebody"})
            await http.get(accepted["events_url"] + "z" * 3000, headers=WEBSOCKET)
        process.terminate()
        said += (await process.communicate())[0].decode()

    token = re.search('"token":"([^"]+)"', stream)
    assert token
    for secret in (token[1], accepted["secret"], hub.api_token, "a-wrong-token-of-somebody"):
        assert secret not in said
    assert max(map(len, said.splitlines())) < 500


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_jupyterhub_cve_2026_54338_requests_can_neither_forge_nor_flood_log_lines(
    hub: FakeHub, log_format: str
) -> None:
    port = free_port()
    hub.spawn_plan(None, SpawnPlan(messages=[FORGED], seconds=0.01, fails=FORGED))
    variables = environment(hub) | {"LAUNCHER_LOG_FORMAT": log_format}
    async with started("hublaunch.cli", "serve", "--port", str(port), **variables) as process:
        said = await until_running(process)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=15) as http:
            await http.get(f"/launch/{quote(FORGED)}")
            await http.get("/launch/x", headers={b"X-Launch-Secret": "\x85forged\u2028\u202e".encode()})
            await http.post("/launch", json=BODY | {"image": FORGED})
            await http.post("/launch", json=BODY | {"repo_url": f"https://example.org/{FORGED}"})
            await http.get((await http.post("/launch", json=BODY)).json()["events_url"])
            await http.post("/launch", json=BODY | {"username": "y" * 60_000})
            await http.get("/launch/" + "z" * 60_000)
        process.terminate()
        said += (await process.communicate())[0].decode()

    assert "hublaunch.main: forged" in said, "the Hub's message is logged within one line"
    assert_nothing_is_forged(said)
    assert max(map(len, said.splitlines())) < {"text": 500, "json": 1000}[log_format]
    assert "yyyy" not in said


def assert_nothing_is_forged(said: str) -> None:
    """Each line starts like hublaunch's lines or belongs to a traceback, and none hides anything."""
    for line in said.removesuffix("\n").split("\n"):
        if line.startswith("{"):
            assert json.loads(line).keys() >= {"at", "level", "logger", "event"}
            assert json.loads(line)["logger"] != "hublaunch.main" or "forged" not in json.loads(line)["event"]
        else:
            assert re.match(r"20\d\d-\d\d-\d\d [\d:,]{12} [A-Z]+ +[a-z._]+: |    ", line)
        assert not re.match("[^ ]+ [^ ]+ INFO +hublaunch.main: forged", line)
        assert line.isprintable()


async def test_jupyterhubs_websecurity_html_and_raw_events_of_spawners_are_dropped(
    service: Service, hub: FakeHub
) -> None:
    told = {"message": "\u202e\n" + "<b>x</b>" * 1000, "html_message": "<i>x</i>", "raw_event": {"note": "<u>x</u>"}}
    hub.spawn_plan(None, SpawnPlan(messages=[{"progress": 50} | told], seconds=0.05))

    accepted = await service.launch()
    events = await service.events(accepted["events_url"])

    for event in events:
        assert not {"html_message", "raw_event"} & set(event)
        assert "<i>" not in str(event)
        assert "<u>" not in str(event)
        assert len(event["message"]) <= MESSAGE_MAX
        assert event["message"].isprintable()


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "/%5cevil.example", "/x/../../hub", "/%2e%2e/hub"],
)
async def test_jupyterhub_cve_2026_33709_and_cve_2019_10255_a_login_redirects_to_no_other_site(
    settings: Settings, path: str
) -> None:
    async with serve(settings, access=("hub",)) as service:
        answer = await service.http.get("/oauth_login", params={"next": path})

    assert answer.status_code == 422
    assert "Location" not in answer.headers


async def test_coder_cve_2026_46354_only_the_hub_confirms_an_identity(settings: Settings, hub: FakeHub) -> None:
    async with serve(settings, access=("hub",)) as service:
        answers = [
            await service.http.get("/session", headers={"Authorization": f"Bearer {hub.api_token}x"}),
            await service.http.get("/session", headers={"Cookie": "hublaunch-session=forged"}),
            await service.http.get("/session", headers={"X-Forwarded-User": "admin", "Remote-User": "admin"}),
        ]

    assert answers[0].status_code == 401
    assert [answer.json()["kind"] for answer in answers[1:]] == ["anonymous", "anonymous"]


async def test_jupyterhub_cve_2024_41942_launches_on_own_accounts_need_no_admin_users(
    settings: Settings, hub: FakeHub, client: HubClient
) -> None:
    token = hub.token_of("ada")
    hub.scopes = ["servers"]
    async with serve(settings, access=("hub",)) as service:
        headers = {"Authorization": f"Bearer {token}"}
        accepted = await service.http.post("/launch", json=BODY, headers=headers)
        events = await service.events(accepted.json()["events_url"])

    assert events[-1]["phase"] == "ready"
    assert list(hub.users) == ["ada"]


async def test_coder_pr_26146_only_the_servers_address_contains_the_token(settings: Settings, hub: FakeHub) -> None:
    repo_url = "https://evil.example/$token/{token}/%7Btoken%7D"
    body = BODY | {"repo_url": repo_url, "extra_args": {"binder_launch_host": "https://evil.example/?token={token}"}}
    async with serve(settings) as service:
        accepted = (await service.http.post("/launch", json=body)).json()
        stream = (await service.http.get(accepted["events_url"])).text

    ready = json.loads(next(line[6:] for line in stream.splitlines() if '"phase":"ready"' in line))
    assert ready["open_url"].startswith(f"{hub.url}user/")
    assert ready["repo_url"] == repo_url
    assert stream.count(ready["token"]) == 2, "in `token` and in `open_url`"
