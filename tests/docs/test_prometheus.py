"""A real Prometheus scrapes a real hublaunch and answers the dashboard's queries."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.settings import Settings
from tests.docs.debians_prometheus import program
from tests.docs.pages import DOCS
from tests.docs.test_alerts import dashboard_queries
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.processes import free_port
from tests.support.served import Service, serve
from tests.support.warm import write_warm

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(180)]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def service(settings: Settings, hub: FakeHub, port: int, tmp_path: Path) -> AsyncGenerator[Service]:
    """A hublaunch with metrics on this port, which has data for every query."""
    more = {"metrics_port": port, "retries": 2, "catalogue_file": tmp_path / "catalogue.yaml"}
    write_warm(tmp_path / "catalogue.yaml", "{keep: 2}")
    async with serve(settings.model_copy(update=more)) as service:
        await act(service, hub)
        yield service


async def act(service: Service, hub: FakeHub) -> None:
    """Launch with and without retries, with a failure and with a warm server, and send a request that is refused."""
    hub.fail_on("start_server", status=503)
    hub.fail_on("create_user", how="reset")
    hub.spawn_plan(None, SpawnPlan(seconds=0.3))
    accepted = [await service.launch() for _ in range(5)]
    await asyncio.gather(*(service.events(one["events_url"]) for one in accepted))
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    await service.events((await service.launch())["events_url"])
    await service.http.post("/launch", json={"image": "!"})
    hub.spawn_plan(None, SpawnPlan())
    async with asyncio.timeout(60):  # a member may have failed, and is started again after 10 s
        while not (await service.http.get("/status")).json()["pools"][0]["ready"]:
            pass
    warm = (await service.http.post("/launch", json={"environment": "scipy"})).json()
    await service.events(warm["events_url"])


@asynccontextmanager
async def prometheus(scraped: int, tmp_path: Path, *arguments: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Run a Prometheus that scrapes this port, and yield a client of its API."""
    port, config, target = free_port(), tmp_path / "prometheus.yml", f"127.0.0.1:{scraped}"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
                "scrape_configs": [{"job_name": "hublaunch", "static_configs": [{"targets": [target]}]}],
                "rule_files": [str(DOCS / "alerts.yaml")],
            }
        )
    )
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        *arguments,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as http:
            yield http
    finally:
        process.terminate()
        await process.wait()


async def answer(http: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    """Return the current series of a query."""
    try:
        answered = (await http.get("/query", params={"query": query})).raise_for_status().json()
    except httpx.HTTPError:  # Prometheus is still starting
        return []
    assert answered["status"] == "success", (query, answered)
    series: list[dict[str, Any]] = answered["data"]["result"]
    return series


async def until(http: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    """Poll until the query has a series with a number, and return these series."""
    async with asyncio.timeout(60):
        while True:
            series = [one for one in await answer(http, query) if not math.isnan(float(one["value"][1]))]
            if series:
                return series
            await asyncio.sleep(0.2)


async def test_every_query_of_the_dashboard_gets_data_and_no_alert_rule_fails(
    service: Service, hub: FakeHub, port: int, tmp_path: Path
) -> None:
    async with prometheus(port, tmp_path) as http:
        await until(http, "hublaunch_build_info")
        await act(service, hub)
        answers = [await until(http, query) for _, query in dashboard_queries()]
        rules = (await http.get("/rules")).json()["data"]["groups"][0]["rules"]
        (target,) = (await http.get("/targets")).json()["data"]["activeTargets"]

    assert len(answers) > 30
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert (target["health"], target["lastError"]) == ("up", "")
