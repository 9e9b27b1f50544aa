"""The OpenAPI document gives generated clients plain names, and only facts."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from hublaunch.api.event_schemas import Heartbeat, LaunchEvent, QueuePosition
from hublaunch.binderhub.schemas import BuildEvent
from hublaunch.launch.course.admission import Position
from hublaunch.settings import Settings
from tests.support.served import BODY, PREFIXES, Service, serve


@pytest.fixture
async def document(service: Service) -> dict[str, Any]:
    answer = await service.http.get("/openapi.json")
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in the value, but not those in examples."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in ("example", "examples"):
                yield from objects(inner)
    if isinstance(value, list):
        for inner in value:
            yield from objects(inner)


def test_operations_have_ids_that_read_as_functions(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)*", one) for one in ids), ids
    assert {"launch", "listLaunches", "getLaunch", "followLaunch", "cancelLaunch", "getSession"} <= set(ids)


def test_schemas_have_no_titles_and_plain_names(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    titles = [found["title"] for found in objects([document["paths"], schemas]) if isinstance(found.get("title"), str)]

    assert not titles
    assert all(re.fullmatch("([A-Z][a-z]+)+", name) for name in schemas), list(schemas)
    assert {"Launch", "LaunchRequest", "AcceptedLaunch", "Problem", "Status"} <= set(schemas)


def test_every_reference_leads_to_a_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    referred = {found["$ref"].rpartition("/")[2] for found in objects(document) if "$ref" in found}

    assert referred == set(schemas)


def test_a_status_is_one_schema_wherever_it_appears(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    (wanted,) = [one for one in document["paths"]["/launch"]["get"]["parameters"] if one["name"] == "status"]

    places = [
        schemas[name]["properties"][field]
        for name, field in [("Launch", "status"), ("Launch", "phase"), ("LaunchEvent", "phase")]
    ]

    assert {place["$ref"] for place in [*places, wanted["schema"]]} == {"#/components/schemas/Status"}
    assert sum("stopped" in found.get("enum", ()) for found in objects(document)) == 1


def test_nothing_has_an_empty_default_and_a_request_has_no_default_at_all(document: dict[str, Any]) -> None:
    empty = [found for found in objects(document) if found.get("default", 0) in ("", None, {})]

    assert not empty
    assert not [found for found in objects(document["components"]["schemas"]["LaunchRequest"]) if "default" in found]


def test_a_parameter_can_be_absent_but_not_null(document: dict[str, Any]) -> None:
    parameters = [one for operation in operations(document) for one in operation.get("parameters", ())]

    assert parameters
    assert not [one["name"] for one in parameters if "null" in json.dumps(one["schema"])]


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
async def test_the_server_is_the_prefix_and_paths_are_below_it(settings: Settings, prefix: str) -> None:
    async with serve(settings, prefix=prefix) as service:
        document = (await service.http.get("/openapi.json")).json()

    assert document["servers"] == [{"url": prefix or "/"}]
    assert {"/launch", "/launch/{launch_id}/events", "/status"} <= set(document["paths"])


def stream(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return how the document describes the stream at the path."""
    answers = document["paths"][path]["get"]["responses"]
    described: dict[str, Any] = answers["200"]["content"]["text/event-stream"]
    return described


def test_each_kind_of_event_has_a_schema(document: dict[str, Any]) -> None:
    followed = stream(document, "/launch/{launch_id}/events")
    told = {
        item["properties"].get("event", {}).get("const", ""): item["properties"]["data"]["contentSchema"]["$ref"]
        for item in followed["itemSchema"]["oneOf"]
    }
    built = stream(document, "/build/{provider}/{spec}")["itemSchema"]["properties"]["data"]["contentSchema"]["$ref"]

    assert told == {
        "": f"#/components/schemas/{LaunchEvent.__name__}",
        "position": f"#/components/schemas/{QueuePosition.__name__}",
        "heartbeat": f"#/components/schemas/{Heartbeat.__name__}",
    }
    assert built == f"#/components/schemas/{BuildEvent.__name__}"
    assert list(QueuePosition.model_fields) == list(Position.__dataclass_fields__)


def test_generators_that_read_no_item_schema_find_the_data_of_events_or_text(document: dict[str, Any]) -> None:
    followed = stream(document, "/launch/{launch_id}/events")["schema"]["anyOf"]
    built = stream(document, "/build/{provider}/{spec}")["schema"]["anyOf"]

    names = [[one.get("$ref", one.get("type")).rpartition("/")[2] for one in found] for found in (followed, built)]

    assert names == [["LaunchEvent", "QueuePosition", "Heartbeat", "string"], ["BuildEvent", "string"]]


def test_every_time_in_an_answer_is_a_date_time(document: dict[str, Any]) -> None:
    times = [
        (name, field, schema)
        for name, model in document["components"]["schemas"].items()
        for field, schema in model.get("properties", {}).items()
        if field == "at" or field.endswith("_at")
    ]

    assert len(times) > len(("created_at", "ended_at", "stopped_at", "token_expires_at", "at"))
    assert not [one for one in times if '"format": "date-time"' not in json.dumps(one)]


@pytest.mark.parametrize("field", ["repo_url", "username", "server_name", "path"])
async def test_an_absent_field_and_an_empty_one_are_the_same_request(service: Service, field: str) -> None:
    body = {"image": BODY["image"]}
    key = {"Idempotency-Key": f"0123456789abcdef-{field}-0123"}

    first = await service.http.post("/launch", json=body, headers=key)
    second = await service.http.post("/launch", json={**body, field: ""}, headers=key)

    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
