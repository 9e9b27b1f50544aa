"""Launches with exactly the variables and the role that the chart renders, in each of its shapes."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.chart.cluster import running_cluster
from tests.chart.helm import Helm
from tests.chart.release import Release, released, token_of
from tests.support.served import BODY, IMAGE, REPO, read_events

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

WITHOUT = {"servers": "hub_forbidden", "admin:users": "hub_forbidden", "tokens": "token_refused"}
"""The failure of a launch without each of the scopes."""
IMAGES = ("--set", "settings.allowed_images={quay.io/jupyter/*},settings.preflight=off")
STREAM = {"Accept": "text/event-stream"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def release(helms: dict[str, Helm], tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Release]:
    """The default shape, and further services that lack one scope each."""
    also = {without(scope): [each for each in WITHOUT if each != scope] for scope in WITHOUT}
    state = tmp_path_factory.mktemp("hub")
    async with (
        running_cluster() as cluster,
        released(helms["4"], cluster, state, *IMAGES, also=also) as release,
        release.hub,
    ):
        yield release


def without(scope: str) -> str:
    """Return the name of the service that lacks this scope."""
    return f"without-{scope.replace(':', '-')}"


async def events(http: httpx.AsyncClient, path: str = "/launch", /, **body: object) -> list[dict[str, Any]]:
    async with http.stream("POST", path, json=BODY | body, headers=STREAM) as stream:
        assert stream.status_code == 200
        return [event async for event in read_events(stream)]


async def hub_report(http: httpx.AsyncClient) -> dict[str, Any]:
    """Return the Hub's part of `/readyz`, once the Hub has answered."""
    async with asyncio.timeout(30):
        while (report := (await http.get("/readyz")).json()["hub"])["fault"]:
            pass
    told: dict[str, Any] = report
    return told


async def test_launches_work_with_the_scopes_in_the_charts_role_and_need_every_one(
    release: Release, tmp_path: Path
) -> None:
    async with release.hublaunch(tmp_path) as http:
        report = await hub_report(http)
        told = await events(http)
    said = await release.doctor(tmp_path)

    assert "the scopes that it needs, and no others" in said
    assert (report["missing_scopes"], report["needless_scopes"]) == ([], [])
    assert told[-1]["phase"] == "ready", release.hub.log_path.read_text()[-3000:]
    assert told[-1]["open_url"].startswith(release.hub.public_url)
    [pod] = release.cluster.objects("pods")
    [container] = pod["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert container["image"] == IMAGE
    assert variables["LAUNCH_REPO_URL"] == REPO
    assert variables["JUPYTERHUB_ALLOW_TOKEN_IN_URL"] == "1"


@pytest.mark.parametrize(("scope", "code"), WITHOUT.items())
async def test_without_one_of_the_scopes_readyz_and_the_doctor_name_it_and_launches_fail(
    release: Release, tmp_path: Path, scope: str, code: str
) -> None:
    token = token_of(without(scope))
    async with release.hublaunch(tmp_path, LAUNCHER_HUB_API_TOKEN=token) as http:
        report = await hub_report(http)
        told = await events(http)
    said = await release.doctor(tmp_path, LAUNCHER_HUB_API_TOKEN=token)

    assert report["missing_scopes"] == [scope]
    assert f"(hub_forbidden): the role is missing these scopes: {scope}." in said
    assert told[-1]["problem"]["code"] == code


async def test_the_hub_itself_refuses_an_image_that_the_chart_does_not_allow(release: Release, tmp_path: Path) -> None:
    async with release.hublaunch(tmp_path, LAUNCHER_ALLOWED_IMAGES="*") as http:
        told = await events(http, image="docker.io/library/python:3.12")

    assert told[-1]["problem"]["code"] == "hub_refused"
    assert "image not allowed" in told[-1]["problem"]["detail"]


async def test_a_volume_that_the_kubelet_opened_to_the_group_does_not_prevent_a_start(
    release: Release, tmp_path: Path
) -> None:
    async with release.hublaunch(tmp_path) as http:
        await events(http)
    await asyncio.to_thread(give_to_group, tmp_path)

    async with release.hublaunch(tmp_path) as http:
        ready = await http.get("/readyz")

    assert ready.json()["ready"]


def give_to_group(volume: Path) -> None:
    """Open the volume to its group, as `fsGroup` does by default."""
    for path in (volume, *volume.rglob("*")):
        path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))


async def test_a_service_of_the_hub_launches_for_hub_users_on_their_own_accounts(
    helms: dict[str, Helm], tmp_path: Path
) -> None:
    shape = ("--set", "shape=hub-service,settings.access={hub},settings.service_name=launcher")
    also = {"tests": ["admin:users", "tokens"]}
    state = tmp_path / "hub"
    state.mkdir()
    async with (
        running_cluster() as cluster,
        released(helms["4"], cluster, state, *shape, *IMAGES, also=also) as release,
        release.hublaunch(tmp_path, port=release.port),
        release.hub,
    ):
        token = await token_of_new_user(release, "ada")
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=release.hub.public_url, headers=headers, trust_env=False) as http:
            told = await events(http, "/services/launcher/launch")
            login = await http.get("/services/launcher/oauth_login")

    assert told[-1]["phase"] == "ready", release.hub.log_path.read_text()[-3000:]
    assert (told[-1]["url"], told[-1]["token"]) == (f"{release.hub.public_url}user/ada/", None)
    assert "client_id=service-launcher" in login.headers["Location"]


async def test_a_launch_gets_its_image_and_other_servers_get_their_profiles(
    helms: dict[str, Helm], tmp_path: Path
) -> None:
    profile = {"display_name": "Default", "default": True, "kubespawner_override": {"image": "quay.io/org/profile:1"}}
    also = {"tests": ["admin:users", "servers"]}
    state = tmp_path / "hub"
    state.mkdir()
    async with (
        running_cluster() as cluster,
        released(helms["4"], cluster, state, *IMAGES, also=also, singleuser={"profileList": [profile]}) as release,
        release.hub,
        release.hublaunch(tmp_path) as http,
    ):
        told = await events(http)
        headers = {"Authorization": f"token {token_of('tests')}"}
        async with httpx.AsyncClient(base_url=release.hub.api_url, headers=headers, trust_env=False) as api:
            (await api.post("users/grace")).raise_for_status()
            (await api.post("users/grace/server")).raise_for_status()
            async with asyncio.timeout(30):
                while len(cluster.objects("pods")) < 2:
                    await api.get("users/grace")
        images = [pod["spec"]["containers"][0]["image"] for pod in cluster.objects("pods")]

    assert told[-1]["phase"] == "ready", release.hub.log_path.read_text()[-3000:]
    assert images == [IMAGE, "quay.io/org/profile:1"]


async def test_sizes_reach_kubespawner_as_profiles_and_as_overrides(helms: dict[str, Helm], tmp_path: Path) -> None:
    profiles = [
        {"display_name": "Default", "default": True, "kubespawner_override": {"cpu_limit": 0.5}},
        {
            "display_name": "Large",
            "slug": "large",
            "kubespawner_override": {"cpu_limit": 4},
            "profile_options": {
                "memory": {
                    "display_name": "Memory",
                    "choices": {
                        "little": {
                            "display_name": "Little",
                            "default": True,
                            "kubespawner_override": {"mem_limit": "2G"},
                        },
                        "much": {"display_name": "Much", "kubespawner_override": {"mem_limit": "16G"}},
                    },
                }
            },
        },
    ]
    catalogue = {
        "environments": {
            "scipy": {"title": "SciPy", "image": "quay.io/org/scipy:1", "sizes": ["large", "tiny"]},
            "plain": {"title": "Plain", "image": "quay.io/org/plain:1"},
        },
        "sizes": {
            "large": {"title": "Large", "user_options": {"profile": "large", "memory": "much"}},
            "tiny": {
                "title": "Tiny",
                "user_options": {"spawner_override": {"cpu_limit": 0.1, "node_selector": {"a": "b"}}},
            },
        },
    }
    given = ("--set-json", f"catalogue={json.dumps(catalogue)}", "--set", "settings.preflight=off")
    state = tmp_path / "hub"
    state.mkdir()
    pods: dict[str, Any] = {}
    asked = [{"environment": "scipy"}, {"environment": "scipy", "size": "tiny"}, {"environment": "plain"}]
    async with (
        running_cluster() as cluster,
        released(helms["4"], cluster, state, *given, also={}, singleuser={"profileList": profiles}) as release,
        release.hub,
        release.hublaunch(tmp_path) as http,
    ):
        for body in asked:
            told = await events(http, image="", **body)
            assert told[-1]["phase"] == "ready", release.hub.log_path.read_text()[-3000:]
            [name] = {pod["metadata"]["name"] for pod in cluster.objects("pods")} - set(pods)
            pods[name] = next(pod for pod in cluster.objects("pods") if pod["metadata"]["name"] == name)
        refused = await http.post("/launch", json={"environment": "scipy", "size": "medium"})

    shown = [
        (container["image"], container["resources"]["limits"], pod["spec"].get("nodeSelector"))
        for pod in pods.values()
        for container in pod["spec"]["containers"]
    ]
    assert shown == [
        ("quay.io/org/scipy:1", {"cpu": 4, "memory": 16 * 1024**3}, None),
        ("quay.io/org/scipy:1", {"cpu": 0.1}, {"a": "b"}),
        ("quay.io/org/plain:1", {}, None),
    ]
    assert refused.status_code == 422


async def token_of_new_user(release: Release, name: str) -> str:
    """Create a user, and return a token with all rights of this user."""
    headers = {"Authorization": f"token {token_of('tests')}"}
    async with httpx.AsyncClient(base_url=release.hub.api_url, headers=headers, trust_env=False) as api:
        (await api.post(f"users/{name}")).raise_for_status()
        token: str = (await api.post(f"users/{name}/tokens")).raise_for_status().json()["token"]
        return token
