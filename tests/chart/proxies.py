"""A proxy that can be killed; for example nginx, configured by the Ingress that the chart renders."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from hublaunch.demo.process import free_port
from tests.chart.rendered import Rendered
from tests.support.debian import install

HOST = "launch.example.org"
_NGINX = Path("/usr/sbin/nginx")
_OF_INGRESS_NGINX = "nginx.ingress.kubernetes.io/"
_SECONDS = frozenset({"proxy-read-timeout", "proxy-send-timeout"})


@dataclass
class Proxy:
    """A proxy that can be killed, and started again at the same address."""

    name: str
    port: int
    command: list[str]
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the proxy, and return once it forwards requests to hublaunch."""
        self._process = await asyncio.create_subprocess_exec(*self.command)
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as http:
            while not await self._passes_on(http):
                assert self._process.returncode is None, f"{self.name} has ended"
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """Kill the proxy with SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _passes_on(self, http: httpx.AsyncClient) -> bool:
        try:
            answer = await http.get(f"{self.url}/launch/healthz", headers={"Host": HOST})
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


@asynccontextmanager
async def nginx(rendered: Rendered, upstream_port: int) -> AsyncGenerator[Proxy]:
    """Run nginx, configured by the annotations as ingress-nginx does. Raises Missing."""
    port = free_port()
    async with nginx_with(_server_of(rendered.only("Ingress"), port, upstream_port), port) as proxy:
        yield proxy


@asynccontextmanager
async def nginx_with(server: str, port: int) -> AsyncGenerator[Proxy]:
    """Run nginx with this server block, which listens on the port. Raises Missing."""
    await asyncio.to_thread(_have_nginx)
    with tempfile.TemporaryDirectory(prefix="hublaunch-nginx-") as directory:
        config = Path(directory) / "nginx.conf"
        config.write_text(_nginx_config(server, directory))
        # A single process, so that killing it kills all of nginx.
        options = ["-p", directory, "-e", f"{directory}/error.log", "-g", "daemon off; master_process off;"]
        async with running(Proxy("nginx", port, [str(_NGINX), "-c", str(config), *options])) as proxy:
            yield proxy


def _have_nginx() -> None:
    if not _NGINX.exists():
        install("nginx-light", advice=f"There is no {_NGINX} (Debian: apt-get install nginx-light).")


def _server_of(ingress: Mapping[str, Any], port: int, upstream_port: int) -> str:
    annotations = ingress["metadata"]["annotations"]
    given = {key.removeprefix(_OF_INGRESS_NGINX): value for key, value in annotations.items() if "nginx" in key}
    directives = "\n".join(
        f"{name.replace('-', '_')} {value}{'s' if name in _SECONDS else ''};" for name, value in given.items()
    )
    [rule] = ingress["spec"]["rules"]
    [path] = rule["http"]["paths"]
    return f"""
    server {{
        listen 127.0.0.1:{port};
        server_name {rule["host"]};
        location {path["path"]} {{
            proxy_pass http://127.0.0.1:{upstream_port};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            {directives}
        }}
    }}
"""


def _nginx_config(server: str, directory: str) -> str:
    temporary = "\n".join(
        f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
pid {directory}/nginx.pid;
events {{}}
http {{
    access_log off;
    {temporary}
    {server}
}}
"""


@asynccontextmanager
async def running(proxy: Proxy) -> AsyncGenerator[Proxy]:
    try:
        await proxy.start()
        yield proxy
    finally:
        await proxy.kill()
