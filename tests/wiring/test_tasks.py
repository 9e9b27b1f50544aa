"""The background loops: a loop that ends is reported and restarted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from hublaunch.settings import Settings
from hublaunch.wiring.tasks import Background
from tests.support.served import serve

QUICK = (0.0, 0.0)


async def fail() -> None:
    raise OverflowError("year 10000 is out of range")


async def end() -> None:
    return


async def be_cancelled_from_within() -> None:
    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    await cancelled


@pytest.mark.parametrize("loop", [fail, end, be_cancelled_from_within])
async def test_a_loop_that_ends_is_logged_reported_and_restarted(
    loop: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    background, ends, again = Background(pause_s=QUICK, steady_s=60), list[str](), asyncio.Event()
    background.on_end(ends.append)

    async def ends_once() -> None:
        if not ends:
            await loop()
            return
        again.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR, logger="hublaunch.wiring.tasks"):
        async with background.running("reaper", ends_once):
            before = background.is_up
            await again.wait()
            after = background.down

    assert (before, after, ends) == ({"reaper": True}, ["reaper"], ["reaper"])
    assert [message.startswith("The background task reaper ") for message in caplog.messages] == [True]


async def test_a_restarted_loop_counts_as_up_after_a_while() -> None:
    background, ends, again = Background(pause_s=QUICK, steady_s=0), list[str](), asyncio.Event()
    background.on_end(ends.append)

    async def ends_once() -> None:
        if not ends:
            await fail()
        await asyncio.sleep(0)
        again.set()
        await asyncio.Event().wait()

    async with background.running("reaper", ends_once):
        await again.wait()

    assert (ends, background.down) == (["reaper"], [])


async def test_a_loop_that_the_service_stops_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    background, ends = Background(), list[str]()
    background.on_end(ends.append)

    async def go_on() -> None:
        await asyncio.Event().wait()

    async with background.running("reaper", go_on):
        await asyncio.sleep(0)

    assert (ends, caplog.records) == ([], [])


LOOPS = {
    "leases": "hublaunch.launch.course.lease.Leases.run",
    "admission": "hublaunch.launch.course.admission.Admission.run",
    "reaper": "hublaunch.launch.course.reaper.Reaper.run",
    "session_ends": "hublaunch.launch.course.session_watch.SessionWatch.run",
    "hub_check": "hublaunch.hub.check.HubCheck.run",
    "rate_limits": "hublaunch.launch.acceptance.rate_limiter.RateLimiter.run",
    "limits": "hublaunch.files.watched.WatchedFile.run",
}


@pytest.mark.parametrize("name", LOOPS)
async def test_a_dead_loop_makes_the_service_unready_and_shows_in_the_metrics(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    limits = tmp_path_factory.mktemp("limits") / "limits.yaml"
    limits.write_text("{}")

    async def die(*_: object, **__: object) -> None:
        await fail()

    monkeypatch.setattr(LOOPS[name], die)
    async with serve(settings, limits_file=limits, metrics_public=True) as service:
        while (answer := await service.http.get("/readyz")).status_code == 200:
            pass
        metrics = (await service.http.get("/metrics")).text
        status = (await service.http.get("/status")).json()

    assert (answer.status_code, answer.json()["background_down"]) == (503, [name])
    assert f'hublaunch_background_task_up{{task="{name}"}} 0.0' in metrics
    assert f'hublaunch_background_task_ends_total{{task="{name}"}} 0.0' not in metrics
    assert (status["status"], "A background task of this service failed" in status["reasons"][0]) == ("red", True)


async def test_every_loop_is_up_while_nothing_is_wrong(settings: Settings) -> None:
    async with serve(settings, metrics_public=True) as service:
        answer = await service.http.get("/readyz")
        metrics = (await service.http.get("/metrics")).text

    assert (answer.status_code, answer.json()["background_down"]) == (200, [])
    for name in LOOPS.keys() - {"limits"}:
        assert f'hublaunch_background_task_up{{task="{name}"}} 1.0' in metrics
