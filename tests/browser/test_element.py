"""<hub-launch> on pages of other origins: in plain HTML, by the keyboard, and inside React."""

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.conftest import ELSEWHERE
from tests.browser.stage import HELD, Origin, Stage, repo
from tests.hubs.quick_server import GATED_IMAGE
from tests.support.node import PACKAGES, run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

WEB = Path(__file__).parents[2] / "app" / "hublaunch" / "web"
NOTE_EVENTS = """
window.told = [];
for (const name of ["launch", "progress", "ready", "failed", "cancelled", "stopped"]) {
  document.addEventListener(name, ({ detail }) => window.told.push([name, detail]));
}
"""


def embed(
    elsewhere: Origin,
    stage: Stage,
    name: str,
    *,
    host: str = "127.0.0.1",
    attributes: str = "",
    style: str = "",
    after: str = "",
) -> str:
    """Serve a page with the element. Return its URL."""
    elsewhere.put("/events.js", NOTE_EVENTS, kind="text/javascript")
    elsewhere.put(
        f"/{name}",
        f"""<!DOCTYPE html><html lang="en"><title>A book</title><link rel="icon" href="data:,"><style>{style}</style>
        <script src="/events.js"></script>
        <script type="module" src="{stage.url}static/hub-launch.js"></script>
        <h1>A book</h1>
        <hub-launch image="{GATED_IMAGE}" repo-url="{repo(name)}" {attributes}>Run this chapter</hub-launch>{after}""",
    )
    return f"http://{host}:{elsewhere.port}/{name}"


async def element_events(page: Page) -> list[tuple[str, dict[str, Any]]]:
    return [(name, detail) for name, detail in json.loads(await page.evaluate("JSON.stringify(window.told)"))]


@pytest.mark.parametrize("host", ["127.0.0.1", ELSEWHERE])  # the second is not a secure context: there are no Web Locks
async def test_a_page_of_another_origin_launches_follows_and_opens_the_server(
    page: Page, elsewhere: Origin, stage: Stage, host: str
) -> None:
    name = "plain" if host == ELSEWHERE else "secure"
    await page.goto(embed(elsewhere, stage, name, host=host))

    await page.get_by_role("button", name="Run this chapter").click()
    user = await stage.spawning(name)
    await expect(page.get_by_text(HELD).first).to_be_visible()
    events = await element_events(page)
    stage.hub.open_gate(user)

    await expect(page).to_have_url(re.compile(rf"/user/{user}/"))
    assert events[0][0] == "launch"
    assert events[0][1]["secret"]
    assert [detail["seq"] for kind, detail in events if kind == "progress"] == list(range(1, len(events)))
    await page.go_back()
    await expect(page.get_by_role("link", name="Open server")).to_be_visible()
    assert (await element_events(page))[-1][0] == "ready"


async def test_the_keyboard_is_enough_and_the_focus_is_never_lost(page: Page, elsewhere: Origin, stage: Stage) -> None:
    await page.goto(embed(elsewhere, stage, "keyboard", attributes='open="none"'))
    focused = "document.querySelector('hub-launch').shadowRoot.activeElement?.getAttribute('part')"
    press = page.keyboard.press

    await expect(page.get_by_role("button", name="Run this chapter")).to_be_visible()
    await press("Tab")
    await press("Enter")
    await expect(page.get_by_text(HELD).first).to_be_visible()
    assert await page.evaluate(focused) == "title"
    await press("Tab")
    assert await page.evaluate(focused) == "button cancel"
    await press("Space")
    await expect(page.get_by_text("The launch was cancelled").first).to_be_visible()
    assert await page.evaluate(focused) == "title"
    await press("Tab")
    assert await page.evaluate(focused) == "button retry"
    await stage.gone("keyboard")
    await press("Enter")
    user = await stage.spawning("keyboard")
    await expect(page.get_by_text(HELD).first).to_be_visible()
    await press("Tab")
    stage.hub.open_gate(user)
    await expect(page.get_by_text("Your server is ready").first).to_be_visible()
    assert await page.evaluate(focused) == "button open"  # the Cancel button, which had the focus, is gone
    await press("Tab")
    assert await page.evaluate(focused) == "button stop"
    await press("Tab")
    await press("Tab")
    assert await page.evaluate(focused) == "details"
    await press("Enter")
    await expect(page.get_by_role("list", name="Events so far")).to_be_visible()
    for _ in range(3):
        await press("Shift+Tab")
    await press("Enter")
    await expect(page).to_have_url(re.compile(rf"/user/{user}/"))


async def test_open_new_opens_the_server_in_a_new_tab(
    page: Page, context: BrowserContext, elsewhere: Origin, stage: Stage
) -> None:
    await page.goto(embed(elsewhere, stage, "new-tab", attributes='open="new"'))

    await page.get_by_role("button", name="Run this chapter").click()
    user = await stage.spawning("new-tab")
    async with context.expect_page() as opened:
        stage.hub.open_gate(user)

    tab = await opened.value
    await expect(tab).to_have_url(re.compile(rf"/user/{user}/"))
    assert await tab.evaluate("window.opener") is None
    await expect(page.get_by_role("link", name="Open server")).to_have_attribute("target", "_blank")


async def test_a_page_can_open_the_server_itself_from_the_ready_event(
    page: Page, elsewhere: Origin, stage: Stage
) -> None:
    await page.goto(embed(elsewhere, stage, "prevented"))
    await page.evaluate("document.addEventListener('ready', (event) => event.preventDefault())")

    await page.get_by_role("button", name="Run this chapter").click()
    user = await stage.spawning("prevented")
    stage.hub.open_gate(user)

    await expect(page.get_by_text("Your server is ready").first).to_be_visible()
    name, detail = (await element_events(page))[-1]
    assert name == "ready"
    assert f"/user/{user}/?token=" in detail["open_url"]
    await expect(page).to_have_url(re.compile("/prevented$"))


async def test_a_page_chooses_the_texts_and_the_style(page: Page, elsewhere: Origin, stage: Stage) -> None:
    style = """hub-launch { --hub-launch-accent: rgb(1, 2, 3); --hub-launch-radius: 0px; }
    hub-launch::part(title) { text-transform: uppercase; } hub-launch::part(button) { font-weight: 300; }"""
    attributes = 'text-scheduling="Ein Rechner wird gesucht" text-cancel="Abbrechen"'
    await page.goto(embed(elsewhere, stage, "words", attributes=attributes, style=style))
    button = page.get_by_role("button", name="Run this chapter")

    color = await button.evaluate("(button) => getComputedStyle(button).backgroundColor")
    weight = await button.evaluate("(button) => getComputedStyle(button).fontWeight")
    await page.evaluate("document.querySelector('hub-launch').texts = {details: 'Einzelheiten', cancel: 'Halt'}")
    await button.click()

    await stage.spawning("words")
    await expect(page.get_by_text("Ein Rechner wird gesucht").first).to_have_css("text-transform", "uppercase")
    await expect(page.get_by_text("Einzelheiten")).to_be_visible()
    await page.get_by_role("button", name="Abbrechen").click()  # an attribute wins over the dictionary
    await expect(page.get_by_text("The launch was cancelled").first).to_be_visible()
    assert (color, weight) == ("rgb(1, 2, 3)", "300")


async def test_inside_react_the_element_is_typed_rendered_twice_and_launches_once(
    page: Page, elsewhere: Origin, stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(PACKAGES / "node_modules")
    shutil.copy(Path(__file__).with_name("react_page.tsx"), tmp_path)
    shutil.copy(WEB / "hub-launch.d.ts", tmp_path)
    checks = ("--noEmit", "--strict", "--jsx", "react-jsx", "--target", "es2022", "--moduleResolution", "bundler")
    await run("typescript/bin/tsc", *checks, "--module", "esnext", "react_page.tsx", cwd=tmp_path)
    bundle = ("--bundle", "--jsx=automatic", "--define:process.env.NODE_ENV='development'", "--outfile=page.js")
    await run("esbuild/bin/esbuild", "react_page.tsx", *bundle, cwd=tmp_path)
    elsewhere.put("/page.js", (tmp_path / "page.js").read_bytes(), kind="text/javascript")
    elsewhere.put(
        "/react",
        f"""<!DOCTYPE html><html lang="fr"><title>React</title><link rel="icon" href="data:,">
        <body data-image="{GATED_IMAGE}" data-repo-url="{repo("react")}"><div id="root"></div>
        <script type="module" src="{stage.url}static/hub-launch.js"></script>
        <script type="module" src="/page.js"></script>""",
    )
    await page.goto(f"http://127.0.0.1:{elsewhere.port}/react")

    await page.get_by_role("button", name="Démarrer").click()
    user = await stage.spawning("react")
    await expect(page.locator("pre")).to_contain_text("progress 50")
    stage.hub.open_gate(user)

    await expect(page.get_by_text("C'est prêt").first).to_be_visible()
    await expect(page.locator("pre")).to_contain_text(re.compile(rf"ready http.*/user/{user}/"))
    await page.reload()
    await expect(page.get_by_text("C'est prêt").first).to_be_visible()
    assert await stage.users("react") == [user]


async def test_the_module_loads_without_a_document(tmp_path: Path) -> None:
    """As on a server that renders pages: no storage, no custom elements."""
    shutil.copytree(WEB, tmp_path / "web")
    (tmp_path / "package.json").write_text('{"type": "module"}')

    await run(str(tmp_path / "web" / "hub-launch.js"), cwd=tmp_path)


async def test_the_service_url_may_end_with_or_without_a_slash(page: Page, elsewhere: Origin, stage: Stage) -> None:
    attributes = 'service="https://hub.example.org/services/hublaunch"'

    await page.goto(embed(elsewhere, stage, "slash", attributes=attributes))

    await page.evaluate("async () => { await customElements.whenDefined('hub-launch'); }")
    named = await page.evaluate("document.querySelector('hub-launch').service")
    assert named == "https://hub.example.org/services/hublaunch/"


async def test_a_second_open_tab_shows_the_launch_and_is_not_navigated(
    page: Page, context: BrowserContext, elsewhere: Origin, stage: Stage
) -> None:
    url = embed(elsewhere, stage, "watching")
    other = await context.new_page()
    await asyncio.gather(page.goto(url), other.goto(url))

    await page.get_by_role("button", name="Run this chapter").click()
    user = await stage.spawning("watching")

    await expect(other.get_by_text(HELD).first).to_be_visible()
    stage.hub.open_gate(user)
    await expect(page).to_have_url(re.compile(rf"/user/{user}/"))
    await expect(other.get_by_role("link", name="Open server")).to_be_visible()
    await expect(other).to_have_url(url)
    assert await stage.users("watching") == [user]


async def test_a_launch_is_remembered_for_15_minutes_and_its_end_is_noticed(
    page: Page, elsewhere: Origin, stage: Stage
) -> None:
    await page.goto(embed(elsewhere, stage, "memory", attributes='open="none"'))
    await page.get_by_role("button", name="Run this chapter").click()
    stage.hub.open_gate(await stage.spawning("memory"))
    await expect(page.get_by_text("Your server is ready").first).to_be_visible()
    launched = next(detail for name, detail in await element_events(page) if name == "launch")
    kept = json.loads(await page.evaluate("Object.values(localStorage)[0]"))

    async def return_after(minutes: int) -> None:
        entry = json.dumps({**kept, "endedAt": kept["endedAt"] - minutes * 60_000})
        await page.evaluate("(entry) => localStorage.setItem(Object.keys(localStorage)[0], entry)", entry)
        await page.reload()

    await return_after(14)
    await expect(page.get_by_text("Your server is ready").first).to_be_visible()
    await stop(page, stage, launched)
    await return_after(14)
    await expect(page.get_by_text(re.compile("This server has stopped|The launch was cancelled")).first).to_be_visible()
    await page.evaluate(
        "([name, entry]) => localStorage.setItem(name, entry)", [name_of(stage, "memory"), json.dumps(kept)]
    )
    await return_after(16)
    await expect(page.get_by_role("button", name="Run this chapter")).to_be_visible()
    assert await page.evaluate("localStorage.length") == 0


def name_of(stage: Stage, name: str) -> str:
    """Return the localStorage key of the launch."""
    return "hub-launch " + json.dumps([stage.url, GATED_IMAGE, repo(name), ""], separators=(",", ":"))


async def stop(page: Page, stage: Stage, launch: dict[str, Any]) -> None:
    """Stop the server from outside the page."""
    await page.evaluate(
        """async ([url, secret]) => {
            const headers = {"X-Launch-Secret": secret};
            while ((await fetch(url, {method: "DELETE", headers})).status === 202) {
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
        }""",
        [f"{stage.url}launch/{launch['id']}", launch["secret"]],
    )


async def test_a_blocked_new_tab_is_explained_and_replaced_by_a_link(
    page: Page, elsewhere: Origin, stage: Stage
) -> None:
    await page.goto(embed(elsewhere, stage, "blocked", attributes='open="new"'))
    await page.evaluate("window.open = () => null")

    await page.get_by_role("button", name="Run this chapter").click()
    stage.hub.open_gate(await stage.spawning("blocked"))

    await expect(page.get_by_text("Your browser did not open the new tab.").first).to_be_visible()
    await expect(page.get_by_role("link", name="Open server")).to_be_visible()


async def test_a_launch_that_is_hidden_for_now_is_not_forgotten(page: Page, elsewhere: Origin, stage: Stage) -> None:
    await page.goto(embed(elsewhere, stage, "hidden", attributes='open="none"'))
    await page.get_by_role("button", name="Run this chapter").click()
    user = await stage.spawning("hidden")
    problem = {"code": "unauthenticated", "title": "Credentials are required", "status": 401}
    problem["advice"] = "Send a token of your JupyterHub user as `Authorization: Bearer …`."
    answer = json.dumps(problem)
    headers = {"Content-Type": "application/problem+json", "Access-Control-Allow-Origin": "*"}

    await page.route("**/launch/*", lambda route: route.fulfill(status=401, headers=headers, body=answer))
    await page.reload()
    await expect(page.get_by_text("Credentials are required").first).to_be_visible()
    await expect(page.get_by_text("Log in, then try again.").first).to_be_visible()
    await expect(page.get_by_text("Authorization: Bearer")).to_have_count(0)
    async with page.expect_response(lambda answer: answer.status == 401):
        await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    await page.unroute_all()
    await page.get_by_role("button", name="Try again").click()

    await expect(page.get_by_text(HELD).first).to_be_visible()
    stage.hub.open_gate(user)
    await expect(page.get_by_text("Your server is ready").first).to_be_visible()
    assert await stage.users("hidden") == [user]


STRANGER = "stranger.localhost"
"""A host whose pages may not launch at the stage."""


async def test_where_the_origin_is_not_allowed_the_visitor_gets_a_link_and_the_developer_the_setting(
    context: BrowserContext, elsewhere: Origin, stage: Stage
) -> None:
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(embed(elsewhere, stage, "stranger", host=STRANGER, attributes='path="lab/tree/x.ipynb"'))

    await page.get_by_role("button", name="Run this chapter").click()

    await expect(page.get_by_text("This page cannot launch servers").first).to_be_visible()
    [explained] = [text for text in said if text.startswith("<hub-launch>")]
    assert f"add http://{STRANGER}:{elsewhere.port} to LAUNCHER_CORS_ORIGINS" in explained
    assert [detail["problem"]["code"] for _, detail in await element_events(page)] == ["origin_not_allowed"]
    await page.get_by_role("link", name="Go to that page").click()
    await page.get_by_role("button", name="Launch", exact=True).click()
    user = await stage.spawning("stranger")
    stage.hub.open_gate(user)
    await expect(page).to_have_url(re.compile(rf"/user/{user}/lab/tree/x\.ipynb"))
    assert await stage.users("stranger") == [user]


async def test_where_the_origin_is_not_allowed_a_named_launch_is_linked(
    context: BrowserContext, elsewhere: Origin, stage: Stage
) -> None:
    page = await context.new_page()
    launch_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

    await page.goto(embed(elsewhere, stage, "named", host=STRANGER, attributes=f'launch-id="{launch_id}"'))

    link = page.get_by_role("link", name="Go to that page")
    await expect(link).to_have_attribute("href", f"{stage.url}launch/{launch_id}/view")


async def test_the_theme_is_light_dark_or_that_of_the_system(page: Page, elsewhere: Origin, stage: Stage) -> None:
    background = "(element) => getComputedStyle(element.shadowRoot.querySelector('[part~=launch]')).backgroundColor"
    await page.emulate_media(reduced_motion="reduce")  # colors change immediately
    await page.goto(embed(elsewhere, stage, "theme"))
    element = page.locator("hub-launch")
    shown: dict[str, list[str]] = {}

    for theme in ("light", "dark", "auto"):
        await element.evaluate("(element, theme) => (element.theme = theme)", theme)
        shown[theme] = []
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            shown[theme].append(await element.evaluate(background))

    light, dark = "rgb(31, 91, 216)", "rgb(138, 180, 255)"
    assert shown == {"light": [light, light], "dark": [dark, dark], "auto": [light, dark]}


NOTE_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const {value, hadRecentInput} of list.getEntries()) if (!hadRecentInput) window.shifts.push(value);
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_below_the_element_moves_from_the_insertion_until_the_server_is_ready(
    page: Page, elsewhere: Origin, stage: Stage, width: int
) -> None:
    name = f"still-{width}"
    style = "hub-launch:not(:defined) { display: block; min-block-size: 2.75rem; }"
    await page.set_viewport_size({"width": width, "height": 800})
    await page.add_init_script(NOTE_SHIFTS)
    await page.goto(
        embed(elsewhere, stage, name, style=style, attributes='open="none"', after="<p>The next paragraph</p>")
    )
    tops = []

    async def note() -> None:
        tops.append(await page.get_by_text("The next paragraph").evaluate("(next) => next.offsetTop"))

    await page.get_by_role("button", name="Run this chapter").click()
    await note()
    user = await stage.spawning(name)
    await expect(page.get_by_text(HELD).first).to_be_visible()
    await note()
    stage.hub.open_gate(user)
    await expect(page.get_by_role("button", name="Stop server")).to_be_visible()
    await expect(page.get_by_text("Files here are temporary").first).to_be_visible()
    await note()

    assert len(set(tops)) == 1
    if width > 480:  # on phones, the buttons of a ready server take more rows within the panel
        assert await page.evaluate("window.shifts") == []
