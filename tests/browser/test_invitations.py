"""The link of an invitation: one card, one button, and a code that is nowhere to be seen."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.looks import assert_looks
from tests.browser.test_back import COME_BACK, LEAVE
from tests.browser.test_choices import SCIPY, VIEW, options, with_catalogue
from tests.browser.test_looks import REPO, Show
from tests.support.invitations import ended, invited, revoke

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

INVITING = {"access": ("hub", "invitation")}
LAUNCH = "Launch"


def link(shown: Show, code: str, query: str = "") -> str:
    return f"{shown.url}{query}#invitation={code}"


def database_of(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/hublaunch.sqlite"


async def test_a_link_shows_one_card_with_one_button_on_a_phone_and_launches(page: Page, tmp_path: Path) -> None:
    urls: set[str] = set()
    page.on("request", lambda request: urls.add(request.url))
    await page.set_viewport_size(ViewportSize(width=360, height=740))
    async with with_catalogue(tmp_path, **INVITING) as shown:
        code = invited(database_of(tmp_path), repo_url=REPO, ref="v1", path="lab")
        await page.goto(link(shown, code))

        button = page.get_by_role("button", name=LAUNCH, exact=True)
        await expect(button).to_be_visible()
        await expect(page).to_have_url(shown.url)
        await expect(page.get_by_text("You are invited to launch this with hublaunch.")).to_be_visible()
        await expect(page.get_by_role("definition")).to_have_text(
            ["Scientific Python", "1 CPU, 2 GB", REPO, "v1", "lab"]
        )
        await expect(page.get_by_role("button", name="Change")).to_be_hidden()
        box = await button.bounding_box()
        await assert_looks(page, "invitation", tmp_path)
        await page.set_viewport_size(ViewportSize(width=360, height=740))
        await button.click()
        await expect(page).to_have_url(VIEW)
        asked = await options(shown)

    assert box
    assert box["y"] + box["height"] <= 740
    assert (asked["image"], asked["profile"], asked["repo_url"], asked["ref"]) == (SCIPY, "small", REPO, "v1")
    assert not {url for url in urls if code in url.partition("#")[0]}
    assert code not in await page.evaluate("JSON.stringify(localStorage)")


async def test_reload_and_back_keep_the_invitation_and_the_launch(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path, **INVITING) as shown:
        code = invited(database_of(tmp_path), repo_url=REPO)
        await page.goto(link(shown, code))
        await expect(page.get_by_role("button", name=LAUNCH, exact=True)).to_be_visible()
        await page.reload()
        await page.get_by_role("button", name=LAUNCH, exact=True).click()
        await expect(page).to_have_url(VIEW)
        await options(shown)
        await page.go_back()

        await expect(page.get_by_role("button", name=LAUNCH, exact=True)).to_be_visible()
        await expect(page.get_by_role("listitem")).to_have_count(1)
        await page.evaluate(LEAVE)
        await page.evaluate(COME_BACK)
        await expect(page.get_by_role("button", name=LAUNCH, exact=True)).to_be_visible()
        await page.get_by_role("listitem").get_by_role("link").click()
        await expect(page).to_have_url(VIEW)
        await expect(page.get_by_role("button", name="Cancel")).to_be_visible()


async def test_a_visitor_may_choose_what_the_invitation_leaves_open(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path, **INVITING) as shown:
        code = invited(database_of(tmp_path), sizes=())
        await page.goto(link(shown, code))
        await page.get_by_role("button", name="Change").click()
        await expect(page.get_by_role("radio", name="R", exact=True)).to_have_count(0)
        await expect(page.get_by_text("Share this")).to_be_hidden()

        await page.get_by_role("radio", name="4 CPUs, 16 GB").check()
        await page.get_by_label("Repository").fill(REPO)
        await page.get_by_role("button", name=LAUNCH, exact=True).click()
        asked = await options(shown)

    assert (asked["profile"], asked["repo_url"]) == ("large", REPO)


@pytest.mark.parametrize(
    ("kind", "title", "detail"),
    [
        ("ended", "This invitation has ended", "Its last day was 20 May 2026 (UTC)."),
        ("unknown", "There is no such invitation", "Open the link again exactly as you received it"),
        ("a token", "There is no such invitation", "Open the link again exactly as you received it"),
    ],
)
async def test_a_link_that_opens_nothing_says_why_and_can_be_left(
    page: Page, tmp_path: Path, kind: str, title: str, detail: str
) -> None:
    async with with_catalogue(tmp_path, **INVITING) as shown:
        codes = {"ended": ended(database_of(tmp_path)), "unknown": f"hli_{'x' * 32}"}
        codes["a token"] = shown.hub.token_of("ada")
        await page.goto(link(shown, codes[kind]))

        for _ in range(2):
            await expect(page.get_by_role("alert")).to_contain_text(title)
            await expect(page.get_by_role("alert")).to_contain_text(detail)
            await expect(page.get_by_role("button", name=LAUNCH, exact=True)).to_be_hidden()
            await page.reload()
        await page.get_by_role("button", name="Leave the invitation").click()
        await expect(page.get_by_role("heading", name="Log in to launch")).to_be_visible()


async def test_a_full_invitation_says_how_many_servers_are_in_use(
    page: Page, browser_of_another: BrowserContext, tmp_path: Path
) -> None:
    async with with_catalogue(tmp_path, **INVITING) as shown:
        code = invited(database_of(tmp_path), most=1, repo_url=REPO)
        first = await browser_of_another.new_page()
        await first.goto(link(shown, code))
        await first.get_by_role("button", name=LAUNCH, exact=True).click()
        await expect(first).to_have_url(VIEW)

        await page.goto(link(shown, code))
        await page.get_by_role("button", name=LAUNCH, exact=True).click()

        await expect(page.get_by_text("This invitation is full").first).to_be_visible()
        await expect(page.get_by_text("Servers in use: 1 of 1.").first).to_be_visible()
        await expect(page.get_by_role("listitem")).to_have_count(0)


async def test_an_invitation_revoked_while_its_card_is_open_says_so(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path, **INVITING) as shown:
        code = invited(database_of(tmp_path), repo_url=REPO)
        await page.goto(link(shown, code))
        await expect(page.get_by_role("button", name=LAUNCH, exact=True)).to_be_visible()

        revoke(database_of(tmp_path))
        await page.get_by_role("button", name=LAUNCH, exact=True).click()

        await expect(page.get_by_role("alert")).to_contain_text(re.compile("This invitation has ended.*withdrawn"))


async def test_a_link_pasted_into_an_open_page_is_opened(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path, **INVITING) as shown:
        code = invited(database_of(tmp_path), repo_url=REPO)
        await page.goto(shown.url)
        await expect(page.get_by_text("To launch here")).to_have_count(0)
        await expect(page.get_by_role("heading", name="Log in to launch")).to_be_visible()

        await page.evaluate("(hash) => { location.hash = hash; }", f"invitation={code}")

        await expect(page.get_by_role("button", name=LAUNCH, exact=True)).to_be_visible()
        await expect(page).to_have_url(shown.url)


async def test_an_element_on_a_page_launches_with_its_invitation(page: Page, tmp_path: Path) -> None:
    async with with_catalogue(tmp_path, **INVITING) as shown:
        code = invited(database_of(tmp_path))
        await page.goto(f"{shown.url}docs")
        attributes: dict[str, Any] = {"url": shown.url, "code": code}
        await page.evaluate(
            """async ({ url, code }) => {
                await import(`${url}static/hub-launch.js`);
                document.body.innerHTML = `<hub-launch environment="scipy" invitation="${code}">Go</hub-launch>`;
            }""",
            attributes,
        )
        await page.get_by_role("button", name="Go").click()
        asked = await options(shown)

    assert asked["profile"] == "small"
