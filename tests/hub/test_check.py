"""HubCheck: the facts that the service learns about its Hub, and its log lines."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

import pytest

from hublaunch.hub.check import HubCheck, needed_scopes
from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.pace import Backoff
from hublaunch.launch.rules.condition import CLOCK_OFF_S, Condition
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub

NEEDED = needed_scopes(temporary_users=True, mints_tokens=True)


check_of = partial(HubCheck, needed=NEEDED, backoff=Backoff(0.01, 0.02))


@pytest.fixture
async def stranger(settings: Settings) -> AsyncGenerator[HubClient]:
    """A client with a token that the Hub does not know."""
    wrong = Settings(hub_url=settings.hub_url, hub_api_token="not-the-right-one", retry_delay=0)
    async with connect_hub(wrong) as client:
        yield client


async def test_a_hub_that_is_down_is_asked_until_it_answers_with_one_warning(
    hub: FakeHub, client: HubClient, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail_on("get_version", how="reset", times=4)
    check = check_of(client)
    assert check.report()["fault"] == "JupyterHub has not answered yet."

    with caplog.at_level(logging.WARNING):
        await check.until_answered()

    assert len(hub.asked("get_version")) == 5
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    fault = "JupyterHub did not report its version: the connection broke before the answer was complete."
    assert warnings == [f"{fault} Launches are accepted, and wait for JupyterHub."]
    report = check.report()
    assert -CLOCK_OFF_S < report.pop("clock_ahead_s") < CLOCK_OFF_S
    assert report == {
        "version": hub.version,
        "missing_scopes": [],
        "needless_scopes": [],
        "fault": None,
    }


async def test_a_different_fault_of_the_hub_is_logged_again(
    hub: FakeHub, client: HubClient, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail_on("get_version", how="reset")
    hub.fail_on("get_version", status=502, body="html")

    with caplog.at_level(logging.WARNING):
        await check_of(client).until_answered()

    assert caplog.text.count("Launches are accepted, and wait for JupyterHub.") == 2


async def test_a_wrong_token_is_reported_without_showing_it(hub: FakeHub, stranger: HubClient) -> None:
    check = check_of(stranger)
    running = asyncio.create_task(check.run())

    await hub.until(lambda: len(hub.asked("whoami")) == 2)
    running.cancel()

    assert check.report()["fault"].endswith(
        " Set LAUNCHER_HUB_API_TOKEN to the api_token that the Hub has for hublaunch, and restart hublaunch."
    )
    assert "not-the-right-one" not in str(check.report())


def noted(sightings: list[tuple[str, float]]) -> Callable[[str, float], Awaitable[None]]:
    async def seen(mark: str, before_s: float) -> None:
        sightings.append((mark, before_s))

    return seen


async def test_each_start_of_the_hub_is_reported_once_with_the_age_of_the_last_sighting(
    hub: FakeHub, client: HubClient
) -> None:
    sightings: list[tuple[str, float]] = []
    check = check_of(client, seen=noted(sightings))
    await check.until_answered()
    await check.until_answered()
    await hub.restart()
    await check.until_answered()

    assert [mark for mark, _ in sightings] == [str(hub.starts - 1), str(hub.starts)]
    assert sightings[0][1] == 0
    assert 0 < sightings[1][1] < 5


async def test_a_check_without_a_start_mark_does_not_count_as_a_sighting(hub: FakeHub, client: HubClient) -> None:
    sightings: list[tuple[str, float]] = []
    now, check = asyncio.get_running_loop().time, check_of(client, seen=noted(sightings))
    await check.until_answered()
    seen_at = now()
    await hub.restart()
    hub.fail_on("show_page", status=404, body="html")
    await check.until_answered()
    unknown_since_s = now() - seen_at
    fault = check.report()["fault"]
    await check.until_answered()

    assert fault is None
    assert [mark for mark, _ in sightings] == [str(hub.starts - 1), str(hub.starts)]
    assert sightings[1][1] > unknown_since_s


async def test_the_pulse_has_the_response_time_while_the_hub_answers(hub: FakeHub, client: HubClient) -> None:
    check = check_of(client)
    before = check.pulse()

    await check.until_answered()

    assert before == {"version": None, "latency_ms": None}
    assert check.pulse()["version"] == hub.version
    assert check.pulse()["latency_ms"] > 0


async def test_a_hub_whose_clock_differs_or_that_answers_slowly_is_reported(hub: FakeHub, client: HubClient) -> None:
    check = check_of(client)
    before = check.conditions()
    hub.clock_ahead_s = 90
    hub.fail_on("get_version", how="late", hangs_s=1.1)
    await check.until_answered()
    found, ahead_s = check.conditions(), check.report()["clock_ahead_s"]
    hub.clock_ahead_s = 0
    await check.until_answered()

    assert before == [Condition.HUB_UNAVAILABLE]
    assert found == [Condition.HUB_SLOW, Condition.CLOCK_OFF]
    assert ahead_s == pytest.approx(89, abs=CLOCK_OFF_S)
    assert check.conditions() == []
