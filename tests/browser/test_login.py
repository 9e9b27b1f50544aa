"""A browser logs in at a real Hub, launches from a page of the service, and opens the server."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, expect
from playwright.async_api import Error as BrowserError
from pydantic import SecretStr

from hublaunch.api.callers.sessions import HOST_PREFIX, SESSION_COOKIE
from hublaunch.settings import Settings
from tests.browser.conftest import ELSEWHERE
from tests.browser.stage import origin, watch
from tests.fakes.hub import FakeHub
from tests.hubs.managed import IMAGE, LOGINS, PASSWORD, ManagedHub
from tests.hubs.quick_server import JUPYTERLAB_IMAGE
from tests.support.served import serve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

PREFIX = "/services/launcher"
ALICE, BOB = LOGINS
COURSE = "git-pull?repo=https://github.com/org/course&urlpath=lab/tree/course/week-1.ipynb#top"

LAUNCH = """async (body) => {
    const answer = await fetch("/services/launcher/launch", {
        method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
    });
    return [answer.status, await answer.json()];
}"""
FOLLOW = """(id) => new Promise((resolve) => {
    const source = new EventSource(`/services/launcher/launch/${id}/events`);
    const events = [];
    source.onmessage = (message) => events.push({lastEventId: message.lastEventId, ...JSON.parse(message.data)});
    source.onerror = () => source.readyState === EventSource.CLOSED && resolve(events);
})"""
CANCEL = """async (id) => {
    while ((await fetch(`/services/launcher/launch/${id}`, {method: "DELETE"})).status === 202) {
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}"""
GET = "async (path) => { const answer = await fetch(path); return [answer.status, await answer.json()]; }"


async def log_in(context: BrowserContext, managed: ManagedHub, username: str) -> Page:
    """A page of the service, reached through the Hub's login."""
    page = await context.new_page()
    await page.goto(f"{managed.url}services/launcher/oauth_login?next={PREFIX}/docs", wait_until="commit")
    await expect(page).to_have_url(re.compile(r"/hub/login\?"))
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click(no_wait_after=True)
    await expect(page).to_have_url(f"{managed.url.rstrip('/')}{PREFIX}/docs")
    return page


async def launch(page: Page, image: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the accepted launch, and all events that the browser's EventSource receives."""
    status, accepted = await page.evaluate(LAUNCH, {"image": image})
    assert status == 202, accepted
    async with asyncio.timeout(60):
        return accepted, await page.evaluate(FOLLOW, accepted["id"])


async def test_a_visitor_logs_in_launches_and_opens_their_jupyterlab(
    context: BrowserContext, managed: ManagedHub
) -> None:
    page = await log_in(context, managed, ALICE)

    session = await page.evaluate(GET, f"{PREFIX}/session")
    accepted, events = await launch(page, JUPYTERLAB_IMAGE)

    assert session[0] == 200
    assert (session[1]["kind"], session[1]["name"], session[1]["is_admin"]) == ("hub", ALICE, False)
    assert [event["lastEventId"] for event in events] == [str(n) for n in range(1, len(events) + 1)]
    assert (events[-1]["phase"], events[-1]["token"]) == ("ready", None)
    assert events[-1]["open_url"] == f"{managed.url}user/{ALICE}/"
    lab = await context.new_page()
    await lab.goto(events[-1]["open_url"], wait_until="commit")
    await expect(lab).to_have_url(re.compile(rf"/user/{ALICE}/lab\b"))
    await expect(lab.get_by_role("menubar").first).to_be_visible()
    await page.evaluate(CANCEL, accepted["id"])
    assert await managed.running(ALICE) == []


async def test_the_page_logs_in_launches_lists_and_forgets_the_visitor_at_logout(
    context: BrowserContext, managed: ManagedHub
) -> None:
    page = await context.new_page()
    complaints = watch(page)
    home = f"{managed.url}services/launcher/"
    await page.goto(f"{home}?image={IMAGE}")

    await page.get_by_role("link", name="Log in with JupyterHub").click()
    await page.get_by_label("Username").fill(ALICE)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click(no_wait_after=True)
    await expect(page.get_by_label("Image")).to_have_value(IMAGE)
    await expect(page.get_by_text(ALICE)).to_be_visible()
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page).to_have_url(f"{managed.url}user/{ALICE}/")

    await page.goto(f"{home}?image={IMAGE}")
    await page.evaluate("localStorage.clear()")  # as on another device, it is the same launch
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page).to_have_url(f"{managed.url}user/{ALICE}/")

    await page.goto(f"{home}?{urlencode({'image': JUPYTERLAB_IMAGE, 'path': COURSE})}")
    await expect(page.get_by_role("listitem").first).to_contain_text("Ready")
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page.get_by_text("The user already has a running server").first).to_be_visible()
    way_in = page.get_by_role("link", name="Open server")
    await expect(way_in).to_have_attribute("href", f"{managed.url}user/{ALICE}/{COURSE}")
    await page.get_by_role("listitem").first.get_by_role("link").click()
    await expect(page.get_by_text("Your server is ready").first).to_be_visible()
    await page.evaluate(CANCEL, page.url.split("/")[-2])
    assert await managed.running(ALICE) == []

    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("link", name="Log in with JupyterHub")).to_be_visible()
    assert "secret" not in await page.evaluate("JSON.stringify(localStorage)")
    assert complaints == []


async def test_scripts_see_nothing_of_the_session_and_the_logout_ends_it(
    context: BrowserContext, managed: ManagedHub
) -> None:
    page = await log_in(context, managed, BOB)
    kept = {cookie["name"]: cookie for cookie in await context.cookies(f"{managed.url}services/launcher/")}

    seen = await page.evaluate("document.cookie")
    status = await page.evaluate(f"async () => (await fetch('{PREFIX}/session', {{method: 'DELETE'}})).status")
    after = await page.evaluate(GET, f"{PREFIX}/session")

    assert SESSION_COOKIE not in seen
    assert kept[SESSION_COOKIE]["httpOnly"]
    assert kept[SESSION_COOKIE]["sameSite"] == "Lax"
    assert kept[SESSION_COOKIE]["path"] == f"{PREFIX}/"
    assert status == 204
    assert after[1]["kind"] == "anonymous"


async def ask(page: Page, url: str, **options: Any) -> str:
    """Return the type of the answer, or the error's name, that a page's script gets with the user's cookies."""
    script = """([url, options]) => fetch(url, {credentials: "include", ...options}).then(
        (answer) => answer.type, (error) => error.name)"""
    told: str = await page.evaluate(script, [url, options])
    return told


@pytest.mark.parametrize(("host", "cookies_go_along"), [("127.0.0.1", True), (ELSEWHERE, False)])
async def test_a_page_of_another_origin_launches_nothing_and_ends_no_session(
    context: BrowserContext, managed: ManagedHub, host: str, cookies_go_along: bool
) -> None:
    own = await log_in(context, managed, BOB)
    service = f"{managed.url}services/launcher"
    body = f'{{"image": "{IMAGE}"}}'
    json = {"Content-Type": "application/json"}
    async with origin() as elsewhere, origin() as listener:
        page = await context.new_page()
        await page.goto(f"http://{host}:{elsewhere.port}/")

        logged_before = len(managed.log)

        told = [
            await ask(page, f"{service}/launch", method="POST", headers=json, body=body),
            await ask(page, f"{service}/session", method="DELETE"),
            await ask(page, f"{service}/launch", method="POST", mode="no-cors", body=body),
            await ask(page, f"{service}/launch", mode="no-cors"),
        ]
        answers = re.findall(rf'"([A-Z]+) {PREFIX}/\w+" (\d+) ', managed.log[logged_before:])
        await ask(page, f"http://127.0.0.1:{listener.port}{PREFIX}/launch", mode="no-cors")

    assert set(told) <= {"TypeError", "opaque"}  # in both cases a script can read nothing of the answer
    # The first two are not even sent, because the browser asks first and gets no permission.
    assert answers == [("OPTIONS", "400"), ("OPTIONS", "400"), ("POST", "403"), ("GET", "401")]
    # With one host name for both, the browser does send the cookie. The service ignores it.
    assert (SESSION_COOKIE.encode() in listener.requests[0]) is cookies_go_along
    status, page_of_launches = await own.evaluate(GET, f"{PREFIX}/launch")
    assert (status, page_of_launches["launches"]) == (200, [])
    assert await managed.running(BOB) == []


HOST = "hub.localhost"
"""A name whose pages Chromium treats as secure, and which may have names below it."""


async def log_in_at_a_fake(context: BrowserContext, url: str, hub: FakeHub, username: str) -> Page:
    """This test plays the Hub's part, because no server answers at its https address."""
    begins, page = await context.new_page(), await context.new_page()
    async with begins.expect_request("**/oauth2/authorize?*") as sent:
        with suppress(BrowserError):
            await begins.goto(f"{url}oauth_login")
    told = dict(httpx.URL((await sent.value).url).params)
    code = hub.confirm_login(
        username,
        scopes=[f"access:services!service={hub.service}"],
        redirect_uri=told["redirect_uri"],
        code_challenge=told["code_challenge"],
    )
    await page.goto(f"{url}oauth_callback?{httpx.QueryParams(code=code, state=told['state'])}")
    return page


async def test_a_page_on_a_sibling_host_cannot_make_a_browser_act_for_another_visitor(
    context: BrowserContext, browser_of_another: BrowserContext, tmp_path: Path
) -> None:
    async with FakeHub() as hub, origin() as sibling:
        for name in ("ada", "mallory"):
            hub.create_user(name)
        settings = Settings(
            hub_url=f"https://{HOST}/",
            hub_url_local=hub.url,
            hub_api_token=SecretStr(hub.api_token),
            access=("hub",),
            service_name=hub.service,
            oauth_callback_url=f"https://{HOST}/oauth_callback",
            database_url=f"sqlite:///{tmp_path}/hublaunch.sqlite",
        )
        async with serve(settings) as service:
            url = f"http://{HOST}:{service.http.base_url.port}/"
            await log_in_at_a_fake(browser_of_another, url, hub, "mallory")
            mallorys = {cookie["name"]: cookie["value"] for cookie in await browser_of_another.cookies(url)}
            toss = f"""(cookies) => {{
                for (const [name, value] of Object.entries(cookies)) {{
                    document.cookie = `${{name}}=${{value}}; Domain={HOST}; Path=/; Secure`;
                    document.cookie = `${{name}}=${{value}}; Path=/; Secure`;
                }}
            }}"""

            page = await log_in_at_a_fake(context, url, hub, "ada")
            own = await page.evaluate(GET, "/session")
            thief = await context.new_page()
            await thief.goto(f"http://mallory.{HOST}:{sibling.port}/")
            await thief.evaluate(toss, mallorys)
            with_both = await page.evaluate(GET, "/session")
            await page.evaluate("fetch('/session', {method: 'DELETE'})")
            tossed = await page.evaluate(GET, "/session")
            kept = [cookie["name"] for cookie in await context.cookies(url)]

    assert set(mallorys) == {SESSION_COOKIE, HOST_PREFIX + SESSION_COOKIE}
    assert (own[0], own[1]["name"]) == (200, "ada")
    assert with_both[0] == 401
    assert kept == [SESSION_COOKIE]
    assert (tossed[0], tossed[1]["kind"]) == (200, "anonymous")
