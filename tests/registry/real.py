"""A real registry: Debian's docker-registry in a process of its own, filled by skopeo."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.registry.debians_registry import program
from tests.registry.layout import write_layout
from tests.support.processes import free_port

USER, PASSWORD = "puller", "open sesame"
_HTPASSWD = f"{USER}:$2b$04$5skUJMChzfsiOiTGRBSJUOm9u6uUHfBtHuK9vdFFqaefryLOt3.xm\n"
REPOSITORY = "org/notebook"
LOG = "registry.log"


@dataclass(frozen=True)
class RealRegistry:
    """A running registry, which has `org/notebook:1` for linux/amd64 and linux/arm64."""

    port: int
    digest: str
    """The digest of the index."""
    log: Path

    def lookups(self) -> int:
        """Return how often a manifest was asked for by HEAD, as hublaunch begins a lookup. skopeo asks by GET."""
        return self.log.read_text().count('"HEAD /v2/org/notebook/manifests/1 ')

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    def image(self, tag: str = "1") -> str:
        return f"{self.name}/{REPOSITORY}:{tag}"


@asynccontextmanager
async def filled(directory: Path, **more: Any) -> AsyncGenerator[RealRegistry]:
    """Run a registry for the duration of the context. `more` is added to its configuration.

    It is filled while it runs without authentication and TLS, and then started with them.
    """
    layout, storage, port = directory / "layout", {"filesystem": {"rootdirectory": f"{directory}/data"}}, free_port()
    digest = write_layout(layout)
    plain = {"version": 0.1, "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}, "log": {"level": "error"}}
    async with _running(directory, plain, port):
        copy = ("copy", "--all", f"oci:{layout}", f"docker://127.0.0.1:{port}/{REPOSITORY}:1")
        filling = await asyncio.create_subprocess_exec(
            *(program("skopeo"), "--insecure-policy", *copy, "--dest-tls-verify=false"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await filling.communicate()
        assert filling.returncode == 0, said.decode()
        if not more:
            yield RealRegistry(port, digest, directory / LOG)
    if more:
        http = {"addr": f"127.0.0.1:{port}"} | more.pop("http", {})
        async with _running(directory, plain | {"http": http} | more, port):
            yield RealRegistry(port, digest, directory / LOG)


def htpasswd(directory: Path) -> Mapping[str, Any]:
    """Return the configuration of Basic authentication for USER."""
    path = directory / "htpasswd"
    path.write_text(_HTPASSWD)
    return {"htpasswd": {"realm": "registry", "path": str(path)}}


def write_config(path: Path, *hosts: str, password: str = PASSWORD) -> Path:
    """Write a Docker config.json with USER's credentials for these hosts."""
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": auth} for host in hosts}}))
    return path


@asynccontextmanager
async def _running(directory: Path, config: Mapping[str, Any], port: int) -> AsyncGenerator[None]:
    path = directory / "config.json"  # JSON is YAML
    path.write_text(json.dumps(config))
    log = (directory / LOG).open("ab")
    process = await asyncio.create_subprocess_exec(
        program("docker-registry"), "serve", str(path), stdout=log, stderr=log
    )
    try:
        await _until_it_answers(process, port, has_tls="tls" in config["http"])
        yield
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def _until_it_answers(process: asyncio.subprocess.Process, port: int, *, has_tls: bool) -> None:
    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(base_url=f"http{'s' * has_tls}://127.0.0.1:{port}", verify=False, trust_env=False) as http,
    ):
        while True:
            assert process.returncode is None, "the registry has ended: see registry.log"
            try:
                await http.get("/v2/")
            except httpx.TransportError:
                await asyncio.sleep(0.02)
            else:
                return
