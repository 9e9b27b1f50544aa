"""One attempt at the Hub, through the real client: what it makes of everything that a Hub can do."""

import asyncio
import logging
import math
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.hub.connect import connect_hub
from hublaunch.launch.course.attempt import Entry, resume, run
from hublaunch.launch.course.cleanup import Traces, clean_up
from hublaunch.launch.errors import (
    HubForbidden,
    HubRefused,
    HubUnavailable,
    NoRoom,
    ServerExists,
    ServerNotFound,
    SpawnCancelled,
    SpawnFailed,
    SpawnLost,
    TokenRefused,
    UserExists,
)
from hublaunch.launch.model import Attempt, Event, LaunchRequest, Status, Step
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Server
from hublaunch.settings import Settings
from tests.fakes.front import front
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.pace import QUICK

ATTEMPT = Attempt(launch_id="01JDB9Z3N8Q4V7R2M5X6C1T0YK", number=1, username="alice")
EVERYTHING = Traces.unknown(mints_token=True)
REQUEST = LaunchRequest(image="quay.io/a/b", repo_url="https://example.org/a/b", extra_args={"binder_ref_url": "x"})


class Attempted:
    """An attempt and the steps it has recorded."""

    def __init__(self, hub: FakeHub, client: HubClient, *, pace: Pace = QUICK, **entry: Any) -> None:
        self.steps: list[Step] = []
        self.traces = Traces()
        self._recorded = asyncio.Event()
        self._client = client
        self._pace = pace
        given: dict[str, Any] = {"token_mode": "hub", "token_lifetime_s": 60} | entry
        self._entry = Entry(**given)

    async def record(self, step: Step) -> None:
        self.steps.append(step)
        recorded, self._recorded = self._recorded, asyncio.Event()
        recorded.set()

    async def told(self, message: str) -> None:
        """Return once a step says this."""
        while message not in self.messages:
            await self._recorded.wait()

    def run(self, attempt: Attempt = ATTEMPT, request: LaunchRequest = REQUEST) -> Coroutine[Any, Any, None]:
        return run(
            attempt,
            request,
            hub=self._client,
            entry=self._entry,
            record=self.record,
            traces=self.traces,
            pace=self._pace,
        )

    @property
    def messages(self) -> list[str]:
        return [step.message for step in self.steps]


@pytest.fixture
def attempted(hub: FakeHub, client: HubClient) -> Attempted:
    return Attempted(hub, client)


async def test_the_server_is_started_with_image_repository_and_extra_args_flat(
    hub: FakeHub, attempted: Attempted
) -> None:
    await attempted.run()

    assert hub.users["alice"].servers[""].user_options == {
        "image": "quay.io/a/b",
        "repo_url": "https://example.org/a/b",
        "binder_ref_url": "x",
    }


async def test_on_a_stock_hub_the_first_progress_is_told_while_the_post_still_waits(
    hub: FakeHub, attempted: Attempted
) -> None:
    hub.slow_spawn_timeout = 10
    hub.spawn_plan("alice", SpawnPlan(messages=["Pulling"], never=True))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(attempted.run())
        async with asyncio.timeout(0.5):
            await attempted.told("Pulling")

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


async def test_a_failure_carries_the_hubs_own_reason(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails="no such image"))

    with pytest.raises(SpawnFailed, match="no such image"):
        await attempted.run()


async def test_a_failure_without_a_reason_says_so(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(fails=""))

    with pytest.raises(SpawnFailed, match=r"The spawn failed, after \d.\d s, and neither JupyterHub nor"):
        await attempted.run()


async def test_a_failure_that_is_told_in_html_alone_is_told_in_its_words(hub: FakeHub, attempted: Attempted) -> None:
    html = "<details><summary>Could not set up the tunnel</summary>Port 22</details>"
    hub.spawn_plan("alice", SpawnPlan(messages=[{"failed": True, "html_message": html}], never=True))

    with pytest.raises(SpawnFailed, match="Could not set up the tunnel Port 22"):
        await attempted.run()


async def test_a_hub_that_is_slow_is_not_asked_for_the_progress_before_it_has_come_to_the_start(
    hub: FakeHub, attempted: Attempted
) -> None:
    hub.fail_on("create_user", how="late", hangs_s=0.2)
    hub.fail_on("start_server", how="late", hangs_s=0.3)

    await attempted.run()

    assert [asked.status for asked in hub.asked("progress")] == [200]


FULL = "2026-01-31T10:20:30Z [Warning] 0/3 nodes are available: 3 Insufficient memory."


async def test_what_was_told_before_the_stream_broke_explains_the_failure(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(messages=[FULL], never=True))
    hub.cut_progress("alice", after_events=2)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_raises(attempted.run(), NoRoom))
        await attempted.told(FULL)
        hub.fail_spawn("alice", "")
        await running

    assert len(hub.asked("progress")) > 1


async def test_what_the_log_has_of_another_process_explains_the_failure(
    hub: FakeHub, client: HubClient, attempted: Attempted
) -> None:
    told = Event(
        launch_id=ATTEMPT.launch_id,
        seq=2,
        at=datetime.now(UTC),
        attempt=1,
        phase=Status.LAUNCHING,
        progress=30,
        message=FULL,
    )
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(fails=""))
    await hub.start_server("alice", "", {})

    with pytest.raises(NoRoom):
        await resume(
            ATTEMPT,
            Server(name="", ready=False, pending="spawn", url=""),
            [told],
            hub=client,
            entry=Entry(token_mode="none", token_lifetime_s=60),
            record=attempted.record,
            traces=Traces(),
        )


@pytest.mark.parametrize("slow_spawn_timeout", [0, 10])
async def test_a_refusal_of_the_spawner_reads_the_same_from_the_post_and_from_the_stream(
    hub: FakeHub, attempted: Attempted, slow_spawn_timeout: float
) -> None:
    hub.slow_spawn_timeout = slow_spawn_timeout
    hub.spawn_plan("alice", SpawnPlan(fails="no quota for you", status=403))

    with pytest.raises(HubRefused) as refusal:
        await attempted.run()

    assert str(refusal.value) == "JupyterHub refused to start the server (403): no quota for you"


async def test_a_failing_start_on_a_stock_hub_is_asked_for_once_and_tells_the_reason(
    hub: FakeHub, attempted: Attempted
) -> None:
    hub.slow_spawn_timeout = 10
    hub.spawn_plan("alice", SpawnPlan(fails="boom"))

    with pytest.raises(SpawnFailed, match="boom"):
        await attempted.run()

    assert hub.count("spawn_started") == 1


@pytest.mark.parametrize("how", ["reset", "drop"])
@pytest.mark.parametrize("act", [True, False])
@pytest.mark.parametrize(
    "operation", ["create_user", "start_server", "mint_token", "get_user", "progress", "reach_server"]
)
async def test_a_connection_that_breaks_at_any_call_costs_nothing_and_doubles_nothing(
    hub: FakeHub, attempted: Attempted, operation: Any, act: bool, how: Any
) -> None:
    hub.fail_on(operation, how=how, act=act)

    await attempted.run()

    assert attempted.steps[-1].phase is Status.READY
    assert hub.count("user_created") == hub.count("spawn_started") == 1
    assert len(hub.tokens.of("alice")) <= 2  # the visitor's, and the server's own


@pytest.mark.parametrize("operation", ["create_user", "start_server", "mint_token"])
@pytest.mark.parametrize("act", [True, False])
@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_proxys_error_is_looked_into_before_the_request_is_repeated(
    hub: FakeHub, attempted: Attempted, operation: Any, act: bool, status: int
) -> None:
    hub.fail_on(operation, status=status, body="html", act=act)

    await attempted.run()

    assert hub.count("user_created") == hub.count("spawn_started") == 1


@pytest.mark.parametrize("body", ["html", "half", "empty", b"[]", b"null"])
async def test_a_200_that_is_not_the_hubs_is_not_believed(hub: FakeHub, attempted: Attempted, body: Any) -> None:
    hub.fail_on("mint_token", status=200, body=body)

    await attempted.run()

    assert attempted.steps[-1].token


async def test_a_hub_that_redirects_is_no_hub(hub: FakeHub, attempted: Attempted) -> None:
    hub.fail_on("create_user", status=302, body="html", headers={"Location": "/hub/login"}, times=math.inf)

    with pytest.raises(HubUnavailable, match="not JupyterHub answered 302"):
        await attempted.run()


async def test_a_spawn_that_a_restarted_hub_has_lost_is_lost(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_raises(attempted.run(), SpawnLost))
        await hub.until(lambda: hub.open_streams)
        await hub.restart()
        await running


async def test_a_spawn_that_a_restarted_hub_checks_is_followed_to_its_end(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True, start_returns=True))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(attempted.run())
        await hub.until(lambda: hub.open_streams)
        await hub.restart()
        await hub.until(lambda: hub.asked("get_user"))
        hub.release("alice")
        await running

    assert attempted.steps[-1].phase is Status.READY


async def test_a_429_puts_the_attempt_back_in_queue_for_as_long_as_the_hub_asks(
    hub: FakeHub, attempted: Attempted
) -> None:
    hub.fail_on("start_server", status=429, headers={"Retry-After": "0"}, message="Try again")

    await attempted.run()

    assert [step.phase for step in attempted.steps][1] is Status.WAITING
    assert attempted.steps[-1].phase is Status.READY


async def test_a_429_without_a_time_waits_its_own(hub: FakeHub, attempted: Attempted) -> None:
    hub.fail_on("start_server", status=429)

    await attempted.run()

    assert attempted.steps[-1].phase is Status.READY


async def test_a_refusal_of_the_hub_is_final_and_says_its_words(hub: FakeHub, attempted: Attempted) -> None:
    hub.fail_on("start_server", status=400, body=b'{"status": 400, "message": "no quota\\nleft"}')

    with pytest.raises(HubRefused, match="no quota left"):
        await attempted.run()

    assert len(hub.asked("start_server")) == 1


@pytest.mark.parametrize(
    ("scope", "error"), [("admin:users", HubForbidden), ("servers", HubForbidden), ("tokens", TokenRefused)]
)
async def test_a_missing_scope_is_told_as_one(
    hub: FakeHub, attempted: Attempted, scope: str, error: type[Exception]
) -> None:
    hub.scopes.remove(scope)

    with pytest.raises(error):
        await attempted.run()


async def test_a_user_who_was_there_before_is_somebody_elses(hub: FakeHub, attempted: Attempted) -> None:
    hub.create_user("alice")

    with pytest.raises(UserExists):
        await attempted.run()

    assert hub.count("spawn_started") == 0


async def test_a_start_that_arrived_twice_is_one_start(hub: FakeHub, attempted: Attempted) -> None:
    hub.spawn_plan("alice", SpawnPlan(seconds=0.02))
    hub.fail_on("start_server", status=400, message="alice is already running", act=True)

    await attempted.run()

    assert attempted.steps[-1].phase is Status.READY
    assert hub.count("spawn_started") == 1


async def test_on_an_account_that_was_there_before_a_running_server_is_its_users_own(
    hub: FakeHub, attempted: Attempted
) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})

    with pytest.raises(ServerExists):
        await attempted.run(replace(ATTEMPT, creates_user=False))


async def test_a_lifetime_beyond_the_hubs_is_a_clear_problem(hub: FakeHub, attempted: Attempted) -> None:
    hub.token_expires_in_max_seconds = 10

    with pytest.raises(TokenRefused, match="must not exceed 10"):
        await attempted.run()


async def test_in_mode_user_options_the_token_goes_to_the_spawner_and_none_is_minted(
    hub: FakeHub, client: HubClient
) -> None:
    attempted = Attempted(hub, client, token_mode="user_options")

    await attempted.run()

    options = hub.users["alice"].servers[""].user_options
    assert options is not None
    assert options["token"] == attempted.steps[-1].token
    assert hub.count("token_minted") == 0


async def test_extra_args_never_win_over_image_or_token(hub: FakeHub, client: HubClient) -> None:
    attempted = Attempted(hub, client, token_mode="user_options")

    await attempted.run(request=replace(REQUEST, extra_args={"image": "evil", "token": "evil"}))

    assert "evil" not in str(hub.users["alice"].servers[""].user_options)


async def test_where_servers_cannot_be_reached_the_hub_is_believed_and_that_is_warned_of_once(
    hub: FakeHub, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect_hub(settings.model_copy(update={"proxy_url": "http://127.0.0.1:1/"})) as client:
        attempted = Attempted(hub, client)

        await attempted.run()
        await attempted.run(replace(ATTEMPT, username="bob"))

    assert attempted.steps[-1].phase is Status.READY
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    assert "LAUNCHER_PROXY_URL" in caplog.text


async def test_where_another_web_server_answers_the_launch_fails_and_says_what_answered(
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


async def test_a_server_that_does_not_answer_for_long_is_told_of_once(hub: FakeHub, client: HubClient) -> None:
    hub.fail_on("reach_server", status=503, times=4)
    attempted = Attempted(hub, client, pace=replace(QUICK, silent_s=0.0))

    await attempted.run()

    waiting = "JupyterHub says that the server is ready, but something else answers 503 at the server's address."
    assert [message.startswith(waiting) for message in attempted.messages].count(True) == 1
    assert attempted.steps[-1].phase is Status.READY


async def test_a_server_that_is_not_jupyter_is_ready_when_the_hub_has_said_so_twice(
    hub: FakeHub, client: HubClient, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail_on("reach_server", status=404, body="html", times=2)
    attempted = Attempted(hub, client)

    await attempted.run()

    assert attempted.steps[-1].phase is Status.READY
    assert hub.count("server_ready") == 1
    assert caplog.records == []


async def test_a_hook_that_changes_the_ready_event_does_not_change_where_the_server_is(
    hub: FakeHub, client: HubClient
) -> None:
    told = f'data: {{"progress": 100, "ready": true, "url": "{hub.base_url}user/alice/rstudio/?x=1"}}\n\n'
    hub.fail_on("progress", status=200, body=told.encode())
    attempted = Attempted(hub, client)

    await attempted.run()

    assert attempted.steps[-1].url == f"{hub.url}user/alice/"


# --- cleaning up ------------------------------------------------------------------------------------------------------


async def test_the_server_is_stopped_before_the_user_is_deleted(hub: FakeHub, client: HubClient) -> None:
    hub.spawn_plan("alice", SpawnPlan(never=True))
    hub.create_user("alice")
    await hub.start_server("alice", "", {})

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert [line.what for line in hub.journal][-3:] == ["spawn_cancelled", "server_stopped", "user_deleted"]
    assert [request.status for request in hub.asked("delete_user")] == [204]


async def test_a_server_that_stops_slowly_is_waited_for(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})
    await hub.until(lambda: hub.count("server_ready"))
    hub.stop_s, hub.slow_stop_timeout = 0.2, 0.01

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert hub.users == {}


async def test_named_servers_that_the_visitor_started_are_stopped_too(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "another", {})
    await hub.until(lambda: hub.count("server_ready"))

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert hub.users == {}


async def test_an_existing_users_account_is_kept_and_its_launch_removed(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    theirs = replace(ATTEMPT, creates_user=False, server_name="mine")
    attempted = Attempted(hub, client)
    await attempted.run(theirs)

    await clean_up(theirs, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert set(hub.users["alice"].servers) == {""}
    assert hub.tokens.of("alice") == []


async def test_where_no_token_was_made_the_scope_servers_is_enough_to_clean_up(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("alice")
    hub.scopes = ["servers"]
    theirs = replace(ATTEMPT, creates_user=False)
    await client.start_server("alice", "", {"image": REQUEST.image, "repo_url": REQUEST.repo_url})

    await clean_up(theirs, REQUEST, client, traces=Traces.unknown(mints_token=False))

    assert hub.active_servers == set()
    assert "alice" in hub.users


@pytest.mark.parametrize("operation", ["stop_server", "delete_user"])
async def test_cleaning_goes_on_through_faults(hub: FakeHub, client: HubClient, operation: Any) -> None:
    hub.create_user("alice")
    hub.fail_on(operation, how="reset", times=5)

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert hub.users == {}


async def test_a_hub_before_5_1_finishes_its_spawn_first(client: HubClient, hub: FakeHub) -> None:
    hub.version = "4.1.6"
    hub.create_user("alice")
    hub.spawn_plan("alice", SpawnPlan(seconds=0.3))
    await hub.start_server("alice", "", {})

    await clean_up(ATTEMPT, REQUEST, client, traces=EVERYTHING, pace=QUICK)

    assert hub.users == {}
