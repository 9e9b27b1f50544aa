"""What admins see of the whole service, and what they switch."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hublaunch.api.callers.admin_links import PURPOSE, AdminLinks
from hublaunch.api.pace import WebPace
from hublaunch.files.keys import add_key, revoke_key
from hublaunch.launch.pace import Pace
from hublaunch.sealing import Sealer
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.admin_links import admin_link
from tests.support.callers import ROOT, SCOPE, bearer
from tests.support.served import BODY, IMAGE, Service, serve

QUICK = WebPace(overview_every_s=0.05, status_kept_s=0)


@pytest.fixture
async def service(settings: Settings, tmp_path: Path) -> AsyncGenerator[Service]:
    audited = settings.model_copy(update={"audit_log": tmp_path / "audit.jsonl"})
    async with serve(audited, web_pace=QUICK) as service:
        yield service


@pytest.fixture
def admin(settings: Settings) -> dict[str, str]:
    return bearer(admin_link(settings.database_url))


@asynccontextmanager
async def overviews(service: Service, headers: dict[str, str]) -> AsyncGenerator[AsyncGenerator[dict[str, Any]]]:
    """Yield what the service tells an admin, each overview as it comes."""

    async def read(lines: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
        async for line in lines.aiter_lines():
            if line.startswith("data: ") and line != "data: {}":
                yield json.loads(line[6:])

    async with asyncio.timeout(20), service.http.stream("GET", "/admin/events", headers=headers) as stream:
        assert stream.status_code == 200
        yield read(stream)


async def until(told: AsyncGenerator[dict[str, Any]], count: str, number: int) -> dict[str, Any]:
    """Return the first overview with this number of launches."""
    async for overview in told:
        if overview["counts"][count] == number:
            return overview
    raise AssertionError("the stream has ended")


async def test_an_admin_sees_a_launch_come_and_become_ready(
    service: Service, hub: FakeHub, admin: dict[str, str]
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))

    async with overviews(service, admin) as told:
        empty = await anext(told)
        accepted = await service.launch()
        begun = await until(told, "launching", 1)
        await hub.until(lambda: hub.active_servers)
        hub.release(next(iter(hub.users)))
        ready = await until(told, "ready", 1)

    (launch,) = begun["launches"]
    assert empty["launches"] == []
    assert (launch["id"], launch["image"], launch["caller"]["kind"]) == (accepted["id"], IMAGE, "anonymous")
    assert ready["ready"] == [{"environment": None, "image": IMAGE, "servers": 1}]
    assert ready["callers"] == [{"kind": "anonymous", "key": "127.0.0.1", "active": 1}]
    assert ready["quotas"] == [{"scope": "caller", "counts": "anonymous:127.0.0.1", "active": 1, "most": 500}]
    assert ready["service"]["status"] == "green"
    assert accepted["secret"] not in json.dumps([begun, ready])


async def test_followers_share_one_reading_and_hear_only_of_changes(settings: Settings, admin: dict[str, str]) -> None:
    readings = 0

    async with serve(settings, web_pace=QUICK, pace=Pace(heartbeat_s=0.3)) as service:
        feed = service.state["web"].overview
        read = feed.read

        async def counted() -> Any:
            nonlocal readings
            readings += 1
            return await read()

        feed.read = counted
        blocks = [feed.blocks(_always) for _ in range(20)]
        first = await asyncio.gather(*(_after_retry(each) for each in blocks))
        second = await asyncio.gather(*(anext(each) for each in blocks))
        for each in blocks:
            await each.aclose()

    assert len(set(map(id, first))) == 1
    assert {block.split(b"\n")[0] for block in second} <= {b"event: heartbeat", b"event: overview"}
    assert readings < 20


async def _always() -> bool:
    return True


async def _after_retry(blocks: AsyncGenerator[bytes]) -> bytes:
    await anext(blocks)
    return await anext(blocks)


async def test_a_drain_refuses_new_launches_until_it_is_undone(
    service: Service, admin: dict[str, str], tmp_path: Path
) -> None:
    for is_draining, status in ((True, 503), (True, 503), (False, 202)):
        answer = await service.http.put("/admin/drain", json={"is_draining": is_draining}, headers=admin)
        asked = await service.http.post("/launch", json=BODY)
        assert (answer.status_code, asked.status_code) == (204, status)

    audited = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    told = [(event["action"], event["actor"]["kind"]) for event in audited if "drain" in event["action"]]
    assert told == [("drain_started", "admin_link"), ("drain_ended", "admin_link")]
    assert all(event.get("request_id") for event in audited if "drain" in event["action"])


async def test_an_admin_clears_the_guard_for_one_image_or_for_all(
    service: Service, hub: FakeHub, admin: dict[str, str], tmp_path: Path
) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    await service.events((await service.launch())["events_url"])

    async with overviews(service, admin) as told:
        before = (await anext(told))["guard"]["failures"]
        answers = [
            await service.http.delete("/admin/guard", params=params, headers=admin)
            for params in ({"image": IMAGE}, {"image": "UPPER case"}, {})
        ]
        after = await anext(told)

    assert (before, after["guard"]["failures"]) == (1, 0)
    assert [answer.status_code for answer in answers] == [204, 422, 204]
    audited = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [event.get("image") for event in audited if event["action"] == "guard_cleared"] == [IMAGE, None]


async def test_an_admin_cancels_a_launch_of_somebody_else(
    service: Service, hub: FakeHub, admin: dict[str, str]
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()

    async with asyncio.timeout(20):
        while (await service.http.delete(f"/launch/{accepted['id']}", headers=admin)).status_code != 204:
            pass

    assert (await service.http.get(f"/launch/{accepted['id']}")).json()["status"] == "cancelled"


async def test_a_link_launches_nothing_by_any_route(service: Service, hub: FakeHub, admin: dict[str, str]) -> None:
    asked = await service.http.post("/launch", json=BODY, headers=admin)
    built = await service.http.get(
        "/build/gh/org/repo/main", headers={**admin, "Accept": "text/event-stream", "Last-Event-ID": ""}
    )

    assert (asked.status_code, asked.json()["detail"]) == (403, "An admin link launches nothing.")
    assert built.status_code in (200, 404)
    assert hub.users == {}


async def test_a_link_ends_when_its_time_is_over_or_the_secret_key_changes(
    service: Service, settings: Settings
) -> None:
    others = AdminLinks(Sealer(["k" * 40], purpose=PURPOSE)).new(timedelta(hours=1))[1]
    for credential in (admin_link(settings.database_url, lasts=timedelta(0)), others, "hla_x"):
        answer = await service.http.get("/admin/events", headers=bearer(credential))

        assert (answer.status_code, answer.json()["code"]) == (401, "admin_link_ended")
        assert credential not in answer.text


async def test_an_open_stream_ends_with_the_time_of_its_link(service: Service, settings: Settings) -> None:
    brief = bearer(admin_link(settings.database_url, lasts=timedelta(seconds=3)))

    async with overviews(service, brief) as told:
        seen = [overview async for overview in told]
        again = await service.http.get("/admin/events", headers=brief)

    assert seen[0]["launches"] == []
    assert (again.status_code, again.json()["code"]) == (401, "admin_link_ended")


async def test_an_open_stream_ends_when_its_key_is_revoked(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    headers = bearer(add_key(keys, name="operator", is_admin=True)[1])
    by_key = settings.model_copy(update={"access": ("key",), "api_keys_file": keys})

    async with serve(by_key, web_pace=QUICK) as service, overviews(service, headers) as told:
        first = await anext(told)
        revoke_key(keys, "operator")
        async for _ in told:
            pass
        again = await service.http.get("/admin/events", headers=headers)

    assert first["launches"] == []
    assert again.status_code == 401


async def test_an_admin_of_the_hub_goes_on_seeing_the_service_while_the_hub_is_down(
    hub: FakeHub, settings: Settings, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hublaunch.api.callers.hub_users.LIFETIME_S", 0.0)
    headers = bearer(hub.token_of(ROOT, SCOPE))
    by_hub = settings.model_copy(update={"access": ("hub",), "admins": (ROOT,), "service_name": "hublaunch"})

    async with serve(by_hub, web_pace=QUICK) as service, overviews(service, headers) as told:
        await anext(told)
        await hub.kill()
        seen = []
        for is_draining in (True, False, True):
            await service.http.put("/admin/drain", json={"is_draining": is_draining}, headers=admin)
            async for overview in told:
                if overview["is_draining"] is is_draining:
                    seen.append(is_draining)
                    break

    assert seen == [True, False, True]


async def test_no_link_lasts_longer_than_a_day() -> None:
    links = AdminLinks(Sealer(["k" * 40], purpose=PURPOSE))
    day, year = (links.new(timedelta(days=days))[2] for days in (1, 365))

    assert year - day < timedelta(seconds=5)


async def test_the_stream_goes_on_while_the_database_cannot_be_read_and_ends_with_the_process(
    settings: Settings, admin: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(settings, web_pace=QUICK) as service:
        feed = service.state["web"].overview
        read = feed.read

        async def broken() -> Any:
            raise OSError("the disk is gone")

        async with overviews(service, admin) as told:
            await anext(told)
            feed.read = broken
            blind = await anext(told)
            feed.read = read
            sees = await anext(told)
            feed.end()
            assert [news async for news in told if news["at"] is None] == []

    assert (blind["at"], blind["launches"]) == (None, None)
    assert sees["launches"] == []
    assert caplog.text.count("could not be read for the page for admins") == 1
