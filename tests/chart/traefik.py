"""Traefik, which reads the chart's objects from the emulated cluster as from any Kubernetes."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from hublaunch.demo.process import free_port
from tests.chart.cluster import NAMESPACE, Cluster
from tests.chart.proxies import Proxy, running
from tests.chart.rendered import Rendered
from tests.chart.tools import tool

GATEWAY = "public"
_GATEWAY_API = "gateway.networking.k8s.io/v1"


async def serve_release(cluster: Cluster, rendered: Rendered, upstream_port: int) -> None:
    """Create the release's Service in the cluster, with hublaunch behind it."""
    await cluster.create(rendered.only("Service"))
    await cluster.create(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": rendered.name, "labels": {"kubernetes.io/service-name": rendered.name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": upstream_port, "protocol": "TCP"}],
        }
    )


@asynccontextmanager
async def by_ingress(cluster: Cluster, rendered: Rendered) -> AsyncGenerator[Proxy]:
    """Run Traefik with the chart's Ingress."""
    await cluster.create(rendered.only("Ingress"))
    async with _traefik("kubernetesingress", cluster, free_port()) as proxy:
        yield proxy


@asynccontextmanager
async def by_gateway(cluster: Cluster, rendered: Rendered) -> AsyncGenerator[Proxy]:
    """Run Traefik with the chart's HTTPRoute, and a Gateway such as an operator has."""
    port = free_port()
    await cluster.create(
        _of_gateway_api("GatewayClass", "traefik", {"controllerName": "traefik.io/gateway-controller"}), namespace=None
    )
    listener = {"name": "web", "port": port, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "Same"}}}
    await cluster.create(
        _of_gateway_api("Gateway", GATEWAY, {"gatewayClassName": "traefik", "listeners": [listener]}),
        namespace=NAMESPACE,
    )
    await cluster.create(rendered.only("HTTPRoute"))
    async with _traefik("kubernetesgateway", cluster, port) as proxy:
        yield proxy


def _of_gateway_api(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _GATEWAY_API, "kind": kind, "metadata": {"name": name}, "spec": spec}


@asynccontextmanager
async def _traefik(provider: str, cluster: Cluster, port: int) -> AsyncGenerator[Proxy]:
    options = {
        "entrypoints.web.address": f"127.0.0.1:{port}",
        f"providers.{provider}.endpoint": cluster.url,
        f"providers.{provider}.token": "not checked",
        "global.checknewversion": "false",
        "global.sendanonymoususage": "false",
        "log.level": "FATAL",  # kmock has no status that Traefik could write
    }
    command = [str(tool("traefik")), *(f"--{name}={value}" for name, value in options.items())]
    async with running(Proxy(f"traefik, {provider}", port, command)) as proxy:
        yield proxy
