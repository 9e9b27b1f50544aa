"""The clicks of a storm, their callers, and what each caller sees: through hublaunch, and directly at the Hub."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

IMAGE = "quay.io/jupyter/base-notebook:latest"
REPO_URL = "https://example.org/storm/click-{number}"
"""Ties events at the Hub to a click: the URL is in the `user_options`."""
_HEAVY = "198.19.0.1"
_CLICKS_EACH = (1, 1, 1, 2, 3)
_NAIVE_PAUSES_S = (4.0, 8.0, 16.0)
"""BinderHub's pauses: four tries, a first pause of 4 s, and each pause twice the one before."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of a storm, and the limits that it meets."""

    clicks: int = 500
    within_s: float = 10.0
    heavy_share: float = 0.4
    """The share of the clicks that one caller makes; the others make one to three each."""
    hub_limit: int = 64
    """The number of pending spawns beyond which the Hub answers 429."""
    max_concurrent_spawns: int = 50
    """The limit that hublaunch keeps."""
    spawn_s: float = 5.0
    on_the_way_s: float = 3.0
    """The delay that the verdict allows between an admission and its visible effect, with everything on two cores."""
    naive_pauses_s: Sequence[float] = _NAIVE_PAUSES_S


@dataclass(frozen=True, kw_only=True)
class Click:
    number: int
    caller: str
    """An address from the network that RFC 2544 reserves for benchmarks."""
    at_s: float

    @property
    def repo_url(self) -> str:
        return REPO_URL.format(number=self.number)


@dataclass(kw_only=True)
class Seen:
    """Everything that a visitor saw after a click. Times are of the machine's monotonic clock, like the Hub's."""

    click: Click
    clicked_at: float = 0.0
    accepted_at: float = 0.0
    """When the service confirmed the launch; directly at the Hub, the time of the click."""
    ready_at: float | None = None
    ending: str = "none"
    statuses: list[int] = field(default_factory=list)
    """The status of every answer."""
    visits: list[list[tuple[float, int]]] = field(default_factory=list)
    """The positions that the visitor saw, with their times, for each stay in the queue."""
    error: str = ""


def draw_clicks(seed: int, scale: Scale) -> Sequence[Click]:
    """Return the clicks in order of time. Those of the heavy caller are spread among the others."""
    numbers = random.Random(seed)
    callers = [_HEAVY] * round(scale.clicks * scale.heavy_share)
    while len(callers) < scale.clicks:
        count, n = min(numbers.choice(_CLICKS_EACH), scale.clicks - len(callers)), len(callers)
        callers += [f"198.18.{n // 250}.{n % 250 + 1}"] * count
    numbers.shuffle(callers)
    times = sorted(numbers.uniform(0, scale.within_s) for _ in callers)
    return [
        Click(number=n, caller=caller, at_s=at_s) for n, (caller, at_s) in enumerate(zip(callers, times, strict=True))
    ]


async def click_hublaunch(click: Click, seen: Seen, http: aiohttp.ClientSession, urls: Sequence[str]) -> None:
    """Launch at one replica, and follow at the next until the stream ends."""
    own, next_one = (urls[(click.number + n) % len(urls)] for n in range(2))
    headers = {"X-Forwarded-For": click.caller}
    body = {"image": IMAGE, "repo_url": click.repo_url}
    async with http.post(f"{own}/launch", json=body, headers=headers) as answer:
        seen.statuses.append(answer.status)
        answer.raise_for_status()
        events_url = (await answer.json())["events_url"]
    seen.accepted_at = _now()
    async with http.get(next_one + events_url, headers=headers) as stream:
        seen.statuses.append(stream.status)
        stream.raise_for_status()
        async for line in stream.content:
            if line.startswith(b"data: {"):
                _take(json.loads(line[6:]), seen)


def _take(told: dict[str, Any], seen: Seen) -> None:
    if "position" in told:
        seen.visits[-1].append((_now(), told["position"]))
    elif "launch_id" in told:
        if told["phase"] == "waiting":
            seen.visits.append([])
        seen.ending = told["phase"]
        seen.ready_at = _now() if told["phase"] == "ready" else None


async def click_hub(click: Click, seen: Seen, hub: aiohttp.ClientSession, pauses_s: Sequence[float]) -> None:
    """Create a user and start their server, as a script without hublaunch does: it blindly retries after an error."""
    seen.accepted_at, name = seen.clicked_at, f"click-{click.number}"
    for pause_s in (*pauses_s, None):
        if await _start_at_hub(click, seen, hub, name):
            break
        if pause_s is None:
            seen.ending = "given up"
            return
        await asyncio.sleep(pause_s)
    async with hub.get(f"users/{name}/server/progress") as stream:
        async for line in stream.content:
            if line.startswith(b"data: ") and json.loads(line[6:]).get("ready"):
                seen.ending, seen.ready_at = "ready", _now()


async def _start_at_hub(click: Click, seen: Seen, hub: aiohttp.ClientSession, name: str) -> bool:
    async with hub.post(f"users/{name}") as made:
        seen.statuses.append(made.status)
    body = {"image": IMAGE, "repo_url": click.repo_url}
    async with hub.post(f"users/{name}/server", json=body) as started:
        seen.statuses.append(started.status)
        return started.status < 400


def _now() -> float:
    return asyncio.get_running_loop().time()
