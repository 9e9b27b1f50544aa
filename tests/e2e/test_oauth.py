"""Logins of browsers at a real Hub that runs hublaunch as its service. A browser here is a client with cookies."""

import asyncio
import html
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http.cookies import Morsel, SimpleCookie

import httpx
import pytest

from hublaunch.api.callers.sessions import LOGIN_COOKIE, SESSION_COOKIE
from hublaunch.sealing import Sealer
from tests.hubs.managed import GROUP, IMAGE, LOGINS, PASSWORD, SECRET_KEY, SHORT_LIFETIME_S, ManagedHub

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

ALICE = LOGINS[0]
NOBODY = {"kind": "anonymous", "name": None, "is_admin": False, "access": ["hub"], "images": [], "invitation": None}
SESSION_OF_ALICE = {
    "kind": "hub",
    "name": ALICE,
    "is_admin": False,
    "access": ["hub"],
    "images": ["*"],
    "invitation": None,
}


@asynccontextmanager
async def browser(managed: ManagedHub) -> AsyncGenerator[httpx.AsyncClient]:
    """Yield a client that keeps cookies and follows redirects."""
    async with httpx.AsyncClient(base_url=managed.url, follow_redirects=True, timeout=30, trust_env=False) as http:
        yield http


async def submit(http: httpx.AsyncClient, page: httpx.Response, **fields: str) -> httpx.Response:
    """Submit the page's form with its hidden fields and the given ones."""
    form = re.search(r"<form\b.*?</form>", page.text, re.DOTALL)
    assert form, page.text
    action = re.search(r'<form\b[^>]*\baction="([^"]*)"', form[0], re.DOTALL)
    inputs = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input\b[^>]*>", form[0])]
    given = {tag["name"]: html.unescape(tag.get("value", "")) for tag in inputs if "name" in tag}
    target = page.url.join(html.unescape(action[1])) if action else page.url
    return await http.post(target, data=given | fields, headers={"Referer": str(page.url)})


async def log_in(
    http: httpx.AsyncClient, username: str, *, service: str = "launcher", next_path: str = "session"
) -> httpx.Response:
    """Log in at the Hub's page, starting from the service, and return the last answer."""
    prefix = f"/services/{service}/"
    page = await http.get(f"{prefix}oauth_login", params={"next": prefix + next_path})
    assert page.url.path == "/hub/login", page.text
    return await submit(http, page, username=username, password=PASSWORD)


async def consented(http: httpx.AsyncClient, page: httpx.Response) -> httpx.Response:
    """Give the Hub the user's consent if it asks, and return the last answer. The Hub asks only once."""
    return await submit(http, page) if page.url.path == "/hub/api/oauth2/authorize" else page


def cookie(response: httpx.Response, name: str) -> Morsel[str]:
    """Return the cookie that this answer, or a redirect to it, has set."""
    for answer in (*response.history, response):
        for line in answer.headers.get_list("Set-Cookie"):
            if name in (parsed := SimpleCookie(line)):
                found = parsed[name]
                if found.value:
                    return found
    raise AssertionError(f"{name} was not set")


async def test_a_browser_logs_in_at_the_hub_and_returns_to_the_path_it_asked_for(managed: ManagedHub) -> None:
    async with browser(managed) as http:
        landed = await log_in(http, ALICE)

        kept = cookie(landed, SESSION_COOKIE)
        assert landed.url.path == "/services/launcher/session"
        assert landed.json() == SESSION_OF_ALICE
        assert kept["httponly"]
        assert kept["samesite"].lower() == "lax"
        assert kept["path"] == "/services/launcher/"
        assert not kept["domain"]
        assert LOGIN_COOKIE not in http.cookies


async def test_a_session_launches_and_ends_with_the_logout(managed: ManagedHub) -> None:
    async with browser(managed) as http:
        await log_in(http, ALICE)

        accepted = await http.post("/services/launcher/launch", json={"image": IMAGE})
        events = await http.get(accepted.json()["events_url"])
        cancelled = await http.delete(f"/services/launcher/launch/{accepted.json()['id']}")
        logged_out = await http.delete("/services/launcher/session")
        after = await http.get("/services/launcher/session")
        refused = await http.post("/services/launcher/launch", json={"image": IMAGE})

    assert accepted.status_code == 202
    assert accepted.json()["username"] == ALICE
    assert '"phase":"ready"' in events.text
    assert f'"open_url":"{managed.url}user/{ALICE}/"' in events.text
    assert cancelled.status_code == 202
    assert logged_out.status_code == 204
    assert after.json() == NOBODY
    assert refused.status_code == 401


async def test_a_login_continues_after_the_consent_that_the_hub_asks_for(managed: ManagedHub) -> None:
    async with browser(managed) as http:
        consent = await log_in(http, LOGINS[1], service="named")
        assert consent.url.path == "/hub/api/oauth2/authorize"

        landed = await submit(http, consent)

    assert landed.url.path == "/services/named/session"
    assert landed.json()["name"] == LOGINS[1]
    assert cookie(landed, SESSION_COOKIE)["path"] == "/services/named/"


async def test_a_logout_at_the_hub_ends_the_session_here_too(managed: ManagedHub) -> None:
    async with browser(managed) as http:
        landed = await consented(http, await log_in(http, LOGINS[1], service="named"))
        assert landed.json()["name"] == LOGINS[1]

        await http.get("/hub/logout")

        async with asyncio.timeout(SHORT_LIFETIME_S + 5):
            while (answer := await http.get("/services/named/session")).status_code != 401:
                assert answer.json()["name"] == LOGINS[1]
                await asyncio.sleep(0.05)  # there is no notice of the time that has passed
        again = await http.get("/services/named/oauth_login")
        assert again.url.path == "/hub/login"


async def test_a_session_of_one_service_is_not_valid_at_another(managed: ManagedHub) -> None:
    async with browser(managed) as http:
        landed = await log_in(http, ALICE)
        copied = {"Cookie": f"{SESSION_COOKIE}={cookie(landed, SESSION_COOKIE).value}"}
    async with managed.caller(service="named") as http:
        answer = await http.get("session", headers=copied)

    # Both have the same secret key here, so only the Hub can tell which service the token is for.
    assert answer.status_code == 403


async def test_the_callback_url_of_a_login_is_useless_in_another_browser(managed: ManagedHub) -> None:
    async with browser(managed) as http:
        landed = await log_in(http, ALICE)
    callback = next(answer.url for answer in landed.history if answer.url.path.endswith("/oauth_callback"))

    async with browser(managed) as thief:
        stolen = await thief.get(callback)
        await thief.get("/services/launcher/oauth_login", follow_redirects=False)
        another_login = await thief.get(callback)

    assert stolen.status_code == 401
    assert another_login.status_code == 401


async def test_the_token_of_a_login_brings_the_users_groups(managed: ManagedHub) -> None:
    async with browser(managed) as http:
        landed = await log_in(http, ALICE)
    sealed = cookie(landed, SESSION_COOKIE).value
    token = Sealer([SECRET_KEY], purpose="sessions").open(sealed.encode()).removeprefix(f"{SESSION_COOKIE}=")

    identity = await managed.identify(token)

    assert identity is not None
    assert identity.name == ALICE
    assert identity.groups == {GROUP}
    assert token not in managed.log
    assert sealed not in managed.log
