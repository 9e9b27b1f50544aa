"""This service's part in a browser's login at the Hub. tests/e2e has the real Hub."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hublaunch.api.callers.sessions import SESSION_COOKIE
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.fakes.hub_faults import Operation
from tests.support.login import PREFIX, SCOPE, begin, come_back
from tests.support.served import BODY, Service, serve

BELOW_A_PREFIX = (
    "docs",
    "/docs",
    "/services/launcher",
    "/services/launcherx/",
    "//evil.example/services/launcher/",
    "https://evil.example/services/launcher/",
    "/services/launcher/../../hub/logout",
    "/services/launcher/%2e%2e/%2e%2e/hub/logout",
    "/services/launcher/\\evil",
    "/services/launcher/%5c%5cevil",
    "/services/launcher//evil.example",
    "/services/launcher/\r\nSet-Cookie: a=b",
    "/services/launcher/%0d%0aSet-Cookie: a=b",
    "/services/launcher/ä",
    "javascript:alert(1)",
)
AT_THE_ROOT = (
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "/%5cevil.example",
    "/%2fevil.example",
    "/.//evil.example",
    "/./docs",
    "/docs/..",
    "/docs/%2e%2e//evil.example",
    "/\t/evil.example",
    "/%09/evil.example",
    "https://evil.example/",
    "https:evil.example",
    "?x",
)


async def test_a_login_goes_to_the_hub_with_state_and_challenge(users_service: Service, hub: FakeHub) -> None:
    answer = await users_service.http.get("/oauth_login")

    target = urlsplit(answer.headers["Location"])
    told = parse_qs(target.query)
    assert answer.headers["Location"].startswith(f"{hub.url}hub/api/oauth2/authorize?")
    assert told["client_id"] == ["service-launcher"]
    assert told["redirect_uri"] == [f"{PREFIX}/oauth_callback"]
    assert told["code_challenge_method"] == ["S256"]
    assert len(told["state"][0]) >= 20
    assert len(told["code_challenge"][0]) == 43


async def test_a_completed_login_starts_a_session_and_opens_the_page(users_service: Service, hub: FakeHub) -> None:
    answer = await come_back(users_service, hub, await begin(users_service, next=f"{PREFIX}/docs?x=1"))

    session = (await users_service.http.get("/session")).json()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PREFIX}/docs?x=1")
    assert session == {
        "kind": "hub",
        "name": "ada",
        "is_admin": False,
        "access": ["hub"],
        "images": ["*"],
        "invitation": None,
    }


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
async def test_other_origins_have_no_session(users_service: Service, hub: FakeHub, headers: dict[str, str]) -> None:
    await come_back(users_service, hub, await begin(users_service))

    answer = await users_service.http.get("/session", headers=headers)

    assert answer.json()["kind"] == "anonymous"


async def test_an_allowed_origin_cannot_use_the_session(settings_of_users: Settings, hub: FakeHub) -> None:
    frontend = "https://book.example.org"
    async with serve(settings_of_users, cors_origins=(frontend,)) as service:
        await come_back(service, hub, await begin(service))
        answer = await service.http.post("/launch", json=BODY, headers={"Origin": frontend})

    assert answer.status_code == 401


async def test_a_logout_ends_the_session(users_service: Service, hub: FakeHub) -> None:
    await come_back(users_service, hub, await begin(users_service))

    answer = await users_service.http.delete("/session")

    assert answer.status_code == 204
    assert (await users_service.http.get("/session")).json()["kind"] == "anonymous"


async def test_a_session_with_a_revoked_token_gets_401_instead_of_an_anonymous_launch(
    settings_of_users: Settings, hub: FakeHub
) -> None:
    async with serve(settings_of_users) as service:
        await come_back(service, hub, await begin(service))
        cookies = service.http.cookies
    hub.tokens.remove_all_of("ada")

    async with serve(settings_of_users, access=("anonymous", "hub")) as restarted:
        restarted.http.cookies = cookies
        answer = await restarted.http.post("/launch", json=BODY)

    assert answer.status_code == 401


@pytest.mark.parametrize("changed", [{"state": "another"}, {"state": ""}, {"code": ""}, {"code": "none"}])
async def test_a_callback_with_another_state_or_code_is_refused(
    users_service: Service, hub: FakeHub, changed: dict[str, str]
) -> None:
    answer = await come_back(users_service, hub, await begin(users_service), **changed)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert SESSION_COOKIE not in answer.cookies


async def test_a_callback_without_a_login_is_refused(users_service: Service, hub: FakeHub) -> None:
    told = await begin(users_service)
    users_service.http.cookies.clear()

    answer = await come_back(users_service, hub, told)

    assert answer.status_code == 401


async def test_a_code_of_another_login_is_refused(users_service: Service, hub: FakeHub) -> None:
    told = await begin(users_service)
    code = hub.confirm_login("ada", scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge="another" * 6)

    answer = await users_service.http.get("/oauth_callback", params={"code": code, "state": told["state"]})

    assert answer.status_code == 401


async def test_a_user_without_the_scope_gets_no_session(users_service: Service, hub: FakeHub) -> None:
    told = await begin(users_service)
    code = hub.confirm_login("ada", scopes=[], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"])

    answer = await users_service.http.get("/oauth_callback", params={"code": code, "state": told["state"]})

    assert answer.status_code == 403
    assert SESSION_COOKIE not in answer.cookies


@pytest.mark.parametrize(("prefix", "paths"), [(PREFIX, BELOW_A_PREFIX), ("", AT_THE_ROOT)])
async def test_a_login_leads_to_no_other_site(settings_of_users: Settings, prefix: str, paths: tuple[str, ...]) -> None:
    async with serve(settings_of_users, prefix=prefix) as service:
        answers = {path: await service.http.get("/oauth_login", params={"next": path}) for path in paths}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(paths, 422)
    for answer in answers.values():
        assert answer.json()["errors"][0]["field"] == "next"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/docs?next=//x#/y", "/a%20b/c.d/..e/@f:80", "/docs/"])
async def test_a_login_leads_to_any_path_of_this_service(users_service: Service, hub: FakeHub, path: str) -> None:
    answer = await come_back(users_service, hub, await begin(users_service, next=PREFIX + path))

    assert (answer.status_code, answer.headers["Location"]) == (303, PREFIX + path)


@pytest.mark.parametrize("operation", ["exchange_code", "whoami"])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"how": "drop"}, 502, "hub_unavailable"),
        ({"status": 500}, 502, "hub_unavailable"),
        ({"status": 503, "body": "html"}, 502, "hub_unavailable"),
        ({"status": 200, "body": "half"}, 502, "hub_unavailable"),
        ({"status": 404}, 502, "hub_refused"),
        ({"status": 429}, 503, "hub_busy"),
    ],
)
async def test_hub_errors_during_a_login_are_problems_without_a_session(
    users_service: Service, hub: FakeHub, operation: Operation, fault: dict[str, Any], status: int, code: str
) -> None:
    told = await begin(users_service)
    hub.fail_on(operation, **fault)

    answer = await come_back(users_service, hub, told)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert SESSION_COOKIE not in answer.cookies
