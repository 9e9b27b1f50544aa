"""What the service is doing now: for `hublaunch top --json`, and live for the page for admins."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from hublaunch.api.sse import HEARTBEAT, retry_line
from hublaunch.api.status import StatusReport
from hublaunch.api.views import rfc3339
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Launch
from hublaunch.launch.ports import Overview
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.quota_rules import QuotaRules

log = logging.getLogger(__name__)

OVERVIEW_FIELDS = (
    "at",
    "counts",
    "is_draining",
    "hub_busy_for_s",
    "guard",
    "launches",
    "ready",
    "callers",
    "quotas",
    "warm",
    "processes",
)
"""The fields of `overview_json`."""

_QUOTAS_MAX = 50


@dataclass(eq=False, kw_only=True, slots=True)
class OverviewFeed:
    """The overview as server-sent events: one reading every `every_s` for all followers, while there are any.

    A follower gets the present overview, and then a new one whenever more than its time has changed.
    """

    read: Callable[[], Awaitable[Overview]]
    status: StatusReport
    guard: Guard
    quotas: Callable[[], QuotaRules]
    every_s: float
    heartbeat_s: float
    _seen: dict[str, Any] = field(default_factory=dict, init=False)
    _block: bytes = field(default=b"", init=False)
    _read_at: float = field(default=float("-inf"), init=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _ended: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def end(self) -> None:
        """End every stream, because this process is stopping."""
        self._ended.set()

    async def blocks(self, may_follow: Callable[[], Coroutine[Any, Any, bool]]) -> AsyncGenerator[bytes]:
        """Yield the blocks of one follower until it may follow no longer, or the process stops.

        `may_follow` is asked again and again, and delays no block. Cancellation leaves nothing behind.
        """
        now = asyncio.get_running_loop().time
        yield retry_line()
        sent, sent_at = b"", now()
        asking = asyncio.create_task(may_follow())
        try:
            while not self._ended.is_set():
                if asking.done():
                    if not asking.result():
                        return
                    asking = asyncio.create_task(may_follow())
                block = await self._latest()
                if block is not sent:
                    sent, sent_at = block, now()
                    yield block
                elif now() - sent_at >= self.heartbeat_s:
                    sent_at = now()
                    yield HEARTBEAT
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.every_s):
                        await self._ended.wait()
        finally:
            asking.cancel()

    async def _latest(self) -> bytes:
        """Return the block of the last reading: the same object as long as only its time differs."""
        async with self._reading:
            if asyncio.get_running_loop().time() - self._read_at < self.every_s:
                return self._block
            seen = await self._look()
            if {**seen, "at": None} != {**self._seen, "at": None}:
                self._block = b"event: overview\ndata: %b\n\n" % json.dumps(seen, separators=(",", ":")).encode()
            self._seen, self._read_at = seen, asyncio.get_running_loop().time()
            return self._block

    async def _look(self) -> dict[str, Any]:
        shown = {"service": await self.status.report()}
        try:
            return shown | overview_json(await self.read(), self.guard, self.quotas())
        except Exception:
            if self._seen.get("at", ""):
                log.exception("The database could not be read for the page for admins")
            return shown | dict.fromkeys(OVERVIEW_FIELDS)


def overview_json(overview: Overview, guard: Guard, quotas: QuotaRules | None) -> dict[str, Any]:
    """Return the overview as one object. Times are RFC 3339 in UTC. `quotas`: None if they are unknown."""
    counted = overview.capacity
    used = None if quotas is None else quotas.in_use(overview.active, at=overview.at)[:_QUOTAS_MAX]
    return {
        "at": rfc3339(overview.at),
        "counts": {
            "waiting": counted.waiting,
            "launching": counted.launching,
            "stalled": counted.stalled,
            "ready": counted.ready,
        },
        "is_draining": counted.is_draining,
        "hub_busy_for_s": counted.hub_busy_for_s,
        "guard": {
            "mode": guard.mode,
            "state": counted.guard,
            "failures": counted.failures,
            "failure_limit": guard.failure_limit,
            "refused": [
                {"image": image, "cause": failed.cause, "until": rfc3339(failed.until)}
                for image, failed in overview.refused.items()
            ],
        },
        "launches": [_launch(launch) for launch in overview.launches],
        "ready": [
            {"environment": one.environment or None, "image": one.image, "servers": one.servers}
            for one in overview.ready
        ],
        "callers": [{**_caller(one.caller), "active": one.active} for one in overview.callers],
        "quotas": None if used is None else [asdict(use) for use in used],
        "warm": [{"pool": one.pool, "ready": one.ready, "starting": one.starting} for one in overview.warm],
        "processes": [
            {"id": one.id, "leased_until": rfc3339(one.leased_until), "launches": one.launches}
            for one in overview.processes
        ],
    }


def _caller(caller: Caller) -> Mapping[str, str]:
    return {"kind": caller.kind, "key": caller.key}


def _launch(launch: Launch) -> Mapping[str, Any]:
    return {
        "id": launch.id,
        "status": launch.status,
        "stage": launch.last_event.stage,
        "stalled_since": rfc3339(launch.last_event.stalled_since),
        "caller": _caller(launch.caller),
        "image": launch.request.image,
        "environment": launch.request.environment or None,
        "repo_url": launch.request.repo_url,
        "ref": launch.request.ref,
        "created_at": rfc3339(launch.created_at),
        "admitted_at": rfc3339(launch.admitted_at),
        "cancel_requested_at": rfc3339(launch.cancel_requested_at),
        "last_event_at": rfc3339(launch.last_event.at),
        "message": launch.last_event.message,
    }
