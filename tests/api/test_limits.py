"""Quotas, from the operator's file to the answer."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.files.limits import LimitsFault
from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, IMAGE, REPO, Service, serve

TWO = {
    "caller": {"callers": [{"match": "anonymous:127.*", "most": 2}]},
    "repository": {"repositories": [{"match": "github.com/org/*", "most": 2}]},
    "image": {"images": [{"match": "quay.io/jupyter/*", "most": 2}]},
    "total": {"total": 2},
}


QUICK = Pace(read_files_s=0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.yaml"


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def limited(settings: Settings, path: Path, content: object) -> Settings:
    write(path, content)
    return settings.model_copy(update={"limits_file": path})


async def post(service: Service, **body: object) -> httpx.Response:
    return await service.http.post("/launch", json=BODY | body)


async def until_reported(service: Service, **expected: object) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            report: dict[str, Any] = (await service.http.get("/readyz")).json()
            if expected.items() <= report["limits"].items():
                return report


@pytest.mark.parametrize("scope", TWO)
async def test_a_refusal_has_limit_count_and_retry_time(
    settings: Settings, hub: FakeHub, path: Path, scope: str
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(limited(settings, path, TWO[scope])) as service:
        answers = await asyncio.gather(*(post(service) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [202, 202, 429, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    problem = refused.json()
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["Retry-After"] == "60"
    assert problem["code"] == "quota_reached"
    assert problem["limit"] == {"scope": scope, "together": False, "most": 2, "active": 2}
    assert problem["detail"].endswith(" that are in progress or ready: 2 of at most 2.")
    assert not any(word in refused.text for word in (IMAGE, REPO, "127.0.0.1"))


async def test_a_refusal_says_if_launches_are_counted_together(settings: Settings, hub: FakeHub, path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    together = {"images": [{"match": "quay.io/*", "most": 1, "together": True}]}
    async with serve(limited(settings, path, together)) as service:
        accepted = await post(service)
        refused = await post(service, image="quay.io/another/image")
        elsewhere = await post(service, image="ghcr.io/another/image")

    assert [accepted.status_code, refused.status_code, elsewhere.status_code] == [202, 429, 202]
    assert refused.json()["limit"] == {"scope": "image", "together": True, "most": 1, "active": 1}


async def test_limits_change_while_the_service_runs(settings: Settings, hub: FakeHub, path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(limited(settings, path, {"total": 1}), pace=QUICK) as service:
        statuses = [(await post(service)).status_code for _ in range(2)]
        write(path, {"total": 2, "callers": [{"match": "*", "most": 9}]})
        await until_reported(service, rules=1)
        statuses += [(await post(service)).status_code for _ in range(2)]

    assert statuses == [202, 429, 202, 429]


async def test_a_bad_file_prevents_startup(settings: Settings, path: Path) -> None:
    with pytest.raises(LimitsFault, match="total: Input should be a valid integer"):
        async with serve(limited(settings, path, {"total": "many"})):
            pass


async def test_without_a_file_readyz_reports_no_limits(settings: Settings) -> None:
    async with serve(settings) as service:
        assert (await service.http.get("/readyz")).json()["limits"] is None
