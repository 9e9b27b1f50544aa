"""The account that a launch runs on, and whether the account can have the server."""

import pytest

from hublaunch.hub.client import HubClient
from hublaunch.launch.acceptance.account import Accounts, ServerLimits, following_attempt
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import (
    AccessDenied,
    InvalidRequest,
    LaunchError,
    NamedServerLimitReached,
    ServerAlreadyRunning,
    ServerNameTaken,
)
from hublaunch.launch.model import Attempt, LaunchRequest
from tests.fakes.hub import FakeHub

ID = "01JDB9Z3N8Q4V7R2M5X6C1T0YK"
ANYBODY = Caller(kind="anonymous", key="192.0.2.1")
ADA = Caller(kind="hub", key="ada")
KEY = Caller(kind="key", key="ci")
NAMING_KEY = Caller(kind="key", key="ci", may_name_user=True)


def request(username: str = "", server_name: str = "") -> LaunchRequest:
    return LaunchRequest(
        image="a/b", repo_url="https://example.org/org/repo", username=username, server_name=server_name
    )


def accounts(
    client: HubClient, hub: FakeHub, *, create_user: bool = True, named: bool = False, limit: int = 0
) -> Accounts:
    limits = ServerLimits(allow_named_servers=named, named_server_limit_per_user=limit)
    return Accounts(client, create_user=create_user, limits=limits)


@pytest.mark.parametrize("caller", [ANYBODY, KEY, NAMING_KEY])
async def test_callers_without_an_account_get_a_temporary_user(client: HubClient, hub: FakeHub, caller: Caller) -> None:
    attempt = await accounts(client, hub).first_attempt(ID, request(), caller)

    assert attempt.creates_user
    assert attempt.username.startswith("org-repo-")
    assert attempt.server_name == ""
    assert hub.requests == [], "there is nothing to ask about a temporary user"


@pytest.mark.parametrize(("caller", "username"), [(ADA, ""), (ADA, "ada"), (NAMING_KEY, "ada")])
async def test_a_launch_uses_the_hub_users_own_account_or_the_named_users(
    client: HubClient, hub: FakeHub, caller: Caller, username: str
) -> None:
    hub.create_user("ada")

    attempt = await accounts(client, hub).first_attempt(ID, request(username), caller)

    assert attempt == Attempt(launch_id=ID, number=1, username="ada", server_name="", creates_user=False)


@pytest.mark.parametrize("caller", [ANYBODY, KEY, ADA, Caller(kind="hub", key="root", is_admin=True)])
async def test_only_callers_who_may_name_users_can_do_so(client: HubClient, hub: FakeHub, caller: Caller) -> None:
    hub.create_user("bob")

    with pytest.raises(AccessDenied):
        await accounts(client, hub).first_attempt(ID, request("bob"), caller)

    assert hub.requests == []


@pytest.mark.parametrize("username", ["..", ".", "a/b", "a\nb", "x" * 600])
async def test_a_name_that_would_change_the_api_path_is_never_sent_to_the_hub(
    client: HubClient, hub: FakeHub, username: str
) -> None:
    with pytest.raises(InvalidRequest, match="username"):
        await accounts(client, hub).first_attempt(ID, request(username), NAMING_KEY)

    assert hub.requests == []


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_hub_user_whose_name_changes_the_path_is_refused(client: HubClient, hub: FakeHub, name: str) -> None:
    with pytest.raises(AccessDenied, match="cannot address"):
        await accounts(client, hub).first_attempt(ID, request(), Caller(kind="hub", key=name))

    assert hub.requests == []


async def test_an_unknown_user_is_refused_and_not_created(client: HubClient, hub: FakeHub) -> None:
    with pytest.raises(InvalidRequest, match="no such user"):
        await accounts(client, hub).first_attempt(ID, request("nobody"), NAMING_KEY)

    assert hub.users == {}


async def test_without_temporary_users_an_api_key_must_name_a_user(client: HubClient, hub: FakeHub) -> None:
    with pytest.raises(InvalidRequest, match="creates no temporary users"):
        await accounts(client, hub, create_user=False).first_attempt(ID, request(), NAMING_KEY)


async def test_with_named_servers_each_launch_gets_a_valid_server_name(client: HubClient, hub: FakeHub) -> None:
    hub.create_user("ada")

    chosen = await accounts(client, hub, named=True).first_attempt(ID, request(), ADA)
    given = await accounts(client, hub, named=True).first_attempt(ID, request(server_name="my-work"), ADA)

    assert chosen.server_name.startswith("org-repo-")
    assert given.server_name == "my-work"


@pytest.mark.parametrize("name", ["A", "a_b", "a--b", "-a", "a-", "1a", "a b", "a/b", "..", "é", "a" * 31, "a\n"])
async def test_an_invalid_server_name_is_refused(client: HubClient, hub: FakeHub, name: str) -> None:
    hub.create_user("ada")

    with pytest.raises(InvalidRequest, match="server_name"):
        await accounts(client, hub, named=True).first_attempt(ID, request(server_name=name), ADA)


@pytest.mark.parametrize(("caller", "named"), [(ADA, False), (ANYBODY, True), (KEY, True)])
async def test_a_server_name_is_accepted_only_for_an_account_with_named_servers(
    client: HubClient, hub: FakeHub, caller: Caller, named: bool
) -> None:
    hub.create_user("ada")

    with pytest.raises(InvalidRequest, match="server_name"):
        await accounts(client, hub, named=named).first_attempt(ID, request(server_name="work"), caller)


async def _server(hub: FakeHub, client: HubClient, name: str, *, stopped: bool = False) -> None:
    await client.start_server("ada", name, {})
    await hub.until(lambda: hub.users["ada"].servers[name].ready)
    if stopped:
        await client.stop_server("ada", name)
        await hub.until(lambda: not hub.users["ada"].servers[name].ready)


@pytest.mark.parametrize(
    ("running", "stopped", "named", "limit", "server_name", "error"),
    [
        ([""], [], False, 0, "", ServerAlreadyRunning),
        (["work"], [], True, 0, "work", ServerAlreadyRunning),
        ([], ["work"], True, 0, "work", ServerNameTaken),
        (["a"], ["b"], True, 2, "c", NamedServerLimitReached),
        (["a"], ["b"], True, 3, "c", None),
        (["a"], ["b"], True, 0, "c", None),
        (["", "a"], [], True, 2, "c", None),
        ([], [""], False, 0, "", None),
    ],
)
async def test_a_user_may_have_one_default_server_and_named_ones_up_to_the_limit(
    client: HubClient,
    hub: FakeHub,
    running: list[str],
    stopped: list[str],
    named: bool,
    limit: int,
    server_name: str,
    error: type[LaunchError] | None,
) -> None:
    hub.create_user("ada")
    for name in running:
        await _server(hub, client, name)
    for name in stopped:
        await _server(hub, client, name, stopped=True)
    choosing = accounts(client, hub, named=named, limit=limit).first_attempt(ID, request(server_name=server_name), ADA)

    if error is None:
        assert (await choosing).server_name == server_name
    else:
        with pytest.raises(error):
            await choosing


def test_the_next_attempt_has_a_new_temporary_user_or_the_same_account() -> None:
    temporary = Attempt(launch_id=ID, number=1, username="org-repo-1a2b3c4d")
    own = Attempt(launch_id=ID, number=1, username="ada", server_name="work", creates_user=False)

    next_temporary, next_own = following_attempt(temporary, request()), following_attempt(own, request())

    assert next_temporary.creates_user
    assert next_temporary.username != temporary.username
    assert (next_own.number, next_own.username, next_own.server_name, next_own.creates_user) == (
        2,
        "ada",
        "work",
        False,
    )
