"""A Hub that can be killed and started again, and then finds its servers.

It builds on the demo's configuration. Like spawners of containers, its spawner finds a user's server by name, even if
the Hub has forgotten the server.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner

from hublaunch.demo.leftovers import MARK
from hublaunch.demo.process import CONFIG
from hublaunch.demo.spawner import DemoSpawner
from tests.hubs.mortal import HELD
from tests.hubs.quick_server import (
    GATED_AFTER_START_IMAGE,
    GATED_BEFORE_PROCESS_IMAGE,
    GATED_IMAGE,
    GATED_IMAGES,
    gate,
)

STATE = Path(os.environ[MARK])
_POLL_S = 0.02

load_subconfig(str(CONFIG))  # type: ignore[name-defined]  # noqa: F821 - provided by JupyterHub
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - as above


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - files and processes have to be polled
        await asyncio.sleep(_POLL_S)


class _FoundByName(SimpleLocalProcessSpawner):  # type: ignore[misc]  # JupyterHub is not typed
    @property
    def record(self) -> Path:
        return STATE / f"server-of-{self.user.name}"

    async def start(self) -> tuple[str, int]:
        ip, port = await super().start()
        self.record.write_text(f"{self.pid} {port}")
        return ip, port

    async def poll(self) -> int | None:
        if self.proc is None and self.record.exists():
            self.pid, self.port = map(int, self.record.read_text().split())
        status: int | None = await super().poll()
        return status

    async def get_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.server.base_url}"


class MortalSpawner(DemoSpawner, _FoundByName):
    """Holds back servers of some images until their gates open, and reports the wait as progress."""

    async def start(self) -> tuple[str, int]:
        image = self.user_options["image"]
        if image == GATED_AFTER_START_IMAGE:
            return await _FoundByName.start(self)
        if image == GATED_BEFORE_PROCESS_IMAGE:
            await _until(gate(STATE, self.user.name).exists)
        return await super().start()

    async def progress(self) -> AsyncGenerator[dict[str, Any]]:
        if self.user_options["image"] in GATED_IMAGES:
            await _until(self._is_held)
            yield {"progress": 50, "message": HELD}

    def _is_held(self) -> bool:
        match self.user_options["image"]:
            case image if image == GATED_IMAGE:
                return self.record.exists()
            case image if image == GATED_AFTER_START_IMAGE:
                return bool(self.orm_spawner.state)  # the Hub has stored the result of start()
        return True


c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.spawner_class = MortalSpawner
c.JupyterHub.active_server_limit = 0  # the browser tests leave their servers running
c.JupyterHub.init_spawners_timeout = 1  # the Hub answers while it still checks its servers
c.MortalSpawner.home_dir_template = str(STATE / "home" / "{username}")
c.Spawner.cmd = [sys.executable, str(Path(__file__).with_name("quick_server.py"))]
c.Spawner.args = []
if limit := int(os.environ["TEST_HUB_FAILURE_LIMIT"]):
    c.Spawner.consecutive_failure_limit = limit
    c.JupyterHub.concurrent_spawn_limit = 0
    c.JupyterHub.active_server_limit = 0
