"""`GET /status`: the service's load and capacity, for people, dashboards and federations."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from hublaunch.api.health import Health
from hublaunch.api.pool_status import PoolStatus, pools_report
from hublaunch.api.problems.openapi import documented
from hublaunch.launch.ports import Capacity, PoolState
from hublaunch.launch.rules.condition import Condition, Light
from hublaunch.launch.rules.guard import Guard, GuardMode, GuardState

log = logging.getLogger(__name__)


class LaunchLimits(BaseModel):
    max_concurrent_spawns: int = Field(description="How many launches may be at JupyterHub at the same time.")
    max_queue: int = Field(description="How many more may wait in the queue.")


class HubPulse(Protocol):
    """Reports whether and how fast the Hub answers, and what is wrong with it."""

    def pulse(self) -> Mapping[str, Any]: ...

    def conditions(self) -> Sequence[Condition]: ...


@dataclass(eq=False, kw_only=True, slots=True)
class StatusReport:
    """The body of `/status`. It is read at most every `kept_s` seconds, however often it is requested."""

    read: Callable[[], Awaitable[Capacity]]
    read_pools: Callable[[], Awaitable[Sequence[PoolState]]]
    shown_pools: Callable[[], Collection[str]]
    """The names of the pools that everybody may know."""
    guard: Guard
    limits: LaunchLimits
    health: Health
    hub: HubPulse
    kept_s: float
    _report: dict[str, Any] = field(default_factory=dict, init=False)
    _reported_at: float = field(default=float("-inf"), init=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def report(self) -> Mapping[str, Any]:
        """Return the body of `/status`, as `ServiceStatus` describes it."""
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if now - self._reported_at >= self.kept_s:
                self._report, self._reported_at = await self._inspect(), now
        return self._report

    async def conditions(self) -> Collection[str]:
        """Return the codes of everything that keeps the service from working as usual."""
        codes: Collection[str] = (await self.report())["conditions"]
        return codes

    async def _inspect(self) -> dict[str, Any]:
        health = await self.health.report()
        hub = dict(self.hub.pulse())
        read = await self._read() if health["store"] == "ok" else None
        capacity = read[0] if read is not None else None
        found = self._conditions(health, capacity)
        shown: dict[str, Any] = {
            "status": _light(found),
            "reasons": [f"{one.title}." for one in found],
            "conditions": [one.code for one in found],
            "hub": hub,
        }
        limits = self.limits.model_dump()
        if read is None or capacity is None:
            return {**shown, "limits": limits}
        return {
            **shown,
            "launching": capacity.launching,
            "waiting": capacity.waiting,
            "ready": capacity.ready,
            "limits": limits,
            "hub": {**hub, "busy_for_s": capacity.hub_busy_for_s},
            "guard": {
                "mode": self.guard.mode,
                "state": capacity.guard,
                "failures": capacity.failures,
                "failure_limit": self.guard.failure_limit,
                "window": capacity.window,
                "failing_images": capacity.failing_images,
            },
            "pools": pools_report(read[1], capacity, self.shown_pools()),
        }

    async def _read(self) -> tuple[Capacity, Sequence[PoolState]] | None:
        try:
            return await self.read(), await self.read_pools()
        except Exception:
            log.exception("The database could not be read for /status")
            return None

    def _conditions(self, health: Mapping[str, Any], capacity: Capacity | None) -> Sequence[Condition]:
        """Return everything that applies, first what is red."""
        applies = {
            Condition.STOPPING: health["stopping"],
            Condition.DATABASE_FAILING: capacity is None,
            Condition.STORAGE_FULL: health["space"] and health["space"]["full"],
            Condition.TASK_DOWN: health["background_down"],
            Condition.LIMITS_UNUSABLE: health["limits"] and health["limits"]["fault"],
            Condition.CATALOGUE_UNUSABLE: health["catalogue"] and health["catalogue"]["fault"],
            **dict.fromkeys(self.hub.conditions(), True),
        }
        if capacity is not None:
            in_progress = capacity.launching + capacity.waiting
            applies |= {
                Condition.DRAINING: capacity.is_draining,
                Condition.GUARD_PAUSED: capacity.guard == "paused",
                Condition.GUARD_CAREFUL: capacity.guard == "proven_only",
                Condition.QUEUE_FULL: in_progress >= self.limits.max_concurrent_spawns + self.limits.max_queue,
                Condition.QUEUE_WAITING: capacity.waiting > 0,
                Condition.HUB_BUSY: capacity.hub_busy_for_s is not None,
            }
        return [condition for condition in Condition if applies.get(condition)]


def _light(found: Sequence[Condition]) -> Light:
    lights = {condition.light for condition in found}
    return "red" if "red" in lights else "yellow" if lights else "green"


class HubStatus(BaseModel):
    version: str | None
    latency_ms: float | None = Field(
        description="How long JupyterHub's last answer took; null while it does not answer."
    )
    busy_for_s: float | None = Field(None, description="How long JupyterHub asked us to wait (429); else null.")


class GuardStatus(BaseModel):
    mode: GuardMode
    state: GuardState
    failures: int = Field(description="Upper bound of the spawns that failed since the last success.")
    failure_limit: int
    window: int | None = Field(
        description="Launches of unproven images that may be at the Hub at the same time; null while the guard is off."
    )
    failing_images: int = Field(description="How many images are refused because they keep failing.")


class ServiceStatus(BaseModel):
    """The fields from `launching` on are missing while the database cannot be read."""

    status: Light
    reasons: list[str] = Field(description="Why the status is not green, for people.")
    conditions: list[str] = Field(
        description="The same for programs, in the same order: see the runbook. Later releases may add conditions."
    )
    hub: HubStatus
    limits: LaunchLimits
    launching: int | None = Field(None, description="Launches at JupyterHub.")
    waiting: int | None = Field(None, description="Launches in the queue.")
    ready: int | None = Field(None, description="Launches whose servers run, as far as is known.")
    guard: GuardStatus | None = None
    pools: list[PoolStatus] | None = Field(
        None, description="The warm pools of the environments without groups, by name."
    )


router = APIRouter(tags=["health"], responses=documented())


@router.get("/status", operation_id="getStatus", summary="Get load and capacity", response_model=ServiceStatus)
async def status(request: Request) -> JSONResponse:
    """Return the numbers of all replicas together, at most a second old. Always 200: see `status` and `reasons`."""
    return JSONResponse(await request.state.web.status.report(), headers={"Cache-Control": "no-store"})
