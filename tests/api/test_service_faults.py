"""Faults of the service and of requests, as callers and the log see them."""

import asyncio
import logging
from urllib.parse import urlsplit

import pytest

from hublaunch.api.middleware.access_log import UvicornLogFilter
from hublaunch.api.pace import WebPace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service, serve
from tests.support.sqlite import execute


async def test_an_incomplete_body_times_out(settings: Settings, hub: FakeHub) -> None:
    async with serve(settings, web_pace=WebPace(body_timeout_s=0.05)) as service:
        url = urlsplit(str(service.http.base_url))
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(
            b"POST /launch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )

        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")

        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert hub.count("user_created") == 0


async def test_an_unexpected_error_is_a_problem_without_its_message(
    service: Service, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    execute(settings.database_url, "ALTER TABLE launches RENAME TO moved")

    answer = await service.http.get(f"/launch/{accepted['id']}")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "launches" not in answer.text
    assert "no such table" in caplog.text


async def test_without_the_secret_a_failure_has_no_detail(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="no image for alice@example.org"))
    accepted = await service.launch()
    await service.events(accepted["events_url"])

    told = await service.http.get(f"/launch/{accepted['id']}")
    events = await service.http.get(f"/launch/{accepted['id']}/events")
    whole = await service.http.get(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})

    assert told.json()["problem"]["code"] == "spawn_failed"
    assert "detail" not in told.json()["problem"]
    assert "alice@example.org" not in told.text + events.text
    assert whole.json()["problem"]["detail"] == "no image for alice@example.org"


async def test_an_ipv6_address_in_brackets_is_a_host(service: Service) -> None:
    answers = [
        await service.http.get("/docs", headers={"Host": host})
        for host in ("[::1]", "[::1]:8083", "LOCALHOST:1", "[::2]:8083", "[::1", "")
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 421, 421, 421]


@pytest.mark.parametrize(
    ("path", "logged"),
    [("/launch/1/events?secret=s3cret", "/launch/1/events"), ("/launch?", "/launch"), ("/launch", "/launch")],
)
def test_uvicorns_log_lines_have_no_query(path: str, logged: str) -> None:
    arguments = ("127.0.0.1:1", "GET", path, "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', arguments, None)

    assert UvicornLogFilter().filter(record)

    assert record.getMessage() == f'127.0.0.1:1 - "GET {logged} HTTP/1.1" 200'


def test_other_log_lines_are_unchanged() -> None:
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "what is %s?", ("this",), None)

    assert UvicornLogFilter().filter(record)

    assert record.getMessage() == "what is this?"
