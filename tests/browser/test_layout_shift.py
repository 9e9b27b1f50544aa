"""What the pages and the element learn after they are shown moves nothing that a visitor sees."""

from collections.abc import Callable

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.stage import HELD, Origin, Stage
from tests.browser.test_element import embed

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

MOST = 0.02
"""The sum of the shifts; up to 0.1 counts as good (https://web.dev/articles/cls). The element's buttons appear in a box
that grows upward, which counts as 0.01 at 360 pixels, although no text moves."""
OBSERVE = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) window.shifted += hadRecentInput ? 0 : value;
}).observe({ type: "layout-shift", buffered: true });
"""


async def shifted(page: Page) -> float:
    """Return the sum of the shifts since the document was loaded, all frames of which are painted."""
    await page.evaluate("() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))")
    return float(await page.evaluate("window.shifted"))


def on_the_page(_: Origin, stage: Stage, name: str) -> tuple[str, str]:
    return stage.link(name), "Launch"


def in_an_element(elsewhere: Origin, stage: Stage, name: str) -> tuple[str, str]:
    after = "<p>The next paragraph</p>"
    return embed(elsewhere, stage, name, after=after, attributes='open="none"'), "Run this chapter"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("place", [on_the_page, in_an_element])
async def test_a_launch_moves_nothing_that_is_shown(
    page: Page, elsewhere: Origin, stage: Stage, width: int, place: Callable[..., tuple[str, str]]
) -> None:
    name = f"shift-{place.__name__.replace('_', '-')}-{width}"
    url, button = place(elsewhere, stage, name)
    await page.add_init_script(OBSERVE)
    await page.set_viewport_size(ViewportSize(width=width, height=740))
    await page.goto(url)
    await expect(page.get_by_role("button", name=button, exact=True)).to_be_visible()
    before = await shifted(page)

    await page.get_by_role("button", name=button, exact=True).click()
    user = await stage.spawning(name)
    await expect(page.get_by_text(HELD).first).to_be_visible()
    starting = await shifted(page)
    stage.hub.open_gate(user)

    assert before < MOST
    assert starting < MOST
