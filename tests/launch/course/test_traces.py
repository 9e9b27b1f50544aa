"""Traces: the things that a clean-up may touch, for every point at which a launch can fail."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from hublaunch.hub.address import HubAddress, HubPace
from hublaunch.hub.client import HubClient
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.attempt import Entry, run
from hublaunch.launch.course.cleanup import Traces, clean_up
from hublaunch.launch.errors import HubUnavailable, LaunchError, NamedServersOff, UserExists
from hublaunch.launch.model import Attempt, LaunchRequest, Status, Step
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.wire.transport import WireTransport
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.launching import OpenCore
from tests.support.pace import QUICK

REQUEST = LaunchRequest(image="quay.io/a/b", repo_url="https://example.org/a/b")
OPTIONS = {"image": REQUEST.image, "repo_url": REQUEST.repo_url}
TEMPORARY = Attempt(launch_id="01JDB9Z3N8Q4V7R2M5X6C1T0YK", number=1, username="temporary")
OWN = replace(TEMPORARY, username="ada", creates_user=False)
NAMED = replace(OWN, server_name="work")
ADA = Caller(kind="hub", key="ada")
CHANGING = ("create_user", "start_server", "mint_token")
DELETING = ("stop_server", "delete_user", "revoke_token")

REFUSALS: dict[str, dict[str, Any]] = {
    "a role without the scope": {"status": 403, "message": "Action is not authorized with current scopes"},
    "a hook": {"status": 400, "message": "not today"},
    "another web server": {"status": 404, "body": "html"},
    "a full Hub": {"status": 429, "message": "Too many users"},
}


class Unreachable(httpx.AsyncBaseTransport):
    """Carries every request except one kind, for which no connection can be made."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._inner = WireTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.extensions["kind"] == self._kind:
            raise httpx.ConnectError("no route")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def client_of(hub: FakeHub, *, unreachable: str = "") -> AsyncGenerator[HubClient]:
    async with Unreachable(unreachable) as transport:
        yield HubClient(
            transport,
            HubAddress(api_url=f"{hub.api_url}/", hub_url=hub.url),
            token=hub.api_token,
            pace=HubPace(tries=2, retry_delay_s=0, retry_after_s=(0.01, 1.0)),
        )


async def failed(hub: FakeHub, client: HubClient, attempt: Attempt, **entry: Any) -> tuple[LaunchError, Traces]:
    """Return the error of an attempt, and its traces. A 429 ends the attempt."""

    async def record(step: Step) -> None:
        """Ignore the step."""

    async def give_up(busy: Any, *_: Any) -> None:
        raise busy

    traces = Traces()
    given: dict[str, Any] = {"token_mode": "none", "token_lifetime_s": 60} | entry
    with pytest.raises(LaunchError) as raised:
        await run(
            attempt,
            REQUEST,
            hub=client,
            entry=Entry(**given),
            record=record,
            traces=traces,
            wait_in_queue=give_up,
            pace=QUICK,
        )
    return raised.value, traces


def deleted(hub: FakeHub) -> list[str]:
    return [asked.operation for asked in hub.requests if asked.operation in DELETING]


@pytest.mark.parametrize("by", REFUSALS)
async def test_a_user_whom_the_hub_refused_to_create_is_not_touched(hub: FakeHub, by: str) -> None:
    hub.create_user("temporary")
    await hub.start_server("temporary", "", OPTIONS)
    hub.fail_on("create_user", times=math.inf, **REFUSALS[by])
    async with client_of(hub) as client:
        _, traces = await failed(hub, client, TEMPORARY)
        await clean_up(TEMPORARY, REQUEST, client, traces=traces, pace=QUICK)

    assert deleted(hub) == []
    assert hub.active_servers == {("temporary", "")}


@pytest.mark.parametrize("attempt", [OWN, NAMED], ids=["default", "named"])
@pytest.mark.parametrize("by", REFUSALS)
async def test_after_a_refused_start_the_users_own_server_keeps_running_even_with_the_same_image(
    hub: FakeHub, by: str, attempt: Attempt
) -> None:
    hub.create_user("ada")
    await hub.start_server("ada", attempt.server_name, OPTIONS)
    hub.fail_on("start_server", times=math.inf, **REFUSALS[by])
    async with client_of(hub) as client:
        _, traces = await failed(hub, client, attempt)
        await clean_up(attempt, REQUEST, client, traces=traces, pace=QUICK)

    assert deleted(hub) == []
    assert hub.active_servers == {("ada", attempt.server_name)}


@pytest.mark.parametrize(
    ("attempt", "kind"),
    [(TEMPORARY, "create_user"), (OWN, "start_server"), (NAMED, "start_server")],
)
async def test_clean_up_does_nothing_after_a_request_never_sent(hub: FakeHub, attempt: Attempt, kind: str) -> None:
    if not attempt.creates_user:
        hub.create_user("ada")
    async with client_of(hub, unreachable=kind) as client:
        error, traces = await failed(hub, client, attempt)
        asked = len(hub.requests)
        await clean_up(attempt, REQUEST, client, traces=traces, pace=QUICK)

    assert isinstance(error, HubUnavailable)
    assert traces == Traces()
    assert len(hub.requests) == asked


async def test_a_token_request_that_was_never_sent_leaves_no_trace(hub: FakeHub) -> None:
    hub.create_user("ada")
    hub.fail_on("start_server", how="hang")
    async with client_of(hub, unreachable="mint_token") as client:
        _, traces = await failed(hub, client, OWN, token_mode="hub")

    assert traces == Traces(server=True)


@pytest.mark.parametrize("act", [True, False], ids=["and-the-hub-acted", "and-the-hub-did-not-act"])
@pytest.mark.parametrize("attempt", [TEMPORARY, OWN, NAMED], ids=["temporary", "own", "named"])
@pytest.mark.parametrize("operation", CHANGING)
async def test_after_an_unclear_answer_everything_the_attempt_may_have_created_is_deleted(
    hub: FakeHub, operation: Any, attempt: Attempt, act: bool
) -> None:
    hub.create_user("ada")
    hub.spawn_plan(None, SpawnPlan(never=True))
    hub.fail_on(operation, status=502, body="html", act=act, times=math.inf)
    hub.fail_on("progress", status=400, message="broken", times=math.inf)
    hub.fail_on("mint_token", status=400, message="refused", times=math.inf)
    async with client_of(hub) as client:
        _, traces = await failed(hub, client, attempt, token_mode="hub")
        hub.heal()
        await clean_up(attempt, REQUEST, client, traces=traces, pace=QUICK)

    assert set(hub.users) == {"ada"}
    assert set(hub.users["ada"].servers) == {""}
    assert hub.active_servers == set()
    assert hub.tokens.of("ada") == []


async def test_after_an_unclear_answer_an_older_user_is_not_taken_for_the_attempts(hub: FakeHub) -> None:
    user = hub.create_user("temporary")
    user.created = user.created.replace(year=2020)
    await hub.start_server("temporary", "", OPTIONS)
    hub.fail_on("create_user", status=504, body="html")
    async with client_of(hub) as client:
        error, traces = await failed(hub, client, TEMPORARY)
        await clean_up(TEMPORARY, REQUEST, client, traces=traces, pace=QUICK)

    assert isinstance(error, UserExists)
    assert deleted(hub) == []
    assert hub.active_servers == {("temporary", "")}


async def test_an_inspection_that_fails_keeps_the_trace(hub: FakeHub) -> None:
    hub.fail_on("create_user", status=502, body="html", act=True)
    async with client_of(hub, unreachable="get_user") as client:
        _, traces = await failed(hub, client, TEMPORARY)

    assert traces.user


async def test_a_refused_named_server_leaves_no_record_on_the_account(hub: FakeHub) -> None:
    hub.create_user("ada")
    hub.slow_spawn_timeout = 10
    hub.spawn_plan(None, SpawnPlan(fails="no quota for you", status=403))
    async with client_of(hub) as client:
        _, traces = await failed(hub, client, NAMED)
        assert set(hub.users["ada"].servers) == {"", "work"}
        await clean_up(NAMED, REQUEST, client, traces=traces, pace=QUICK)

    assert set(hub.users["ada"].servers) == {""}


async def test_the_token_is_revoked_even_if_the_server_was_not_the_attempts(hub: FakeHub) -> None:
    hub.create_user("ada")
    await hub.start_server("ada", "", OPTIONS)
    await hub.until(lambda: hub.count("server_ready"))
    minted = asyncio.Event()
    hub.fail_on("start_server", how="late", until=minted)
    async with client_of(hub) as client, asyncio.TaskGroup() as group:
        failing = group.create_task(failed(hub, client, OWN, token_mode="hub"))
        await hub.until(lambda: hub.count("token_minted"))
        minted.set()
        _, traces = await failing
        await clean_up(OWN, REQUEST, client, traces=traces, pace=QUICK)

    assert hub.active_servers == {("ada", "")}
    assert [token.note for token in hub.tokens.of("ada") if token.note == OWN.token_note] == []


async def test_a_server_with_hidden_options_is_not_taken_for_the_launchs(hub: FakeHub) -> None:
    hub.create_user("ada")
    await hub.start_server("ada", "", OPTIONS)
    hub.users["ada"].servers[""].user_options = None
    async with client_of(hub) as client:
        await clean_up(OWN, REQUEST, client, traces=Traces(server=True), pace=QUICK)

    assert hub.active_servers == {("ada", "")}


# --- named servers that the Hub has switched off ----------------------------------------------------------------------


@pytest.mark.parametrize("attempt", [NAMED, replace(TEMPORARY, server_name="work")], ids=["own", "temporary"])
async def test_a_hub_without_named_servers_is_reported_and_cleaned_up(hub: FakeHub, attempt: Attempt) -> None:
    hub.create_user("ada")
    hub.allow_named_servers = False
    async with client_of(hub) as client, asyncio.timeout(10):
        error, traces = await failed(hub, client, attempt)
        await clean_up(attempt, REQUEST, client, traces=traces, pace=QUICK)

    assert isinstance(error, NamedServersOff)
    assert set(hub.users) == {"ada"}


async def test_stopping_a_named_server_succeeds_if_the_hub_has_none(hub: FakeHub, client: HubClient) -> None:
    hub.create_user("ada")
    hub.allow_named_servers = False

    assert await client.stop_server("ada", "work", remove=True) is True


# --- the service ------------------------------------------------------------------------------------------------------


async def test_a_launch_cancelled_in_the_queue_leaves_the_users_server(hub: FakeHub, open_core: OpenCore) -> None:
    hub.create_user("ada")
    async with open_core(max_concurrent_spawns=0) as core:
        launch = await core.service.start(REQUEST, ADA)
        await hub.start_server("ada", "", OPTIONS)
        asked = len(hub.requests)
        await core.cancel(launch)

        assert (await core.service.get(launch.id)).status is Status.CANCELLED
        assert (await core.service.get(launch.id)).cleaned_at is not None
    assert len(hub.requests) == asked


@pytest.mark.parametrize("by", ["a role without the scope", "a hook", "another web server"])
async def test_a_launch_with_a_refused_start_does_not_touch_the_users_server(
    hub: FakeHub, open_core: OpenCore, store: SqlLaunchStore, by: str
) -> None:
    hub.create_user("ada")
    async with open_core(max_concurrent_spawns=0) as core:
        launch = await core.service.start(REQUEST, ADA)
    await hub.start_server("ada", "", OPTIONS)
    hub.fail_on("start_server", times=math.inf, **REFUSALS[by])
    async with open_core() as core:
        current = await core.ended(launch)
        await core.idle()

        assert current.status is Status.FAILED
        assert await store.upkeep.due(launch.id) == []
    assert deleted(hub) == []
    assert hub.active_servers == {("ada", "")}
