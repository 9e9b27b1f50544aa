"""`GET /launch`: the list of launches."""

import pytest

from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.callers import ADA, CallerWorld
from tests.support.served import BODY, Service


async def test_the_list_has_the_callers_launches_newest_first_in_pages(world: CallerWorld) -> None:
    http, as_key = world.service.http, world.headers["key"]
    ids = [(await http.post("/launch", json=BODY, headers=as_key)).json()["id"] for _ in range(3)]

    first = (await http.get("/launch?limit=2", headers=as_key)).json()
    second = (await http.get("/launch" + first["next"], headers=as_key)).json()

    assert [launch["id"] for launch in first["launches"]] == ids[:0:-1]
    assert [launch["id"] for launch in second["launches"]] == ids[:1]
    assert second["next"] is None


FILTERS: list[tuple[dict[str, str], bool]] = [
    ({"status": "ready"}, True),
    ({"status": "failed"}, False),
    ({"repo_url": BODY["repo_url"], "image": BODY["image"], "username": ADA}, True),
    ({"repo_url": "https://example.org/other"}, False),
    ({"image": "other"}, False),
    ({"environment": "scipy"}, False),
    ({"username": "nobody"}, False),
    ({"since": "2026-01-01T00:00:00+01:00"}, True),
    ({"since": "2126-01-01T00:00:00Z"}, False),
]


async def test_the_list_is_filtered(world: CallerWorld, subtests: pytest.Subtests) -> None:
    for query, found in FILTERS:
        with subtests.test(query=query):
            answer = await world.service.http.get("/launch", params=query, headers=world.headers["owner"])

            assert answer.status_code == 200, answer.text
            assert [launch["id"] for launch in answer.json()["launches"]] == ([world.launch_id] if found else [])


async def test_the_next_page_keeps_the_filter_while_launches_are_added(world: CallerWorld) -> None:
    http, as_key = world.service.http, world.headers["key"]
    ids = [(await http.post("/launch", json=BODY, headers=as_key)).json()["id"] for _ in range(2)]
    query = {"limit": "1", "repo_url": BODY["repo_url"], "since": "2026-01-01T00:00:00+01:00"}
    first = (await http.get("/launch", params=query, headers=as_key)).json()

    await http.post("/launch", json=BODY | {"repo_url": "https://example.org/other"}, headers=as_key)
    second = (await http.get("/launch" + first["next"], headers=as_key)).json()

    assert [launch["id"] for page in (first, second) for launch in page["launches"]] == [ids[1], ids[0]]
    assert "repo_url" in first["next"]
    assert second["next"] is None


IMPOSSIBLE: list[tuple[str, str]] = [
    ("since", "2026-01-01T00:00:00"),
    ("since", "0001-01-01T00:00:00+12:00"),
    ("image", "a%00"),
    ("repo_url", "a%0a"),
    ("username", "%00"),
    ("cursor", "nonsense"),
    ("limit", "0"),
]


async def test_impossible_filters_are_refused(world: CallerWorld, subtests: pytest.Subtests) -> None:
    for field, value in IMPOSSIBLE:
        with subtests.test(field=field, value=value):
            answer = await world.service.http.get(f"/launch?{field}={value}", headers=world.headers["owner"])

            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == field


async def test_the_list_shows_durations_and_the_cause_of_failures(world: CallerWorld, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="no such image"))
    as_key = world.headers["key"]
    accepted = (await world.service.http.post("/launch", json=BODY, headers=as_key)).json()
    await world.service.events(accepted["events_url"])

    (shown,) = (await world.service.http.get("/launch", headers=as_key)).json()["launches"]

    assert shown["attempt"] == 1
    assert shown["problem"]["code"] == "spawn_failed"
    waiting, spawning, total = (shown["durations"][name] for name in ("waiting_s", "spawning_s", "total_s"))
    assert 0 <= waiting <= total
    assert total == pytest.approx(waiting + spawning, abs=0.01)


async def test_an_admin_lists_everybodys_launches_without_their_urls(world: CallerWorld) -> None:
    everybodys = (await world.service.http.get("/launch?everybody=true", headers=world.headers["admin"])).json()
    own = (await world.service.http.get("/launch", headers=world.headers["admin"])).json()

    assert [launch["username"] for launch in everybodys["launches"]] == [ADA]
    assert "open_url" not in everybodys["launches"][0]
    assert own["launches"] == []


async def test_a_service_without_admins_refuses_to_list_everybodys_launches(service: Service) -> None:
    answer = await service.http.get("/launch?everybody=true")

    assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")
    assert answer.json()["detail"].startswith("Only admins can list everybody's launches")
