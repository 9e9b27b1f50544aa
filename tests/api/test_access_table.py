"""Access: every route, with every kind of caller, in every mode."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.routing import Route

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.callers import BOB, CallerWorld, Credentials, headers_of, launch_of_ada, session_of_ada
from tests.support.served import BODY, Service, serve

pytestmark = pytest.mark.thorough

BUILD = "/build/gh/org/repo/main"
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
    "wrong token, correct secret",
    "key",
    "key that may name users",
    "key for other images",
    "admin key",
    "wrong key",
    "invitation",
    "ended invitation",
    "wrong invitation",
    "admin link",
    "ended admin link",
)
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    # nob wtok schm nosc serv ownr othr admn sess else secr wsec w+rs key  name narr akey wkey invi over winv link elnk
    ("POST", "/launch reusing"): (
        *(
            202,
            401,
            401,
            403,
            403,
            200,
            202,
            202,
            200,
            403,
            202,
            202,
            401,
            202,
            202,
            403,
            202,
            401,
            403,
            403,
            401,
            403,
            401,
        ),
    ),
    ("POST", "/launch refusing"): (
        *(
            202,
            401,
            401,
            403,
            403,
            409,
            409,
            409,
            409,
            403,
            202,
            202,
            401,
            409,
            409,
            403,
            409,
            401,
            403,
            403,
            401,
            403,
            401,
        ),
    ),
    ("POST", "/launch"): (
        *(
            202,
            401,
            401,
            403,
            403,
            202,
            202,
            202,
            202,
            403,
            202,
            202,
            401,
            202,
            202,
            403,
            202,
            401,
            403,
            403,
            401,
            403,
            401,
        ),
    ),
    ("POST", "/launch of SciPy"): (
        *(
            202,
            401,
            401,
            403,
            403,
            202,
            202,
            202,
            202,
            403,
            202,
            202,
            401,
            202,
            202,
            422,
            202,
            401,
            202,
            403,
            401,
            403,
            401,
        ),
    ),
    ("POST", "/launch as bob"): (
        *(
            403,
            401,
            401,
            403,
            403,
            403,
            202,
            403,
            403,
            403,
            403,
            403,
            401,
            403,
            202,
            403,
            403,
            401,
            403,
            403,
            401,
            403,
            401,
        ),
    ),
    ("GET", "/launch"): (
        *(
            401,
            401,
            401,
            403,
            403,
            200,
            200,
            200,
            200,
            401,
            401,
            401,
            401,
            200,
            200,
            200,
            200,
            401,
            401,
            403,
            401,
            200,
            401,
        ),
    ),
    ("GET", "/launch?everybody=true"): (
        *(
            401,
            401,
            401,
            403,
            403,
            403,
            403,
            200,
            403,
            401,
            401,
            401,
            401,
            403,
            403,
            403,
            200,
            401,
            401,
            403,
            401,
            200,
            401,
        ),
    ),
    ("GET", "/launch/{launch_id}"): (
        *(
            200,
            401,
            401,
            403,
            403,
            200,
            200,
            200,
            200,
            200,
            200,
            200,
            401,
            200,
            200,
            200,
            200,
            401,
            200,
            403,
            401,
            200,
            401,
        ),
    ),
    ("GET", "/launch/{launch_id}/events"): (
        *(
            200,
            401,
            401,
            403,
            403,
            200,
            200,
            200,
            200,
            200,
            200,
            200,
            401,
            200,
            200,
            200,
            200,
            401,
            200,
            403,
            401,
            200,
            401,
        ),
    ),
    ("POST", "/launch/{launch_id}/extend"): (
        *(
            403,
            401,
            401,
            403,
            403,
            409,
            403,
            409,
            409,
            403,
            409,
            403,
            401,
            403,
            403,
            403,
            409,
            401,
            403,
            403,
            401,
            409,
            401,
        ),
    ),
    ("DELETE", "/launch/{launch_id}"): (
        *(
            403,
            401,
            401,
            403,
            403,
            202,
            403,
            202,
            202,
            403,
            202,
            403,
            401,
            403,
            403,
            403,
            202,
            401,
            403,
            403,
            401,
            202,
            401,
        ),
    ),
    ("GET", BUILD): (
        *(
            200,
            401,
            401,
            403,
            403,
            200,
            200,
            200,
            200,
            403,
            200,
            200,
            401,
            200,
            200,
            200,
            200,
            401,
            200,
            403,
            401,
            200,
            401,
        ),
    ),
    ("GET", "/catalogue"): (
        *(
            200,
            401,
            401,
            403,
            403,
            200,
            200,
            200,
            200,
            200,
            200,
            200,
            401,
            200,
            200,
            200,
            200,
            401,
            200,
            403,
            401,
            200,
            401,
        ),
    ),
    ("GET", "/session"): (
        *(
            200,
            401,
            401,
            403,
            403,
            200,
            200,
            200,
            200,
            200,
            200,
            200,
            401,
            200,
            200,
            200,
            200,
            401,
            200,
            403,
            401,
            200,
            401,
        ),
    ),
    ("DELETE", "/session"): (
        *(
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            403,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
            204,
        ),
    ),
    ("GET", "/admin/events"): (
        *(
            401,
            401,
            401,
            403,
            403,
            403,
            403,
            200,
            403,
            401,
            401,
            401,
            401,
            403,
            403,
            403,
            200,
            401,
            403,
            403,
            401,
            200,
            401,
        ),
    ),
    ("PUT", "/admin/drain"): (
        *(
            401,
            401,
            401,
            403,
            403,
            403,
            403,
            204,
            403,
            403,
            401,
            401,
            401,
            403,
            403,
            403,
            204,
            401,
            403,
            403,
            401,
            204,
            401,
        ),
    ),
    ("DELETE", "/admin/guard"): (
        *(
            401,
            401,
            401,
            403,
            403,
            403,
            403,
            204,
            403,
            403,
            401,
            401,
            401,
            403,
            403,
            403,
            204,
            401,
            403,
            403,
            401,
            204,
            401,
        ),
    ),
    ("GET", "/oauth_login"): (302,) * len(CALLERS),
    ("GET", "/oauth_callback"): (401,) * len(CALLERS),
    **{
        ("GET", path): (200,) * len(CALLERS)
        for path in (
            *("/healthz", "/readyz", "/status", "/openapi.json"),
            *("/docs", "/docs/start.js"),
            *("/", "/admin", "/launch/{launch_id}/view", "/badge.svg", "/static/hub-launch.js"),
            "/badge_logo.svg",
        )
    },
}
"""The answers of a service that accepts all kinds of callers, about a launch of Ada's."""

HUB_USERS = ("no scope", "the Hub's service", "owner", "other user", "admin")
SESSIONS = ("session of the owner", "that session, by a page elsewhere")
KEYS = ("key", "key that may name users", "key for other images", "admin key")
INVITED = ("invitation", "ended invitation")
WITHOUT_CREDENTIALS = ("nobody", "secret", "wrong secret")
EVERYBODYS = ("GET", "/launch?everybody=true")
EXTEND = ("POST", "/launch/{launch_id}/extend")
LAUNCHES = [route for route in TABLE if (route[0] == "POST" or route[1] == BUILD) and route != EXTEND]
CHECKS_CREDENTIALS = [
    route
    for route in TABLE
    if (route[1].startswith("/launch") and not route[1].endswith("/view"))
    or route[1].startswith("/admin/")
    or route in (("GET", BUILD), ("GET", "/session"), ("GET", "/catalogue"))
]


def expected(route: tuple[str, str], caller: str, access: tuple[str, ...]) -> int:
    """Return the table's answer. Callers of a kind that is off count as unknown, or as callers without credentials."""
    if "hub" not in access and route in (("GET", "/oauth_login"), ("GET", "/oauth_callback"), ("DELETE", "/session")):
        known = route == ("DELETE", "/session")  # with the method GET
        return 403 if known and caller == SESSIONS[1] else 405 if known else 404
    if route in CHECKS_CREDENTIALS:
        kinds = {"hub": HUB_USERS, "key": KEYS, "invitation": INVITED}
        if any(kind not in access and caller in of_kind for kind, of_kind in kinds.items()):
            return 401
        if "hub" not in access and caller == SESSIONS[0]:
            caller = "nobody"
        if "anonymous" not in access and caller in WITHOUT_CREDENTIALS and route in LAUNCHES:
            return 401
        strangers = (*WITHOUT_CREDENTIALS, *SESSIONS, "invitation")
        if not {"hub", "key"} & set(access) and route == EVERYBODYS and caller in strangers:
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
    ("invitation",),
    ("anonymous", "invitation"),
    ("hub", "invitation"),
    ("anonymous", "hub", "invitation", "key"),
]


@pytest.mark.parametrize("access", MODES, ids=" ".join)
async def test_each_route_answers_each_caller_as_in_the_table(
    settings_of_all: Settings, hub: FakeHub, credentials: Credentials, access: tuple[str, ...]
) -> None:
    named = {"allow_named_servers": True}  # so that launches do not conflict
    async with serve(settings_of_all.model_copy(update=named)) as service:
        launches = await asyncio.gather(*(launch_of_ada(service, credentials) for _ in CALLERS))
        session = await session_of_ada(service, hub)

    answers = {}
    async with serve(settings_of_all.model_copy(update=named), access=access) as service:
        for caller, launch in zip(CALLERS, launches, strict=True):
            headers = headers_of(credentials, session, launch["secret"])[caller]
            for route in TABLE:
                answers[route, caller] = await _ask(service, route, launch["id"], headers)

    cells = [(route, caller) for route in TABLE for caller in CALLERS]
    assert answers == {(route, caller): expected(route, caller, access) for route, caller in cells}


BODIES: Mapping[tuple[str, str], Any] = {EXTEND: {"seconds": 60}, ("PUT", "/admin/drain"): {"is_draining": False}}
_ACCEPT = {BUILD: {"Accept": "text/event-stream"}}
WAYS = {
    "": {},
    "of SciPy": {"image": "", "environment": "scipy"},
    "as bob": {"username": BOB},
    "reusing": {"if_running": "reuse"},
    "refusing": {"if_running": "refuse"},
}
"""Further fields in the body of a POST, by the words after its path in the table."""


async def _ask(service: Service, route: tuple[str, str], launch_id: str, headers: Mapping[str, str]) -> int:
    method, path = route
    path, _, way = path.partition(" ")
    body = BODIES.get(route, BODY | WAYS[way] if method == "POST" else None)
    path = path.format(launch_id=launch_id)
    service.http.cookies.clear()  # the next caller must not continue this login
    async with service.http.stream(method, path, json=body, headers={**headers, **_ACCEPT.get(path, {})}) as answer:
        if path not in (BUILD, "/admin/events") or answer.status_code >= 400:
            await answer.aread()
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code


def test_an_invitation_opens_no_route_that_a_key_cannot_open() -> None:
    holder, key = CALLERS.index("invitation"), CALLERS.index("key")

    assert [route for route, answers in TABLE.items() if answers[holder] < 400 <= answers[key]] == []


async def test_the_table_has_every_route(world: CallerWorld) -> None:
    routes = _routes(world.service.app)

    paths = {
        BUILD: "/build/{provider}/{spec:path}",
        "/docs/start.js": "/docs/{name}",
        "/static/hub-launch.js": "/static/{name:path}",
    }
    in_table = {(method, paths.get(path, path.partition("?")[0].partition(" ")[0])) for method, path in TABLE}
    depends_on_the_hub = {("GET", "/health")}
    assert {route for route in routes if route[0] != "HEAD"} == in_table | depends_on_the_hub


def _routes(app: Any) -> set[tuple[str, str]]:
    """Return each method and path, including those of included routers."""
    found = set()
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, Route) or hasattr(route, "endpoint"):
            found |= {(method, route.path) for method in route.methods or ()}
        else:
            waiting += getattr(route, "original_router", route).routes
    return found
