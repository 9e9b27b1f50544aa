"""Draws docs/grafana.json in Grafana's layout, with data that a real Prometheus scraped from a real hublaunch.

    python -m tests.docs.draw_dashboard docs/images/dashboard.png

It launches for a few minutes on a fake Hub that is sometimes slow or broken, runs each panel's queries and draws the
answers. This is not Grafana, which no package registry has. Positions, titles, legends and units come from the
dashboard. The lines are drawn here.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from html import escape
from math import isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from playwright.async_api import async_playwright

from hublaunch.settings import Settings
from tests.browser.chromium import chromium
from tests.browser.conftest import ARGUMENTS
from tests.docs.test_alerts import DOCS
from tests.docs.test_prometheus import prometheus
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.processes import free_port
from tests.support.served import Service, serve

COLUMN, ROW = 56, 32
"""Pixels of a cell in Grafana's grid."""
COLORS = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300")
_VARIABLES = {"$__rate_interval": "30s", "$job": "hublaunch", "[1h]": "[5m]"}
_POINTS = 90

Series = tuple[str, list[tuple[float, float]]]
"""A legend, and points of seconds and value."""


async def act(service: Service, hub: FakeHub, seconds: float) -> None:
    """Launch about three times a second, one in eight with a failure, and twenty at once in the middle."""
    end_at, crowd_at, crowd = time.monotonic() + seconds, time.monotonic() + seconds / 2, 20
    unlimited = httpx.Limits(max_connections=None, keepalive_expiry=1)  # less than the server's 5 s
    async with (
        httpx.AsyncClient(base_url=service.http.base_url, limits=unlimited, timeout=300, trust_env=False) as http,
        asyncio.TaskGroup() as group,
    ):
        while time.monotonic() < end_at:
            is_bad = random.random() < 1 / 8
            plan = SpawnPlan(fails="boom") if is_bad else SpawnPlan(seconds=random.expovariate(0.4))
            hub.spawn_plan(None, plan)
            if random.random() < 1 / 20:
                hub.fail_on("create_user", status=503)
            together = crowd if time.monotonic() > crowd_at else 1
            crowd = 1 if together > 1 else crowd
            for number in range(together):
                group.create_task(_launch(http, number))
            await asyncio.sleep(random.expovariate(3))


async def _launch(http: httpx.AsyncClient, number: int) -> None:
    body = {"image": f"quay.io/jupyter/base-notebook:{random.randint(1, 40)}", "repo_url": f"https://e.org/{number}"}
    async with http.stream("POST", "/launch", json=body, headers={"Accept": "text/event-stream"}) as stream:
        await stream.aread()


async def ask(http: httpx.AsyncClient, panel: Mapping[str, Any], begin: float, end: float) -> list[Series]:
    """Return the answers to a panel's queries over this time."""
    found: list[Series] = []
    for target in panel.get("targets", ()):
        query = target["expr"]
        for name, value in _VARIABLES.items():
            query = query.replace(name, value)
        asked = {"query": query, "start": begin, "end": end, "step": (end - begin) / _POINTS}
        answer = (await http.get("/query_range", params=asked)).raise_for_status().json()
        for series in answer["data"]["result"]:
            legend = target.get("legendFormat", "")
            for label, value in series["metric"].items():
                legend = legend.replace("{{" + label + "}}", value)
            points = [(float(at), float(value)) for at, value in series["values"]]
            found.append((legend, [point for point in points if not isnan(point[1])]))
    return found


def page(panels: Sequence[tuple[Mapping[str, Any], list[Series]]], begin: float, end: float) -> str:
    """Return a page with all panels in Grafana's layout."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels) * ROW
    drawn = "".join(_panel(panel, series, begin, end) for panel, series in panels)
    style = (
        "body{margin:0;background:#111217;color:#ccccdc;font:12px system-ui,sans-serif}"
        "section{position:absolute;box-sizing:border-box;padding:6px 8px;background:#181b1f;border:1px solid #24272d}"
        "h2{font-size:12px;font-weight:500;margin:0 0 2px}h1{font-size:14px;margin:6px 4px}"
        "i{display:inline-block;width:10px;height:3px;margin:0 4px 3px 10px}p{margin:0;color:#9fa1ab;overflow:hidden}"
        "big{display:block;font-size:30px;text-align:center;margin-top:26px;color:#73bf69}"
    )
    return f"<!doctype html><meta charset=utf-8><style>{style}</style><body style='height:{height}px'>{drawn}"


def _panel(panel: Mapping[str, Any], series: list[Series], begin: float, end: float) -> str:
    place = panel["gridPos"]
    width, height = place["w"] * COLUMN - 6, place["h"] * ROW - 6
    box = f"left:{place['x'] * COLUMN}px;top:{place['y'] * ROW}px;width:{width}px;height:{height}px"
    title = escape(panel["title"])
    if panel["type"] == "row":
        return f"<div style='position:absolute;{box}'><h1>{title}</h1></div>"
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    if panel["type"] == "stat":
        last = next((points[-1][1] for _, points in series if points), None)
        inside = f"<big>{'no data' if last is None else _number(last, unit)}</big>"
    else:
        inside = _lines(series, unit, begin, end, width - 20, height - 58)
    return f"<section style='{box}'><h2>{title}</h2>{inside}</section>"


def _lines(series: list[Series], unit: str, begin: float, end: float, width: float, height: float) -> str:
    top = max((value for _, points in series for _, value in points), default=0) or 1
    left = 52
    drawn = [
        f"<text y={10 + height * step / 2:.0f} fill=#9fa1ab font-size=10>{_number(top * (1 - step / 2), unit)}</text>"
        f"<path d='M{left} {6 + height * step / 2:.0f}H{width}' stroke=#2c3036 fill=none />"
        for step in range(3)
    ]
    legends = []
    for number, (legend, points) in enumerate(series):
        color = COLORS[number % len(COLORS)]
        placed = [
            f"{left + (at - begin) / (end - begin) * (width - left):.1f} {6 + height * (1 - value / top):.1f}"
            for at, value in points
        ]
        if placed:
            drawn.append(f"<path d='M{'L'.join(placed)}' stroke='{color}' stroke-width=1.5 fill=none />")
        legends.append(f"<i style='background:{color}'></i>{escape(legend)}")
    words = "".join(legends) if series else "No data"
    return f"<svg width={width} height={height + 12}>{''.join(drawn)}</svg><p>{words}</p>"


def _number(value: float, unit: str) -> str:
    match unit:
        case "percentunit":
            return f"{value:.1%}"
        case "s":
            return f"{value:.2g} s" if value >= 1 else f"{value * 1000:.3g} ms"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "reqps" | "wps":
            return f"{value:.2g}/s"
    return f"{value:.3g}"


async def draw(picture: Path, seconds: float) -> None:
    """Launch, query Prometheus, and draw the panels."""
    with TemporaryDirectory() as name:
        directory, port = Path(name), free_port()
        async with FakeHub() as hub:
            settings = Settings(
                hub_url=hub.url,
                hub_api_token=hub.api_token,
                allowed_images=("*",),
                retry_delay=0.2,
                retries=2,
                metrics_port=port,
                hub_guard="off",  # or unproven images would launch two at a time
                max_concurrent_spawns=15,
                database_url=f"sqlite:///{directory}/hublaunch.sqlite",
            )
            async with serve(settings) as service, prometheus(port, directory) as http:
                begin = time.time()
                await act(service, hub, seconds)
                end = time.time()
                panels = json.loads((DOCS / "grafana.json").read_text())["panels"]
                asked = [(panel, await ask(http, panel, begin, end)) for panel in panels]
    async with async_playwright() as playwright:
        path = await asyncio.to_thread(chromium)
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        tab = await browser.new_page(viewport={"width": 24 * COLUMN, "height": 800})
        await tab.set_content(page(asked, begin, end))
        await tab.screenshot(path=picture, full_page=True)
        await browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=float, default=180)
    options = parser.parse_args()
    asyncio.run(draw(options.picture, options.seconds))


if __name__ == "__main__":
    main()
