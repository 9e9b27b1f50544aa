"""Who may do what: every route, asked by every kind of caller."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from app.keys import add_key
from app.settings import Settings
from tests.fakes.hub import FakeHub
from tests.served import BODY, Service, read_events, serve

SCOPE = "access:services!service=hublaunch"
ADA, BOB, ROOT = "ada", "bob", "root"


@dataclass(frozen=True)
class House:
    """A service with three kinds of callers, a launch of Ada's that is ready, and everybody's credentials."""

    service: Service
    headers: dict[str, dict[str, str]]
    launch_id: str


@pytest.fixture
async def house(settings: Settings, hub: FakeHub, tmp_path: Path) -> AsyncGenerator[House]:
    tokens = {}
    for name in (ADA, BOB, ROOT):
        hub.create_user(name)
        tokens[name] = hub.tokens.add(name, [SCOPE], "", None).token
    scopeless = hub.tokens.add(ADA, ["access:servers!user=ada"], "", None).token
    keys = tmp_path / "keys.json"
    _, plain_key = add_key(keys, name="plain")
    _, naming_key = add_key(keys, name="naming", may_name_user=True)
    _, narrow_key = add_key(keys, name="narrow", allowed_images=["example.org/*"])
    _, admin_key = add_key(keys, name="admin", is_admin=True)
    changed = {"access": ("anonymous", "hub", "key"), "admins": (ROOT,), "api_keys_file": keys}
    async with serve(settings.model_copy(update=changed)) as service:
        as_ada = _bearer(tokens[ADA])
        accepted = (await service.http.post("/launch", json=BODY, headers=as_ada)).json()
        await service.events(accepted["events_url"])
        headers = {
            "nobody": {},
            "wrong token": _bearer("a-wrong-token"),
            "wrong scheme": {"Authorization": "Basic YTpi"},
            "no scope": _bearer(scopeless),
            "the Hub's service": _bearer(hub.api_token),
            "owner": as_ada,
            "other user": _bearer(tokens[BOB]),
            "admin": _bearer(tokens[ROOT]),
            "secret": {"X-Launch-Secret": accepted["secret"]},
            "wrong secret": {"X-Launch-Secret": "x" * 43},
            "wrong token, right secret": _bearer("a-wrong-token") | {"X-Launch-Secret": accepted["secret"]},
            "key": _bearer(plain_key),
            "key that may name users": _bearer(naming_key),
            "key for other images": _bearer(narrow_key),
            "admin key": _bearer(admin_key),
            "wrong key": _bearer("hl_" + "x" * 43),
        }
        yield House(service, headers, accepted["id"])


def _bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


CALLERS = (
    "nobody",
    "wrong token",
    "wrong scheme",
    "no scope",
    "the Hub's service",
    "owner",
    "other user",
    "admin",
    "secret",
    "wrong secret",
    "wrong token, right secret",
    "key",
    "key that may name users",
    "key for other images",
    "admin key",
    "wrong key",
)
ANYBODY = (200,) * len(CALLERS)
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    # nob wtok schm nosc serv ownr othr admn secr wsec w+rs key  name narr akey wkey
    ("POST", "/launch"): (202, 401, 401, 403, 403, 409, 202, 202, 202, 202, 401, 202, 202, 403, 202, 401),
    ("POST", "/launch as bob"): (403, 401, 401, 403, 403, 403, 202, 403, 403, 403, 401, 403, 202, 403, 403, 401),
    ("GET", "/launch"): (401, 401, 401, 403, 403, 200, 200, 200, 401, 401, 401, 200, 200, 200, 200, 401),
    ("GET", "/launch?everybody=true"): (401, 401, 401, 403, 403, 403, 403, 200, 401, 401, 401, 403, 403, 403, 200, 401),
    ("GET", "/launch/{launch_id}"): (200, 401, 401, 403, 403, 200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 401),
    ("GET", "/launch/{launch_id}/events"): (
        *(200, 401, 401, 403, 403, 200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 401),
    ),
    ("DELETE", "/launch/{launch_id}"): (
        *(403, 401, 401, 403, 403, 202, 403, 202, 202, 403, 401, 403, 403, 403, 202, 401),
    ),
    ("GET", "/session"): (200, 401, 401, 403, 403, 200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 401),
    ("DELETE", "/session"): (204,) * len(CALLERS),
    ("GET", "/oauth_login"): (302,) * len(CALLERS),
    ("GET", "/oauth_callback"): (401,) * len(CALLERS),
    ("GET", "/healthz"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/openapi.json"): ANYBODY,
    ("GET", "/docs"): ANYBODY,
    ("GET", "/docs/start.js"): ANYBODY,
    ("GET", "/docs/swagger-ui.css"): ANYBODY,
    ("GET", "/docs/swagger-ui-bundle.js"): ANYBODY,
}


READS = [route for route in TABLE if route[0] == "GET"]
WRITES = [(route, column) for route in TABLE if route[0] != "GET" for column in range(len(CALLERS))]


@pytest.mark.parametrize("route", READS)
async def test_each_caller_reads_what_the_table_says(house: House, route: tuple[str, str]) -> None:
    statuses = tuple([(await _ask(house, route, caller)).status_code for caller in CALLERS])

    assert dict(zip(CALLERS, statuses, strict=True)) == dict(zip(CALLERS, TABLE[route], strict=True))


@pytest.mark.parametrize(("route", "column"), WRITES)
async def test_each_caller_writes_what_the_table_says(house: House, route: tuple[str, str], column: int) -> None:
    answer = await _ask(house, route, CALLERS[column])

    assert answer.status_code == TABLE[route][column], f"{CALLERS[column]}: {answer.text[:300]}"


async def _ask(house: House, route: tuple[str, str], caller: str) -> httpx.Response:
    method, path = route
    body = BODY | ({"username": BOB} if path.endswith("as bob") else {}) if method == "POST" else None
    path = path.removesuffix(" as bob").format(launch_id=house.launch_id)
    answer = await house.service.http.request(method, path, json=body, headers=house.headers[caller])
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
    return answer


async def test_no_route_is_missing_from_the_table(house: House) -> None:
    routes = _routes(house.service.app)

    in_table = {(method, path.partition("?")[0].removesuffix(" as bob")) for method, path in TABLE}
    assert {route for route in routes if route[0] != "HEAD"} == in_table


def _routes(app: Any) -> set[tuple[str, str]]:
    """Each method and path; FastAPI keeps an included router as one entry of its own."""
    found = set()
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, Route) or hasattr(route, "endpoint"):
            found |= {(method, route.path) for method in route.methods or ()}
        else:
            waiting += getattr(route, "original_router", route).routes
    return found


@pytest.mark.parametrize(
    ("caller", "private", "entry"),
    [
        ("nobody", False, False),
        ("other user", False, False),
        ("key", False, False),
        ("wrong secret", False, False),
        ("admin", True, False),
        ("admin key", True, False),
        ("owner", True, True),
        ("secret", True, True),
    ],
)
async def test_each_caller_sees_as_much_of_a_launch_as_is_for_them(
    house: House, caller: str, private: bool, entry: bool
) -> None:
    headers = house.headers[caller]

    launch = (await house.service.http.get(f"/launch/{house.launch_id}", headers=headers)).json()
    async with house.service.http.stream("GET", f"/launch/{house.launch_id}/events", headers=headers) as stream:
        ready = [event async for event in read_events(stream)][-1]

    for shown in (launch, ready):
        assert ("image" in shown) == private
        assert ("open_url" in shown) == entry
        assert ("token" in shown) == entry
    assert ("username" in launch) == private


async def test_a_launch_that_is_asked_for_without_credentials_is_its_secrets_alone(house: House) -> None:
    accepted = await house.service.launch()

    as_admin = (await house.service.http.get(f"/launch/{accepted['id']}", headers=house.headers["admin"])).json()
    again = (await house.service.http.get(f"/launch/{accepted['id']}")).json()

    assert "image" in as_admin
    assert "image" not in again


async def test_the_list_has_ones_own_launches_the_newest_first_and_leads_on(house: House) -> None:
    http, as_key = house.service.http, house.headers["key"]
    ids = [(await http.post("/launch", json=BODY, headers=as_key)).json()["id"] for _ in range(3)]

    first = (await http.get("/launch?limit=2", headers=as_key)).json()
    second = (await http.get("/launch" + first["next"], headers=as_key)).json()

    assert [launch["id"] for launch in first["launches"]] == ids[:0:-1]
    assert [launch["id"] for launch in second["launches"]] == ids[:1]
    assert second["next"] is None


async def test_the_list_is_filtered_by_status(house: House) -> None:
    of_ada = house.headers["owner"]

    ready = (await house.service.http.get("/launch?status=ready", headers=of_ada)).json()
    failed = (await house.service.http.get("/launch?status=failed", headers=of_ada)).json()

    assert [launch["id"] for launch in ready["launches"]] == [house.launch_id]
    assert failed["launches"] == []


async def test_an_admin_lists_everybodys_launches_without_a_way_in(house: House) -> None:
    everybodys = (await house.service.http.get("/launch?everybody=true", headers=house.headers["admin"])).json()
    own = (await house.service.http.get("/launch", headers=house.headers["admin"])).json()

    assert [launch["username"] for launch in everybodys["launches"]] == [ADA]
    assert "open_url" not in everybodys["launches"][0]
    assert own["launches"] == []


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "caller", "status"),
    [
        (("hub",), "nobody", 401),
        (("hub",), "key", 401),
        (("hub",), "user", 202),
        (("key",), "nobody", 401),
        (("key",), "key", 202),
        (("key",), "user", 401),
        (("anonymous",), "nobody", 202),
        (("anonymous",), "key", 401),
        (("anonymous",), "user", 401),
        (("anonymous", "key"), "nobody", 202),
        (("hub", "key"), "nobody", 401),
    ],
)
async def test_only_the_kinds_of_callers_that_are_let_in_may_launch(
    settings: Settings, hub: FakeHub, tmp_path: Path, access: tuple[str, ...], caller: str, status: int
) -> None:
    hub.create_user(ADA)
    _, key = add_key(tmp_path / "keys.json", name="ci")
    headers = {"nobody": {}, "key": _bearer(key), "user": _bearer(hub.tokens.add(ADA, [SCOPE], "", None).token)}
    changed = {"access": access, "api_keys_file": tmp_path / "keys.json"}
    async with serve(settings.model_copy(update=changed)) as service:
        answer = await service.http.post("/launch", json=BODY, headers=headers[caller])

    assert answer.status_code == status


# --- on whose account -------------------------------------------------------------------------------------------------


async def test_a_hub_users_launch_is_on_their_account_and_makes_no_token_and_no_user(
    house: House, hub: FakeHub
) -> None:
    launch = (await house.service.http.get(f"/launch/{house.launch_id}", headers=house.headers["owner"])).json()

    assert (launch["username"], launch["server_name"], launch["token"]) == (ADA, "", None)
    assert launch["open_url"] == launch["url"] == f"{hub.url}user/ada/"
    assert sorted(hub.users) == [ADA, BOB, ROOT]
    assert hub.count("token_minted") == 0


async def test_cancelling_it_stops_the_server_and_leaves_the_user(house: House, hub: FakeHub) -> None:
    http, headers = house.service.http, house.headers["owner"]

    async with asyncio.timeout(5):
        while (await http.delete(f"/launch/{house.launch_id}", headers=headers)).status_code != 204:
            pass

    assert hub.count("server_stopped", ADA) == 1
    assert ADA in hub.users


async def test_a_running_server_is_told_with_its_url(house: House, hub: FakeHub) -> None:
    answer = await house.service.http.post("/launch", json=BODY, headers=house.headers["owner"])

    assert answer.json()["code"] == "server_already_running"
    assert f"{hub.url}user/ada/" in answer.json()["detail"]


async def test_a_key_may_launch_for_a_user_whom_it_names_and_only_for_one_who_exists(
    house: House, hub: FakeHub
) -> None:
    http, headers = house.service.http, house.headers["key that may name users"]

    for_bob = await http.post("/launch", json=BODY | {"username": BOB}, headers=headers)
    for_nobody = await http.post("/launch", json=BODY | {"username": "nobody"}, headers=headers)

    assert for_bob.json()["username"] == BOB
    assert (for_nobody.status_code, for_nobody.json()["errors"][0]["field"]) == (422, "username")
    assert "nobody" not in hub.users


async def test_a_keys_own_images_take_the_place_of_the_services(house: House) -> None:
    http, headers = house.service.http, house.headers["key for other images"]

    services = await http.post("/launch", json=BODY, headers=headers)
    its_own = await http.post("/launch", json=BODY | {"image": "example.org/a/b:1"}, headers=headers)

    assert (services.status_code, services.json()["code"]) == (403, "image_not_allowed")
    assert its_own.status_code == 202


async def test_a_key_that_is_nobodys_is_never_shown_to_the_hub(house: House, hub: FakeHub) -> None:
    asked_before = len(hub.asked("whoami"))

    answer = await house.service.http.get("/session", headers=house.headers["wrong key"])

    assert answer.status_code == 401
    assert len(hub.asked("whoami")) == asked_before
