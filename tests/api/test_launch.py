"""A launch as its caller sees it."""

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, IMAGE, REPO, Service, read_events, serve


async def events_until(
    service: Service, accepted: dict[str, Any], message: str, *, then: Callable[[], None]
) -> list[dict[str, Any]]:
    """Return all events of a launch, and call `then` once an event has this message."""
    events = []
    async with service.http.stream("GET", accepted["events_url"]) as stream:
        async for event in read_events(stream):
            events.append(event)
            if event["message"] == message:
                then()
    return events


async def test_an_accepted_launch_has_a_location_a_secret_and_a_stream(service: Service) -> None:
    answer = await service.http.post("/launch", json=BODY)

    accepted = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/launch/{accepted['id']}"
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", accepted["id"])
    assert re.fullmatch("[A-Za-z0-9_-]{43}", accepted["secret"])
    assert accepted["status"] == "waiting"
    assert accepted["events_url"] == f"/launch/{accepted['id']}/events?secret={accepted['secret']}"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_the_stream_has_all_events_from_waiting_to_ready(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling", "Starting"], never=True))
    accepted = await service.launch()

    events = await events_until(service, accepted, "Starting", then=lambda: hub.release(next(iter(hub.users))))

    phases = [event["phase"] for event in events]
    assert phases[0] == "waiting"
    assert phases[-1] == "ready"
    assert set(phases[1:-1]) == {"launching"}
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["message"] for event in events][2:-1] == ["Server requested", "Pulling", "Starting"]
    assert [event["progress"] for event in events] == sorted(event["progress"] for event in events)


async def test_the_ready_event_has_the_urls_and_the_token(service: Service, hub: FakeHub) -> None:
    ready = (await service.events((await service.launch())["events_url"]))[-1]

    username = next(iter(hub.users))
    assert ready["url"] == f"{hub.url}user/{username}/"
    assert ready["open_url"] == f"{ready['url']}?token={ready['token']}"
    assert (ready["image"], ready["repo_url"]) == (IMAGE, REPO)
    token = hub.tokens.find(ready["token"])
    assert token is not None
    assert [scope for scope in token.scopes if "servers" in scope] == [f"access:servers!server={username}/"]
    lives = datetime.fromisoformat(ready["token_expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < lives <= timedelta(hours=24)


async def test_a_post_that_accepts_event_streams_gets_the_events(service: Service) -> None:
    headers = {"Accept": "text/event-stream"}

    async with service.http.stream("POST", "/launch", json=BODY, headers=headers) as stream:
        events = [event async for event in read_events(stream)]

    assert stream.status_code == 200
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert stream.headers["Cache-Control"] == "no-cache, no-transform"
    assert stream.headers["X-Accel-Buffering"] == "no"
    assert "Connection" not in stream.headers
    assert stream.headers["Location"] == f"/launch/{events[0]['launch_id']}"
    assert events[-1]["phase"] == "ready"


async def test_each_stream_begins_with_a_random_retry_time(service: Service) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])

    begins = {(await service.http.get(accepted["events_url"])).text.splitlines()[0] for _ in range(8)}

    assert all(re.fullmatch(r"retry: [123]\d{3}", line) for line in begins)
    assert len(begins) > 1


async def test_a_launch_continues_without_followers(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()
    async with service.http.stream("GET", accepted["events_url"]) as stream, aclosing(read_events(stream)) as events:
        await anext(events)
    await hub.until(lambda: hub.active_servers)

    hub.release(next(iter(hub.users)))

    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "ready"


async def test_simultaneous_followers_get_the_same_events(service: Service, hub: FakeHub) -> None:
    hub.spawn_s = 0.1
    accepted = await service.launch()

    streams = await asyncio.gather(*(service.events(accepted["events_url"]) for _ in range(20)))

    assert all(stream == streams[0] for stream in streams)
    assert len(hub.asked("progress")) == len({request.raw_path for request in hub.asked("progress")})


async def test_reading_starts_nothing(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()
    for _ in range(3):
        await service.events(accepted["events_url"])
        await service.http.get(f"/launch/{accepted['id']}")

    assert hub.count("spawn_started") == 1


@pytest.mark.parametrize(
    ("headers", "query"), [({"Last-Event-ID": "2"}, ""), ({}, "&after=2"), ({"Last-Event-ID": "2"}, "&after=1")]
)
async def test_a_cursor_resumes_and_the_header_wins(service: Service, headers: dict[str, str], query: str) -> None:
    accepted = await service.launch()
    whole = await service.events(accepted["events_url"])

    answer = await service.http.get(accepted["events_url"] + query, headers=headers)

    assert answer.headers["X-Launch-Cursor"] == "2"
    assert [json.loads(line[6:])["seq"] for line in answer.text.splitlines() if "launch_id" in line] == [
        event["seq"] for event in whole[2:]
    ]


@pytest.mark.parametrize("cursor", ["99", "not a number", "-1", "²", "9" * 50, ""])
async def test_an_unknown_cursor_reads_from_the_start(service: Service, cursor: str) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])

    answer = await service.http.get(accepted["events_url"], headers={b"Last-Event-ID": cursor.encode()})

    assert answer.status_code == 200
    assert answer.headers["X-Launch-Cursor"] == "0"


async def test_a_reconnect_after_the_last_event_gets_204(service: Service) -> None:
    accepted = await service.launch()
    last = (await service.events(accepted["events_url"]))[-1]

    answer = await service.http.get(accepted["events_url"], headers={"Last-Event-ID": str(last["seq"])})

    assert answer.status_code == 204


async def test_an_idle_stream_sends_heartbeats_without_an_id(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))

    async with serve(settings, pace=Pace(heartbeat_s=0.02)) as service:
        accepted = await service.launch()
        async with service.http.stream("GET", accepted["events_url"]) as stream:
            lines = stream.aiter_lines()
            async for line in lines:
                if line == "event: heartbeat":
                    break

            assert await anext(lines) == "data: {}"
            assert await anext(lines) == ""


async def test_readers_without_the_secret_see_only_the_progress(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()
    ready = (await service.events(accepted["events_url"]))[-1]
    path, own = f"/launch/{accepted['id']}", {"X-Launch-Secret": accepted["secret"]}

    shown = (await service.http.get(path, headers=own)).json()
    launch = await service.http.get(path)
    events = await service.http.get(f"{path}/events", headers={"X-Launch-Secret": "wrong"})

    entry = ("url", "open_url", "token", "token_expires_at")
    assert {key: shown[key] for key in ("status", *entry)} == {"status": "ready"} | {key: ready[key] for key in entry}
    for answer in (launch, events):
        for private in (next(iter(hub.users)), IMAGE, REPO, "token", "open_url", "/user/", accepted["secret"]):
            assert private not in answer.text
    assert (launch.json()["status"], launch.json()["progress"]) == ("ready", 100)


async def test_open_url_has_no_token_if_the_setting_forbids_it(settings: Settings) -> None:
    async with serve(settings, token_in_url=False) as service:
        ready = (await service.events((await service.launch())["events_url"]))[-1]

    assert ready["open_url"] == ready["url"]
    assert ready["token"]


async def test_open_url_opens_the_path_below_the_servers_root(service: Service) -> None:
    accepted = await service.launch(path="git-pull?repo=https://github.com/org/repo#top")

    ready = (await service.events(accepted["events_url"]))[-1]

    shown = (await service.http.get(accepted["events_url"].replace("/events", ""))).json()
    public = (await service.http.get(f"/launch/{accepted['id']}")).json()
    assert ready["open_url"] == f"{ready['url']}git-pull?repo=https://github.com/org/repo&token={ready['token']}#top"
    assert ready["url"].endswith("/user/" + shown["username"] + "/")
    assert shown["open_url"] == ready["open_url"]
    assert accepted["path"] == shown["path"] == "git-pull?repo=https://github.com/org/repo#top"
    assert "path" not in public


async def test_the_spawner_gets_the_ref_and_only_readers_with_the_secret_see_it(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch(ref="feature/a")
    without = await service.launch()
    for launch in (accepted, without):
        await service.events(launch["events_url"])

    public = (await service.http.get(f"/launch/{accepted['id']}")).json()
    options = [line.user_options or {} for line in hub.journal if line.what == "spawn_started"]
    assert [accepted["ref"], without["ref"]] == ["feature/a", ""]
    assert "ref" not in public
    assert sorted(given.get("ref", "none") for given in options) == ["feature/a", "none"]


@pytest.mark.parametrize("body", [{"ref": "-b"}, {"ref": "a..b"}, {"ref": "main", "repo_url": ""}])
async def test_a_hostile_ref_and_one_without_a_repository_are_refused(service: Service, body: dict[str, str]) -> None:
    answer = await service.http.post("/launch", json=BODY | body)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "ref")


async def test_a_failed_launch_has_a_problem_and_is_cleaned_up(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="image pull failed"))

    accepted = await service.launch()
    failed = (await service.events(accepted["events_url"]))[-1]

    assert failed["phase"] == "failed"
    assert failed["problem"]["type"] == "urn:hublaunch:problem:spawn_failed"
    assert failed["problem"]["detail"] == "image pull failed"
    assert failed["problem"]["advice"]
    assert hub.users == {}
    assert hub.count("spawn_started") == 1


async def test_a_timeout_is_explained_by_the_spawners_earlier_messages(service: Service, hub: FakeHub) -> None:
    not_found = 'Failed to pull image "a/b:9": rpc error: code = NotFound desc = docker.io/a/b:9: not found'
    told = [f"2026-01-31T10:20:30Z [Warning] {message}" for message in (not_found, "Error: ErrImagePull")]
    hub.spawn_plan(None, SpawnPlan(messages=told, never=True))
    accepted = await service.launch()

    def give_up() -> None:
        hub.fail_spawn(next(iter(hub.users)), "pod hub/ada did not start in 300 seconds!")

    failed = (await events_until(service, accepted, "Error: ErrImagePull", then=give_up))[-1]

    assert failed["phase"] == "failed"
    assert failed["message"] == failed["problem"]["title"] == "The image does not exist, or access to it is denied"
    assert failed["problem"]["type"] == "urn:hublaunch:problem:image_not_found"
    assert failed["problem"]["detail"] == not_found
    assert failed["problem"]["advice"].startswith("Check the image's registry, name and tag")
    assert hub.count("spawn_started") == 1
