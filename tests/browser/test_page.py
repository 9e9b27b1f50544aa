"""The page at `/` and the page of a launch in a real browser, on a real Hub."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.browser.stage import HELD, Stage, repo, requests_of, watch
from tests.hubs.quick_server import GATED_IMAGE
from tests.support.git import commit, git_server
from tests.support.processes import free_port, started

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "answer",
            "metadata": {},
            "outputs": [],
            "source": "print(6 * 7)",
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
VIEW = re.compile(r"/launch/[0-9A-Z]{26}/view$")


def in_server(user: str) -> re.Pattern[str]:
    return re.compile(rf"/user/{user}/")


async def launch_by_link(page: Page, stage: Stage, name: str) -> str:
    """Follow a launch link and launch. Return the user, with the server waiting at its gate."""
    await page.goto(stage.link(name))
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page).to_have_url(VIEW)
    user = await stage.spawning(name)
    await expect(page.get_by_text(HELD).first).to_be_visible()
    return user


async def test_in_the_demo_a_visitor_launches_a_repository_and_runs_its_notebook(page: Page, tmp_path: Path) -> None:
    commit(tmp_path / "served" / "course", {"answer.ipynb": json.dumps(NOTEBOOK)})
    async with (
        git_server(tmp_path / "served") as repositories,
        started("hublaunch.cli", "demo", "--state", str(tmp_path / "demo"), "--port", str(free_port())) as demo,
    ):
        url = await demo_url(demo)
        try:
            await page.goto(url)
            await page.get_by_role("radio", name="Scientific Python").check()
            await page.get_by_role("radio", name="1 CPU, 2 GB").check()
            await page.get_by_label("Repository").fill(f"{repositories}/course")
            await page.get_by_label(re.compile("^Open")).fill("answer.ipynb")
            await page.get_by_role("button", name="Launch", exact=True).click()
            await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"\d+"))
            await expect(page).to_have_url(re.compile(r"/user/course-\w+/lab/tree/course/answer.ipynb"), timeout=60_000)

            await expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
            await page.locator(".jp-Notebook .cm-content").first.click()
            await page.keyboard.press("Shift+Enter")
            await expect(page.locator(".jp-OutputArea-output").get_by_text("42")).to_be_visible(timeout=60_000)
        finally:
            demo.send_signal(signal.SIGTERM)
            await demo.communicate()


async def demo_url(demo: asyncio.subprocess.Process) -> str:
    """Return the URL of hublaunch once the demo prints it."""
    assert demo.stdout
    said = ""
    async with asyncio.timeout(60):
        while not (served := re.search(r"Launch at (\S+/) ", said)):
            line = await demo.stdout.readline()
            assert line, said
            said += line.decode()
    return served[1]


async def test_a_link_shows_everything_that_it_launches_and_starts_nothing_without_a_click(
    page: Page, stage: Stage
) -> None:
    requests = requests_of(page)

    await page.goto(stage.link("consent", path="lab/tree/x.ipynb"))

    await expect(page.get_by_role("heading", name="tests/consent")).to_be_visible()
    await expect(page.get_by_role("definition")).to_have_text([GATED_IMAGE, repo("consent"), "lab/tree/x.ipynb"])
    await expect(page.get_by_text("Nothing has started yet.").first).to_be_visible()
    await expect(page.get_by_role("textbox")).to_have_count(0)
    await page.wait_for_load_state("networkidle")
    assert await stage.users("consent") == []
    assert set(requests) == {("GET", stage.url.rstrip("/"))}

    await page.get_by_role("button", name="Launch", exact=True).click()
    user = await stage.spawning("consent")
    stage.hub.open_gate(user)
    await expect(page).to_have_url(re.compile(rf"/user/{user}/lab/tree/x\.ipynb\?token="))


async def test_the_visitor_may_change_what_a_link_asks_for(page: Page, stage: Stage) -> None:
    await page.goto(stage.link("asked"))

    await page.get_by_role("button", name="Change").click()

    await expect(page.get_by_label("Image")).to_be_focused()
    await expect(page.get_by_label("Image")).to_have_value(GATED_IMAGE)
    await expect(page.get_by_text("A link has filled in this form.")).to_be_visible()
    await page.get_by_label("Repository").fill(repo("changed"))
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page).to_have_url(VIEW)
    stage.hub.open_gate(await stage.spawning("changed"))
    assert await stage.users("asked") == []


async def test_a_link_without_an_image_opens_the_form(page: Page, stage: Stage) -> None:
    await page.goto(f"{stage.url}?repo_url={repo('no-image')}")

    await expect(page.get_by_label("Repository")).to_have_value(repo("no-image"))
    await expect(page.get_by_text("A link has filled in this form.")).to_be_visible()


async def test_a_reload_during_a_launch_resumes_it_and_opens_the_server(page: Page, stage: Stage) -> None:
    user = await launch_by_link(page, stage, "reload")
    before = page.url

    await page.reload()
    await expect(page.get_by_text(HELD).first).to_be_visible()
    stage.hub.open_gate(user)

    await expect(page).to_have_url(in_server(user))
    assert await stage.users("reload") == [user]
    await page.goto(before)
    await expect(page.get_by_text("Your server is ready").first).to_be_visible()


async def test_a_returning_visitor_is_not_sent_away_again_and_may_launch_again(page: Page, stage: Stage) -> None:
    user = await launch_by_link(page, stage, "back")
    stage.hub.open_gate(user)
    await expect(page).to_have_url(in_server(user))

    await page.go_back()

    await expect(page.get_by_role("link", name="Open server")).to_have_attribute("href", in_server(user))
    await expect(page).to_have_url(VIEW)
    first = page.url
    await page.goto(stage.link("back"))
    await page.get_by_role("button", name="Launch", exact=True).click()  # requested once more, it is the same launch
    await expect(page).to_have_url(in_server(user))
    assert await stage.users("back") == [user]
    await page.goto(first)
    await page.get_by_role("button", name="Start another").click()
    await expect(page).not_to_have_url(first)
    await expect(page.get_by_text(HELD).first).to_be_visible()
    assert len(await stage.users("back")) == 2


async def test_two_tabs_and_a_double_click_make_one_launch(page: Page, context: BrowserContext, stage: Stage) -> None:
    other = await context.new_page()
    await asyncio.gather(page.goto(stage.link("tabs")), other.goto(stage.link("tabs")))

    buttons = [tab.get_by_role("button", name="Launch", exact=True) for tab in (page, other)]
    await asyncio.gather(*(button.dblclick(no_wait_after=True) for button in buttons))

    user = await stage.spawning("tabs")
    for tab in (page, other):
        await expect(tab.get_by_text(HELD).first).to_be_visible()
    assert page.url == other.url
    stage.hub.open_gate(user)
    for tab in (page, other):
        await expect(tab).to_have_url(in_server(user))
    assert await stage.users("tabs") == [user]


async def test_a_cancellation_before_the_answer_cancels_the_launch(page: Page, stage: Stage) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await go_on.wait()
        await route.fallback()

    await page.route(f"{stage.url}launch", hold)
    await page.goto(stage.link("early"))
    await page.get_by_role("button", name="Launch", exact=True).click()
    await asked.wait()

    await page.get_by_role("button", name="Cancel").click()
    go_on.set()

    await expect(page.get_by_text("The launch was cancelled").first).to_be_visible()
    await stage.gone("early")


async def test_a_cancelled_launch_leaves_nothing_and_can_be_launched_again(page: Page, stage: Stage) -> None:
    await launch_by_link(page, stage, "cancel")
    cancelled = page.url

    await page.get_by_role("button", name="Cancel").click()

    await expect(page.get_by_text("The launch was cancelled").first).to_be_visible()
    await stage.gone("cancel")
    await page.get_by_role("button", name="Launch again").click()
    await expect(page).not_to_have_url(cancelled)
    user = await stage.spawning("cancel")
    stage.hub.open_gate(user)
    await expect(page).to_have_url(in_server(user))


async def test_a_failed_launch_says_why_and_a_retry_is_a_new_launch(page: Page, stage: Stage) -> None:
    user = await launch_by_link(page, stage, "failed")
    failed = page.url
    os.kill(stage.process_of(user) or 0, signal.SIGKILL)

    await expect(page.get_by_text("The server ended before it was ready").first).to_be_visible()
    await expect(page.get_by_text("the server process ended with status").first).to_be_visible()
    await stage.gone("failed")
    await page.get_by_role("button", name="Try again").click()

    await expect(page).not_to_have_url(failed)
    stage.hub.open_gate(await stage.spawning("failed"))
    await expect(page).to_have_url(re.compile("/user/tests-failed-"))


async def test_a_launch_page_shows_strangers_the_progress_and_nothing_more(
    page: Page, browser_of_another: BrowserContext, stage: Stage
) -> None:
    user = await launch_by_link(page, stage, "shared")
    others = await browser_of_another.new_page()
    complaints = watch(others)

    await others.goto(page.url)

    await expect(others.get_by_text("You can follow this launch, but not open it.")).to_be_visible()
    await expect(others.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"\d+"))
    await expect(others.get_by_text(HELD).first).to_be_visible()
    assert await others.get_by_role("button").count() == 0
    stage.hub.open_gate(user)
    await expect(others.get_by_text("The server is ready").first).to_be_visible()
    await expect(others).to_have_title(re.compile("^The server is ready"))
    await expect(others).to_have_url(VIEW)
    assert await others.get_by_role("link", name="Open server").count() == 0
    shown = await others.evaluate("document.body.outerHTML + document.querySelector('hub-launch').shadowRoot.innerHTML")
    assert user not in shown
    assert GATED_IMAGE not in shown
    assert await stage.users("shared") == [user]
    assert complaints == []


async def test_the_next_visitor_at_a_browser_sees_nothing_of_the_previous_launch(page: Page, stage: Stage) -> None:
    await launch_by_link(page, stage, "before")
    await page.evaluate("localStorage.setItem('hublaunch visitor', 'alice')")  # and the visitor now is not logged in
    shown: list[str] = []
    page.on("request", lambda request: shown.append(request.headers.get("x-launch-secret", "") + request.url))

    await page.reload()

    await expect(page.get_by_text("You can follow this launch, but not open it.")).to_be_visible()
    await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"\d+"))
    assert await page.get_by_role("button").count() == 0
    assert [one for one in shown if not one.startswith("http") or "secret=" in one] == []


async def test_recent_launches_are_listed_with_their_state_until_the_list_is_cleared(page: Page, stage: Stage) -> None:
    await launch_by_link(page, stage, "recent")
    launched = page.url

    await page.goto(stage.url)
    entry = page.get_by_role("listitem")
    await expect(entry).to_contain_text(re.compile("tests/recent.*just now.*Starting"))
    await entry.get_by_role("link").click()
    await expect(page).to_have_url(launched)
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("The launch was cancelled").first).to_be_visible()
    await page.goto(stage.url)
    await expect(entry).to_contain_text("Cancelled")

    kept = await page.evaluate("JSON.stringify(localStorage)")
    await page.get_by_role("button", name="Clear this list").click()

    assert "secret" not in kept
    await expect(page.get_by_role("heading", name="Recent launches")).to_be_hidden()


async def test_a_refused_launch_says_what_to_do_and_keeps_the_form(page: Page, stage: Stage) -> None:
    await page.goto(stage.url)
    await page.get_by_label("Image").fill("Not An Image")

    await page.get_by_role("button", name="Launch", exact=True).click()

    await expect(page.get_by_text("The request is not valid").first).to_be_visible()
    await expect(page.get_by_text("Correct the named field").first).to_be_visible()
    await page.get_by_label("Image").fill(GATED_IMAGE)
    await page.get_by_label("Repository").fill(repo("corrected"))
    await page.get_by_role("button", name="Launch", exact=True).click()
    await expect(page).to_have_url(VIEW)


async def test_the_shared_link_and_badge_lead_to_the_launch(page: Page, stage: Stage) -> None:
    await page.goto(stage.url)
    await page.get_by_label("Image").fill(GATED_IMAGE)
    await page.get_by_label("Repository").fill(repo("badge"))

    await page.get_by_text("Share this").click()
    markdown = await page.get_by_label("Badge in Markdown").input_value()

    link = re.fullmatch(r"\[!\[Launch\]\((.+)/badge\.svg\)\]\((.+)\)", markdown)
    assert link
    assert link[1] == stage.url.rstrip("/")
    assert link[2] == await page.get_by_label("Link", exact=True).input_value()
    assert await page.locator("img[src$='badge.svg']").evaluate("(image) => image.naturalWidth") == 114
    await page.goto(link[2])
    await expect(page.get_by_role("definition")).to_have_text([GATED_IMAGE, repo("badge")])
