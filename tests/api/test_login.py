"""A browser's login by way of the Hub, as far as this service has part in it. With the real Hub: `tests/e2e`."""

from collections.abc import AsyncGenerator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from hublaunch.api.callers.sessions import HOST_PREFIX, LOGIN_COOKIE, SESSION_COOKIE
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.fakes.hub_faults import Operation
from tests.support.served import BODY, Service, serve

SCOPE = "access:services!service=launcher"
PREFIX = "/@/space%20word/services/launcher"


@pytest.fixture
async def settings_of_users(settings: Settings, hub: FakeHub) -> Settings:
    hub.create_user("ada")
    return settings.model_copy(update={"access": ("hub",), "service_name": hub.service, "prefix": PREFIX})


@pytest.fixture
async def users_service(settings_of_users: Settings) -> AsyncGenerator[Service]:
    async with serve(settings_of_users) as service:
        yield service


async def begin(service: Service, **query: str) -> dict[str, str]:
    """What the Hub is told of the login, by the browser that is sent there."""
    answer = await service.http.get("/oauth_login", params=query)
    assert answer.status_code == 302, answer.text
    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {name: values[0] for name, values in told.items()}


async def come_back(service: Service, hub: FakeHub, told: dict[str, str], **changed: str) -> httpx.Response:
    code = hub.confirm_login(
        "ada", scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"]
    )
    return await service.http.get("/oauth_callback", params={"code": code, "state": told["state"]} | changed)


async def test_a_browser_is_sent_to_the_hub_with_state_and_challenge(users_service: Service, hub: FakeHub) -> None:
    answer = await users_service.http.get("/oauth_login")

    target = urlsplit(answer.headers["Location"])
    told = parse_qs(target.query)
    assert answer.headers["Location"].startswith(f"{hub.url}hub/api/oauth2/authorize?")
    assert told["client_id"] == ["service-launcher"]
    assert told["redirect_uri"] == [f"{PREFIX}/oauth_callback"]
    assert told["code_challenge_method"] == ["S256"]
    assert len(told["state"][0]) >= 20
    assert len(told["code_challenge"][0]) == 43


async def test_who_comes_back_has_a_session_and_goes_on_to_where_they_were(
    users_service: Service, hub: FakeHub
) -> None:
    answer = await come_back(users_service, hub, await begin(users_service, next=f"{PREFIX}/docs?x=1"))

    session = (await users_service.http.get("/session")).json()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PREFIX}/docs?x=1")
    assert session == {"kind": "hub", "name": "ada", "is_admin": False, "access": ["hub"], "images": ["*"]}


async def test_the_session_cookie_is_sealed_and_for_this_service_alone(users_service: Service, hub: FakeHub) -> None:
    answer = await come_back(users_service, hub, await begin(users_service))

    cookies = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        cookies.load(line)
    cookie = cookies[SESSION_COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == f"{PREFIX}/"
    assert int(cookie["max-age"]) == hub.oauth_token_expires_in
    assert not cookie["secure"]
    assert cookies[LOGIN_COOKIE]["max-age"] == "0"
    assert all(token.token not in answer.headers["Set-Cookie"] for token in hub.tokens.of("ada"))


@pytest.fixture
async def https_service(settings_of_users: Settings) -> AsyncGenerator[Service]:
    """Below a proxy that ends TLS."""
    terms = {"hub_url": "https://127.0.0.1/", "hub_url_local": settings_of_users.hub_url}
    async with serve(settings_of_users.model_copy(update=terms)) as service:
        yield service


async def cookies_over_https(service: Service, hub: FakeHub) -> SimpleCookie:
    """What a browser keeps that has logged in. Its login is sent back by hand, as this client has no TLS."""
    begun = await service.http.get("/oauth_login")
    told = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["Location"]).query).items()}
    kept = set_cookies(begun)
    code = hub.confirm_login(
        "ada", scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"]
    )
    landed = await service.http.get(
        "/oauth_callback",
        params={"code": code, "state": told["state"]},
        headers={"Cookie": "; ".join(f"{name}={cookie.value}" for name, cookie in kept.items())},
    )
    assert landed.status_code == 303, landed.text
    return set_cookies(landed)


def set_cookies(answer: httpx.Response) -> SimpleCookie:
    cookies = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        cookies.load(line)
    return cookies


async def who(service: Service, *cookies: str) -> tuple[int, str | None]:
    """The status, and the name of whoever sends these cookies."""
    answer = await service.http.get("/session", headers={"Cookie": "; ".join(cookies)})
    return answer.status_code, answer.json().get("name")


SESSION_BESIDE = f"{HOST_PREFIX}{SESSION_COOKIE}{quote(PREFIX, safe='')}"


async def test_over_https_each_cookie_has_one_beside_it_that_no_other_host_can_set(
    https_service: Service, hub: FakeHub
) -> None:
    begun = set_cookies(await https_service.http.get("/oauth_login"))
    kept = await cookies_over_https(https_service, hub)

    assert set(begun) == {LOGIN_COOKIE, f"{HOST_PREFIX}{LOGIN_COOKIE}{quote(PREFIX, safe='')}"}
    assert set(kept) == {SESSION_COOKIE, SESSION_BESIDE, *begun}
    assert all(cookie["secure"] and cookie["httponly"] and not cookie["domain"] for cookie in kept.values())
    assert {name: cookie["path"] for name, cookie in kept.items()} == {
        name: "/" if name.startswith(HOST_PREFIX) else f"{PREFIX}/" for name in kept
    }
    assert {name for name, cookie in kept.items() if cookie["max-age"] == "0"} == set(begun)


async def test_a_session_that_another_host_has_set_is_none_over_https(https_service: Service, hub: FakeHub) -> None:
    own = await cookies_over_https(https_service, hub)
    others = await cookies_over_https(https_service, hub)
    session, beside = f"{SESSION_COOKIE}={own[SESSION_COOKIE].value}", f"{SESSION_BESIDE}={own[SESSION_BESIDE].value}"
    tossed = f"{SESSION_COOKIE}={others[SESSION_COOKIE].value}"

    assert await who(https_service, session, beside) == (200, "ada")
    assert await who(https_service, tossed, beside) == (200, None)
    assert await who(https_service, tossed) == (200, None)
    assert await who(https_service, beside) == (200, None)
    assert await who(https_service, session, f"{SESSION_BESIDE}=") == (200, None)
    assert await who(https_service, session, tossed, beside) == (401, None)


async def test_a_login_that_another_host_has_set_is_none_over_https(https_service: Service) -> None:
    begun = await https_service.http.get("/oauth_login")
    state = httpx.URL(begun.headers["Location"]).params["state"]
    headers = {"Cookie": f"{LOGIN_COOKIE}={set_cookies(begun)[LOGIN_COOKIE].value}"}

    answer = await https_service.http.get("/oauth_callback", params={"code": "x", "state": state}, headers=headers)

    assert (answer.status_code, "has not begun this login" in answer.text) == (401, True)


async def test_a_logout_over_https_forgets_both_cookies(https_service: Service) -> None:
    forgotten = set_cookies(await https_service.http.delete("/session"))

    assert {name: cookie["max-age"] for name, cookie in forgotten.items()} == {SESSION_COOKIE: "0", SESSION_BESIDE: "0"}


async def test_two_cookies_of_one_name_are_refused(users_service: Service, hub: FakeHub) -> None:
    session, login = await cookies_of_a_browser(users_service, hub)
    twice = {"Cookie": f"{SESSION_COOKIE}={session}; {LOGIN_COOKIE}={login}; {SESSION_COOKIE}=x; {LOGIN_COOKIE}=x"}

    launch = await users_service.http.post("/launch", json=BODY, headers=twice)
    session_of = await users_service.http.get("/session", headers=twice)
    callback = await users_service.http.get("/oauth_callback?code=x&state=y", headers=twice)

    assert [answer.status_code for answer in (launch, session_of, callback)] == [401] * 3
    assert "two cookies of the same name" in launch.json()["detail"]


async def test_a_session_launches_on_the_users_account_and_sees_its_launches(
    users_service: Service, hub: FakeHub
) -> None:
    await come_back(users_service, hub, await begin(users_service))

    accepted = await users_service.launch()
    own = (await users_service.http.get(f"/launch/{accepted['id']}")).json()

    assert own["username"] == "ada"


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
async def test_a_session_is_not_heeded_for_a_page_elsewhere(
    users_service: Service, hub: FakeHub, headers: dict[str, str]
) -> None:
    await come_back(users_service, hub, await begin(users_service))

    answer = await users_service.http.get("/session", headers=headers)

    assert answer.json()["kind"] == "anonymous"


async def test_a_frontend_that_may_call_still_cannot_use_the_session(settings_of_users: Settings, hub: FakeHub) -> None:
    frontend = "https://book.example.org"
    async with serve(settings_of_users.model_copy(update={"cors_origins": (frontend,)})) as service:
        await come_back(service, hub, await begin(service))
        answer = await service.http.post("/launch", json=BODY, headers={"Origin": frontend})

    assert answer.status_code == 401


async def test_logging_out_forgets_the_session(users_service: Service, hub: FakeHub) -> None:
    await come_back(users_service, hub, await begin(users_service))

    answer = await users_service.http.delete("/session")

    assert answer.status_code == 204
    assert (await users_service.http.get("/session")).json()["kind"] == "anonymous"


async def test_a_session_whose_token_the_hub_has_ended_is_401_and_no_anonymous_launch(
    settings_of_users: Settings, hub: FakeHub
) -> None:
    async with serve(settings_of_users) as service:
        await come_back(service, hub, await begin(service))
        cookies = service.http.cookies
    hub.tokens.remove_all_of("ada")

    async with serve(settings_of_users.model_copy(update={"access": ("anonymous", "hub")})) as restarted:
        restarted.http.cookies = cookies
        answer = await restarted.http.post("/launch", json=BODY)

    assert answer.status_code == 401


@pytest.mark.parametrize("changed", [{"state": "another"}, {"state": ""}, {"code": ""}, {"code": "none"}])
async def test_a_return_that_does_not_fit_the_login_is_refused(
    users_service: Service, hub: FakeHub, changed: dict[str, str]
) -> None:
    answer = await come_back(users_service, hub, await begin(users_service), **changed)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert SESSION_COOKIE not in answer.cookies


async def test_a_return_to_a_browser_that_began_no_login_is_refused(users_service: Service, hub: FakeHub) -> None:
    told = await begin(users_service)
    users_service.http.cookies.clear()

    answer = await come_back(users_service, hub, told)

    assert answer.status_code == 401


async def test_a_code_is_good_for_one_time_and_one_browser(users_service: Service, hub: FakeHub) -> None:
    told = await begin(users_service)
    code = hub.confirm_login("ada", scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge="another" * 6)

    answer = await users_service.http.get("/oauth_callback", params={"code": code, "state": told["state"]})

    assert answer.status_code == 401


async def test_a_user_without_the_scope_is_told_so_and_has_no_session(users_service: Service, hub: FakeHub) -> None:
    told = await begin(users_service)
    code = hub.confirm_login("ada", scopes=[], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"])

    answer = await users_service.http.get("/oauth_callback", params={"code": code, "state": told["state"]})

    assert answer.status_code == 403
    assert SESSION_COOKIE not in answer.cookies


@pytest.mark.parametrize("cookie", ["forged", "", "gAAAAABforged", "é"])
async def test_a_cookie_that_this_service_did_not_make_is_no_session(users_service: Service, cookie: str) -> None:
    await assert_is_no_session(users_service, session=cookie, login=cookie)


async def test_a_cookie_that_was_changed_is_no_session(users_service: Service, hub: FakeHub) -> None:
    session, login = await cookies_of_a_browser(users_service, hub)

    for place in (0, 12, len(session) // 2, -2):
        await assert_is_no_session(users_service, session=changed_at(session, place), login=changed_at(login, place))


async def test_a_cookie_that_was_sealed_with_another_key_is_no_session(
    settings_of_users: Settings, hub: FakeHub
) -> None:
    keys = [settings_of_users.model_copy(update={"secret_key": SecretStr(letter * 32)}) for letter in "ab"]
    async with serve(keys[0]) as service:
        session, login = await cookies_of_a_browser(service, hub)

    async with serve(keys[1]) as service:
        await assert_is_no_session(service, session=session, login=login)


async def test_neither_cookie_passes_for_the_other(users_service: Service, hub: FakeHub) -> None:
    session, login = await cookies_of_a_browser(users_service, hub)

    await assert_is_no_session(users_service, session=login, login=session)


async def cookies_of_a_browser(service: Service, hub: FakeHub) -> tuple[str, str]:
    """That of a session, and that of another login that is under way."""
    await come_back(service, hub, await begin(service))
    await begin(service)
    cookies = service.http.cookies[SESSION_COOKIE], service.http.cookies[LOGIN_COOKIE]
    service.http.cookies.clear()
    return cookies


def changed_at(cookie: str, place: int) -> str:
    letters = list(cookie)
    letters[place] = "A" if letters[place] != "A" else "B"
    return "".join(letters)


async def assert_is_no_session(service: Service, *, session: str, login: str) -> None:
    headers = {b"Cookie": f"{SESSION_COOKIE}={session}; {LOGIN_COOKIE}={login}".encode()}

    told = await service.http.get("/session", headers=headers)
    callback = await service.http.get("/oauth_callback?code=x&state=y", headers=headers)

    assert (told.status_code, told.json().get("kind")) == (200, "anonymous")
    assert (callback.status_code, callback.json()["code"]) == (401, "unauthenticated")


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


@pytest.mark.parametrize(("prefix", "paths"), [(PREFIX, BELOW_A_PREFIX), ("", AT_THE_ROOT)])
async def test_a_login_leads_to_paths_of_this_service_alone(
    settings_of_users: Settings, prefix: str, paths: tuple[str, ...]
) -> None:
    async with serve(settings_of_users.model_copy(update={"prefix": prefix})) as service:
        answers = {path: await service.http.get("/oauth_login", params={"next": path}) for path in paths}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(paths, 422)
    for answer in answers.values():
        assert answer.json()["errors"][0]["field"] == "next"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/docs?next=//x#/y", "/a%20b/c.d/..e/@f:80", "/docs/"])
async def test_a_path_of_this_service_is_gone_on_to_as_it_was_given(
    users_service: Service, hub: FakeHub, path: str
) -> None:
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
async def test_whatever_the_hub_says_during_a_login_ends_in_a_problem_and_no_session(
    users_service: Service, hub: FakeHub, operation: Operation, fault: dict[str, Any], status: int, code: str
) -> None:
    told = await begin(users_service)
    hub.fail_on(operation, **fault)

    answer = await come_back(users_service, hub, told)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert SESSION_COOKIE not in answer.cookies
