"""Hub users as callers: hublaunch's requests to the Hub, and the answers that it remembers."""

import asyncio
import gc

import pytest

from hublaunch.api.callers.hub_users import LIFETIME_S, HubUsers
from hublaunch.hub.client import HubClient
from hublaunch.launch.errors import AccessDenied, HubUnavailable, Unauthenticated
from hublaunch.launch.ports import Identity
from tests.fakes.hub import FakeHub
from tests.support.clock import Clock

SCOPE = "access:services!service=hublaunch"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(client: HubClient, clock: Clock) -> HubUsers:
    return HubUsers(client.logins.identify, service_name="hublaunch", admins=("root",), now=clock)


async def test_a_user_with_the_scope_is_a_caller_with_their_groups(users: HubUsers, hub: FakeHub) -> None:
    hub.groups["ada"] = ["gpu", "staff"]

    caller = await users.caller(hub.token_of("ada"))

    assert (caller.kind, caller.key, caller.groups, caller.is_admin) == (
        "hub",
        "ada",
        frozenset({"gpu", "staff"}),
        False,
    )


@pytest.mark.parametrize("scope", [SCOPE, "access:services"])
async def test_the_scope_for_all_services_is_enough(users: HubUsers, hub: FakeHub, scope: str) -> None:
    assert (await users.caller(hub.token_of("ada", scope))).key == "ada"


@pytest.mark.parametrize("scope", ["access:services!service=another", "access:servers!user=ada", "servers!user=ada"])
async def test_another_scope_is_not_enough(users: HubUsers, hub: FakeHub, scope: str) -> None:
    with pytest.raises(AccessDenied, match=SCOPE):
        await users.caller(hub.token_of("ada", scope))


async def test_admins_are_in_the_settings_or_may_stop_all_servers_at_the_hub(users: HubUsers, hub: FakeHub) -> None:
    named = await users.caller(hub.token_of("root"))
    by_scope = await users.caller(hub.token_of("boss", SCOPE, "delete:servers"))
    by_their_own_servers = await users.caller(hub.token_of("ada", SCOPE, "delete:servers!user=ada"))

    assert [caller.is_admin for caller in (named, by_scope, by_their_own_servers)] == [True, True, False]


async def test_a_service_of_the_hub_must_use_a_key(users: HubUsers, hub: FakeHub) -> None:
    with pytest.raises(AccessDenied, match="API key"):
        await users.caller(hub.api_token)


async def test_the_hub_is_asked_once_in_30_seconds(users: HubUsers, hub: FakeHub, clock: Clock) -> None:
    of_ada = hub.token_of("ada")
    for clock.now in (0, LIFETIME_S - 0.1):
        await users.caller(of_ada)
    asked_before = len(hub.asked("whoami"))

    clock.now = LIFETIME_S
    await users.caller(of_ada)

    assert (asked_before, len(hub.asked("whoami"))) == (1, 2)


async def test_a_revoked_token_is_refused_after_30_seconds(users: HubUsers, hub: FakeHub, clock: Clock) -> None:
    of_ada = hub.token_of("ada")
    await users.caller(of_ada)
    hub.tokens.remove(of_ada)

    clock.now = LIFETIME_S

    with pytest.raises(Unauthenticated):
        await users.caller(of_ada)


async def test_wrong_tokens_are_remembered(users: HubUsers, hub: FakeHub) -> None:
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await users.caller("wrong")

    assert len(hub.asked("whoami")) == 1


async def test_simultaneous_requests_ask_the_hub_once(users: HubUsers, hub: FakeHub) -> None:
    of_ada = hub.token_of("ada")

    callers = await asyncio.gather(*(users.caller(of_ada) for _ in range(50)))

    assert {caller.key for caller in callers} == {"ada"}
    assert len(hub.asked("whoami")) == 1


async def test_a_caller_who_leaves_does_not_cancel_the_others(users: HubUsers, hub: FakeHub) -> None:
    of_ada = hub.token_of("ada")
    leaving = asyncio.create_task(users.caller(of_ada))
    staying = asyncio.create_task(users.caller(of_ada))
    await hub.until(lambda: hub.asked("whoami"))

    leaving.cancel()

    assert (await staying).key == "ada"


async def test_all_waiting_callers_get_the_hubs_error_and_the_next_asks_again(users: HubUsers, hub: FakeHub) -> None:
    of_ada = hub.token_of("ada")
    hub.fail_on("whoami", status=503, body="html")

    heard = await asyncio.gather(*(users.caller(of_ada) for _ in range(50)), return_exceptions=True)

    assert {type(each) for each in heard} == {HubUnavailable}
    assert len(hub.asked("whoami")) == 1
    assert (await users.caller(of_ada)).key == "ada"


async def ask_and_leave(users: HubUsers) -> None:
    asking = [asyncio.create_task(users.caller("token")) for _ in range(3)]
    await asyncio.sleep(0)
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_an_error_that_nobody_waits_for_is_not_logged_and_the_next_asks_again(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    is_answered, asked = asyncio.Event(), []

    async def identify(token: str) -> Identity:
        asked.append(token)
        await is_answered.wait()
        raise HubUnavailable("identify the token", "it did not answer in time")

    users = HubUsers(identify, service_name="hublaunch", admins=(), now=clock)
    await ask_and_leave(users)

    is_answered.set()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})

    gc.collect()
    assert caplog.text == ""
    with pytest.raises(HubUnavailable):
        await users.caller("token")
    assert asked == ["token", "token"]


async def test_the_oldest_of_4096_remembered_tokens_is_replaced(clock: Clock) -> None:
    asked: list[str] = []

    async def identify(token: str) -> Identity:
        asked.append(token)
        return Identity(kind="user", name=token, scopes=frozenset({SCOPE}), groups=frozenset())

    users = HubUsers(identify, service_name="hublaunch", admins=(), now=clock)
    first, second, *others = tokens = [f"token-{number}" for number in range(4096)]
    for each in tokens * 2:
        await users.caller(each)
    assert asked == tokens

    clock.now = LIFETIME_S
    await users.caller(first)  # its answer is now the newest
    clock.now = LIFETIME_S - 1
    await users.caller("one more")
    for each in (first, *others):
        await users.caller(each)
    await users.caller(second)

    assert asked == [*tokens, first, "one more", second]
