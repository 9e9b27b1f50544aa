"""`/healthz`: the process is alive. `/readyz`: it can accept launches."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from hublaunch.api.problems.openapi import documented
from hublaunch.api.problems.types import problem_body
from hublaunch.api.schemas import Timestamp
from hublaunch.api.views import rfc3339
from hublaunch.launch.errors import ServiceDraining
from hublaunch.launch.problem import Problem

log = logging.getLogger(__name__)

_READ_S = 2.0
"""The longest time that a probe waits for the database."""


class Loops(Protocol):
    """The background tasks of the process."""

    @property
    def down(self) -> list[str]:
        """The names of the tasks that failed and are not running steadily again yet."""
        ...


class Report(Protocol):
    """A part of the service that reports its state for operators, and does not affect readiness."""

    def report(self) -> dict[str, Any]: ...


@dataclass(eq=False, kw_only=True, slots=True)
class Health:
    """The readiness of this process: its database is writable, background tasks run, and it is not stopping.

    The Hub does not affect readiness, because launches wait while it is down. A service that an operator drains stays
    ready, so that its launches can be followed and cancelled. A broken file of limits or of the
    catalogue does not affect readiness either, because the previous content stays in force.
    """

    store_is_healthy: Callable[[], Awaitable[bool]]
    space: Callable[[], Awaitable[dict[str, Any]]]
    """Reports the disk."""
    background: Loops
    hub: Report
    files: Mapping[str, Report | None]
    """The operator's files, by their names in the report; None for a file that is not set."""
    unnamed_proxy: Callable[[], str | None]
    draining_since: Callable[[], Awaitable[datetime | None]]
    """Returns since when an operator has been refusing new launches."""
    _stopping: bool = field(default=False, init=False)

    def stop(self) -> None:
        """Report the process as not ready from now on."""
        self._stopping = True

    async def report(self) -> dict[str, Any]:
        """Return the body of `/readyz`."""
        store, down = await self.store_is_healthy(), self.background.down
        return {
            "ready": store and not down and not self._stopping,
            "store": "ok" if store else "failing",
            "space": await self.space() if store else None,
            "background_down": down,
            "stopping": self._stopping,
            "draining": await self._draining() if store else None,
            "hub": self.hub.report(),
            **{name: file.report() if file else None for name, file in self.files.items()},
            "unnamed_proxy": self.unnamed_proxy(),
        }

    async def _draining(self) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(_READ_S):
                since = await self.draining_since()
        except Exception:
            log.exception("The database could not be read for /readyz")
            return None
        if since is None:
            return None
        return {"since": rfc3339(since), **problem_body(Problem.of(ServiceDraining()), for_operator=False)}


router = APIRouter(tags=["health"], responses=documented())


class Liveness(BaseModel):
    """The answer of a process that is alive."""

    status: Literal["ok"]


class DiskSpace(BaseModel):
    """The disk of the database."""

    free_mib: int | None
    least_mib: int = Field(description="With less free space, no launch is accepted.")
    full: bool


class HubReport(BaseModel):
    """The Hub, and the scopes of this service's token there."""

    version: str | None
    clock_ahead_s: float | None = Field(
        description="How far the Hub's clock is ahead of this machine's; null if unknown."
    )
    missing_scopes: list[str]
    needless_scopes: list[str]
    fault: str | None = Field(description="Why the Hub cannot be used; null while it can.")


class DrainReport(BaseModel):
    """An operator's refusal of new launches (`hublaunch drain`): when it began, and the problem that callers get."""

    since: Timestamp
    type: str
    title: str
    detail: str
    code: Literal["service_draining"]
    advice: str


class LimitsReport(BaseModel):
    """The file of limits."""

    rules: int = Field(description="The number of rules that apply.")
    fault: str | None = Field(description="Why the file cannot be used; null while it can.")


class CatalogueReport(BaseModel):
    """The file of the catalogue."""

    environments: int = Field(description="The number of environments on offer.")
    sizes: int
    fault: str | None = Field(description="Why the file cannot be used; null while it can.")


class Readiness(BaseModel):
    """Whether the process can accept launches, and why not."""

    ready: bool
    store: Literal["ok", "failing"]
    space: DiskSpace | None
    background_down: list[str] = Field(description="The background tasks that are down.")
    stopping: bool
    draining: DrainReport | None = Field(description="Why new launches are refused; null while they are accepted.")
    hub: HubReport
    limits: LimitsReport | None = Field(description="null without a file of limits.")
    catalogue: CatalogueReport | None = Field(description="null without a catalogue.")
    unnamed_proxy: str | None = Field(description="A proxy that LAUNCHER_TRUSTED_PROXIES does not name.")


@router.get("/healthz", operation_id="checkHealth", summary="Check that the process is alive")
async def healthz() -> Liveness:
    """Always 200 while the process runs."""
    return Liveness(status="ok")


@router.get(
    "/readyz",
    operation_id="checkReadiness",
    summary="Check that the process can accept launches",
    response_model=Readiness,
    responses={503: {"description": "The process cannot accept launches.", "model": Readiness}},
)
async def readyz(request: Request) -> JSONResponse:
    """200 if the database is writable, all background tasks run and the process is not stopping; otherwise 503.

    A full disk (`space`) and `hublaunch drain` (`draining`) leave the process ready: launches can still be followed and
    cancelled, and a request for a new one gets a 503 that says why. The Hub's state, the limits on launches and the
    catalogue are reported too. `unnamed_proxy` is the address of a proxy that is missing from LAUNCHER_TRUSTED_PROXIES,
    so that all its callers count as one address.
    """
    report = await request.state.web.health.report()
    return JSONResponse(report, 200 if report["ready"] else 503, {"Cache-Control": "no-store"})
