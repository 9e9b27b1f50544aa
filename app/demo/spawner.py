"""The demo's spawner: local processes whose readiness and whose death are known at once."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner

_POLL_S = 0.03


class DemoSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]  # JupyterHub is not typed
    """`start` returns once the server's port answers, and raises as soon as its process has ended.

    The Hub's own waiting, with pauses of up to 5 s between looks, then ends at the first look.
    """

    async def start(self) -> tuple[str, int]:
        ip, port = await super().start()
        while True:
            if (status := await self.poll()) is not None:
                raise RuntimeError(f"the server process ended with status {status} before it was ready")
            try:
                _, writer = await asyncio.open_connection(ip, port)
            except OSError:
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                return ip, port

    async def progress(self) -> AsyncGenerator[dict[str, Any]]:
        image = self.user_options.get("image")
        yield {
            "progress": 20,
            "message": f"Demo: the server runs from the local Python environment; the image {image} is not used",
        }
        yield {"progress": 50, "message": "Starting JupyterLab"}

    def delete_forever(self) -> None:
        """With the user goes the home directory; a named server has none of its own."""
        home = Path(self.home_dir)
        is_the_users_own = home.resolve().parent == Path(self.home_dir_template).parent  # a user may be called `..`
        if not self.name and is_the_users_own and home.exists():
            shutil.rmtree(home)


def apply_launch_options(spawner: Any, options: dict[str, Any]) -> None:
    """Give the server what the launch named; a spawner of containers would set `spawner.image` here."""
    named = {"LAUNCH_IMAGE": options.get("image"), "LAUNCH_REPO_URL": options.get("repo_url")}
    spawner.log.warning("The demo runs servers from the local Python environment, whatever image is named")
    spawner.environment = {**spawner.environment, **{k: v for k, v in named.items() if isinstance(v, str)}}
