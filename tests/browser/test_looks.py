"""Every state of the pages, light and dark, narrow and wide: accessible, and without overlaps."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import BrowserContext, Page, ViewportSize, expect

from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.browser.looks import assert_looks
from tests.browser.stage import Stage, watch
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import Service, serve
from tests.support.stalled import WATCHFUL, silent_since
from tests.support.started import ready_before

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

IMAGE = "quay.io/jupyter/scipy-notebook:latest"
REPO = "https://github.com/jupyterlab/jupyterlab-demo"
LONG_REPO = "https://github.com/jupyter/a-repository-with-a-rather-long-name-as-they-are"
PULLING = 'Pulling image "quay.io/jupyter/scipy-notebook:latest"'
STARTED = "Started container notebook"
STARTING = "67 %, Starting your server"
ACCENT = "rgb(31, 91, 216)"
SCALE_UP = "pod triggered scale-up: [{pool 1->2 (max: 9)}]"
STALLED = "No news for 3 min · The cluster is adding a machine"
STATES = ("link", "form", "waiting", "launching", "stalled", "ready", "failed")


@dataclass(frozen=True)
class Show:
    """hublaunch on a Hub that the test controls, with one launch at a time."""

    hub: FakeHub
    service: Service

    @property
    def url(self) -> str:
        return f"{str(self.service.http.base_url).rstrip('/')}/"

    async def have_started_in(self, seconds: float) -> None:
        """Let the service know enough starts of the image to estimate the next one."""
        self.hub.spawn_plan(None, SpawnPlan(seconds=0))
        await ready_before(self.service, *[seconds] * 6, pulled=True, image=IMAGE)
        self.hub.spawn_plan(None, STARTS)

    async def bring(self, page: Page, state: str) -> None:
        """Bring the page into this state."""
        repo_url = LONG_REPO if state == "failed" else REPO
        query = {
            "image": IMAGE,
            "repo_url": repo_url,
            "path": "lab/tree/index.ipynb" if state in ("link", "form") else "",
        }
        if state == "waiting":
            for n in range(2):
                await self.service.launch(image=IMAGE, repo_url=f"https://github.com/org/before-{n}")
        await page.goto(f"{self.url}?{urlencode(query)}")
        if state == "link":
            await expect(page.get_by_role("button", name="Change")).to_be_visible()
            return
        if state == "form":
            await page.get_by_role("button", name="Change").click()
            await page.get_by_text("Share this").click()
            return
        await page.get_by_role("button", name="Launch", exact=True).click()
        if state == "waiting":
            await expect(page.get_by_text("Number 2 of 2 in the queue").first).to_be_visible()
            return
        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", STARTING)
        user = next(user for user, _ in self.hub.active_servers)
        if state == "stalled":
            self.hub.report(user, of_kubernetes(SCALE_UP))
            await expect(page.get_by_role("group").get_by_text("Finding a machine for the server")).to_be_visible()
            await silent_since(self.service, await self.launch_id(page))
            await expect(page.get_by_text(STALLED, exact=True).first).to_be_visible()
        if state == "failed":
            self.hub.fail_spawn(user, 'Failed to pull image "quay.io/jupyter/scipy-notebook:latest": manifest unknown')
            await expect(page.get_by_role("button", name="Try again")).to_be_visible()
        if state == "ready":
            await page.evaluate("document.addEventListener('ready', (event) => event.preventDefault())")
            self.hub.release(user)
            await expect(page.get_by_role("link", name="Open server")).to_be_visible()
        await page.get_by_text("Details").click()

    async def launch_id(self, page: Page) -> str:
        """Return the id of the launch that the page shows."""
        text = await page.locator("hub-launch [part=id]").text_content()
        return str(text).removeprefix("Launch ")


def of_kubernetes(words: str) -> str:
    """A Kubernetes event, as KubeSpawner words it."""
    return f"2026-11-30T09:41:27.123456Z [Normal] {words}"


STARTS = SpawnPlan(messages=[of_kubernetes(PULLING), of_kubernetes(STARTED)], never=True)


@asynccontextmanager
async def show(tmp_path: Path, **changed: Any) -> AsyncGenerator[Show]:
    async with FakeHub() as hub:
        hub.slow_spawn_timeout = 0
        hub.spawn_plan(None, STARTS)
        settings = Settings(
            hub_url=hub.url,
            hub_api_token=hub.api_token,
            allowed_images=("quay.io/jupyter/minimal-notebook:latest", IMAGE, "quay.io/jupyter/*"),
            max_concurrent_spawns=1,
            retries=1,
            database_url=f"sqlite:///{tmp_path}/hublaunch.sqlite",
        )
        async with serve(settings.model_copy(update=changed), pace=replace(WATCHFUL, check_sessions_s=0.05)) as service:
            yield Show(hub, service)


@pytest.mark.parametrize("state", STATES)
async def test_each_state_is_accessible_in_light_and_dark_and_fits_every_width(
    page: Page, tmp_path: Path, state: str
) -> None:
    await page.emulate_media(reduced_motion="reduce")
    async with show(tmp_path) as shown:
        if state == "launching":
            await shown.have_started_in(40)
        await shown.bring(page, state)
        await assert_looks(page, state, tmp_path)


@pytest.mark.parametrize(
    ("query", "changed"),
    [
        ({"repo_url": REPO, "path": "lab/tree/index.ipynb"}, {}),
        ({"repo_url": f"{LONG_REPO}{'-and-longer' * 100}", "path": "lab/tree/" + "folder/" * 200}, {}),
        ({"repo_url": LONG_REPO}, {"site_name": "Jupyter at Example University", "site_banner": "Maintenance " * 8}),
    ],
)
async def test_the_button_of_a_launch_link_is_on_a_phones_first_screen(
    page: Page, tmp_path: Path, query: dict[str, str], changed: dict[str, str]
) -> None:
    await page.set_viewport_size(ViewportSize(width=360, height=740))
    async with show(tmp_path, **changed) as shown:
        await page.goto(f"{shown.url}?{urlencode({'image': IMAGE, **query})}")

        box = await page.get_by_role("button", name="Launch", exact=True).bounding_box()

    assert box
    assert box["y"] + box["height"] <= 740
    assert await page.evaluate("scrollY") == 0


async def test_the_progress_bar_does_not_animate_with_reduced_motion(page: Page, tmp_path: Path) -> None:
    moving = """() => [...document.querySelector("hub-launch").shadowRoot.querySelectorAll("*")]
        .flatMap((one) => one.getAnimations()).length"""
    async with show(tmp_path) as shown:
        await shown.bring(page, "launching")
        before = await page.evaluate(moving)
        await page.emulate_media(reduced_motion="reduce")
        after = await page.evaluate(moving)
        shown.hub.report(next(user for user, _ in shown.hub.active_servers), "Almost there", progress=90)
        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "90")

    assert before > 0
    assert after == 0


async def test_an_element_on_a_light_page_stays_light_on_a_dark_system(context: BrowserContext, tmp_path: Path) -> None:
    page = await context.new_page()
    complaints = watch(page)
    await page.emulate_media(color_scheme="dark")
    background = "(element) => getComputedStyle(element.shadowRoot.querySelector('[part~=launch]')).backgroundColor"
    async with show(tmp_path) as shown:
        await page.goto(f"{shown.url}docs")
        await page.evaluate(
            """async (url) => {
                await import(`${url}static/hub-launch.js`);
                document.body.innerHTML = "<hub-launch image='a'></hub-launch><hub-launch image='a' theme='dark'>";
            }""",
            shown.url,
        )
        plain, dark = [await element.evaluate(background) for element in await page.locator("hub-launch").all()]

    assert plain == ACCENT
    assert dark == "rgb(138, 180, 255)"
    assert complaints == []


PLACES = {
    (1, None): "You are next in the queue",
    (3, None): "Number 3 of 12 in the queue",
    (3, 20): "Number 3 of 12 in the queue · less than a minute to go",
    (3, 75): "Number 3 of 12 in the queue · about a minute to go",
    (3, 150): "Number 3 of 12 in the queue · about 3 minutes to go",
    (3, 1380): "Number 3 of 12 in the queue · about 25 minutes to go",
    (3, 3400): "Number 3 of 12 in the queue · about an hour to go",
    (3, 9000): "Number 3 of 12 in the queue · about 3 hours to go",
}
"""The words for a position and the seconds until it is reached."""


async def test_a_position_is_worded_as_a_person_would_say_it(page: Page, stage: Stage) -> None:
    await page.goto(stage.url)

    told = await page.evaluate(
        """async (positions) => {
            const {TEXTS, place} = await import(new URL("static/element/texts.js", document.baseURI));
            return positions.map((position) => place(position, TEXTS));
        }""",
        [{"position": position, "queue_size": 12, "eta_s": eta_s} for position, eta_s in PLACES],
    )

    assert told == list(PLACES.values())


async def test_kubernetes_messages_are_shown_without_time_and_type(page: Page, tmp_path: Path) -> None:
    async with show(tmp_path) as shown:
        await shown.bring(page, "launching")

        await expect(page.get_by_text(STARTED, exact=True).last).to_be_visible()
        await expect(page.get_by_role("listitem").filter(has_text=PULLING)).to_have_text(
            re.compile(rf"^\d:\d\d{PULLING}$")
        )


def about(reason: str, message: str, words: str) -> dict[str, Any]:
    """An event of Kubernetes in the words of kubespawner#910."""
    raw_event = {"reason": reason, "type": "Normal", "message": message}
    return {"message": f"2026-11-30T09:41:27Z \u2139\ufe0f {words}", "raw_event": raw_event}


@pytest.mark.parametrize(
    ("event", "title", "line"),
    [
        (about("FailedScheduling", "0/3 nodes", "No existing nodes"), "Finding a machine for the server", None),
        (about("Pulling", "Pulling image", "Pulling image a:1"), "Pulling the image", None),
        (
            about("Pulled", "Successfully pulled image a. Image size: 1288490188 bytes.", "Pulled image a:1"),
            "Starting your server",
            "Image size: 1.3 GB",
        ),
    ],
)
async def test_each_stage_is_a_plain_sentence_and_the_hubs_words_are_among_the_details(
    page: Page, tmp_path: Path, event: dict[str, Any], title: str, line: str | None
) -> None:
    async with show(tmp_path) as shown:
        shown.hub.spawn_plan(None, SpawnPlan(messages=[{"progress": 67, **event}], never=True))
        await page.goto(f"{shown.url}?{urlencode({'image': IMAGE, 'repo_url': REPO})}")
        await page.get_by_role("button", name="Launch", exact=True).click()

        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", f"67 %, {title}")
        await expect(page.get_by_role("group").get_by_text(title, exact=True)).to_be_visible()
        if line:
            await expect(page.get_by_role("paragraph").get_by_text(line, exact=True).first).to_be_visible()
        words = page.get_by_text(event["message"].partition("\ufe0f ")[2], exact=True)
        await expect(words).to_be_hidden()
        await page.get_by_text("Details").click()
        await expect(words).to_be_visible()


@pytest.mark.parametrize("stage_of_later", ["levitating", "cancel", None])
async def test_a_stage_that_this_page_does_not_know_is_shown_as_starting(
    page: Page, stage: Stage, stage_of_later: str | None
) -> None:
    await page.goto(stage.url)

    told = await page.evaluate(
        """async (stage) => {
            const {TEXTS, phaseName} = await import(new URL("static/element/texts.js", document.baseURI));
            return phaseName({phase: "launching", stage, isOwn: true}, TEXTS);
        }""",
        stage_of_later,
    )

    assert told == "Starting your server"


@pytest.mark.parametrize(
    ("said", "can_be_helped"),
    [
        ('Failed to pull image "quay.io/jupyter/scipy-notebook:latest": manifest unknown', False),
        ("0/3 nodes are available: 3 Insufficient memory.", True),
    ],
)
async def test_try_again_is_prominent_only_if_it_can_help(
    page: Page, tmp_path: Path, said: str, can_be_helped: bool
) -> None:
    color = "(button) => getComputedStyle(button).backgroundColor"
    async with show(tmp_path) as shown:
        await shown.bring(page, "launching")
        shown.hub.fail_spawn(next(user for user, _ in shown.hub.active_servers), said)

        button = page.get_by_role("button", name="Try again")
        await expect(button).to_be_visible()
        assert (await button.evaluate(color) == ACCENT) is can_be_helped


async def test_a_service_for_backends_alone_says_so_and_shows_no_form(page: Page, tmp_path: Path) -> None:
    add_key(tmp_path / "keys.json", name="backend")
    async with show(tmp_path, access=("key",), api_keys_file=tmp_path / "keys.json") as shown:
        await page.goto(shown.url)

        await expect(page.get_by_role("alert")).to_have_text("Only applications with an API key can launch here.")
        await expect(page.get_by_role("button", name="Launch", exact=True)).to_be_hidden()


async def test_a_click_chooses_a_suggested_image(page: Page, tmp_path: Path) -> None:
    async with show(tmp_path) as shown:
        await page.goto(shown.url)

        await page.get_by_role("button", name=IMAGE).click()

        await expect(page.get_by_label("Image")).to_have_value(IMAGE)
        await expect(page.get_by_text("Also allowed: quay.io/jupyter/*")).to_be_visible()
