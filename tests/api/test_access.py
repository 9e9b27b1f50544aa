"""Who may do what: every route, asked by every kind of caller."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.routing import Route

from hublaunch.api.callers.sessions import SESSION_COOKIE
from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import BODY, IMAGE, Service, read_events, serve

SCOPE = "access:services!service=hublaunch"
ADA, BOB, ROOT = "ada", "bob", "root"
BUILD = "/build/gh/org/repo/main"


Credentials = Mapping[str, str]
"""Tokens and keys, by whose they are."""


@pytest.fixture
def settings_of_all(settings: Settings, hub: FakeHub, tmp_path: Path) -> Settings:
    """All three kinds of callers are let in."""
    changed = {
        "access": ("anonymous", "hub", "key"),
        "admins": (ROOT,),
        "api_keys_file": tmp_path / "keys.json",
        "oauth_client_id": f"service-{hub.service}",
        "binder_images": {"gh/org/*/*": IMAGE},
    }
    return settings.model_copy(update=changed)


@pytest.fixture
async def credentials(hub: FakeHub, tmp_path: Path) -> Credentials:
    for name in (ADA, BOB, ROOT):
        hub.create_user(name)
    keys = tmp_path / "keys.json"
    return {
        "owner": hub.tokens.add(ADA, [SCOPE], "", None).token,
        "other user": hub.tokens.add(BOB, [SCOPE], "", None).token,
        "admin": hub.tokens.add(ROOT, [SCOPE], "", None).token,
        "no scope": hub.tokens.add(ADA, ["access:servers!user=ada"], "", None).token,
        "the Hub's service": hub.api_token,
        "wrong token": "a-wrong-token",
        "key": add_key(keys, name="plain")[1],
        "key that may name users": add_key(keys, name="naming", may_name_user=True)[1],
        "key for other images": add_key(keys, name="narrow", allowed_images=["example.org/*"])[1],
        "admin key": add_key(keys, name="admin", is_admin=True)[1],
        "wrong key": "hl_" + "x" * 43,
    }


def _headers(credentials: Credentials, session: str, secret: str) -> Mapping[str, dict[str, str]]:
    """What each kind of caller sends; the secret is that of the launch which is asked about."""
    cookie = {"Cookie": f"{SESSION_COOKIE}={session}"}
    return {
        "nobody": {},
        "wrong scheme": {"Authorization": "Basic YTpi"},
        "session of the owner": cookie,
        "that session, by a page elsewhere": cookie
        | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        "secret": {"X-Launch-Secret": secret},
        "wrong secret": {"X-Launch-Secret": "x" * 43},
        "wrong token, right secret": _bearer(credentials["wrong token"]) | {"X-Launch-Secret": secret},
        **{caller: _bearer(credential) for caller, credential in credentials.items()},
    }


def _bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


@dataclass(frozen=True)
class House:
    """A service with three kinds of callers, a launch of Ada's that is ready, and what everybody sends."""

    service: Service
    headers: Mapping[str, dict[str, str]]
    launch_id: str


@pytest.fixture
async def house(settings_of_all: Settings, hub: FakeHub, credentials: Credentials) -> AsyncGenerator[House]:
    async with serve(settings_of_all) as service:
        launch = await _launch_of_ada(service, credentials)
        session = await _session_of_ada(service, hub)
        service.http.cookies.clear()
        yield House(service, _headers(credentials, session, launch["secret"]), launch["id"])


# --- every route, every caller, in every mode -------------------------------------------------------------------------

CALLERS = (
    "nobody",
    "wrong token",
    "wrong scheme",
    "no scope",
    "the Hub's service",
    "owner",
    "other user",
    "admin",
    "session of the owner",
    "that session, by a page elsewhere",
    "secret",
    "wrong secret",
    "wrong token, right secret",
    "key",
    "key that may name users",
    "key for other images",
    "admin key",
    "wrong key",
)
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    # nob wtok schm nosc serv ownr othr admn sess else secr wsec w+rs key  name narr akey wkey
    ("POST", "/launch reusing"): (
        *(202, 401, 401, 403, 403, 200, 202, 202, 200, 403, 202, 202, 401, 202, 202, 403, 202, 401),
    ),
    ("POST", "/launch refusing"): (
        *(202, 401, 401, 403, 403, 409, 409, 409, 409, 403, 202, 202, 401, 409, 409, 403, 409, 401),
    ),
    ("POST", "/launch"): (*(202, 401, 401, 403, 403, 202, 202, 202, 202, 403, 202, 202, 401, 202, 202, 403, 202, 401),),
    ("POST", "/launch as bob"): (
        *(403, 401, 401, 403, 403, 403, 202, 403, 403, 403, 403, 403, 401, 403, 202, 403, 403, 401),
    ),
    ("GET", "/launch"): (*(401, 401, 401, 403, 403, 200, 200, 200, 200, 401, 401, 401, 401, 200, 200, 200, 200, 401),),
    ("GET", "/launch?everybody=true"): (
        *(401, 401, 401, 403, 403, 403, 403, 200, 403, 401, 401, 401, 401, 403, 403, 403, 200, 401),
    ),
    ("GET", "/launch/{launch_id}"): (
        *(200, 401, 401, 403, 403, 200, 200, 200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 401),
    ),
    ("GET", "/launch/{launch_id}/events"): (
        *(200, 401, 401, 403, 403, 200, 200, 200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 401),
    ),
    ("DELETE", "/launch/{launch_id}"): (
        *(403, 401, 401, 403, 403, 202, 403, 202, 202, 403, 202, 403, 401, 403, 403, 403, 202, 401),
    ),
    ("GET", BUILD): (*(200, 401, 401, 403, 403, 200, 200, 200, 200, 403, 200, 200, 401, 200, 200, 200, 200, 401),),
    ("GET", "/session"): (*(200, 401, 401, 403, 403, 200, 200, 200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 401),),
    ("DELETE", "/session"): (
        *(204, 204, 204, 204, 204, 204, 204, 204, 204, 403, 204, 204, 204, 204, 204, 204, 204, 204),
    ),
    ("GET", "/oauth_login"): (302,) * len(CALLERS),
    ("GET", "/oauth_callback"): (401,) * len(CALLERS),
    **{
        ("GET", path): (200,) * len(CALLERS)
        for path in (
            *("/healthz", "/readyz", "/status", "/openapi.json"),
            *("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"),
            *("/", "/launch/{launch_id}/view", "/badge.svg", "/static/{name}"),
            "/badge_logo.svg",
        )
    },
}
"""What is answered where all three kinds of callers are let in; the launch is a Hub user's."""

HUB_USERS = ("no scope", "the Hub's service", "owner", "other user", "admin")
SESSIONS = ("session of the owner", "that session, by a page elsewhere")
KEYS = ("key", "key that may name users", "key for other images", "admin key")
WITHOUT_CREDENTIALS = ("nobody", "secret", "wrong secret")
EVERYBODYS = ("GET", "/launch?everybody=true")
LAUNCHES = [route for route in TABLE if route[0] == "POST" or route[1] == BUILD]
CHECKS_CREDENTIALS = [
    route
    for route in TABLE
    if (route[1].startswith("/launch") and not route[1].endswith("/view"))
    or route in (("GET", BUILD), ("GET", "/session"))
]


def expected(route: tuple[str, str], caller: str, access: tuple[str, ...]) -> int:
    """The table's answer; who is not let in is known no more than somebody with a wrong token, or with none."""
    if "hub" not in access and route in (("GET", "/oauth_login"), ("GET", "/oauth_callback"), ("DELETE", "/session")):
        known = route == ("DELETE", "/session")  # by the method GET
        return 403 if known and caller == SESSIONS[1] else 405 if known else 404
    if route in CHECKS_CREDENTIALS:
        if ("hub" not in access and caller in HUB_USERS) or ("key" not in access and caller in KEYS):
            return 401
        if "hub" not in access and caller == SESSIONS[0]:
            caller = "nobody"
        if "anonymous" not in access and caller in WITHOUT_CREDENTIALS and route in LAUNCHES:
            return 401
        if access == ("anonymous",) and route == EVERYBODYS and caller in (*WITHOUT_CREDENTIALS, *SESSIONS):
            return 403  # nobody can be an admin here
    return TABLE[route][CALLERS.index(caller)]


MODES = [
    ("anonymous",),
    ("hub",),
    ("key",),
    ("anonymous", "hub"),
    ("anonymous", "key"),
    ("hub", "key"),
    ("anonymous", "hub", "key"),
]


@pytest.mark.parametrize("access", MODES, ids=" ".join)
async def test_each_route_answers_each_caller_as_the_table_says(
    settings_of_all: Settings, hub: FakeHub, credentials: Credentials, access: tuple[str, ...]
) -> None:
    named = {"allow_named_servers": True}  # so that no launch is in another's way
    async with serve(settings_of_all.model_copy(update=named)) as service:
        launches = await asyncio.gather(*(_launch_of_ada(service, credentials) for _ in CALLERS))
        session = await _session_of_ada(service, hub)

    answers = {}
    async with serve(settings_of_all.model_copy(update={**named, "access": access})) as service:
        for caller, launch in zip(CALLERS, launches, strict=True):
            headers = _headers(credentials, session, launch["secret"])[caller]
            for route in TABLE:
                answers[route, caller] = await _ask(service, route, launch["id"], headers)

    cells = [(route, caller) for route in TABLE for caller in CALLERS]
    assert answers == {(route, caller): expected(route, caller, access) for route, caller in cells}


async def _launch_of_ada(service: Service, credentials: Credentials) -> dict[str, str]:
    answer = await service.http.post("/launch", json=BODY, headers=_bearer(credentials["owner"]))
    accepted: dict[str, str] = answer.json()
    await service.events(accepted["events_url"])
    return accepted


async def _session_of_ada(service: Service, hub: FakeHub) -> str:
    """The browser's cookie after a login."""
    login = await service.http.get("/oauth_login")
    told = {name: values[0] for name, values in parse_qs(urlsplit(login.headers["Location"]).query).items()}
    code = hub.confirm_login(
        ADA, scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"]
    )
    await service.http.get("/oauth_callback", params={"code": code, "state": told["state"]})
    return service.http.cookies[SESSION_COOKIE]


_ACCEPT = {BUILD: {"Accept": "text/event-stream"}}
WAYS = {
    "": {},
    "as bob": {"username": BOB},
    "reusing": {"if_running": "reuse"},
    "refusing": {"if_running": "refuse"},
}
"""What is in the body of a POST for each way in which the table has it."""


async def _ask(service: Service, route: tuple[str, str], launch_id: str, headers: Mapping[str, str]) -> int:
    method, path = route
    path, _, way = path.partition(" ")
    body = BODY | WAYS[way] if method == "POST" else None
    path = path.format(launch_id=launch_id, name="hub-launch.js")
    service.http.cookies.clear()  # a login that was begun is not the next caller's
    async with service.http.stream(method, path, json=body, headers={**headers, **_ACCEPT.get(path, {})}) as answer:
        if path != BUILD:
            await answer.aread()
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code


async def test_a_service_without_admins_says_that_nobody_can_list_everybodys_launches(service: Service) -> None:
    answer = await service.http.get("/launch?everybody=true")

    assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")
    assert answer.json()["detail"].startswith("Nobody can list everybody's launches here")


async def test_no_route_is_missing_from_the_table(house: House) -> None:
    routes = _routes(house.service.app)

    paths = {BUILD: "/build/{provider}/{spec:path}"}
    in_table = {(method, paths.get(path, path.partition("?")[0].partition(" ")[0])) for method, path in TABLE}
    depends_on_the_hub = {("GET", "/health")}
    assert {route for route in routes if route[0] != "HEAD"} == in_table | depends_on_the_hub


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
        ("key that may name users", False, False),
        ("wrong secret", False, False),
        ("that session, by a page elsewhere", False, False),
        ("admin", True, False),
        ("admin key", True, False),
        ("owner", True, True),
        ("session of the owner", True, True),
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


@pytest.mark.parametrize(
    ("caller", "images"),
    [("nobody", ["*"]), ("owner", ["*"]), ("key", ["*"]), ("key for other images", ["example.org/*"])],
)
async def test_each_caller_is_told_which_images_they_may_launch(house: House, caller: str, images: list[str]) -> None:
    session = (await house.service.http.get("/session", headers=house.headers[caller])).json()

    assert session["images"] == images
    assert session["access"] == ["anonymous", "hub", "key"]


async def test_who_may_launch_nothing_without_a_login_is_told_of_no_image(settings_of_all: Settings) -> None:
    async with serve(settings_of_all.model_copy(update={"access": ("hub",)})) as service:
        session = (await service.http.get("/session")).json()

    assert (session["access"], session["images"]) == (["hub"], [])


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


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "ready"}, True),
        ({"status": "failed"}, False),
        ({"repo_url": BODY["repo_url"], "image": BODY["image"], "username": ADA}, True),
        ({"repo_url": "https://example.org/other"}, False),
        ({"image": "other"}, False),
        ({"username": "nobody"}, False),
        ({"since": "2026-01-01T00:00:00+01:00"}, True),
        ({"since": "2126-01-01T00:00:00Z"}, False),
    ],
)
async def test_the_list_is_filtered(house: House, query: dict[str, str], found: bool) -> None:
    answer = await house.service.http.get("/launch", params=query, headers=house.headers["owner"])

    assert answer.status_code == 200, answer.text
    assert [launch["id"] for launch in answer.json()["launches"]] == ([house.launch_id] if found else [])


async def test_the_next_page_keeps_the_filter_and_skips_and_repeats_nothing_when_launches_are_added(
    house: House,
) -> None:
    http, as_key = house.service.http, house.headers["key"]
    ids = [(await http.post("/launch", json=BODY, headers=as_key)).json()["id"] for _ in range(2)]
    query = {"limit": "1", "repo_url": BODY["repo_url"], "since": "2026-01-01T00:00:00+01:00"}
    first = (await http.get("/launch", params=query, headers=as_key)).json()

    await http.post("/launch", json=BODY | {"repo_url": "https://example.org/other"}, headers=as_key)
    second = (await http.get("/launch" + first["next"], headers=as_key)).json()

    assert [launch["id"] for page in (first, second) for launch in page["launches"]] == [ids[1], ids[0]]
    assert "repo_url" in first["next"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("since", "2026-01-01T00:00:00"),
        ("since", "0001-01-01T00:00:00+12:00"),
        ("image", "a%00"),
        ("repo_url", "a%0a"),
        ("username", "%00"),
        ("cursor", "nonsense"),
        ("limit", "0"),
    ],
)
async def test_what_no_launch_can_have_is_refused(house: House, field: str, value: str) -> None:
    answer = await house.service.http.get(f"/launch?{field}={value}", headers=house.headers["owner"])

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_each_launch_of_the_list_tells_how_long_it_took_and_why_it_failed(house: House, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="no such image"))
    as_key = house.headers["key"]
    accepted = (await house.service.http.post("/launch", json=BODY, headers=as_key)).json()
    await house.service.events(accepted["events_url"])

    (shown,) = (await house.service.http.get("/launch", headers=as_key)).json()["launches"]

    assert shown["attempt"] == 1
    assert shown["problem"]["code"] == "spawn_failed"
    waiting, spawning, total = (shown["durations"][name] for name in ("waiting_s", "spawning_s", "total_s"))
    assert 0 <= waiting <= total
    assert total == pytest.approx(waiting + spawning, abs=0.01)


async def test_an_admin_lists_everybodys_launches_without_a_way_in(house: House) -> None:
    everybodys = (await house.service.http.get("/launch?everybody=true", headers=house.headers["admin"])).json()
    own = (await house.service.http.get("/launch", headers=house.headers["admin"])).json()

    assert [launch["username"] for launch in everybodys["launches"]] == [ADA]
    assert "open_url" not in everybodys["launches"][0]
    assert own["launches"] == []


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


async def test_a_running_server_is_told_with_its_url_and_where_the_path_opens_in_it(house: House, hub: FakeHub) -> None:
    body = BODY | {"path": "git-pull?repo=https://github.com/org/course"}
    answer = await house.service.http.post("/launch", json=body, headers=house.headers["owner"])

    assert answer.json()["code"] == "server_already_running"
    assert answer.json()["url"] == f"{hub.url}user/ada/"
    assert answer.json()["open_url"] == f"{hub.url}user/ada/git-pull?repo=https://github.com/org/course"
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
