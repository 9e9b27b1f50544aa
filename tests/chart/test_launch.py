"""The variables and the role that the chart renders, run for real: hublaunch as a process, a Hub with KubeSpawner.

Only Kubernetes is not real: kmock keeps its objects.
"""

import asyncio
import copy
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.demo.process import HubProcess, free_port
from app.demo.proxy import proxy_command, proxy_directory
from tests.chart.cluster import NAMESPACE, Cluster, running_cluster
from tests.chart.helm import Helm
from tests.chart.rendered import HUB_TOKEN, Rendered
from tests.processes import started, until_running
from tests.served import BODY, IMAGE, REPO, read_events

pytestmark = [pytest.mark.chart, pytest.mark.real_hub, pytest.mark.asyncio(loop_scope="module")]

CONFIG = Path(__file__).with_name("hub_config.py")
WITHOUT = {"servers": "hub_forbidden", "admin:users": "hub_forbidden", "tokens": "token_refused"}
"""What becomes of a launch without one of the scopes."""


@dataclass(frozen=True)
class Release:
    """What the chart rendered, and the Hub that was told of it."""

    rendered: Rendered
    hub: HubProcess
    cluster: Cluster

    @asynccontextmanager
    async def hublaunch(self, data: Path, **other: str) -> AsyncGenerator[httpx.AsyncClient]:
        """A process with the container's variables, but for the place of its data and `other` ones; a caller of it."""
        variables = self.rendered.environment | {
            "LAUNCHER_DATABASE_URL": f"sqlite:///{data}/hublaunch.sqlite",
            **other,
        }
        port = free_port()
        async with started("app.cli", "serve", "--port", str(port), **variables) as process:
            await until_running(process)
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
                yield http


@asynccontextmanager
async def released(
    helm: Helm, state: Path, monkeypatch: pytest.MonkeyPatch, *given: str, also: Mapping[str, list[str]]
) -> AsyncGenerator[Release]:
    """Render the chart, and run a Hub on what it says to z2jh. `also` are further services there, with their scopes."""
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with running_cluster() as cluster:
        hub = HubProcess(state=state, proxy_command=proxy, public_port=0, config=CONFIG)
        addresses = {
            "settings.hub_url": hub.public_url,
            "settings.hub_url_local": hub.api_url.removesuffix("hub/api/"),
            "settings.proxy_url": hub.public_url,
        }
        sets = [word for path, value in addresses.items() for word in ("--set", f"{path}={value}")]
        rendered = await asyncio.to_thread(helm.rendered, *sets, *given)
        z2jh = copy.deepcopy(rendered.z2jh)
        for name, scopes in also.items():
            z2jh["hub"]["services"][name] = {}
            z2jh["hub"]["loadRoles"][name] = {"services": [name], "scopes": scopes}
        told = {
            "z2jh": z2jh,
            "tokens": {name: token_of(name) for name in z2jh["hub"]["services"]},
            "namespace": NAMESPACE,
            "servers_port": cluster.servers_port,
        }
        monkeypatch.setenv("CHART_TEST_HUB", json.dumps(told))
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(state / "kubeconfig")))
        async with hub:
            yield Release(rendered, hub, cluster)


def without(scope: str) -> str:
    """The service that lacks this scope."""
    return f"without-{scope.replace(':', '-')}"


def token_of(service: str) -> str:
    return HUB_TOKEN if service == "hublaunch" else f"the-token-of-{service}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def release(helms: dict[str, Helm], tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Release]:
    """The default shape, with services beside it that lack one of its scopes each."""
    also = {without(scope): [each for each in WITHOUT if each != scope] for scope in WITHOUT}
    images = ("--set", "settings.allowed_images={quay.io/jupyter/*}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        state = tmp_path_factory.mktemp("hub")
        async with released(helms["4"], state, monkeypatch, *images, also=also) as release:
            yield release


async def events(http: httpx.AsyncClient, **body: object) -> list[dict[str, Any]]:
    async with http.stream("POST", "/launch", json=BODY | body, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.status_code == 200
        return [event async for event in read_events(stream)]


async def hub_report(http: httpx.AsyncClient) -> dict[str, Any]:
    """What `/readyz` knows of the Hub, once it has answered."""
    async with asyncio.timeout(30):
        while (report := (await http.get("/readyz")).json()["hub"])["fault"]:
            pass
    told: dict[str, Any] = report
    return told


async def test_it_launches_with_the_scopes_that_the_chart_prints_and_needs_every_one(
    release: Release, tmp_path: Path
) -> None:
    async with release.hublaunch(tmp_path) as http:
        report = await hub_report(http)
        told = await events(http)

    assert (report["missing_scopes"], report["needless_scopes"]) == ([], [])
    assert told[-1]["phase"] == "ready", release.hub.log_path.read_text()[-3000:]
    assert told[-1]["open_url"].startswith(release.hub.public_url)
    [pod] = release.cluster.pods()
    [container] = pod["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert container["image"] == IMAGE
    assert variables["LAUNCH_REPO_URL"] == REPO
    assert variables["JUPYTERHUB_ALLOW_TOKEN_IN_URL"] == "1"


@pytest.mark.parametrize(("scope", "code"), WITHOUT.items())
async def test_without_one_of_the_scopes_it_says_which_and_launches_fail(
    release: Release, tmp_path: Path, scope: str, code: str
) -> None:
    async with release.hublaunch(tmp_path, LAUNCHER_HUB_API_TOKEN=token_of(without(scope))) as http:
        report = await hub_report(http)
        told = await events(http)

    assert report["missing_scopes"] == [scope]
    assert told[-1]["problem"]["code"] == code


async def test_the_hub_itself_refuses_an_image_that_the_chart_does_not_allow(release: Release, tmp_path: Path) -> None:
    async with release.hublaunch(tmp_path, LAUNCHER_ALLOWED_IMAGES="*") as http:
        told = await events(http, image="docker.io/library/python:3.12")

    assert told[-1]["problem"]["code"] == "hub_refused"
    assert "image not allowed" in told[-1]["problem"]["detail"]
