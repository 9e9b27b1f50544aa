"""Whether a page is accessible and fits every width, light and dark, with pictures of it.

With SCREENSHOTS=docs/images they are the documentation's pictures.
"""

import os
from pathlib import Path
from typing import Any

from playwright.async_api import Page, ViewportSize

from tests.support.node import PACKAGES

ROOT = Path(__file__).parents[2]
WIDTHS = (360, 768, 1280)

# Text and controls are compared with each other, in the page and in the element's shadow, if they are visible.
LAYOUT = """() => {
    const all = (root) => [...root.querySelectorAll("*")].flatMap(
        (one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
    const controls = all(document).filter((one) => one.matches("button, input, a, summary, h1, [part=title]"));
    const boxes = controls.filter((one) => one.checkVisibility())
        .map((one) => [one.textContent.trim() || one.id, one.getBoundingClientRect()])
        .filter(([, box]) => box.width > 1 && box.height > 1);
    const overlaps = [];
    for (const [n, [first, a]] of boxes.entries()) {
        for (const [second, b] of boxes.slice(n + 1)) {
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (across > 1 && down > 1) overlaps.push([first, second]);
        }
    }
    const beyond = boxes.filter(([, box]) => box.left < 0 || box.right > innerWidth).map(([name]) => name);
    return {overlaps, beyond, width: document.documentElement.scrollWidth, controls: boxes.length};
}"""


async def assert_looks(page: Page, name: str, directory: Path) -> None:
    """Take pictures of the page with this name. Fail if anything overlaps, or if axe finds a barrier."""
    shots = pictures(directory)
    barriers: dict[str, Any] = {}
    layouts: dict[int, dict[str, Any]] = {}
    for width in WIDTHS:
        await page.set_viewport_size(ViewportSize(width=width, height=800))
        layouts[width] = await page.evaluate(LAYOUT)
        await page.screenshot(path=shots / f"{name}-{width}.png", full_page=True)
    for scheme in ("light", "dark"):
        # Without motion: a color that still changes to the other scheme's has another contrast.
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        barriers[scheme] = await violations(page)
    await page.emulate_media(reduced_motion="null")
    await page.screenshot(path=shots / f"{name}-dark.png", full_page=True)

    assert barriers == {"light": [], "dark": []}
    for width, layout in layouts.items():
        assert layout["width"] <= width
        assert layout["overlaps"] == []
        assert layout["beyond"] == []
        assert layout["controls"] >= 5


def pictures(directory: Path) -> Path:
    """Return the directory for pictures: that of SCREENSHOTS, or else this one."""
    kept = os.environ.get("SCREENSHOTS")
    pictures = ROOT / kept if kept else directory  # a test runs in a directory of its own
    pictures.mkdir(parents=True, exist_ok=True)
    return pictures


async def violations(page: Page) -> list[str]:
    """Return axe's findings, best practices included, in the page and in the element."""
    axe = (PACKAGES / "node_modules" / "axe-core" / "axe.min.js").read_text()
    await page.evaluate(axe)
    found = await page.evaluate("axe.run().then(({violations}) => violations)")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]
