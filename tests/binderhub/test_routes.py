"""`/build` as BinderHub's clients see it."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.api.pace import WebPace
from hublaunch.files.keys import add_key
from hublaunch.launch.pace import Pace
from hublaunch.main import create_app
from hublaunch.settings import Settings, SettingsFault
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import PREFIXES, Service, serve

SPEC = "/build/gh/org/repo/main"
IMAGE = "quay.io/binder/org-repo:main"
ACCEPT = {"Accept": "text/event-stream"}
SCOPE = "access:services!service=hublaunch"
TOKEN = "1d1f3c0e-7a1e-4d0c-9d40-2f6f9f7d9a51"
FRONTEND = "https://book.example.org"

Told = tuple[str, dict[str, Any]]
"""The id and the data of an event."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of every test here map what is on GitHub and GitLab."""
    mapped = {
        "gh/org/fixed/*": "quay.io/binder/fixed:1",
        "gh/*/*/*": "quay.io/binder/{1}-{2}:{3}",
        "gl/group%2F*/*": "quay.io/binder/{1}:{2}",
        "zenodo/*": "quay.io/binder/fixed:1",
    }
    return settings.model_copy(update={"binder_images": mapped})


@asynccontextmanager
async def build(service: Service, url: str = SPEC, **headers: str) -> AsyncGenerator[AsyncGenerator[Told]]:
    """The events of a stream as they come; left, it is closed by the client."""
    sent = ACCEPT | {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.http.stream("GET", url, headers=sent) as stream:
        assert stream.status_code == 200, await stream.aread()
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        async with aclosing(_events(stream)) as events:
            yield events


async def _events(stream: httpx.Response) -> AsyncGenerator[Told]:
    event_id = ""
    async for line in stream.aiter_lines():
        assert not line.startswith("event:"), "Thebe listens to unnamed events only"
        if line.startswith("id: "):
            event_id = line[4:]
        elif line.startswith("data: "):
            yield event_id, json.loads(line[6:])


async def ended(service: Service, url: str = SPEC, **headers: str) -> list[Told]:
    """All events up to the one at which BinderHub's clients close the stream."""
    told = []
    async with build(service, url, **headers) as events:
        async for event in events:
            told.append(event)
            if event[1]["phase"] in ("ready", "failed"):
                return told
    raise AssertionError("the stream has ended before the launch")


async def until(events: AsyncGenerator[Told], message: str) -> Told:
    async for event in events:
        if event[1]["message"] == f"{message}\n":
            return event
    raise AssertionError("it was never told")


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_it_tells_of_a_launch_in_binderhubs_words(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling", "Starting"], seconds=0.2))

    told = [data for _, data in await ended(service)]

    phases = [data["phase"] for data in told]
    assert (phases[:3], phases[-1]) == (["waiting", "built", "launching"], "ready")
    assert set(phases[2:-1]) == {"launching"}
    assert told[1]["imageName"] == IMAGE
    assert [data["message"] for data in told][-3:-1] == ["Pulling\n", "Starting\n"]
    assert all(data["message"].endswith("\n") for data in told)
    username = next(iter(hub.users))
    ready = told[-1]
    assert (ready["url"], ready["image"]) == (f"{hub.url}user/{username}/", IMAGE)
    assert ready["repo_url"] == "https://github.com/org/repo"
    assert ready["binder_request"] == "v2/gh/org/repo/main"
    assert hub.tokens.find(ready["token"]) is not None


async def test_the_spawner_is_given_the_image_the_repository_and_the_ref(service: Service, hub: FakeHub) -> None:
    await ended(service)

    options = next(line.user_options for line in hub.journal if line.what == "spawn_started")
    assert options == {
        "image": IMAGE,
        "repo_url": "https://github.com/org/repo",
        "binder_request": "v2/gh/org/repo/main",
        "binder_ref_url": "https://github.com/org/repo/tree/main",
    }


async def test_an_encoded_slash_belongs_to_its_part(service: Service, hub: FakeHub) -> None:
    ready = (await ended(service, "/build/gl/group%2Fsub%2Frepo/main"))[-1][1]

    assert (ready["image"], ready["repo_url"]) == (
        "quay.io/binder/sub/repo:main",
        "https://gitlab.com/group/sub/repo.git",
    )


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_it_is_served_below_the_prefix(settings: Settings, prefix: str) -> None:
    async with serve(settings.model_copy(update={"prefix": prefix})) as service:
        ready = (await ended(service))[-1][1]

    assert ready["image"] == IMAGE


async def test_a_failed_launch_tells_its_cause_and_what_to_do(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="no such image"))

    failed = (await ended(service))[-1][1]

    assert (failed["phase"], failed["problem"]["code"]) == ("failed", "spawn_failed")
    assert failed["problem"]["detail"] in failed["message"]
    assert failed["problem"]["advice"] in failed["message"]


async def test_a_cancelled_launch_shows_as_failed(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with build(service) as events:
        event_id, data = await anext(events)
        await service.cancel({"id": data["launch_id"], "secret": event_id.rpartition(".")[2]})
        last = [data async for _, data in events][-1]

    assert (last["phase"], last["message"]) == ("failed", "Cancelled\n")


async def test_the_place_in_queue_is_a_waiting_event_without_an_id(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings.model_copy(update={"max_concurrent_spawns": 1})) as service:
        await service.launch()
        await hub.until(lambda: hub.active_servers)
        async with build(service) as events:
            first = await anext(events)
            in_queue = await anext(events)
            hub.release(next(iter(hub.users)))
            admitted = await anext(events)

    assert in_queue == (first[0], {"phase": "waiting", "message": "Position 1 in the queue\n"})
    assert admitted == (first[0], {"phase": "waiting", "message": "Admitted\n"})


async def test_only_comments_come_while_nothing_happens(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))

    async with (
        asyncio.timeout(5),
        serve(settings, pace=Pace(heartbeat_s=0.05)) as service,
        service.http.stream("GET", SPEC, headers=ACCEPT) as stream,
    ):
        async for line in stream.aiter_lines():
            if line == ":keepalive":
                return


async def test_the_stream_ends_if_the_client_does_not_close_it(settings: Settings) -> None:
    async with (
        asyncio.timeout(5),
        serve(settings, web_pace=WebPace(build_linger_s=0.0)) as service,
        build(service) as events,
    ):
        phases = [data["phase"] async for _, data in events]

    assert phases[-1] == "ready"


async def test_a_ready_stream_stays_open_until_the_service_stops(service: Service) -> None:
    async with build(service) as events, asyncio.timeout(5):
        async for _, data in events:
            if data["phase"] == "ready":
                service.state["web"].feed.end()


async def test_asked_for_the_image_alone_it_launches_nothing(service: Service, hub: FakeHub) -> None:
    event_id, told = (await ended(service, f"{SPEC}?build_only=true"))[0]
    again = await service.http.get(f"{SPEC}?build_only=true", headers=ACCEPT | {"Last-Event-ID": event_id})

    assert (told["phase"], told["imageName"], again.status_code) == ("ready", IMAGE, 204)
    assert hub.count("user_created") == 0


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "accept", "status", "code"),
    [
        (SPEC, "*/*", 406, "event_stream_only"),
        (SPEC, "text/html,application/xhtml+xml,*/*;q=0.8", 406, "event_stream_only"),
        (SPEC, "application/json", 406, "event_stream_only"),
    ],
)
async def test_what_is_not_for_it_is_told_by_a_status(
    service: Service, hub: FakeHub, path: str, accept: str, status: int, code: str
) -> None:
    answer = await service.http.get(path, headers={"Accept": accept})

    assert answer.status_code == status
    assert code in answer.text
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
async def test_a_spec_without_an_image_is_told_by_an_event_and_counts(
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


async def test_a_request_without_accept_is_told_so_by_an_event(service: Service, hub: FakeHub) -> None:
    request = service.http.build_request("GET", SPEC)
    del request.headers["Accept"]
    answer = await service.http.send(request)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    data = json.loads(answer.text.partition("data: ")[2])
    assert (data["phase"], data["problem"]["code"]) == ("failed", "event_stream_only")
    assert hub.count("user_created") == 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (SPEC, {"repo_url": "https://github.com/org/repo", "binder_launch_host": "http://{host}/"}),
        ("/build/zenodo/10.5281/zenodo.3242074", {"repo_url": "10.5281/zenodo.3242074"}),
        (
            "/build/git/https%3A%2F%2Fgit.example.org%2Fa/v1",
            {"repo_url": "https://git.example.org/a", "binder_ref_url": "https://git.example.org/a"},
        ),
    ],
)
async def test_ready_has_binderhubs_words_for_the_repository(
    settings: Settings, path: str, expected: dict[str, str]
) -> None:
    mapped = {**settings.binder_images, "git/*/*": IMAGE}
    async with serve(settings.model_copy(update={"binder_images": mapped})) as service:
        ready = (await ended(service, path))[-1][1]
        host = service.http.base_url.netloc.decode()

    assert {name: ready[name] for name in expected} == {
        name: value.replace("{host}", host) for name, value in expected.items()
    }


async def test_launch_host_is_https_where_a_proxy_ends_tls(service: Service) -> None:
    ready = (await ended(service, SPEC, **{"X-Forwarded-Proto": "https"}))[-1][1]

    assert ready["binder_launch_host"].startswith("https://")


async def test_health_is_answered_under_binderhubs_name(service: Service, hub: FakeHub) -> None:
    async with asyncio.timeout(30):
        while (healthy := await service.http.get("/health")).status_code == 503:
            assert [check["ok"] for check in healthy.json()["checks"]] == [False, True], "the Hub was not asked yet"
    badge = await service.http.get("/badge_logo.svg")

    assert (healthy.status_code, healthy.json()["ok"]) == (200, True)
    assert {check["service"] for check in healthy.json()["checks"]} == {"JupyterHub API", "hublaunch"}
    assert badge.headers["Content-Type"] == "image/svg+xml"


async def test_it_is_off_unless_something_is_mapped(settings: Settings, hub: FakeHub) -> None:
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
async def test_what_keeps_a_launch_from_being_accepted_is_told_by_an_event_as_a_page_cannot_read_a_status(
    settings: Settings, hub: FakeHub, changed: dict[str, Any], path: str, code: str
) -> None:
    async with serve(settings.model_copy(update=changed)) as service:
        event_id, refused = (await ended(service, path))[-1]
        again = await service.http.get(path, headers=ACCEPT | {"Last-Event-ID": event_id})

    assert (refused["phase"], refused["problem"]["code"]) == ("failed", code)
    assert again.status_code == 204
    assert hub.count("user_created") == 0


async def test_a_launch_too_many_is_told_by_an_event_and_going_on_with_one_does_not_count(
    settings: Settings, hub: FakeHub
) -> None:
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
async def test_a_page_elsewhere_starts_nothing_unless_its_origin_is_allowed(
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
async def test_over_plain_http_a_build_must_show_that_no_page_elsewhere_asks_for_it(
    settings: Settings, hub: FakeHub, headers: dict[str, str], status: int
) -> None:
    given = {"cors_origins": (FRONTEND,), "allowed_hosts": ("hub.test", "127.0.0.1", "[::1]", "app.localhost")}
    async with serve(settings.model_copy(update=given)) as service:
        sent = ACCEPT | {"Host": "hub.test"} | headers
        async with service.http.stream("GET", SPEC, headers=sent) as answer:
            assert answer.status_code == status
            if status == 200:
                [_ async for _ in answer.aiter_lines()]

    assert hub.count("user_created") == (status == 200)


async def test_a_page_elsewhere_may_send_what_binderhub_client_sends(settings: Settings) -> None:
    asked = {
        "Origin": FRONTEND,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id,x-xsrftoken",
    }
    async with serve(settings.model_copy(update={"cors_origins": (FRONTEND,)})) as service:
        answer = await service.http.options(SPEC, headers=asked)

    assert answer.status_code == 200, answer.text


async def test_mappings_that_are_none_end_the_start_with_a_sentence_each(settings: Settings) -> None:
    wrong = {"github/*/*": "quay.io/a", "gh/*/*/*": "quay.io/a:{3}", "gh/*": "quay.io/{2}"}
    app = create_app(settings.model_copy(update={"binder_images": wrong}))

    with pytest.raises(SettingsFault) as fault:
        async with app.router.lifespan_context(app):
            pass

    assert [sentence.partition(" must ")[0] for sentence in fault.value.sentences] == [
        "LAUNCHER_BINDER_IMAGES: pattern 1",
        "LAUNCHER_BINDER_IMAGES: pattern 3",
    ]


# --- whose launch it is -----------------------------------------------------------------------------------------------


async def test_a_reconnect_goes_on_with_the_same_launch(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    async with build(service) as events:
        last_id, seen = await until(events, "Pulling")
    hub.release(next(iter(hub.users)))

    rest = await ended(service, last_event_id=last_id)

    launch_id, seq, _ = last_id.split(".")
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", launch_id)
    assert launch_id == seen["launch_id"]
    assert int(rest[0][0].split(".")[1]) == int(seq) + 1
    assert rest[-1][1]["phase"] == "ready"
    assert len(hub.users) == 1


async def test_a_reconnect_after_the_end_is_told_to_stop(service: Service, hub: FakeHub) -> None:
    last_id = (await ended(service))[-1][0]

    answer = await service.http.get(SPEC, headers=ACCEPT | {"Last-Event-ID": last_id})

    assert (answer.status_code, answer.content) == (204, b"")
    assert len(hub.users) == 1


async def test_a_reconnect_needs_no_other_right_than_its_id(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    _, key = add_key(tmp_path / "keys.json", name="ci")
    only_keys = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with serve(settings.model_copy(update=only_keys)) as service:
        first_id = (await ended(service, authorization=f"Bearer {key}"))[0][0]

        rest = await ended(service, last_event_id=first_id)

    assert rest[-1][1]["phase"] == "ready"
    assert len(hub.users) == 1


async def test_a_reconnect_goes_on_after_the_credentials_have_ended(of_hub_users: Service, hub: FakeHub) -> None:
    first_id = (await ended(of_hub_users))[0][0]

    rest = await ended(of_hub_users, last_event_id=first_id, authorization="Bearer revoked-by-now")

    assert rest[-1][1]["phase"] == "ready"
    assert hub.count("spawn_started") == 1


async def test_the_id_of_a_launch_alone_shows_nobody_into_it(service: Service, hub: FakeHub) -> None:
    """It is public: it is in logs, and in every page that follows the launch."""
    first_id = (await ended(service))[0][0]
    launch_id, seq, secret = first_id.split(".")
    wrong = "A" * 43 if secret[0] != "A" else "B" * 43

    no_ulid = f"8{launch_id[1:]}.{seq}.{secret}"
    for tried in (launch_id, f"{launch_id}.{seq}", f"{launch_id}.{seq}.", f"{launch_id}.{seq}.{wrong}", no_ulid):
        told = await ended(service, last_event_id=tried)
        assert told[0][1]["launch_id"] != launch_id
        assert told[-1][1]["token"] != ""

    assert len(hub.users) == 6


async def test_an_id_beyond_the_end_tells_all_again(service: Service, hub: FakeHub) -> None:
    told = await ended(service)
    launch_id, _, secret = told[0][0].split(".")

    again = await ended(service, last_event_id=f"{launch_id}.999.{secret}")

    assert again == told
    assert len(hub.users) == 1


async def test_anonymous_callers_of_one_address_get_a_launch_each(service: Service, hub: FakeHub) -> None:
    """Behind one address there may be a whole class; whoever is given a launch is given its token."""
    first, second = await ended(service), await ended(service)

    assert first[-1][1]["token"] != second[-1][1]["token"]
    assert len(hub.users) == 2


async def test_a_token_of_the_clients_own_finds_its_launch_again(service: Service, hub: FakeHub) -> None:
    url = f"{SPEC}?build_token={TOKEN}"
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    async with build(service, url) as events:
        _, seen = await until(events, "Pulling")
    hub.release(next(iter(hub.users)))

    told = await ended(service, url)

    assert {data["launch_id"] for _, data in told if "launch_id" in data} == {seen["launch_id"]}
    assert (told[0][1]["phase"], told[-1][1]["phase"]) == ("waiting", "ready")
    assert len(hub.users) == 1


@pytest.mark.parametrize("token", ["short", "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJnaC9vcmcvcmVwby9tYWluIn0.c2lnbmF0dXJl"])
async def test_a_token_that_others_may_have_too_finds_nothing(service: Service, hub: FakeHub, token: str) -> None:
    url = f"{SPEC}?build_token={token}"

    first, second = await ended(service, url), await ended(service, url)

    assert first[-1][1]["token"] != second[-1][1]["token"]
    assert len(hub.users) == 2


async def test_a_token_that_came_with_another_spec_is_refused(service: Service, hub: FakeHub) -> None:
    await ended(service, f"{SPEC}?build_token={TOKEN}")

    refused = (await ended(service, f"/build/gh/org/other/main?build_token={TOKEN}"))[-1][1]

    assert refused["problem"]["code"] == "idempotency_key_reused"
    assert len(hub.users) == 1


async def test_two_users_of_one_api_key_get_a_launch_each(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    """A key is a backend's, which may ask for many people."""
    _, key = add_key(tmp_path / "keys.json", name="ci")
    with_keys = {"access": ("key",), "api_keys_file": tmp_path / "keys.json"}
    async with serve(settings.model_copy(update=with_keys)) as service:
        first = await ended(service, authorization=f"Bearer {key}")
        second = await ended(service, authorization=f"Bearer {key}")

    assert first[-1][1]["token"] != second[-1][1]["token"]


async def test_one_whose_server_has_stopped_is_not_gone_back_to(service: Service, hub: FakeHub) -> None:
    told = await ended(service, f"{SPEC}?build_token={TOKEN}")
    first_id, first = told[0]
    await service.cancel({"id": first["launch_id"], "secret": first_id.split(".")[2]})

    after_all = await service.http.get(SPEC, headers=ACCEPT | {"Last-Event-ID": told[-1][0]})
    by_id = (await ended(service, last_event_id=first_id))[-1][1]
    by_token = (await ended(service, f"{SPEC}?build_token={TOKEN}"))[-1][1]

    assert by_id["problem"]["code"] == by_token["problem"]["code"] == "server_stopped"
    assert after_all.status_code == 204
    assert hub.count("user_created") == 1


# --- Hub users --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def for_ada(settings: Settings, hub: FakeHub, *, web_pace: WebPace = WebPace()) -> AsyncGenerator[Service]:
    """A service that the Hub user ada calls."""
    hub.create_user("ada")
    token = hub.tokens.add("ada", [SCOPE], "", None).token
    changed = {"access": ("hub",), "allow_named_servers": True}
    async with serve(settings.model_copy(update=changed), web_pace=web_pace) as service:
        service.http.headers["Authorization"] = f"Bearer {token}"
        yield service


@pytest.fixture
async def of_hub_users(settings: Settings, hub: FakeHub) -> AsyncGenerator[Service]:
    async with for_ada(settings, hub) as service:
        yield service


async def test_a_hub_user_who_asks_again_gets_their_launch_that_is_under_way(
    of_hub_users: Service, hub: FakeHub
) -> None:
    hub.spawn_plan("ada", SpawnPlan(messages=["Pulling"], never=True))
    async with build(of_hub_users) as events:
        _, seen = await until(events, "Pulling")

    async with build(of_hub_users) as events:
        _, again = await anext(events)

    assert again["launch_id"] == seen["launch_id"]
    assert hub.count("spawn_started") == 1


async def test_a_hub_user_who_asks_again_gets_their_launch_that_is_ready(of_hub_users: Service, hub: FakeHub) -> None:
    first = (await ended(of_hub_users))[-1][1]

    again = (await ended(of_hub_users))[-1][1]

    assert again == first
    assert (first["token"], first["url"].startswith(f"{hub.url}user/ada/")) == ("", True)
    assert hub.count("spawn_started") == 1


async def test_another_spec_is_another_launch_even_if_its_image_is_the_same(
    of_hub_users: Service, hub: FakeHub
) -> None:
    first = (await ended(of_hub_users, "/build/gh/org/fixed/main"))[-1][1]

    other = (await ended(of_hub_users, "/build/gh/org/fixed/other"))[-1][1]

    assert (other["image"], other["repo_url"]) == (first["image"], first["repo_url"])
    assert other["url"] != first["url"]


async def test_another_hub_users_launch_is_not_theirs(of_hub_users: Service, hub: FakeHub) -> None:
    first = (await ended(of_hub_users))[-1][1]
    hub.create_user("bob")
    bob = hub.tokens.add("bob", [SCOPE], "", None).token

    other = (await ended(of_hub_users, authorization=f"Bearer {bob}"))[-1][1]

    assert other["launch_id"] != first["launch_id"]
    assert other["url"].startswith(f"{hub.url}user/bob/")


async def test_one_that_failed_is_tried_anew(of_hub_users: Service, hub: FakeHub) -> None:
    hub.spawn_plan("ada", SpawnPlan(fails="no such image"))
    failed = (await ended(of_hub_users))[-1][1]
    hub.spawn_plan("ada", SpawnPlan())

    async with asyncio.timeout(10):
        while (again := (await ended(of_hub_users))[-1][1])["phase"] != "ready":
            pass  # what is left of the failed one is still being deleted

    assert failed["phase"] == "failed"
    assert again["launch_id"] != failed["launch_id"]


async def test_one_whose_server_the_user_has_stopped_at_the_hub_is_not_gone_back_to(
    of_hub_users: Service, hub: FakeHub
) -> None:
    first = (await ended(of_hub_users))[-1][1]
    name = next(name for name in hub.users["ada"].servers if name)
    await hub.stop_server("ada", name, remove=True)
    await hub.until(lambda: not hub.active_servers)

    again = (await ended(of_hub_users))[-1][1]

    assert again["phase"] == "ready"
    assert again["launch_id"] != first["launch_id"]


async def test_a_hub_users_old_launch_is_not_reused(settings: Settings, hub: FakeHub) -> None:
    async with for_ada(settings, hub, web_pace=WebPace(build_recent_s=0.0)) as service:
        first = (await ended(service))[-1][1]
        again = (await ended(service))[-1][1]

    assert again["launch_id"] != first["launch_id"]


async def test_two_clicks_at_once_on_the_only_server_that_a_user_has_are_one_launch(
    settings: Settings, hub: FakeHub
) -> None:
    hub.create_user("ada")
    token = hub.tokens.add("ada", [SCOPE], "", None).token
    async with serve(settings.model_copy(update={"access": ("hub",)})) as service:
        told = await asyncio.gather(*(ended(service, authorization=f"Bearer {token}") for _ in range(4)))

    assert {events[-1][1]["phase"] for events in told} == {"ready"}
    assert len({events[-1][1]["launch_id"] for events in told}) == 1
    assert hub.count("spawn_started") == 1


async def test_the_only_server_that_a_user_has_is_not_launched_twice_for_two_specs(
    settings: Settings, hub: FakeHub
) -> None:
    hub.create_user("ada")
    token = hub.tokens.add("ada", [SCOPE], "", None).token
    hub.spawn_plan("ada", SpawnPlan(messages=["Pulling"], never=True))
    async with serve(settings.model_copy(update={"access": ("hub",)})) as service:
        service.http.headers["Authorization"] = f"Bearer {token}"
        async with build(service) as events:
            await until(events, "Pulling")
            refused = (await ended(service, "/build/gh/org/other/main"))[-1][1]

    assert (refused["phase"], refused["problem"]["code"]) == ("failed", "server_already_running")
    assert hub.count("spawn_started") == 1
