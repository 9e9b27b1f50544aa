"""A release of the chart on this machine: hublaunch as a process, and a Hub with KubeSpawner and the chart's values.

The pods are not real. In `make chart-test` Kubernetes is not real either: kmock keeps its objects.
"""

import asyncio
import copy
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from hublaunch.demo.process import HubProcess, free_port
from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.chart.cluster import NAMESPACE
from tests.chart.helm import Helm
from tests.chart.rendered import HUB_TOKEN, Rendered
from tests.support.processes import started, until_running

CONFIG = Path(__file__).with_name("hub_config.py")


class PodCluster(Protocol):
    """A Kubernetes in which the Hub's spawner makes pods."""

    @property
    def servers_port(self) -> int:
        """The port where the pods serve."""

    def kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig file with which clients find the cluster."""

    def objects(self, plural: str) -> list[dict[str, Any]]:
        """Return the objects of one kind."""


@dataclass(frozen=True)
class Release:
    """The rendered chart, and the Hub configured with it, which `async with release.hub` runs."""

    rendered: Rendered
    hub: HubProcess
    cluster: PodCluster
    port: int
    """The port at which the Hub looks for hublaunch, if its values have a `url`."""

    @asynccontextmanager
    async def hublaunch(self, data: Path, *, port: int = 0, **other: str) -> AsyncGenerator[httpx.AsyncClient]:
        """Run hublaunch with the container's variables and `other` ones. Yield a client.

        The container's volumes are at `data`.
        """
        port = port or free_port()
        variables = await asyncio.to_thread(self.rendered.environment_at, data) | other
        async with started("hublaunch.cli", "serve", "--port", str(port), **variables) as process:
            await until_running(process)
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
                yield http

    async def doctor(self, data: Path, **other: str) -> str:
        """Return the output of `hublaunch doctor` with the same variables."""
        variables = await asyncio.to_thread(self.rendered.environment_at, data) | other
        async with started("hublaunch.cli", "doctor", **variables) as process:
            said, _ = await process.communicate()
        return said.decode()


@asynccontextmanager
async def released(
    helm: Helm,
    cluster: PodCluster,
    state: Path,
    *given: str,
    also: Mapping[str, Sequence[str]],
    singleuser: Mapping[str, Any] | None = None,
) -> AsyncGenerator[Release]:
    """Render the chart with `given`, for a Hub on this machine.

    `also`: further services of the Hub, and their scopes. `singleuser`: further values of z2jh under that name.
    """
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    hub = HubProcess(state=state, proxy_command=proxy, public_port=0, config=CONFIG)
    addresses = {
        "settings.hub_url": hub.public_url,
        "settings.hub_url_local": hub.local_url,
        "settings.proxy_url": hub.public_url,
    }
    sets = [word for path, value in addresses.items() for word in ("--set", f"{path}={value}")]
    release = Release(await asyncio.to_thread(helm.rendered, *sets, *given), hub, cluster, free_port())
    with pytest.MonkeyPatch.context() as environment:
        data = _hub_data(release, also)
        data["z2jh"]["singleuser"] = {**data["z2jh"].get("singleuser", {}), **(singleuser or {})}
        environment.setenv("CHART_TEST_HUB", json.dumps(data))
        environment.setenv("KUBECONFIG", str(cluster.kubeconfig(state / "kubeconfig")))
        yield release


def _hub_data(release: Release, also: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return data for the Hub's configuration: the chart's values for z2jh, further services, and z2jh's own facts."""
    z2jh = copy.deepcopy(release.rendered.z2jh)
    services = z2jh["hub"]["services"]
    for service in services.values():
        if "url" in service:  # on this machine no Service leads to hublaunch
            service["url"] = f"http://127.0.0.1:{release.port}"
    tokens = dict.fromkeys(services, HUB_TOKEN) | {name: token_of(name) for name in also}
    for name, scopes in also.items():
        services[name] = {}
        z2jh["hub"]["loadRoles"][name] = {"services": [name], "scopes": scopes}
    servers_port = release.cluster.servers_port
    return {"z2jh": z2jh, "tokens": tokens, "namespace": NAMESPACE, "servers_port": servers_port}


def token_of(service: str) -> str:
    """Return the Hub token of a further service."""
    return f"the-token-of-{service}"
