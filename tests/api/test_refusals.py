"""Requests that are refused, and the answers."""

import json
import logging
from collections.abc import AsyncGenerator

import pytest

from hublaunch.api.problems.types import STATUS
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.launch.test_model import concrete
from tests.support.served import BODY, IMAGE, PREFIXES, Service, serve

JSON = {"Content-Type": "application/json"}


INVALID: list[tuple[bytes, dict[str, str], int, str]] = [
    (b'{"image": ', JSON, 400, "malformed_body"),
    (b"\xff\xfe", JSON, 400, "malformed_body"),
    (b"", JSON, 422, "invalid_request"),
    (b"[]", JSON, 422, "invalid_request"),
    (b"null", JSON, 422, "invalid_request"),
    (b'{"repo_url": "https://example.org/a"}', JSON, 422, "invalid_request"),
    (b'{"image": 1}', JSON, 422, "invalid_request"),
    (b'{"image": "A B"}', JSON, 422, "invalid_request"),
    (b'{"image": "a", "username": "hunter2"}', JSON, 403, "access_denied"),
    (b'{"image": "a", "server_name": "hunter2"}', JSON, 422, "invalid_request"),
    (b'{"image": "a", "repo_url": "javascript:hunter2"}', JSON, 422, "invalid_request"),
    (b'{"image": "a", "repo_url": "https://u:hunter2@example.org/"}', JSON, 422, "invalid_request"),
    (b'{"image": "a", "extra_args": {"image": "hunter2"}}', JSON, 422, "invalid_request"),
    (b'{"image": "a", "extra_args": {"hunter2": 1}}', JSON, 422, "invalid_request"),
    (b'{"image": "a", "extra_args": []}', JSON, 422, "invalid_request"),
    (b'{"image": "' + b"a" * 65_536 + b'"}', JSON, 413, "body_too_large"),
    (b"image=hunter2", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    (b'{"image": "a"}', {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    (b'{"image": "a"}', {}, 415, "unsupported_media_type"),
    (b'{"image": "a"}', JSON | {"Host": "hunter2.example"}, 421, "unknown_host"),
]


async def test_problems_of_invalid_requests_echo_nothing(
    service: Service, hub: FakeHub, subtests: pytest.Subtests
) -> None:
    for content, headers, status, code in INVALID:
        with subtests.test(content=content[:60]):
            answer = await service.http.post("/launch", content=content, headers=headers)

            problem = answer.json()
            assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert problem["type"] == f"urn:hublaunch:problem:{code}"
            assert problem["title"]
            assert problem["detail"]
            assert problem["advice"]
            assert "hunter2" not in answer.text
            assert hub.count("user_created") == 0


UNKNOWN_FIELDS: list[tuple[str, str, str | None]] = [
    ("repoUrl", "repoUrl", "repo_url"),
    ("Image", "Image", "image"),
    ("docker_image", "docker_image", "image"),
    ("extraArgs", "extraArgs", "extra_args"),
    ("hunter2", "hunter2", None),
    ("\u202e" + "x" * 60, "x" * 40, None),
]


async def test_an_unknown_field_is_named_with_the_nearest_field(service: Service, subtests: pytest.Subtests) -> None:
    for sent, field, near in UNKNOWN_FIELDS:
        with subtests.test(sent=sent):
            answer = await service.http.post("/launch", json=BODY | {sent: "a value"})

            hint = f"; did you mean {near}?" if near else ""
            assert answer.json()["errors"] == [{"field": field, "reason": f"is not a field of this request{hint}"}]
            assert answer.json()["detail"] == f"{field}: is not a field of this request{hint}"
            assert "a value" not in answer.text


async def test_only_a_few_of_many_unknown_fields_are_named(service: Service) -> None:
    answer = await service.http.post("/launch", json=BODY | {f"{number}image": 1 for number in range(4000)})

    assert len(answer.json()["errors"]) == 5


async def test_a_chunked_body_is_limited_too(service: Service) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(70):
            yield b"x" * 1024

    answer = await service.http.post("/launch", content=pieces(), headers=JSON)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("PUT", "/launch", 405),
        ("GET", "/launch/nope", 404),
        ("GET", "/launch/nope/events", 404),
        ("DELETE", "/launch/nope", 404),
    ],
)
async def test_unknown_paths_and_launches_are_problems(service: Service, method: str, path: str, status: int) -> None:
    answer = await service.http.request(method, path, headers=JSON)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_hooks_status_and_message_reach_the_caller(settings: Settings, hub: FakeHub) -> None:
    class NotToday(Exception):
        status_code = 451
        detail = "not today"

    def refuse(launcher: object, image: str, *_: str) -> None:
        assert image == IMAGE
        raise NotToday

    async with serve(settings, pre_launch_hook=refuse) as service:
        answer = await service.http.post("/launch", json=BODY)

    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (451, "refused_by_hook", "not today")
    assert hub.count("user_created") == 0


async def test_the_hook_is_called_once_for_several_attempts(settings: Settings, hub: FakeHub) -> None:
    calls: list[str] = []
    hub.fail_on("create_user", how="answer", status=409)
    changed = {"pre_launch_hook": lambda _, image, *__: calls.append(image)}

    async with serve(settings.model_copy(update=changed)) as service:
        events = await service.events((await service.launch())["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert calls == [IMAGE]


def test_every_error_has_a_status() -> None:
    assert set(STATUS) == set(concrete())


async def test_the_openapi_document_shows_each_status_with_an_example(service: Service) -> None:
    document = (await service.http.get("/openapi.json")).json()

    paths = document["paths"]
    shown_paths = {
        "/launch",
        "/launch/{launch_id}",
        "/launch/{launch_id}/events",
        "/launch/{launch_id}/extend",
        "/build/{provider}/{spec}",
        "/admin/events",
        "/admin/drain",
        "/admin/guard",
        "/catalogue",
        "/session",
    }
    assert set(paths) == shown_paths | {"/healthz", "/readyz", "/status"}
    for path in shown_paths:
        for operation in paths[path].values():
            for status, answer in operation["responses"].items():
                for media_type in answer.get("content", {}).values():
                    shown = json.dumps(document["components"]["schemas"].get(_name(media_type), {}))
                    assert "example" in media_type or "examples" in shown, (path, status)
    assert "text/event-stream" in paths["/launch"]["post"]["responses"]["200"]["content"]


def _name(media_type: dict[str, dict[str, str]]) -> str:
    return media_type.get("schema", {}).get("$ref", "").rpartition("/")[2]


async def test_only_allowed_origins_may_call(settings: Settings) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Content-Type, X-Launch-Secret"}
    async with serve(settings, cors_origins=("https://book.example.org",)) as service:
        welcome = await service.http.options("/launch", headers=asks | {"Origin": "https://book.example.org"})
        stranger = await service.http.options("/launch", headers=asks | {"Origin": "https://evil.example.org"})

    assert welcome.headers["Access-Control-Allow-Origin"] == "https://book.example.org"
    assert "Access-Control-Allow-Credentials" not in welcome.headers
    assert "Access-Control-Allow-Origin" not in stranger.headers


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_all_paths_are_below_the_prefix_and_health_is_at_the_root_too(settings: Settings, prefix: str) -> None:
    async with serve(settings, prefix=prefix) as service:
        accepted = await service.launch()
        root = str(service.http.base_url).removesuffix(f"{prefix}/")
        events = await service.http.get(root + accepted["events_url"])
        health = await service.http.get(f"{root}/healthz")

    assert accepted["events_url"].startswith(f"{prefix}/launch/")
    assert '"ready"' in events.text
    assert health.status_code == 200


async def test_readiness_reports_the_hub_without_depending_on_it(settings: Settings, hub: FakeHub) -> None:
    await hub.kill()
    async with serve(settings) as service:
        answer = await service.http.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["hub"]["fault"]


async def test_health_checks_accept_any_host_name(service: Service) -> None:
    answer = await service.http.get("/readyz", headers={"Host": "10.2.3.4:8083"})

    assert answer.status_code == 200


async def test_no_token_or_secret_is_logged(settings: Settings, hub: FakeHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hub.spawn_plan("nobody", SpawnPlan())
    async with serve(settings) as service:
        accepted = await service.launch()
        ready = (await service.events(accepted["events_url"]))[-1]
        await service.cancel(accepted)

    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    text = "\n".join(f"{record.name} {record.getMessage()}" for record in ours)
    assert ready["token"] not in text
    assert accepted["secret"] not in text
    assert hub.api_token not in text


async def test_an_id_with_an_impossible_time_is_not_found(service: Service) -> None:
    answer = await service.http.get("/launch/7ZZZZZZZZZZZZZZZZZZZZZZZZZ")

    assert answer.status_code == 404
