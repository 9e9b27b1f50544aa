"""Each request's id and its line in the log."""

import json
import logging
from pathlib import Path

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.processes import events, launch, replica
from tests.support.served import BODY, Service
from tests.support.sqlite import execute


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "hublaunch.access"]


VALID_IDS = ("a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "1-67891233-abcdef012345678912345678=")
INVALID_IDS = ("", "a b", "x" * 129, "a;b", "é", '"', "-a")


async def test_a_valid_request_id_is_kept_and_any_other_replaced(service: Service) -> None:
    given = {
        sent: (await service.http.get("/healthz", headers=[(b"X-Request-ID", sent.encode())])).headers["X-Request-ID"]
        for sent in (*VALID_IDS, *INVALID_IDS)
    }
    without = (await service.http.get("/healthz")).headers["X-Request-ID"]

    assert {sent for sent, used in given.items() if sent == used} == set(VALID_IDS)
    assert {len(used) for used in (without, *(given[sent] for sent in INVALID_IDS))} == {32}


async def test_every_answer_has_an_id_even_an_unexpected_error(service: Service, settings: Settings) -> None:
    execute(settings.database_url, "ALTER TABLE launches RENAME TO moved")

    broken = await service.http.get(f"/launch/{'0' * 26}", headers={"X-Request-ID": "mine"})
    absent = await service.http.get("/nothing")
    stream = await service.http.get("/healthz", headers={"Host": "elsewhere.example.org"})

    assert (broken.status_code, broken.headers["X-Request-ID"]) == (500, "mine")
    assert absent.headers["X-Request-ID"]
    assert stream.headers["X-Request-ID"]


async def test_a_request_is_logged_once_without_its_query(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hublaunch.access")
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    await service.http.get("/nothing?secret=s3cret")
    await service.http.get("/healthz")

    said = lines(caplog)

    assert len(said) == 3  # a probe has none at this level
    assert said[0].startswith('127.0.0.1 "POST /launch" 202 - in ')
    assert said[1].startswith(f'127.0.0.1 "GET /launch/{accepted["id"]}/events" 200 - in ')
    assert said[2].startswith('127.0.0.1 "GET /nothing" 404 not_found in ')
    assert "s3cret" not in caplog.text
    assert accepted["secret"] not in caplog.text


async def test_a_request_that_fails_unexpectedly_is_logged(
    service: Service, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hublaunch.access")
    execute(settings.database_url, "ALTER TABLE launches RENAME TO moved")

    await service.http.get(f"/launch/{'0' * 26}")

    assert f'"GET /launch/{"0" * 26}" 500 internal_error in ' in lines(caplog)[0]


async def test_every_line_about_a_launch_has_its_id_attempt_and_request_id(hub: FakeHub, tmp_path: Path) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    async with replica(hub, f"sqlite:///{tmp_path}/l.sqlite", LAUNCHER_LOG_FORMAT="json") as one:
        accepted = await launch(one, BODY, **{"X-Request-ID": "from-a-proxy"})
        await events(one, accepted)
        one.process.terminate()
        await one.process.wait()

    told = [json.loads(line) for line in one.logs[0].splitlines()]
    launch_id = accepted["id"]
    of_launch = [line for line in told if line.get("launch_id") == launch_id]
    assert {line["event"].partition(":")[0] for line in of_launch} >= {
        f"launch {launch_id} accepted",
        f"launch {launch_id} attempt 1 failed",
    }
    posted = next(line for line in of_launch if line.get("path") == "/launch")
    assert (posted["method"], posted["status"], posted["client"]) == ("POST", 202, "127.0.0.1")
    assert all((line["attempt"], line["request_id"]) == (1, "from-a-proxy") for line in of_launch)
    assert not [line for line in told if launch_id in line["event"] and "launch_id" not in line and "path" not in line]
