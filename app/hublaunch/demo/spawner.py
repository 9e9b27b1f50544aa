"""The demo's spawner: local processes whose start and end are noticed immediately, and a few simulated images."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner

from hublaunch.demo.images import SimulatedImage, simulated_image

_POLL_S = 0.03


class DemoSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]  # JupyterHub is not typed
    """A spawner whose `start` returns once the server's port answers, and raises as soon as its process has ended.

    The Hub itself polls with pauses of up to 5 s; with this spawner its first poll succeeds.
    """

    _began: datetime | None = None

    async def start(self) -> tuple[str, int]:
        self._began = datetime.now(UTC)
        if simulated := self._simulated():
            await self._simulate(simulated)
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
        simulated = self._simulated()
        runs = (
            "the events of Kubernetes are simulated"
            if simulated
            else "the server runs from the local Python environment"
        )
        size = self.user_options.get("profile")
        unused = f"the image {self.user_options.get('image')}" + (f" and the size {size} are" if size else " is")
        yield {"progress": 20, "message": f"Demo: {runs}; {unused} not used"}
        if simulated:
            async for event in self._simulated_events(simulated):
                yield event
            if simulated.fails:
                return
        yield {"progress": 50, "message": "Starting JupyterLab"}

    def clear_state(self) -> None:
        """Forget the last start, so that the progress of the next start waits until that start begins."""
        super().clear_state()
        self._began = None

    def _simulated(self) -> SimulatedImage | None:
        return simulated_image(self.user_options.get("image"))

    async def _simulate(self, simulated: SimulatedImage) -> None:
        """Take as long as the image takes, and fail as KubeSpawner does: after the events, with a timeout."""
        await asyncio.sleep(simulated.seconds)
        if simulated.fails:
            raise TimeoutError(f"pod {self._pod} did not start in {simulated.seconds} seconds!")

    async def _simulated_events(self, simulated: SimulatedImage) -> AsyncGenerator[dict[str, Any]]:
        """Yield the image's events as KubeSpawner's progress, each at its time."""
        while (began := self._began) is None:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)  # the Hub asks for progress just before it starts the server
        for event in simulated.events:
            at = await _until(began, event.after_s)
            message = event.message.format(image=self.user_options["image"], pod=self._pod)
            yield {
                "progress": 20 + round(29 * event.after_s / simulated.seconds),
                "message": f"{at:%Y-%m-%dT%H:%M:%SZ} [{event.kind}] {message}",
                "raw_event": {"reason": event.reason, "type": event.kind, "message": message},
            }
        await _until(began, simulated.seconds)

    @property
    def _pod(self) -> str:
        return f"demo/jupyter-{self.user.name}"

    def delete_forever(self) -> None:
        """Delete the home directory with the user; a named server has none of its own."""
        home = Path(self.home_dir)
        is_the_users_own = home.resolve().parent == Path(self.home_dir_template).parent  # a user may be called `..`
        if not self.name and is_the_users_own and home.exists():
            shutil.rmtree(home)


async def _until(began: datetime, after_s: float) -> datetime:
    """Wait until `after_s` seconds after the beginning; return that time."""
    at = began + timedelta(seconds=after_s)
    await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
    return at


def apply_launch_options(spawner: Any, options: dict[str, Any]) -> None:
    """Pass image and repository to the server. A spawner of containers would set `spawner.image` here."""
    named = {"LAUNCH_IMAGE": options.get("image"), "LAUNCH_REPO_URL": options.get("repo_url")}
    spawner.log.warning("The demo runs servers from the local Python environment, whatever image is named")
    spawner.environment = {**spawner.environment, **{k: v for k, v in named.items() if isinstance(v, str)}}
