"""Sessions: a ready server is stopped when its time is over, and `POST /launch/{id}/extend` moves that time."""

import asyncio
import json
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.postgres import Postgres
from tests.support.served import Service, serve

HOURS: dict[str, Any] = {"max_session_s": 3600.0, "max_extended_session_s": 3 * 3600.0}
SHORT: dict[str, Any] = {"max_session_s": 0.4, "pace": Pace(check_sessions_s=0.05)}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def ready(service: Service) -> dict[str, Any]:
    """Launch, and return the launch with its secret once it is ready."""
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    return accepted


async def seen(service: Service, accepted: dict[str, Any]) -> dict[str, Any]:
    answer = await service.http.get(f"/launch/{accepted['id']}", headers={"X-Launch-Secret": accepted["secret"]})
    shown: dict[str, Any] = answer.json()
    return shown


async def extend(service: Service, accepted: dict[str, Any], seconds: object = 1800, **headers: str) -> httpx.Response:
    headers = {"X-Launch-Secret": accepted["secret"], **headers}
    return await service.http.post(f"/launch/{accepted['id']}/extend", json={"seconds": seconds}, headers=headers)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_ready_launch_says_when_its_server_will_be_stopped(settings: Settings) -> None:
    async with serve(settings, **HOURS) as service:
        accepted = await ready(service)
        shown = await seen(service, accepted)
        to_a_stranger = (await service.http.get(f"/launch/{accepted['id']}")).json()

    assert instant(shown["will_end_at"]) - instant(shown["ended_at"]) == timedelta(hours=1)
    assert instant(shown["extendable_until"]) - instant(shown["ended_at"]) == timedelta(hours=3)
    assert shown["is_temporary"] is True
    assert accepted["will_end_at"] is None
    assert {"will_end_at", "extendable_until", "is_temporary"}.isdisjoint(to_a_stranger)


async def test_without_a_limit_a_launch_has_no_end_and_nothing_to_extend(service: Service) -> None:
    accepted = await ready(service)

    answer = await extend(service, accepted)

    assert (await seen(service, accepted))["will_end_at"] is None
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_extend")


async def test_the_server_is_stopped_when_its_time_is_over(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    record = tmp_path / "audit.jsonl"
    async with serve(settings, **SHORT, audit_log=record, metrics_public=True) as service:
        accepted = await ready(service)
        await hub.until(lambda: not hub.users)
        while (shown := await seen(service, accepted))["status"] == "ready":
            pass
        metrics = (await service.http.get("/metrics")).text

    told = [json.loads(line) for line in record.read_text().splitlines()]
    assert (shown["status"], shown["stopped_by"], shown["will_end_at"]) == ("stopped", "session_end", None)
    assert instant(shown["stopped_at"]) - instant(shown["ended_at"]) >= timedelta(seconds=SHORT["max_session_s"])
    assert [event["action"] for event in told] == [
        *("launch_accepted", "launch_ended"),
        *("launch_session_warned", "launch_session_ended", "launch_stopped"),
    ]
    for line in (
        'hublaunch_sessions_total{step="warned"} 1.0',
        'hublaunch_sessions_total{step="ended"} 1.0',
        'hublaunch_launches_stopped_total{by="session_end"} 1.0',
        'hublaunch_launches_stopped_total{by="caller"} 0.0',
    ):
        assert line in metrics


async def test_a_server_whose_time_is_over_while_the_hub_is_down_is_stopped_when_the_hub_is_back(
    settings: Settings, hub: FakeHub
) -> None:
    async with serve(settings, **SHORT, metrics_public=True) as service:
        accepted = await ready(service)
        await hub.kill()
        while 'hublaunch_sessions_total{step="ended"} 1.0' not in (await service.http.get("/metrics")).text:
            pass
        overdue = await seen(service, accepted)
        refused = await extend(service, accepted, 60)

        await hub.start_again()
        await hub.until(lambda: not hub.users)
        while (shown := await seen(service, accepted))["status"] == "ready":
            pass

    assert overdue["status"] == "ready"
    assert refused.json()["code"] == "nothing_to_extend"
    assert shown["stopped_by"] == "session_end"


async def test_the_next_process_stops_a_server_whose_time_is_over(settings: Settings, hub: FakeHub) -> None:
    async with serve(settings, **SHORT) as service:
        accepted = await ready(service)
        await hub.kill()
    await hub.start_again()

    async with serve(settings, pace=SHORT["pace"]) as service:
        await hub.until(lambda: not hub.users)
        while (shown := await seen(service, accepted))["status"] == "ready":
            pass

    assert shown["stopped_by"] == "session_end"


async def test_an_extension_holds_over_a_restart_and_is_audited(settings: Settings, tmp_path: Path) -> None:
    record = tmp_path / "audit.jsonl"
    async with serve(settings, **HOURS, audit_log=record, metrics_public=True) as service:
        accepted = await ready(service)
        before = await seen(service, accepted)
        answer = await extend(service, accepted)
        metrics = (await service.http.get("/metrics")).text
    async with serve(settings, **HOURS) as service:
        after = await seen(service, accepted)

    told = json.loads(record.read_text().splitlines()[-1])
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json() == after
    assert instant(after["will_end_at"]) - instant(before["will_end_at"]) == timedelta(seconds=1800)
    assert (told["action"], told["actor"]) == ("launch_session_extended", {"kind": "anonymous", "name": "127.0.0.1"})
    assert (told["seconds"], told["will_end_at"]) == (1800, after["will_end_at"])
    assert len(told["request_id"]) == 32
    assert 'hublaunch_sessions_total{step="extended"} 1.0' in metrics


async def test_a_repeated_key_extends_once(settings: Settings) -> None:
    async with serve(settings, **HOURS) as service:
        accepted = await ready(service)

        answers = [await extend(service, accepted, **KEY) for _ in range(2)]
        reused = await extend(service, accepted, 900, **KEY)
        invalid = await extend(service, accepted, **{"Idempotency-Key": "k" * 256})

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert (invalid.status_code, invalid.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_an_extension_past_the_limit_is_refused_with_the_limit(settings: Settings) -> None:
    async with serve(settings, **HOURS) as service:
        accepted = await ready(service)
        before = await seen(service, accepted)

        answer = await extend(service, accepted, 2 * 3600 + 1)

        assert (answer.status_code, answer.json()["code"]) == (409, "session_limit_reached")
        assert instant(before["extendable_until"]).strftime("%H:%M:%S UTC") in answer.json()["detail"]
        assert (await seen(service, accepted)) == before
        assert (await extend(service, accepted, 2 * 3600)).json()["extendable_until"] is None


@pytest.mark.parametrize("seconds", [0, 59, -60, 31_536_001, 10**30, 60.5, "3600", True, None])
async def test_an_extension_is_a_whole_number_of_seconds_within_reason(service: Service, seconds: object) -> None:
    accepted = await service.launch()

    answer = await extend(service, accepted, seconds)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "seconds")


async def test_a_misspelled_field_is_named_with_the_nearest_one(service: Service) -> None:
    accepted = await service.launch()

    answer = await service.http.post(
        f"/launch/{accepted['id']}/extend", json={"second": 60}, headers={"X-Launch-Secret": accepted["secret"]}
    )

    assert {"field": "second", "reason": "is not a field of this request; did you mean seconds?"} in answer.json()[
        "errors"
    ]


@pytest.mark.parametrize("headers", [{}, {"X-Launch-Secret": "wrong"}])
async def test_extending_needs_the_secret(settings: Settings, headers: dict[str, str]) -> None:
    async with serve(settings, **HOURS) as service:
        accepted = await ready(service)

        answer = await service.http.post(f"/launch/{accepted['id']}/extend", json={"seconds": 60}, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (403, "secret_required")
        assert (await seen(service, accepted)) == (await seen(service, accepted))


async def test_the_visitors_token_outlives_the_longest_session(settings: Settings, hub: FakeHub) -> None:
    async with serve(settings, **HOURS, token_lifetime_s=60) as service:
        shown = await seen(service, await ready(service))

    assert instant(shown["token_expires_at"]) > instant(shown["extendable_until"])


async def test_the_warning_comes_again_after_an_extension(settings: Settings, tmp_path: Path) -> None:
    record, pace = tmp_path / "audit.jsonl", Pace(check_sessions_s=0.05, warn_session_s=2 * 3600)
    async with serve(settings, pace=pace, **HOURS, audit_log=record) as service:
        accepted = await ready(service)

        def warnings() -> int:
            return record.read_text().count("launch_session_warned")

        while warnings() < 1:
            await seen(service, accepted)
        await extend(service, accepted)
        while warnings() < 2:
            await seen(service, accepted)


async def test_three_replicas_stop_each_server_once(settings: Settings, hub: FakeHub, postgres: Postgres) -> None:
    shared = {"database_url": postgres.database(), "secret_key": SecretStr("k" * 32), "lease_s": 2.0}
    replica = partial(serve, settings.model_copy(update=shared), **SHORT, metrics_public=True)
    async with replica() as one, replica() as two, replica() as three:
        launches = await asyncio.gather(*(ready(service) for service in (one, two, three) * 4))
        await hub.until(lambda: not hub.users)
        for accepted in launches:
            while (shown := await seen(one, accepted))["status"] == "ready":
                pass
            assert shown["stopped_by"] == "session_end"
        metrics = [(await service.http.get("/metrics")).text for service in (one, two, three)]

    assert sum(counted(text, 'sessions_total{step="warned"}') for text in metrics) == len(launches)
    assert sum(counted(text, 'sessions_total{step="ended"}') for text in metrics) == len(launches)
    assert sum(counted(text, 'launches_stopped_total{by="session_end"}') for text in metrics) == len(launches)
    assert len(hub.asked("stop_server")) == len(hub.asked("delete_user")) == len(launches)


def counted(metrics: str, name: str) -> float:
    (line,) = (line for line in metrics.splitlines() if line.startswith(f"hublaunch_{name} "))
    return float(line.rpartition(" ")[2])
