"""A browser's login by way of the Hub."""

from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import httpx

from hublaunch.api.callers.sessions import LOGIN_COOKIE, SESSION_COOKIE
from tests.fakes.hub import FakeHub
from tests.support.served import Service

SCOPE = "access:services!service=launcher"
PREFIX = "/@/space%20word/services/launcher"


async def begin(service: Service, **query: str) -> dict[str, str]:
    """Begin a login and return the parameters that the browser takes to the Hub."""
    answer = await service.http.get("/oauth_login", params=query)
    assert answer.status_code == 302, answer.text
    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {name: values[0] for name, values in told.items()}


async def come_back(service: Service, hub: FakeHub, told: dict[str, str], **changed: str) -> httpx.Response:
    code = hub.confirm_login(
        "ada", scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"]
    )
    return await service.http.get("/oauth_callback", params={"code": code, "state": told["state"]} | changed)


async def cookies_of_a_browser(service: Service, hub: FakeHub) -> tuple[str, str]:
    """Return the cookie of a session, and the cookie of another login in progress."""
    await come_back(service, hub, await begin(service))
    await begin(service)
    cookies = service.http.cookies[SESSION_COOKIE], service.http.cookies[LOGIN_COOKIE]
    service.http.cookies.clear()
    return cookies


def set_cookies(answer: httpx.Response) -> SimpleCookie:
    cookies = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        cookies.load(line)
    return cookies
