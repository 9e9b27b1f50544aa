"""A container of the image with the strictest options that operators use."""

import json
import subprocess
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import httpx

from tests.image.conftest import Image
from tests.support.processes import free_port

STRICT = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "256m")
STRICT_PROCESSES = ("--pids-limit", "100")
SETTINGS: Mapping[str, str] = {
    "LAUNCHER_HUB_URL": "http://127.0.0.1:9/",  # nothing listens there
    "LAUNCHER_HUB_API_TOKEN": "a token of no Hub",
    "LAUNCHER_ALLOWED_IMAGES": "*",
}
_HEALTHY_WITHIN_S = 60


@dataclass(frozen=True)
class Container:
    """A started container."""

    image: Image
    name: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.image.engine("inspect", self.name, "--format", "{{json .State}}"))
        return state

    def log(self) -> str:
        return self.image.engine("logs", self.name)

    def wait_until_healthy(self) -> None:
        """Wait for the image's own health check. Raises an AssertionError with the log after 60 s."""
        watch = ["events", "--since", "10m", "--filter", f"container={self.name}", "--filter", "event=health_status"]
        with subprocess.Popen(
            [*self.image.engine.command, *watch, "--format", "{{.Status}}"], stdout=subprocess.PIPE, text=True
        ) as events:
            timer = threading.Timer(_HEALTHY_WITHIN_S, events.kill)
            timer.start()
            assert events.stdout
            said = next((line for line in events.stdout if line.strip().endswith("healthy")), "nothing in time")
            timer.cancel()
            events.kill()
        assert said.strip() == "health_status: healthy", f"{said}\n{self.log()}\n{self.state()['Health']}"


@contextmanager
def container(image: Image, *options: str, volume: str | None = None) -> Generator[Container]:
    """Start a container with the fewest rights. Leaving removes it, with its volume if that has no name."""
    name, port = f"hublaunch-test-{token_hex(4)}", free_port()
    settings = [word for variable, value in SETTINGS.items() for word in ("--env", f"{variable}={value}")]
    kept = ("--volume", f"{volume}:/data") if volume else ()
    where = ("--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8083", "--health-interval", "1s")
    image.engine("run", *where, *STRICT, *STRICT_PROCESSES, *kept, *settings, *options, image.tag)
    try:
        yield Container(image, name, port)
    finally:
        image.engine("rm", "--force", "--volumes", name)


@contextmanager
def caller(container: Container) -> Generator[httpx.Client]:
    with httpx.Client(base_url=container.url, trust_env=False, timeout=15) as http:
        yield http
