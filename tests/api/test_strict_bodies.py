"""Bodies that only Python's JSON parser accepts are refused before anything is stored, on both databases."""

import json
import logging

import pytest
from pydantic import SecretStr

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.postgres import Postgres
from tests.support.served import IMAGE, serve

HEADERS = {"Content-Type": "application/json", "Idempotency-Key": "k" * 30}
VALUES = {
    "NaN": "NaN",
    "infinity": "-Infinity",
    "a number beyond a double": "1e999",
    "an integer beyond a double": "9" * 4000,
    "half a surrogate pair": '"\\ud83e"',
    "half a surrogate pair in a key": '{"\\ud83e": 1}',
    "NUL": '"\\u0000"',
    "480 lists": "[" * 480 + "]" * 480,
    "480 objects": '{"a":' * 480 + "1" + "}" * 480,
}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_extra_args_that_are_not_strict_json_are_refused(
    settings: Settings, hub: FakeHub, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, database: str
) -> None:
    if database == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        changed = {"database_url": postgres.database(), "secret_key": SecretStr("k" * 40)}
        settings = settings.model_copy(update=changed)
    answers = {}
    async with serve(settings) as service:
        for name, value in VALUES.items():
            body = f'{{"image": "{IMAGE}", "extra_args": {{"binder_request": {value}}}}}'
            for headers in (HEADERS, {"Content-Type": "application/json"}):
                answer = await service.http.post("/launch", content=body.encode(), headers=headers)
                answers[name] = answer.status_code, answer.json()["errors"][0]["field"]

    assert answers == dict.fromkeys(VALUES, (422, "extra_args"))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert hub.count("user_created") == 0


@pytest.mark.parametrize("opening", ["[", '{"a":'])
async def test_a_body_nested_as_deeply_as_64_kib_allows_is_refused(settings: Settings, opening: str) -> None:
    content = opening * (65_000 // len(opening))

    async with serve(settings) as service:
        unclosed = await service.http.post("/launch", content=content.encode(), headers=HEADERS)
        closed = await service.http.post("/launch", content=("[" * 32_000 + "]" * 32_000).encode(), headers=HEADERS)
        health = await service.http.get("/healthz")

    assert unclosed.status_code == 400
    assert closed.status_code in (400, 422)
    assert health.status_code == 200


async def test_text_of_any_script_reaches_the_hub_unchanged(settings: Settings, hub: FakeHub) -> None:
    sent = {"binder_request": {"ä": ["नमस्ते", "🧪\u200d", 2**53 - 1, -1.5e300, None, True]}}

    async with serve(settings) as service:
        await service.events((await service.launch(extra_args=sent))["events_url"])

    (start,) = [json.loads(request.body) for request in hub.requests if b"binder_request" in request.body]
    assert start["binder_request"] == sent["binder_request"]
