"""An emulated Kubernetes: kmock keeps the objects, and a pod runs as soon as it is created.

One small HTTP server answers for all pods.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import kmock
from aiohttp import web

from tests.support.web import running

NAMESPACE = "jhub"
KINDS = {
    "apps/v1/deployments": "Deployment",
    "autoscaling/v2/horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "discovery.k8s.io/v1/endpointslices": "EndpointSlice",
    "gateway.networking.k8s.io/v1/backendtlspolicies": "BackendTLSPolicy",
    "gateway.networking.k8s.io/v1/gatewayclasses": "GatewayClass",
    "gateway.networking.k8s.io/v1/gateways": "Gateway",
    "gateway.networking.k8s.io/v1/grpcroutes": "GRPCRoute",
    "gateway.networking.k8s.io/v1/httproutes": "HTTPRoute",
    "gateway.networking.k8s.io/v1/listenersets": "ListenerSet",
    "gateway.networking.k8s.io/v1/referencegrants": "ReferenceGrant",
    "gateway.networking.k8s.io/v1/tlsroutes": "TLSRoute",
    "gateway.networking.k8s.io/v1beta1/referencegrants": "ReferenceGrant",
    "networking.k8s.io/v1/ingressclasses": "IngressClass",
    "networking.k8s.io/v1/ingresses": "Ingress",
    "networking.k8s.io/v1/networkpolicies": "NetworkPolicy",
    "policy/v1/poddisruptionbudgets": "PodDisruptionBudget",
    "v1/configmaps": "ConfigMap",
    "v1/events": "Event",
    "v1/nodes": "Node",
    "v1/persistentvolumeclaims": "PersistentVolumeClaim",
    "v1/pods": "Pod",
    "v1/secrets": "Secret",
    "v1/serviceaccounts": "ServiceAccount",
    "v1/services": "Service",
}
"""The kinds that the emulator knows, by their resources in Kubernetes."""
_VERBS = {"create", "delete", "get", "list", "patch", "update", "watch"}
_VERSIONS = count(1)
_CREATED_AT = "2026-01-01T00:00:00Z"


class _Emulator(kmock.KubernetesEmulator):
    """kmock's emulator with additions that KubeSpawner needs."""

    async def __call__(self, raw_request: web.BaseRequest) -> web.StreamResponse:
        if raw_request.path == "/api/v1/namespaces":  # kmock takes it for an object in a namespace without a name
            return _namespaces(raw_request)
        if raw_request.query.get("watch") == "True":  # kubernetes_asyncio's spelling; kmock knows only the other
            raw_request = raw_request.clone(rel_url=raw_request.rel_url.update_query(watch="true"))
        return await super().__call__(raw_request)

    async def _serve_version(self, request: kmock.Request) -> Any:
        told: Any = await super()._serve_version(request)
        return told | {"groupVersion": told["groupVersion"].removeprefix("/")}  # v1 has no group

    async def _handle(self, request: kmock.Request) -> web.StreamResponse:
        if request.action == kmock.action.CREATE and request.resource is not None:
            request.data["metadata"] |= {
                "uid": str(uuid4()),
                "namespace": request.namespace,
                "resourceVersion": str(next(_VERSIONS)),
                "creationTimestamp": _CREATED_AT,
            }
            if request.resource.plural == "pods":
                request.data["status"] = running_status(request.data["spec"])
        return await super()._handle(request)


def _namespaces(request: web.BaseRequest) -> web.Response:
    """Return the list of the only namespace. A refused watch makes the client list namespaces instead."""
    if "watch" in request.query:
        return web.Response(status=400)
    listed = {"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": NAMESPACE}}]}
    return web.json_response({"apiVersion": "v1", "kind": "NamespaceList", **listed})


def running_status(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the status that a kubelet reports for a running pod."""
    containers = [
        {"name": each["name"], "image": each["image"], "imageID": "", "restartCount": 0, "ready": True, "state": {}}
        for each in spec["containers"]
    ]
    return {"phase": "Running", "podIP": "127.0.0.1", "containerStatuses": containers}


def write_kubeconfig(path: Path, *, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Path:
    entry = {
        "clusters": [{"name": "test", "cluster": cluster}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
        "users": [{"name": "test", "user": user}],
    }
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "test", **entry}))
    return path


@dataclass(frozen=True)
class Cluster:
    """A running emulator."""

    emulator: kmock.KubernetesEmulator
    url: str
    servers_port: int
    """The port where all pods serve."""

    def kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig file with which clients find the emulator."""
        return write_kubeconfig(path, cluster={"server": self.url}, user={})

    async def create(self, manifest: Mapping[str, Any], *, namespace: str | None = NAMESPACE) -> None:
        """Create the object, as `kubectl create` does. Raises httpx.HTTPStatusError if it is refused."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        known = [key.rpartition("/") for key, each in KINDS.items() if each == kind]
        [plural] = [plural for of_version, _, plural in known if of_version == version]
        root = f"{'apis' if '/' in version else 'api'}/{version}"
        path = f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as api:
            (await api.post(path, json=manifest)).raise_for_status()

    def objects(self, plural: str) -> list[dict[str, Any]]:
        """Return the objects of one kind."""
        found = self.emulator.objects.items()
        return [each.raw for (resource, _, _), each in found if resource.plural == plural and not each.deleted]


@asynccontextmanager
async def running_cluster() -> AsyncGenerator[Cluster]:
    async with pod_servers() as port, _Emulator() as emulator, kmock.Server(emulator) as server:
        for resource, kind in KINDS.items():
            emulator.resources[resource] = kmock.ResourceInfo(kind=kind, namespaced=True, verbs=_VERBS)
        yield Cluster(emulator, str(server.url).rstrip("/"), port)


@asynccontextmanager
async def pod_servers() -> AsyncGenerator[int]:
    """Run a server that answers as JupyterLab does, for every user, and yield its port."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"version": "2.0.0"}, headers={"X-JupyterHub-Version": "6.1.1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with running(app) as port:
        yield port
