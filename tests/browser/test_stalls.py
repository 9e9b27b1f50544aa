"""What the element shows of a launch that JupyterHub says nothing new about."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.stage import Stage
from tests.browser.test_looks import STALLED, STARTED, show

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

WORDS = {
    (20_000, None): "No news for 1 min",
    (179_000, None): "No news for 2 min",
    (180_000, "adding_machine"): STALLED,
    (180_000, "no_machine"): "No news for 3 min · No machine has room for the server yet",
    (180_000, "batch_queue"): "No news for 3 min · The server is in the cluster's queue",
    (180_000, "storage"): "No news for 3 min · The server's storage is not ready yet",
    (180_000, "pull_failed"): "No news for 3 min · The last try failed, and the cluster will try again",
    (3_600_000, "restarting"): "No news for 60 min · The server has ended, and the cluster is starting it again",
    (180_000, "levitating"): "No news for 3 min",
    (180_000, "launch"): "No news for 3 min",
}


async def test_a_stall_says_for_how_long_and_why_as_far_as_it_is_known(page: Page, stage: Stage) -> None:
    await page.goto(stage.url)

    told = await page.evaluate(
        """async (stalls) => {
            const {TEXTS, stall} = await import(new URL("static/element/texts.js", document.baseURI));
            return stalls.map(([milliseconds, reason]) => stall(milliseconds, reason, TEXTS));
        }""",
        [list(one) for one in WORDS],
    )

    assert told == list(WORDS.values())


async def test_a_screen_reader_announces_a_stall_once_while_its_time_goes_on(page: Page, stage: Stage) -> None:
    await page.clock.install()
    await page.goto(stage.url)
    await page.evaluate(
        """async () => {
            const at = (name) => new URL(`static/element/${name}.js`, document.baseURI);
            const {Panel} = await import(at("panel"));
            const {TEXTS} = await import(at("texts"));
            const {IDLE} = await import(at("state"));
            const host = document.createElement("div");
            host.id = "host";
            document.body.append(host);  // the page's own scripts may still fill the page
            const root = host.attachShadow({mode: "open"});
            const panel = new Panel(root, {on: {}, now: () => Date.now()});
            const state = {...IDLE, phase: "launching", stage: "scheduling", id: "one", isOwn: true};
            window.stall = (stalledAt) =>
                panel.show({...state, stalledAt}, {texts: TEXTS, openIn: "_self", canLaunch: true, hasLabel: false});
            window.tick = () => panel.tick();
            window.stall(Date.now() - 180_000);
        }"""
    )
    said, shown = page.locator("#host [role=status]"), page.locator("#host [part=stalled]")
    await page.clock.run_for(5000)
    first = await said.text_content()
    await page.clock.run_for(60_000)
    await page.evaluate("window.tick()")
    await page.clock.run_for(5000)
    during, later = await said.text_content(), await shown.text_content()
    await page.evaluate("window.stall(null)")
    await page.clock.run_for(5000)

    assert first == during == "Finding a machine for the server. No news for 3 min"
    assert later == "No news for 4 min"
    assert await said.text_content() == "Finding a machine for the server"
    await expect(shown).to_be_hidden()


async def test_news_ends_what_a_page_says_about_a_stall(page: Page, tmp_path: Path) -> None:
    async with show(tmp_path) as shown:
        await shown.bring(page, "stalled")
        words = page.get_by_role("group").get_by_text(STALLED, exact=True)
        await expect(words).to_be_visible()

        shown.hub.report(next(user for user, _ in shown.hub.active_servers), STARTED)

        await expect(words).to_be_hidden()
        await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "67 %, Starting your server")
