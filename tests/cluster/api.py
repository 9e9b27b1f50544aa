"""A real Kubernetes API: etcd and kube-apiserver with RBAC, as processes.

It has no scheduler, no controllers and no kubelet, so a Deployment makes no pods. `Kubernetes.run_pods` acts as the
kubelet for pods that others create, and one small server answers for all of them.
"""

import asyncio
import contextlib
import secrets
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hublaunch.demo.process import free_port
from tests.chart.cluster import NAMESPACE, pod_servers, running_status, write_kubeconfig
from tests.cluster.programs import Programs

START_WITHIN_S = 60
_POLL_S = 0.1
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Kubernetes:
    """A running API."""

    url: str
    token: str
    """A cluster administrator's token."""
    servers_port: int
    """The port where all pods serve."""
    log_path: Path

    def kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig file with which clients find the API."""
        cluster = {"server": self.url, "insecure-skip-tls-verify": True}
        return write_kubeconfig(path, cluster=cluster, user={"token": self.token})

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Return the answer to a request, whatever its status."""
        headers = {"Authorization": f"Bearer {self.token}", **given.pop("headers", {})}
        return httpx.request(method, f"{self.url}{path}", headers=headers, verify=False, trust_env=False, **given)

    def objects(self, plural: str, *, api: str = "api/v1") -> list[dict[str, Any]]:
        """Return the objects of one kind in the namespace of the release."""
        listed = self.ask("GET", f"/{api}/namespaces/{NAMESPACE}/{plural}").raise_for_status().json()
        found: list[dict[str, Any]] = listed["items"]
        return found

    def create_namespace(self) -> None:
        """Create the namespace of the release, with the service account that a controller would create in it."""
        metadata = {"metadata": {"name": NAMESPACE}}
        self.ask("POST", "/api/v1/namespaces", json=metadata).raise_for_status()
        account = {"metadata": {"name": "default"}}
        self.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", json=account).raise_for_status()

    def remove_claims(self) -> None:
        """Delete the claims, and remove their finalizers, as a controller does once no pod uses them."""
        for claim in self.objects("persistentvolumeclaims"):
            path = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{claim['metadata']['name']}"
            self.ask("DELETE", path).raise_for_status()
            headers = {"Content-Type": "application/merge-patch+json"}
            self.ask("PATCH", path, headers=headers, json={"metadata": {"finalizers": None}}).raise_for_status()

    async def run_pods(self) -> None:
        """Report every pod as running, as its kubelet would, until cancelled."""
        while True:
            for pod in await asyncio.to_thread(self.objects, "pods"):
                if pod["status"]["phase"] == "Pending":
                    await asyncio.to_thread(self._run, pod)
            await asyncio.sleep(_POLL_S)

    def _run(self, pod: dict[str, Any]) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/status"
        headers = {"Content-Type": "application/merge-patch+json"}
        self.ask("PATCH", path, headers=headers, json={"status": running_status(pod["spec"])})


@contextmanager
def running_kubernetes(programs: Programs, directory: Path, *, servers_port: int = 0) -> Generator[Kubernetes]:
    """Run an API whose data are in the directory. Raises RuntimeError with its log if it does not start."""
    client, peer, port = free_port(), free_port(), free_port()
    key, tokens, token = directory / "account.key", directory / "tokens.csv", secrets.token_hex(16)
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    tokens.write_text(f'{token},admin,admin,"system:masters"\n')
    etcd = [
        *(str(programs.etcd), "--data-dir", str(directory / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", f"http://{_HOST}:{client}", "--advertise-client-urls", f"http://{_HOST}:{client}"),
        *("--listen-peer-urls", f"http://{_HOST}:{peer}"),
    ]
    apiserver = [
        *(str(programs.apiserver), "--etcd-servers", f"http://{_HOST}:{client}"),
        *("--bind-address", _HOST, "--secure-port", str(port), "--cert-dir", str(directory / "certificates")),
        *("--authorization-mode", "RBAC", "--token-auth-file", str(tokens)),
        *("--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.0.0.0/24"),
        *("--service-account-key-file", str(key), "--service-account-signing-key-file", str(key)),
    ]
    kubernetes = Kubernetes(f"https://{_HOST}:{port}", token, servers_port, directory / "kubernetes.log")
    with kubernetes.log_path.open("wb") as log, _running(etcd, log), _running(apiserver, log) as process:
        _wait(kubernetes, process)
        kubernetes.create_namespace()
        yield kubernetes


@asynccontextmanager
async def running_kubernetes_with_pods(programs: Programs, directory: Path) -> AsyncGenerator[Kubernetes]:
    """Run an API in which every pod runs as soon as it is created."""
    async with pod_servers() as port:
        with running_kubernetes(programs, directory, servers_port=port) as kubernetes:
            kubelet = asyncio.create_task(kubernetes.run_pods())
            yield kubernetes
            kubelet.cancel()


@contextmanager
def _running(command: list[str], log: Any) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait(kubernetes: Kubernetes, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if kubernetes.ask("GET", "/readyz").status_code == httpx.codes.OK:
                return
        time.sleep(_POLL_S)
    raise RuntimeError(f"The Kubernetes API did not start. Its log:\n{kubernetes.log_path.read_text()[-3000:]}")
