"""The cookies of a login and of a session."""

from collections.abc import AsyncGenerator
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from hublaunch.api.callers.sessions import HOST_PREFIX, LOGIN_COOKIE, SESSION_COOKIE
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.login import PREFIX, SCOPE, begin, come_back, cookies_of_a_browser, set_cookies
from tests.support.served import BODY, Service, serve

SESSION_BESIDE = f"{HOST_PREFIX}{SESSION_COOKIE}{quote(PREFIX, safe='')}"


async def test_the_session_cookie_is_sealed_and_limited_to_this_service(users_service: Service, hub: FakeHub) -> None:
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
    """A service behind a proxy that terminates TLS."""
    terms = {"hub_url": "https://127.0.0.1/", "hub_url_local": settings_of_users.hub_url}
    async with serve(settings_of_users.model_copy(update=terms)) as service:
        yield service


async def cookies_over_https(service: Service, hub: FakeHub) -> SimpleCookie:
    """Log in and return the browser's cookies. They are sent by hand, because this client has no TLS."""
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


async def session_of(service: Service, *cookies: str) -> tuple[int, str | None]:
    """Return the status of `/session` for these cookies, and the name of the user."""
    answer = await service.http.get("/session", headers={"Cookie": "; ".join(cookies)})
    return answer.status_code, answer.json().get("name")


async def test_over_https_each_cookie_has_a_second_one_for_this_host(https_service: Service, hub: FakeHub) -> None:
    begun = set_cookies(await https_service.http.get("/oauth_login"))
    kept = await cookies_over_https(https_service, hub)

    assert set(begun) == {LOGIN_COOKIE, f"{HOST_PREFIX}{LOGIN_COOKIE}{quote(PREFIX, safe='')}"}
    assert set(kept) == {SESSION_COOKIE, SESSION_BESIDE, *begun}
    assert all(cookie["secure"] and cookie["httponly"] and not cookie["domain"] for cookie in kept.values())
    assert {name: cookie["path"] for name, cookie in kept.items()} == {
        name: "/" if name.startswith(HOST_PREFIX) else f"{PREFIX}/" for name in kept
    }
    assert {name for name, cookie in kept.items() if cookie["max-age"] == "0"} == set(begun)


async def test_over_https_a_session_set_by_another_host_is_ignored(https_service: Service, hub: FakeHub) -> None:
    own = await cookies_over_https(https_service, hub)
    others = await cookies_over_https(https_service, hub)
    session, beside = f"{SESSION_COOKIE}={own[SESSION_COOKIE].value}", f"{SESSION_BESIDE}={own[SESSION_BESIDE].value}"
    tossed = f"{SESSION_COOKIE}={others[SESSION_COOKIE].value}"

    assert await session_of(https_service, session, beside) == (200, "ada")
    assert await session_of(https_service, tossed, beside) == (200, None)
    assert await session_of(https_service, tossed) == (200, None)
    assert await session_of(https_service, beside) == (200, None)
    assert await session_of(https_service, session, f"{SESSION_BESIDE}=") == (200, None)
    assert await session_of(https_service, session, tossed, beside) == (401, None)


async def test_over_https_a_login_set_by_another_host_is_refused(https_service: Service) -> None:
    begun = await https_service.http.get("/oauth_login")
    state = httpx.URL(begun.headers["Location"]).params["state"]
    headers = {"Cookie": f"{LOGIN_COOKIE}={set_cookies(begun)[LOGIN_COOKIE].value}"}

    answer = await https_service.http.get("/oauth_callback", params={"code": "x", "state": state}, headers=headers)

    assert (answer.status_code, "did not start this login" in answer.text) == (401, True)


async def test_a_logout_over_https_deletes_both_cookies(https_service: Service) -> None:
    forgotten = set_cookies(await https_service.http.delete("/session"))

    assert {name: cookie["max-age"] for name, cookie in forgotten.items()} == {SESSION_COOKIE: "0", SESSION_BESIDE: "0"}


async def test_two_cookies_with_the_same_name_are_refused(users_service: Service, hub: FakeHub) -> None:
    session, login = await cookies_of_a_browser(users_service, hub)
    twice = {"Cookie": f"{SESSION_COOKIE}={session}; {LOGIN_COOKIE}={login}; {SESSION_COOKIE}=x; {LOGIN_COOKIE}=x"}

    launch = await users_service.http.post("/launch", json=BODY, headers=twice)
    session_of = await users_service.http.get("/session", headers=twice)
    callback = await users_service.http.get("/oauth_callback?code=x&state=y", headers=twice)

    assert [answer.status_code for answer in (launch, session_of, callback)] == [401] * 3
    assert "two cookies with the same name" in launch.json()["detail"]


@pytest.mark.parametrize("cookie", ["forged", "", "gAAAAABforged", "é"])
async def test_forged_cookies_are_ignored(users_service: Service, cookie: str) -> None:
    await assert_is_no_session(users_service, session=cookie, login=cookie)


async def test_changed_cookies_are_ignored(users_service: Service, hub: FakeHub) -> None:
    session, login = await cookies_of_a_browser(users_service, hub)

    for place in (0, 12, len(session) // 2, -2):
        await assert_is_no_session(users_service, session=changed_at(session, place), login=changed_at(login, place))


async def test_cookies_sealed_with_another_key_are_ignored(settings_of_users: Settings, hub: FakeHub) -> None:
    keys = [settings_of_users.model_copy(update={"secret_key": SecretStr(letter * 32)}) for letter in "ab"]
    async with serve(keys[0]) as service:
        session, login = await cookies_of_a_browser(service, hub)

    async with serve(keys[1]) as service:
        await assert_is_no_session(service, session=session, login=login)


async def test_session_and_login_cookies_are_not_interchangeable(users_service: Service, hub: FakeHub) -> None:
    session, login = await cookies_of_a_browser(users_service, hub)

    await assert_is_no_session(users_service, session=login, login=session)


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
