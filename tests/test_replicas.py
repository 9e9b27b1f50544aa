"""Replicas on one PostgreSQL, and processes that follow each other on one SQLite file."""

import asyncio
import json
import math
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.store.database import POSTGRES
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.callers import bearer
from tests.support.catalogue import catalogue_in
from tests.support.invitations import invited, revoke
from tests.support.postgres import Postgres
from tests.support.processes import Replica, events, launch, replica
from tests.support.served import BODY, read_events

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    url = postgres.database()
    assert url.startswith(POSTGRES)
    return url


@pytest.fixture
async def one(hub: FakeHub, database_url: str) -> AsyncGenerator[Replica]:
    async with replica(hub, database_url) as one:
        yield one


@pytest.fixture
async def other(hub: FakeHub, database_url: str, one: Replica) -> AsyncGenerator[Replica]:
    async with replica(hub, database_url) as other:
        yield other


async def launch_held(hub: FakeHub, at: Replica) -> tuple[dict[str, Any], str]:
    """Launch, and return the launch and its user's name. The server starts only when the test releases it."""
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    accepted = await launch(at)
    await hub.until(lambda: hub.open_streams)
    return accepted, next(iter(hub.users))


async def test_any_replica_follows_and_cancels_a_launch(hub: FakeHub, one: Replica, other: Replica) -> None:
    accepted, user = await launch_held(hub, one)

    async with asyncio.timeout(20), other.http.stream("GET", accepted["events_url"]) as stream:
        told = read_events(stream)
        while (await anext(told))["message"] != "Pulling":
            pass
        hub.report(user, "Half way", progress=60)
        assert (await anext(told))["message"] == "Half way"
        hub.release(user)
        assert (await anext(told))["phase"] == "ready"

    assert await events(one, accepted) == await events(other, accepted)

    unwanted, _ = await launch_held(hub, one)
    async with asyncio.timeout(10):
        headers = {"X-Launch-Secret": unwanted["secret"]}
        while (await other.http.delete(f"/launch/{unwanted['id']}", headers=headers)).status_code != 204:
            pass

    assert (await events(other, unwanted))[-1]["phase"] == "cancelled"
    assert list(hub.users) == [user]


async def test_launches_of_a_killed_process_are_adopted(hub: FakeHub, one: Replica, other: Replica) -> None:
    accepted, user = await launch_held(hub, one)
    following = asyncio.create_task(events(other, accepted))

    await one.kill()
    await hub.until(lambda: hub.open_streams == 0)
    async with asyncio.timeout(20):
        await hub.until(lambda: hub.open_streams == 1)
    hub.release(user)
    told = await following

    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert (told[-1]["phase"], told[-1]["attempt"]) == ("ready", 1)
    assert hub.count("spawn_started") == 1
    assert hub.tokens.find(told[-1]["token"])


async def test_a_frozen_process_notices_that_its_launch_was_adopted(hub: FakeHub, one: Replica, other: Replica) -> None:
    accepted, user = await launch_held(hub, one)
    one.freeze()
    async with asyncio.timeout(20):
        await hub.until(lambda: hub.open_streams == 2)
    hub.report(user, "Half way", progress=60)
    hub.release(user)
    told = await events(other, accepted)

    one.thaw()
    await events(one, accepted)

    assert [event["message"] for event in told].count("Half way") == 1
    assert await events(one, accepted) == told
    await other.kill()
    await one.kill()


async def test_late_requests_of_a_frozen_process_are_cleaned_up(hub: FakeHub, one: Replica, other: Replica) -> None:
    """The process is frozen between storing the user's name and the Hub's late answer to its creation."""
    hub.fail_on("create_user", how="hang")
    accepted = await launch(one)
    await hub.until(lambda: hub.asked("create_user"))
    (first,) = [asked.username for asked in hub.asked("create_user")]
    one.freeze()
    told = await events(other, accepted)
    assert (told[-1]["phase"], told[-1]["attempt"]) == ("ready", 2)

    hub.create_user(first)  # the late request takes effect
    await hub.start_server(first, "", {})
    one.thaw()

    await hub.until(lambda: first not in hub.users, timeout=90)
    assert len(hub.users) == 1
    assert await events(other, accepted) == told


async def test_a_launch_is_displaced_by_one_that_another_replica_accepts(hub: FakeHub, database_url: str) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    narrow = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": "1", "LAUNCHER_MAX_QUEUE": "3"}
    narrow |= {"LAUNCHER_TRUSTED_PROXIES": "127.0.0.1", "LAUNCHER_LEASE_S": "600"}
    async with replica(hub, database_url, **narrow) as one, replica(hub, database_url, **narrow) as other:
        first = [await launch(one, **{"X-Forwarded-For": "192.0.2.1"}) for _ in range(4)]
        following = asyncio.create_task(events(one, first[3]))
        await hub.until(lambda: hub.active_servers)

        await launch(other, **{"X-Forwarded-For": "192.0.2.2"})
        async with asyncio.timeout(20):
            told = (await following)[-1]
        one.process.send_signal(signal.SIGTERM)
        await one.process.wait()

    assert (told["phase"], told["problem"]["code"]) == ("failed", "displaced")
    assert f"launch {first[3]['id']} made room for a launch of another caller" in one.logs[0]
    assert " ERROR " not in one.logs[0]
    assert hub.count("user_created") == 1


async def test_a_stopping_process_hands_its_launches_over_immediately(hub: FakeHub, database_url: str) -> None:
    long_lease = {"LAUNCHER_LEASE_S": "600"}
    async with replica(hub, database_url, **long_lease) as one, replica(hub, database_url, **long_lease) as other:
        accepted, user = await launch_held(hub, one)
        async with one.http.stream("GET", accepted["events_url"]) as stream:
            one.process.send_signal(signal.SIGTERM)
            lines = [line async for line in stream.aiter_lines() if line]
        async with asyncio.timeout(10):
            status = await one.process.wait()
        hub.release(user)
        async with asyncio.timeout(10):
            told = await events(other, accepted)

    received = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert status == 0
    assert told[: len(received)] == received
    assert (told[-1]["phase"], told[-1]["attempt"]) == ("ready", 1)


async def test_a_hanging_request_delays_shutdown_no_longer_than_the_drain_time(hub: FakeHub, database_url: str) -> None:
    async with replica(hub, database_url, LAUNCHER_DRAIN_S="6", LAUNCHER_ACCESS="hub") as one:
        hub.fail_on("whoami", how="hang", times=math.inf)
        headers = {"Authorization": "Bearer some-token"}
        asking = asyncio.create_task(one.http.post("/launch", json=BODY, headers=headers))
        await hub.until(lambda: len(hub.asked("whoami")) > 1)

        one.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(6):
            status = await one.process.wait()

    assert status == 0
    await asyncio.gather(asking, return_exceptions=True)


# --- the queue --------------------------------------------------------------------------------------------------------


async def test_a_replica_without_queued_launches_of_its_own_streams_positions(hub: FakeHub, database_url: str) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    narrow = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": "1"}
    async with replica(hub, database_url, **narrow) as one, replica(hub, database_url, **narrow) as other:
        first, waiting = await launch(one), await launch(one)
        told: list[int] = []

        async with asyncio.timeout(20), other.http.stream("GET", waiting["events_url"]) as stream:
            async for line in stream.aiter_lines():
                if line.startswith('data: {"position":'):
                    told.append(json.loads(line[6:])["position"])
                    if told == [1]:
                        hub.release(next(iter(hub.users)))
                    if told[-1] == 0:
                        break

        assert told == [1, 0]
        assert (await events(other, first))[-1]["phase"] == "ready"


async def test_three_replicas_together_stay_within_the_spawn_limit(hub: FakeHub, database_url: str) -> None:
    """The limit also holds while one replica is killed and the others adopt its launches."""
    hub.spawn_s = 0.3
    hub.concurrent_spawn_limit = 5
    narrow = {"LAUNCHER_MAX_CONCURRENT_SPAWNS": "5"}
    async with (
        replica(hub, database_url, **narrow) as one,
        replica(hub, database_url, **narrow) as two,
        replica(hub, database_url, **narrow) as three,
        asyncio.timeout(60),
    ):
        accepted = await asyncio.gather(*(launch(at) for at in (one, two, three) for _ in range(15)))
        await hub.until(lambda: hub.count("server_ready") >= 10)
        await three.kill()

        told = await asyncio.gather(*(events(one, launch) for launch in accepted[::2]))
        told += await asyncio.gather(*(events(two, launch) for launch in accepted[1::2]))

        assert [events[-1]["phase"] for events in told] == ["ready"] * 45
        assert hub.most_pending == 5
        assert 429 not in {asked.status for asked in hub.asked("start_server")}


async def test_the_maximum_of_a_size_is_exact_while_three_replicas_race(
    hub: FakeHub, database_url: str, tmp_path: Path
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    variables = {"LAUNCHER_CATALOGUE_FILE": str(catalogue_in(tmp_path))}
    body = {"environment": "scipy", "size": "large"}
    async with (
        replica(hub, database_url, **variables) as one,
        replica(hub, database_url, **variables) as two,
        replica(hub, database_url, **variables) as three,
    ):
        answers = await asyncio.gather(
            *(at.http.post("/launch", json=body) for _ in range(12) for at in (one, two, three))
        )
        first = next(answer.json() for answer in answers if answer.status_code == 202)
        headers = {"X-Launch-Secret": first["secret"]}
        async with asyncio.timeout(20):
            while (await two.http.delete(f"/launch/{first['id']}", headers=headers)).status_code != 204:
                pass
        again = await asyncio.gather(*(at.http.post("/launch", json=body) for at in (one, two, three)))
        small = await three.http.post("/launch", json={"environment": "scipy"})

    assert Counter(answer.status_code for answer in answers) == {202: 5, 429: 31}
    assert {answer.json()["limit"]["scope"] for answer in answers if answer.status_code == 429} == {"size"}
    assert Counter(answer.status_code for answer in again) == {202: 1, 429: 2}
    assert (small.status_code, small.json()["size"]) == (202, "small")


@pytest.mark.timeout(300)  # 200 launches at once, on a machine that may have more to do
async def test_the_maximum_of_an_invitation_is_exact_and_its_revocation_immediate_on_three_replicas(
    hub: FakeHub, database_url: str, tmp_path: Path
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    variables = {"LAUNCHER_CATALOGUE_FILE": str(catalogue_in(tmp_path)), "LAUNCHER_ACCESS": "hub,invitation"}
    body = {"environment": "scipy"}
    async with (
        replica(hub, database_url, **variables) as one,
        replica(hub, database_url, **variables) as two,
        replica(hub, database_url, **variables) as three,
    ):
        headers = bearer(await asyncio.to_thread(invited, database_url, most=50))

        async def ask(at: Replica) -> httpx.Response:
            return await at.http.post("/launch", json=body, headers=headers, timeout=60)

        replicas = (one, two, three)
        answers = await asyncio.gather(*(ask(replicas[n % 3]) for n in range(200)))
        first = next(answer.json() for answer in answers if answer.status_code == 202)
        secret = {"X-Launch-Secret": first["secret"]}
        async with asyncio.timeout(20):
            while (await two.http.delete(f"/launch/{first['id']}", headers=secret)).status_code != 204:
                pass
        again = await asyncio.gather(*map(ask, replicas))

        await asyncio.to_thread(revoke, database_url)
        refused = await asyncio.gather(*map(ask, replicas))  # already the first request to each replica

    assert Counter(answer.status_code for answer in answers) == {202: 50, 429: 150}
    told = {answer.json()["detail"] for answer in answers if answer.status_code == 429}
    assert told == {"Servers in use: 50 of 50."}
    assert Counter(answer.status_code for answer in again) == {202: 1, 429: 2}
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "invitation_ended")}
