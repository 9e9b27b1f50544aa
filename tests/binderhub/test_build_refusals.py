"""`GET /build`: the requests that it refuses, and how."""

import json
from typing import Any

import pytest

from hublaunch.main import create_app
from hublaunch.settings import Settings, SettingsFault
from tests.fakes.hub import FakeHub
from tests.support.binder import ACCEPT, FRONTEND, SPEC, TOKEN, ended
from tests.support.served import Service, serve


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"])
async def test_other_media_types_get_406(service: Service, hub: FakeHub, accept: str) -> None:
    answer = await service.http.get(SPEC, headers={"Accept": accept})

    assert answer.status_code == 406
    assert "event_stream_only" in answer.text
    assert hub.count("user_created") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/build/gl/other%2Frepo/main",
        "/build/bitbucket/org/repo/main",
        "/build/gh%2Forg/repo/main/x",
        "/b%75ild/gh/org/repo/main",
    ],
)
async def test_an_unmapped_spec_is_refused_with_an_event_and_counts_against_the_rate_limit(
    settings: Settings, hub: FakeHub, path: str
) -> None:
    async with serve(settings.model_copy(update={"rate_limit_address": (1, 3600)})) as service:
        (event_id, told), *_ = await ended(service, path)
        again = await service.http.get(path, headers=ACCEPT | {"Last-Event-ID": event_id})
        (_, too_many), *_ = await ended(service, path)

    assert (told["phase"], told["problem"]["code"], again.status_code) == ("failed", "spec_not_mapped", 204)
    assert "No image for this repository" in told["message"]
    assert "LAUNCHER_" not in told["message"]
    assert too_many["problem"]["code"] == "rate_limited"
    assert hub.count("user_created") == 0


async def test_a_request_without_accept_is_refused_with_an_event(service: Service, hub: FakeHub) -> None:
    request = service.http.build_request("GET", SPEC)
    del request.headers["Accept"]
    answer = await service.http.send(request)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    data = json.loads(answer.text.partition("data: ")[2])
    assert (data["phase"], data["problem"]["code"]) == ("failed", "event_stream_only")
    assert hub.count("user_created") == 0


async def test_build_is_off_without_mappings(settings: Settings, hub: FakeHub) -> None:
    async with serve(settings.model_copy(update={"binder_images": {}})) as service:
        answer = await service.http.get(SPEC, headers=ACCEPT)

    assert (answer.status_code, answer.json()["code"]) == (404, "spec_not_mapped")
    assert hub.count("user_created") == 0


@pytest.mark.parametrize(
    ("changed", "path", "code"),
    [
        ({"allowed_images": ("quay.io/jupyter/*",)}, SPEC, "image_not_allowed"),
        ({"banned_repos": ("github.com/org/*",)}, SPEC, "repo_not_allowed"),
        ({"max_concurrent_spawns": 1, "max_queue": -1}, SPEC, "queue_full"),
        ({}, "/build/gh/org/re%20po/main", "invalid_request"),
        ({}, "/build/gh/org/re%3Apo/main", "invalid_request"),
    ],
)
async def test_refusals_are_events_because_a_page_cannot_read_a_status(
    settings: Settings, hub: FakeHub, changed: dict[str, Any], path: str, code: str
) -> None:
    async with serve(settings.model_copy(update=changed)) as service:
        event_id, refused = (await ended(service, path))[-1]
        again = await service.http.get(path, headers=ACCEPT | {"Last-Event-ID": event_id})

    assert (refused["phase"], refused["problem"]["code"]) == ("failed", code)
    assert again.status_code == 204
    assert hub.count("user_created") == 0


async def test_rate_limits_count_new_launches_and_not_continued_ones(settings: Settings, hub: FakeHub) -> None:
    url = f"{SPEC}?build_token={TOKEN}"
    async with serve(settings.model_copy(update={"rate_limit_address": (1, 3600)})) as service:
        first = await ended(service, url)
        refused = (await ended(service))[-1][1]
        by_id = await ended(service, last_event_id=first[0][0])
        by_token = await ended(service, url)
        answer = await service.http.get(SPEC, headers=ACCEPT)

    assert refused["problem"]["code"] == "rate_limited"
    assert by_id[-1] == by_token[-1] == first[-1]
    assert answer.headers["RateLimit"].startswith('"address";r=0;t=')
    assert len(hub.users) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": FRONTEND}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.org"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_a_page_of_another_origin_launches_only_if_it_is_allowed(
    settings: Settings, hub: FakeHub, headers: dict[str, str], status: int
) -> None:
    async with serve(settings.model_copy(update={"cors_origins": (FRONTEND,)})) as service:
        if status == 200:
            await ended(service, **headers)
        else:
            answer = await service.http.get(SPEC, headers=ACCEPT | headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")

    assert hub.count("user_created") == (status == 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "[::1]:8083"}, 200),
        ({"Host": "app.localhost"}, 200),
        ({"X-Forwarded-Proto": "https"}, 200),
        ({"Origin": FRONTEND}, 200),
        ({"Origin": "http://hub.test"}, 200),
        ({"Referer": f"{FRONTEND}/page?x"}, 200),
        ({"Referer": "http://hub.test/book/page"}, 200),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"X-Requested-With": "curl"}, 200),
        ({}, 403),
        ({"Referer": "http://evil.test/http://hub.test/"}, 403),
        ({"Referer": "http://hub.test@evil.test/"}, 403),
        ({"Referer": "http://[evil"}, 403),
        ({"Referer": ""}, 403),
        ({"X-Forwarded-Proto": "http"}, 403),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Requested-With": "x", "Origin": "http://evil.test"}, 403),
    ],
)
async def test_over_plain_http_a_request_must_show_where_it_comes_from(
    settings: Settings, hub: FakeHub, headers: dict[str, str], status: int
) -> None:
    given = {"cors_origins": (FRONTEND,), "allowed_hosts": ("hub.test", "127.0.0.1", "[::1]", "app.localhost")}
    async with serve(settings.model_copy(update=given)) as service:
        sent = {"Host": "hub.test"} | headers
        if status == 200:
            await ended(service, **sent)
        else:
            assert (await service.http.get(SPEC, headers=ACCEPT | sent)).status_code == status

    assert hub.count("user_created") == (status == 200)


async def test_cors_allows_the_headers_of_binderhub_client(settings: Settings) -> None:
    asked = {
        "Origin": FRONTEND,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id,x-xsrftoken",
    }
    async with serve(settings.model_copy(update={"cors_origins": (FRONTEND,)})) as service:
        answer = await service.http.options(SPEC, headers=asked)

    assert answer.status_code == 200, answer.text


async def test_each_invalid_mapping_is_reported_at_startup(settings: Settings) -> None:
    wrong = {"github/*/*": "quay.io/a", "gh/*/*/*": "quay.io/a:{3}", "gh/*": "quay.io/{2}"}
    app = create_app(settings.model_copy(update={"binder_images": wrong}))

    with pytest.raises(SettingsFault) as fault:
        async with app.router.lifespan_context(app):
            pass

    assert [sentence.partition(" must ")[0] for sentence in fault.value.sentences] == [
        "LAUNCHER_BINDER_IMAGES: pattern 1",
        "LAUNCHER_BINDER_IMAGES: pattern 3",
    ]
