"""One attempt at the Hub, through the real client: its calls, and the faults of each call at the Hub."""

from dataclasses import replace
from typing import Any

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.errors import (
    HubForbidden,
    HubRefused,
    ServerExists,
    TokenRefused,
    UserExists,
)
from hublaunch.launch.model import Status
from tests.fakes.hub import FakeHub
from tests.support.attempted import ATTEMPT, REQUEST, Attempted


async def test_image_repository_and_extra_args_are_the_servers_options(hub: FakeHub, attempted: Attempted) -> None:
    await attempted.run()

    assert hub.users["alice"].servers[""].user_options == {
        "image": "quay.io/a/b",
        "repo_url": "https://example.org/a/b",
        "binder_ref_url": "x",
    }


@pytest.mark.parametrize("how", ["reset", "drop"])
@pytest.mark.parametrize("act", [True, False])
@pytest.mark.parametrize(
    "operation", ["create_user", "start_server", "mint_token", "get_user", "progress", "reach_server"]
)
async def test_a_connection_that_breaks_at_any_call_loses_and_doubles_nothing(
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
async def test_the_hub_is_inspected_before_a_request_is_repeated_after_a_proxy_error(
    hub: FakeHub, attempted: Attempted, operation: Any, act: bool, status: int
) -> None:
    hub.fail_on(operation, status=status, body="html", act=act)

    await attempted.run()

    assert hub.count("user_created") == hub.count("spawn_started") == 1


@pytest.mark.parametrize("body", ["html", "half", "empty", b"[]", b"null"])
async def test_a_200_that_is_not_from_the_hub_is_not_trusted(hub: FakeHub, attempted: Attempted, body: Any) -> None:
    hub.fail_on("mint_token", status=200, body=body)

    await attempted.run()

    assert attempted.steps[-1].token


@pytest.mark.parametrize("headers", [{"Retry-After": "0"}, {}], ids=["with-retry-after", "without"])
async def test_after_a_429_the_attempt_asks_again(hub: FakeHub, attempted: Attempted, headers: dict[str, str]) -> None:
    hub.fail_on("start_server", status=429, headers=headers, message="Try again")

    await attempted.run()

    assert [step.phase for step in attempted.steps][1] is Status.WAITING
    assert attempted.steps[-1].phase is Status.READY


async def test_a_refusal_of_the_hub_is_final_and_quotes_the_hub(hub: FakeHub, attempted: Attempted) -> None:
    hub.fail_on("start_server", status=400, body=b'{"status": 400, "message": "no quota\\nleft"}')

    with pytest.raises(HubRefused, match="no quota left"):
        await attempted.run()

    assert len(hub.asked("start_server")) == 1


@pytest.mark.parametrize(
    ("scope", "error"), [("admin:users", HubForbidden), ("servers", HubForbidden), ("tokens", TokenRefused)]
)
async def test_a_missing_scope_has_its_error(
    hub: FakeHub, attempted: Attempted, scope: str, error: type[Exception]
) -> None:
    hub.scopes.remove(scope)

    with pytest.raises(error):
        await attempted.run()


async def test_an_attempt_does_not_use_a_user_that_already_existed(hub: FakeHub, attempted: Attempted) -> None:
    hub.create_user("alice")

    with pytest.raises(UserExists):
        await attempted.run()

    assert hub.count("spawn_started") == 0


async def test_a_running_server_on_an_existing_account_is_not_taken_over(hub: FakeHub, attempted: Attempted) -> None:
    hub.create_user("alice")
    await hub.start_server("alice", "", {})

    with pytest.raises(ServerExists):
        await attempted.run(replace(ATTEMPT, creates_user=False))


async def test_a_token_lifetime_beyond_the_hubs_maximum_is_explained(hub: FakeHub, attempted: Attempted) -> None:
    hub.token_expires_in_max_seconds = 10

    with pytest.raises(TokenRefused, match="must not exceed 10"):
        await attempted.run()


async def test_in_user_options_mode_only_the_spawner_gets_a_token(hub: FakeHub, client: HubClient) -> None:
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
