"""A launch as its caller sees it."""

import asyncio
import json
import re
import sqlite3
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, IMAGE, REPO, Service, read_events, serve


async def test_a_launch_is_accepted_with_its_place_its_secret_and_its_stream(service: Service) -> None:
    answer = await service.http.post("/launch", json=BODY)

    accepted = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/launch/{accepted['id']}"
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", accepted["id"])
    assert re.fullmatch("[A-Za-z0-9_-]{43}", accepted["secret"])
    assert accepted["status"] == "waiting"
    assert accepted["events_url"] == f"/launch/{accepted['id']}/events?secret={accepted['secret']}"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_the_stream_tells_of_the_launch_from_waiting_to_ready(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling", "Starting"], seconds=0.2))
    accepted = await service.launch()

    events = await service.events(accepted["events_url"])

    phases = [event["phase"] for event in events]
    assert phases[0] == "waiting"
    assert phases[-1] == "ready"
    assert set(phases[1:-1]) == {"launching"}
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["message"] for event in events][2:-1] == ["Server requested", "Pulling", "Starting"]
    assert [event["progress"] for event in events] == sorted(event["progress"] for event in events)


async def test_ready_has_all_that_it_takes_to_enter(service: Service, hub: FakeHub) -> None:
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


async def test_a_stream_begins_with_a_retry_time_that_differs(service: Service) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])

    begins = {(await service.http.get(accepted["events_url"])).text.splitlines()[0] for _ in range(8)}

    assert all(re.fullmatch(r"retry: [123]\d{3}", line) for line in begins)
    assert len(begins) > 1


async def test_the_launch_goes_on_when_its_watcher_leaves(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()
    async with service.http.stream("GET", accepted["events_url"]) as stream, aclosing(read_events(stream)) as events:
        await anext(events)
    await hub.until(lambda: hub.active_servers)

    hub.release(next(iter(hub.users)))

    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "ready"


async def test_followers_at_once_read_the_same(service: Service, hub: FakeHub) -> None:
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
async def test_a_cursor_that_is_none_of_ours_reads_from_the_start_and_says_so(service: Service, cursor: str) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])

    answer = await service.http.get(accepted["events_url"], headers={b"Last-Event-ID": cursor.encode()})

    assert answer.status_code == 200
    assert answer.headers["X-Launch-Cursor"] == "0"


async def test_once_all_was_delivered_a_reconnect_gets_204(service: Service) -> None:
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


async def test_without_the_secret_a_reader_sees_only_how_far_it_is(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    username = next(iter(hub.users))

    launch = await service.http.get(f"/launch/{accepted['id']}")
    events = await service.http.get(f"/launch/{accepted['id']}/events", headers={"X-Launch-Secret": "wrong"})

    for answer in (launch, events):
        for private in (username, IMAGE, REPO, "token", "open_url", "/user/", accepted["secret"]):
            assert private not in answer.text
    assert launch.json()["status"] == "ready"
    assert launch.json()["progress"] == 100


async def test_with_the_secret_a_reader_sees_the_whole_launch(service: Service) -> None:
    accepted = await service.launch()
    ready = (await service.events(accepted["events_url"]))[-1]

    shown = (
        await service.http.get(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
    ).json()

    assert shown["status"] == "ready"
    assert {key: shown[key] for key in ("url", "open_url", "token", "token_expires_at")} == {
        key: ready[key] for key in ("url", "open_url", "token", "token_expires_at")
    }


async def test_the_token_stays_out_of_open_url_where_servers_forbid_it(settings: Settings) -> None:
    async with serve(settings.model_copy(update={"token_in_url": False})) as service:
        ready = (await service.events((await service.launch())["events_url"]))[-1]

    assert ready["open_url"] == ready["url"]
    assert ready["token"]


async def test_a_path_is_opened_below_the_server_s_root_and_shown_to_who_has_the_secret(service: Service) -> None:
    accepted = await service.launch(path="git-pull?repo=https://github.com/org/repo#top")

    ready = (await service.events(accepted["events_url"]))[-1]

    shown = (await service.http.get(accepted["events_url"].replace("/events", ""))).json()
    public = (await service.http.get(f"/launch/{accepted['id']}")).json()
    assert ready["open_url"] == f"{ready['url']}git-pull?repo=https://github.com/org/repo&token={ready['token']}#top"
    assert ready["url"].endswith("/user/" + shown["username"] + "/")
    assert shown["open_url"] == ready["open_url"]
    assert accepted["path"] == shown["path"] == "git-pull?repo=https://github.com/org/repo#top"
    assert "path" not in public


async def test_a_path_that_leaves_the_server_is_refused_before_anything_is_made(service: Service, hub: FakeHub) -> None:
    answer = await service.http.post("/launch", json=BODY | {"path": "lab/%2e%2e/%2e%2e/hub/admin"})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "path", "reason": "must have no .., and must decode to UTF-8"}]
    assert hub.users == {}


async def test_a_failure_says_why_and_what_to_do_and_leaves_nothing(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="image pull failed"))

    accepted = await service.launch()
    failed = (await service.events(accepted["events_url"]))[-1]

    assert failed["phase"] == "failed"
    assert failed["problem"]["type"] == "urn:hublaunch:problem:spawn_failed"
    assert failed["problem"]["detail"] == "image pull failed"
    assert failed["problem"]["advice"]
    assert hub.users == {}
    assert hub.count("spawn_started") == 1


async def test_a_timeout_is_explained_by_what_the_spawner_told_before(service: Service, hub: FakeHub) -> None:
    not_found = 'Failed to pull image "a/b:9": rpc error: code = NotFound desc = docker.io/a/b:9: not found'
    told = [f"2026-01-31T10:20:30Z [Warning] {message}" for message in (not_found, "Error: ErrImagePull")]
    hub.spawn_plan(None, SpawnPlan(seconds=0.2, messages=told, fails="pod hub/ada did not start in 300 seconds!"))

    failed = (await service.events((await service.launch())["events_url"]))[-1]

    assert failed["phase"] == "failed"
    assert failed["message"] == failed["problem"]["title"] == "The image does not exist, or may not be pulled"
    assert failed["problem"]["type"] == "urn:hublaunch:problem:image_not_found"
    assert failed["problem"]["detail"] == not_found
    assert failed["problem"]["advice"].startswith("Check the image's registry, name and tag")
    assert hub.count("spawn_started") == 1


# --- cancelling -------------------------------------------------------------------------------------------------------


async def test_cancelling_a_spawn_ends_the_stream_and_leaves_nothing(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()
    await hub.until(lambda: hub.active_servers)

    await service.cancel(accepted)

    assert (await service.events(accepted["events_url"]))[-1]["phase"] == "cancelled"
    assert hub.users == {}


async def test_cancelling_at_once_leaves_nothing(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()

    await service.cancel(accepted)

    assert hub.users == {}


async def test_cancelling_a_ready_launch_stops_its_server(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])

    await service.cancel(accepted)

    shown = (
        await service.http.get(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
    ).json()
    assert (shown["status"], shown["stopped_by"]) == ("stopped", "caller")
    assert "token" not in shown
    assert hub.users == {}


async def test_cancelling_waits_for_a_hub_that_is_down(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()
    await hub.until(lambda: hub.active_servers)
    await hub.kill()

    first = await service.http.delete(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})

    assert first.status_code == 202
    await hub.start_again()
    await service.cancel(accepted)
    assert hub.users == {}


async def test_cancelling_what_has_ended_does_nothing(service: Service, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    before = len(hub.requests)

    answer = await service.http.delete(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})

    assert answer.status_code == 204
    assert len(hub.requests) == before


@pytest.mark.parametrize("headers", [{}, {"X-Launch-Secret": "wrong"}, {"X-Launch-Secret": "ü".encode()}])
async def test_cancelling_needs_the_secret(service: Service, hub: FakeHub, headers: dict[str, str]) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()

    answer = await service.http.delete(f"/launch/{accepted['id']}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "secret_required")


# --- restarts ---------------------------------------------------------------------------------------------------------


async def test_a_restart_of_the_service_goes_on_with_the_spawn_that_is_there(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
        (user,) = hub.users
        hub.report(user, "Half way", progress=50)
        async with service.http.stream("GET", accepted["events_url"]) as stream:
            async for event in read_events(stream):
                if event["message"] == "Half way":
                    break

    async with serve(settings) as service:
        await hub.until(lambda: hub.open_streams)
        hub.report(user, "Nearly there", progress=90)
        hub.release(user)
        events = await service.events(accepted["events_url"])

    told = [(event["message"], event["progress"], event["attempt"]) for event in events[2:]]
    assert told == [
        ("Server requested", 0, 1),
        ("Pulling", 50, 1),
        ("Half way", 50, 1),
        ("Nearly there", 90, 1),
        ("The server is ready", 100, 1),
    ]
    assert list(hub.users) == [user]
    assert hub.count("spawn_started") == 1
    assert len(hub.tokens.of(user)) == 2  # the server's own, and the visitor's, which was made anew
    assert hub.tokens.find(events[-1]["token"])


async def test_a_restart_of_the_service_tells_of_a_server_that_became_ready_meanwhile(
    settings: Settings, hub: FakeHub
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
    (user,) = hub.users
    hub.release(user)
    with sqlite3.connect(settings.database_url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE launches SET deadline_at = created_at")
    database.close()

    async with serve(settings) as service:
        events = await service.events(accepted["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 1)


async def test_a_restart_of_the_service_begins_anew_where_nothing_is_left(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
        first = next(iter(hub.users))
    await hub.restart()
    hub.spawn_plan(None, SpawnPlan())

    async with serve(settings) as service:
        events = await service.events(accepted["events_url"])

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 2)
    assert "This service was restarted. Trying again." in [event["message"] for event in events]
    assert first not in hub.users
    assert len(hub.users) == 1


async def test_a_restart_of_the_service_waits_for_a_hub_that_is_down(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(start_returns=True, never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
    (user,) = hub.users
    await hub.kill()

    async with serve(settings) as service:
        following = asyncio.create_task(service.events(accepted["events_url"]))
        await hub.start_again()
        hub.release(user)
        events = await following

    assert (events[-1]["phase"], events[-1]["attempt"]) == ("ready", 1)
    assert list(hub.users) == [user]


async def test_a_restart_of_the_service_finishes_a_cancellation(settings: Settings, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings) as service:
        accepted = await service.launch()
        await hub.until(lambda: hub.active_servers)
        await hub.kill()
        await service.http.delete(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
    await hub.start_again()

    async with serve(settings) as service:
        events = await service.events(accepted["events_url"])

    assert events[-1]["phase"] == "cancelled"
    assert hub.users == {}


async def test_a_stored_token_is_readable_after_a_restart_and_nowhere_in_clear(settings: Settings) -> None:
    async with serve(settings) as service:
        accepted = await service.launch()
        ready = (await service.events(accepted["events_url"]))[-1]

    async with serve(settings) as service:
        again = (await service.events(accepted["events_url"]))[-1]

    assert again == ready
    files = Path(settings.database_url.removeprefix("sqlite:///")).parent.glob("hublaunch.sqlite*")
    assert not any(ready["token"].encode() in file.read_bytes() for file in files)
    assert not any(accepted["secret"].encode() in file.read_bytes() for file in files)
