"""`GET /status`: how much room there is, for people, dashboards and federations."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from hublaunch.api.errors import documented
from hublaunch.api.health import Health
from hublaunch.launch.ports import Capacity
from hublaunch.launch.rules.guard import Guard, GuardMode, GuardState

log = logging.getLogger(__name__)

Light = Literal["green", "yellow", "red"]

_KEPT_S = 1.0


class HubPulse(Protocol):
    """Whether and how fast the Hub answers."""

    def pulse(self) -> Mapping[str, Any]: ...


class CapacityReport:
    """What `/status` tells, looked up at most once a second however often it is asked for."""

    def __init__(
        self,
        *,
        read: Callable[[], Awaitable[Capacity]],
        guard: Guard,
        max_concurrent_spawns: int,
        max_queue: int,
        health: Health,
        hub: HubPulse,
    ) -> None:
        self._read = read
        self._guard = guard
        self._max_concurrent_spawns = max_concurrent_spawns
        self._max_queue = max_queue
        self._health = health
        self._hub = hub
        self._report: dict[str, Any] = {}
        self._reported_at = float("-inf")
        self._looking = asyncio.Lock()

    async def report(self) -> Mapping[str, Any]:
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._reported_at >= _KEPT_S:
                self._report, self._reported_at = await self._look(), now
        return self._report

    async def _look(self) -> dict[str, Any]:
        health = await self._health.report()
        hub = dict(self._hub.pulse())
        capacity = await self._counted() if health["store"] == "ok" else None
        light, reasons = self._light(health, hub, capacity)
        shown: dict[str, Any] = {"status": light, "reasons": reasons, "hub": hub}
        limits = {"max_concurrent_spawns": self._max_concurrent_spawns, "max_queue": self._max_queue}
        if capacity is None:
            return {**shown, "limits": limits}
        return {
            **shown,
            "launching": capacity.launching,
            "waiting": capacity.waiting,
            "ready": capacity.ready,
            "limits": limits,
            "hub": {**hub, "busy_for_s": capacity.hub_busy_for_s},
            "guard": {
                "mode": self._guard.mode,
                "state": capacity.guard,
                "failures": capacity.failures,
                "failure_limit": self._guard.failure_limit,
                "window": capacity.window,
                "failing_images": capacity.failing_images,
            },
        }

    async def _counted(self) -> Capacity | None:
        try:
            return await self._read()
        except Exception:
            log.exception("The records did not tell how much room there is")
            return None

    def _light(
        self, health: Mapping[str, Any], hub: Mapping[str, Any], capacity: Capacity | None
    ) -> tuple[Light, list[str]]:
        """Red: a launch that comes now is refused, or waits for somebody to act. Yellow: it may have to wait."""
        red = [
            (health["stopping"], "This process is being stopped."),
            (capacity is None, "The records cannot be read or written."),
            (bool(health["space"] and health["space"]["full"]), "There is no disk space for further launches."),
            (bool(health["background_down"]), "A part of this service has failed and is being restarted."),
            (hub["latency_ms"] is None, "JupyterHub does not answer."),
        ]
        yellow: list[tuple[bool, str]] = []
        if capacity is not None:
            under_way = capacity.launching + capacity.waiting
            red += [
                (capacity.guard == "paused", "Too many servers failed to start in a row; the operator has to look."),
                (under_way >= self._max_concurrent_spawns + self._max_queue, "The line is full."),
            ]
            yellow = [
                (capacity.waiting > 0, "Launches wait for their turn."),
                (capacity.hub_busy_for_s is not None, "JupyterHub is at its limit."),
                (capacity.guard == "proven_only", "Servers failed to start in a row; only proven images are launched."),
            ]
        reasons = {light: [reason for is_so, reason in of if is_so] for light, of in (("red", red), ("yellow", yellow))}
        light: Light = "red" if reasons["red"] else "yellow" if reasons["yellow"] else "green"
        return light, reasons["red"] + reasons["yellow"]


class Limits(BaseModel):
    max_concurrent_spawns: int = Field(description="Launches at JupyterHub at once.")
    max_queue: int = Field(description="Launches that may wait beside them.")


class HubStatus(BaseModel):
    version: str | None
    latency_ms: float | None = Field(description="Of its last answer; null while it does not answer.")
    busy_for_s: float | None = Field(None, description="How long it asked to be left alone (429); null if it did not.")


class GuardStatus(BaseModel):
    mode: GuardMode
    state: GuardState
    failures: int = Field(description="Spawns that failed since the last that succeeded, at most.")
    failure_limit: int
    window: int | None = Field(description="Launches of images that are not proven at once; null while it is off.")
    failing_images: int = Field(description="Images that are refused, as they keep failing.")


class Status(BaseModel):
    """The fields from `launching` on are missing while the records cannot be read."""

    status: Light
    reasons: list[str] = Field(description="Why it is not green, for people.")
    hub: HubStatus
    limits: Limits
    launching: int | None = Field(None, description="Launches at JupyterHub.")
    waiting: int | None = Field(None, description="Launches in the queue.")
    ready: int | None = Field(None, description="Launches whose servers are up, as far as is known.")
    guard: GuardStatus | None = None


router = APIRouter(tags=["health"], responses=documented(414, 431))


@router.get("/status", summary="How much room there is", response_model=Status)
async def status(request: Request) -> JSONResponse:
    """Numbers of all replicas together, at most a second old. Always 200: `status` says how things are."""
    return JSONResponse(await request.state.web.capacity.report(), headers={"Cache-Control": "no-store"})
