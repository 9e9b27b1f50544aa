"""The spawn of one server: its progress, its failures, and the proof that the server answers."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.course.attempt import Entry, resume
from hublaunch.launch.course.cleanup import Traces
from hublaunch.launch.errors import (
    HubRefused,
    NoRoom,
    ServerNotFound,
    SpawnCancelled,
    SpawnFailed,
    SpawnLost,
)
from hublaunch.launch.model import Event, Stage, Status
from hublaunch.launch.ports import Server
from hublaunch.launch.rules.raw_event import RawEvent
from hublaunch.settings import Settings
from tests.fakes.front import front
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.attempted import ATTEMPT, REQUEST, Attempted
from tests.support.pace import QUICK

FULL = "0/3 nodes are available: 3 Insufficient memory."


async def test_progress_is_recorded_while_a_stock_hub_still_holds_the_post(hub: FakeHub, attempted: Attempted) -> None:
    hub.slow_spawn_timeout = 60
    hub.spawn_plan("alice", SpawnPlan(messages=["Pulling"], never=True))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(attempted.run())
        async with asyncio.timeout(30):
            await attempted.until_recorded("Pulling")

        assert hub.asked("start_server")[0].status is None
        hub.release("alice")
        await running

    assert attempted.steps[-1].phase is Status.READY


async def test_a_cancelled_spawn_that_announces_ready_is_not_ready(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    hub.interrupt_s = 0.1
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_raises(attempted.run(), SpawnCancelled))
        await hub.until(lambda: hub.open_streams)
        await hub.cancel_spawn("alice")
        await running

    assert Status.READY not in {step.phase for step in attempted.steps}


async def _raises(work: Coroutine[Any, Any, None], error: type[Exception]) -> None:
    with pytest.raises(error):
        await work


async def test_a_failure_without_a_reason_says_that_there_is_none(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails=""))

    with pytest.raises(SpawnFailed, match=r"The spawn failed, after \d.\d s, and neither JupyterHub nor"):
        await attempted.run()


async def test_a_failure_in_html_alone_is_reported_as_text(hub: FakeHub, attempted: Attempted) -> None:
    html = "<details><summary>Could not set up the tunnel</summary>Port 22</details>"
    hub.spawn_plan("alice", SpawnPlan(messages=[{"failed": True, "html_message": html}], never=True))

    with pytest.raises(SpawnFailed, match="Could not set up the tunnel Port 22"):
        await attempted.run()


async def test_a_slow_hub_is_not_asked_for_progress_before_the_start(hub: FakeHub, attempted: Attempted) -> None:
    hub.fail_on("create_user", how="late", hangs_s=0.2)
    hub.fail_on("start_server", how="late", hangs_s=0.3)

    await attempted.run()

    assert [asked.status for asked in hub.asked("progress")] == [200]


async def test_messages_from_before_a_broken_stream_explain_the_failure(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=[f"2026-01-31T10:20:30Z [Warning] {FULL}"], never=True))
    hub.cut_progress("alice", after_events=2)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_raises(attempted.run(), NoRoom))
        await attempted.until_recorded(FULL)
        hub.fail_spawn("alice", "")
        await running

    assert len(hub.asked("progress")) > 1
    assert attempted.messages.count(FULL) == 1


async def test_stored_events_explain_the_failure(hub: FakeHub, client: HubClient, attempted: Attempted) -> None:
    told = Event(
        launch_id=ATTEMPT.launch_id,
        seq=2,
        at=datetime.now(UTC),
        attempt=1,
        phase=Status.LAUNCHING,
        progress=30,
        message="No existing nodes are currently able to run your server",
        raw_event=RawEvent(message=FULL, reason="FailedScheduling", type="Warning"),
    )
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(fails=""))
    await hub.start_server("alice", "", {})

    with pytest.raises(NoRoom):
        await resume(
            ATTEMPT,
            REQUEST,
            Server(name="", ready=False, pending="spawn", url=""),
            [told],
            hub=client,
            entry=Entry(token_mode="none", token_lifetime_s=60),
            record=attempted.record,
            traces=Traces(),
        )


@pytest.mark.parametrize("slow_spawn_timeout", [0, 10])
async def test_a_spawners_refusal_reads_the_same_from_the_post_and_from_the_stream(
    hub: FakeHub, attempted: Attempted, slow_spawn_timeout: float
) -> None:
    hub.slow_spawn_timeout = slow_spawn_timeout
    hub.spawn_plan("alice", SpawnPlan(fails="no quota for you", status=403))

    with pytest.raises(HubRefused) as refusal:
        await attempted.run()

    assert str(refusal.value) == "JupyterHub refused to start the server (403): no quota for you"


async def test_a_failing_start_on_a_stock_hub_is_asked_for_once(hub: FakeHub, attempted: Attempted) -> None:
    hub.slow_spawn_timeout = 10
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))

    with pytest.raises(SpawnFailed, match="boom"):
        await attempted.run()

    assert hub.count("spawn_started") == 1


async def test_a_spawn_that_a_restarted_hub_does_not_know_is_lost(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_raises(attempted.run(), SpawnLost))
        await hub.until(lambda: hub.open_streams)
        await hub.restart()
        await running


async def test_a_spawn_that_a_restarted_hub_recovers_is_followed_to_its_end(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True, start_returns=True))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(attempted.run())
        await hub.until(lambda: hub.open_streams)
        await hub.restart()
        await hub.until(lambda: hub.asked("get_user"))
        hub.release("alice")
        await running

    assert attempted.steps[-1].phase is Status.READY


async def test_a_start_request_that_arrives_twice_starts_one_server(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(seconds=0.02))
    hub.fail_on("start_server", status=400, message="alice is already running", act=True)

    await attempted.run()

    assert attempted.steps[-1].phase is Status.READY
    assert hub.count("spawn_started") == 1


async def test_the_hub_is_believed_with_one_warning_if_servers_cannot_be_reached(
    hub: FakeHub, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect_hub(settings.model_copy(update={"proxy_url": "http://127.0.0.1:1/"})) as client:
        attempted = Attempted(hub, client)

        await attempted.run()
        await attempted.run(replace(ATTEMPT, username="bob"))

    assert attempted.steps[-1].phase is Status.READY
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    assert "LAUNCHER_PROXY_URL" in caplog.text


async def test_the_launch_fails_if_another_web_server_answers_at_the_servers_address(
    hub: FakeHub, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with front({}) as elsewhere, connect_hub(settings.model_copy(update={"proxy_url": elsewhere.url})) as client:
        attempted = Attempted(hub, client, pace=replace(QUICK, foreign_s=0.3))

        with pytest.raises(ServerNotFound, match=r"another web server answers at its address \(404\)") as failure:
            await attempted.run()

    assert hub.users["alice"].servers[""].ready
    assert Status.READY not in [step.phase for step in attempted.steps]
    assert "127.0.0.1" not in str(failure.value)
    assert elsewhere.url in caplog.text
    assert "Set LAUNCHER_PROXY_URL" in caplog.text


async def test_a_server_that_stays_silent_is_reported_once(hub: FakeHub, client: HubClient) -> None:
    hub.fail_on("reach_server", status=503, times=4)
    attempted = Attempted(hub, client, pace=replace(QUICK, silent_s=0.0))

    await attempted.run()

    waiting = "JupyterHub says that the server is ready, but something else answers 503 at the server's address."
    assert [message.startswith(waiting) for message in attempted.messages].count(True) == 1
    assert attempted.steps[-1].phase is Status.READY


async def test_a_server_that_the_hub_calls_ready_is_opening_until_it_answers(hub: FakeHub, client: HubClient) -> None:
    hub.fail_on("reach_server", status=503, times=2)
    attempted = Attempted(hub, client)

    await attempted.run()

    assert [step.stage for step in attempted.steps].count(Stage.OPENING) == 1
    assert (attempted.steps[-2].stage, attempted.steps[-1].phase) == (Stage.OPENING, Status.READY)


async def test_a_server_that_answers_immediately_has_no_step_for_its_opening(attempted: Attempted) -> None:
    await attempted.run()

    assert Stage.OPENING not in [step.stage for step in attempted.steps]


async def test_a_server_other_than_jupyter_is_ready_once_the_hub_has_said_so_twice(
    hub: FakeHub, client: HubClient, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail_on("reach_server", status=404, body="html", times=2)
    attempted = Attempted(hub, client)

    await attempted.run()

    assert attempted.steps[-1].phase is Status.READY
    assert hub.count("server_ready") == 1
    assert caplog.records == []


async def test_a_progress_hook_that_rewrites_the_ready_event_keeps_the_url(hub: FakeHub, client: HubClient) -> None:
    told = f'data: {{"progress": 100, "ready": true, "url": "{hub.base_url}user/alice/rstudio/?x=1"}}\n\n'
    hub.fail_on("progress", status=200, body=told.encode())
    attempted = Attempted(hub, client)

    await attempted.run()

    assert attempted.steps[-1].url == f"{hub.url}user/alice/"
