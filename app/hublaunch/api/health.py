"""`/healthz`: the process answers. `/readyz`: it can take launches."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from hublaunch.api.errors import documented


class Loops(Protocol):
    """The loops that run beside the requests."""

    @property
    def down(self) -> list[str]:
        """The names of those that ended, and have yet to run steadily again."""
        ...


class HubReport(Protocol):
    """What is known of the Hub. It does not decide on readiness: while the Hub is down, launches wait."""

    def report(self) -> dict[str, Any]: ...


class LimitsReport(Protocol):
    """What holds of the operator's limits on launches. It does not decide on readiness: bad ones change nothing."""

    def report(self) -> dict[str, Any]: ...


class Health:
    """Whether this process can take launches: the log can be written, its loops run, and it is not being stopped."""

    def __init__(
        self,
        *,
        store_is_healthy: Callable[[], Awaitable[bool]],
        space: Callable[[], Awaitable[dict[str, Any]]],
        background: Loops,
        hub: HubReport,
        limits: LimitsReport | None,
        unnamed_proxy: Callable[[], str | None],
    ) -> None:
        self._store_is_healthy = store_is_healthy
        self._space = space
        self._background = background
        self._hub = hub
        self._limits = limits
        self._unnamed_proxy = unnamed_proxy
        self._stopping = False

    def stop(self) -> None:
        """From now on the process is not ready."""
        self._stopping = True

    async def report(self) -> dict[str, Any]:
        store, down = await self._store_is_healthy(), self._background.down
        return {
            "ready": store and not down and not self._stopping,
            "store": "ok" if store else "failing",
            "space": await self._space() if store else None,
            "background_down": down,
            "stopping": self._stopping,
            "hub": self._hub.report(),
            "limits": self._limits.report() if self._limits else None,
            "unnamed_proxy": self._unnamed_proxy(),
        }


router = APIRouter(tags=["health"], responses=documented(414, 431))


@router.get("/healthz", summary="The process answers")
async def healthz() -> dict[str, str]:
    """Always 200 while the process runs."""
    return {"status": "ok"}


@router.get("/readyz", summary="This process can take launches", responses={503: {"description": "It cannot."}})
async def readyz(request: Request) -> JSONResponse:
    """200 if the log can be written, every background task runs and the process is not being stopped, 503 else.

    A disk without room for further launches leaves it ready (`space`): callers can follow and cancel launches,
    and a request for another one gets a 503 that says why.
    The states of the Hub and of the limits on launches are told beside, and in `unnamed_proxy` the address of a proxy
    that forwards callers and that LAUNCHER_TRUSTED_PROXIES does not name: all of them count as one address.
    """
    report = await request.state.web.health.report()
    return JSONResponse(report, 200 if report["ready"] else 503, {"Cache-Control": "no-store"})
