"""Tokens for visitors: their scopes, their lifetime, and how they are found and revoked."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.contract.contract_hub import ContractHub, error


async def _mint(hub: ContractHub, user: str, **body: Any) -> httpx.Response:
    return await hub.api.post(f"users/{user}/tokens", json=body)


@pytest.mark.parametrize("server_name", ["", "extra"])
async def test_a_token_can_be_minted_before_its_server_exists(hub: ContractHub, user: str, server_name: str) -> None:
    scope = f"access:servers!server={user}/{server_name}"

    answer = await _mint(hub, user, scopes=[scope], expires_in=60, note="hublaunch:1:1")

    model = answer.json()
    assert answer.status_code == 201
    assert scope in model["scopes"]
    assert len(model["token"]) == 32
    assert (model["user"], model["kind"], model["note"]) == (user, "api_token", "hublaunch:1:1")


async def test_a_token_expires_when_it_should(hub: ContractHub, user: str) -> None:
    asked_at = datetime.now(UTC)

    model = (await _mint(hub, user, scopes=[f"access:servers!server={user}/"], expires_in=60)).json()

    lasts_s = (datetime.fromisoformat(model["expires_at"]) - asked_at).total_seconds()
    assert lasts_s == pytest.approx(60, abs=5)


async def test_a_server_scope_without_a_name_is_accepted_and_opens_nothing(hub: ContractHub, user: str) -> None:
    answer = await _mint(hub, user, scopes=["access:servers!server"])

    assert answer.status_code == 201
    assert not any(scope.startswith("access:servers") for scope in answer.json()["scopes"])


async def test_a_token_names_its_owner_and_cannot_start_servers(hub: ContractHub, user: str) -> None:
    token = (await _mint(hub, user, scopes=[f"access:servers!server={user}/"])).json()["token"]
    as_visitor = {"Authorization": f"token {token}"}

    identity = (await hub.api.get("user", headers=as_visitor)).json()
    start = await hub.api.post(f"users/{user}/server", headers=as_visitor)

    assert (identity["kind"], identity["name"], identity["groups"]) == ("user", user, [])
    assert f"access:servers!server={user}/" in identity["scopes"]
    needed = "start:servers" if hub.version >= (6,) else "servers"
    assert error(start) == (403, f"Action is not authorized with current scopes; requires any of [{needed}]")


async def test_a_scope_that_the_user_lacks_is_refused(hub: ContractHub, user: str) -> None:
    answer = await _mint(hub, user, scopes=["access:servers!server=other/"])

    assert error(answer) == (
        400,
        f"Not assigning requested scopes access:servers!server=other/ not held by User {user}",
    )


async def test_a_missing_user_has_no_tokens(hub: ContractHub) -> None:
    minting = await _mint(hub, "nobody", scopes=["access:servers!server=nobody/"])

    assert error(minting) == (403, "Service nobody not found or no permissions to generate tokens")
    assert error(await hub.api.get("users/nobody/tokens")) == (404, "No such user: nobody")


async def test_hubs_since_5_1_can_limit_the_lifetime_of_tokens(hub: ContractHub, user: str) -> None:
    await hub.configure({"token_expires_in_max_seconds": 100})

    too_long = await _mint(hub, user, expires_in=101)
    unlimited = await _mint(hub, user)

    if hub.version >= (5, 1):
        assert error(too_long) == (400, "token expires_in: 101 must not exceed 100")
        assert unlimited.json()["expires_at"] is not None
    else:
        assert too_long.status_code == 201


async def test_a_token_is_found_by_its_note_and_revoked_once(hub: ContractHub, user: str) -> None:
    minted = (await _mint(hub, user, scopes=[f"access:servers!server={user}/"], note="find me")).json()

    listed = (await hub.api.get(f"users/{user}/tokens")).json()["api_tokens"]
    revoked, again = [await hub.api.delete(f"users/{user}/tokens/{minted['id']}") for _ in range(2)]

    assert [token["id"] for token in listed if token["note"] == "find me"] == [minted["id"]]
    assert all("token" not in token for token in listed)
    assert (revoked.status_code, again.status_code) == (204, 404)
    who = await hub.api.get("user", headers={"Authorization": f"token {minted['token']}"})
    assert who.status_code == 403


async def test_a_running_server_has_its_own_token(hub: ContractHub, user: str) -> None:
    await hub.start(user)

    listed = (await hub.api.get(f"users/{user}/tokens")).json()["api_tokens"]

    assert [token["note"] for token in listed] == [f"Server at {hub.base_url}user/{user}/"]


async def test_tokens_survive_a_stop_but_not_their_user(hub: ContractHub, user: str) -> None:
    await hub.start(user)
    token = (await _mint(hub, user, scopes=[f"access:servers!server={user}/"])).json()["token"]

    await hub.stop(user)
    after_stop = await hub.api.get("user", headers={"Authorization": f"token {token}"})
    await hub.api.delete(f"users/{user}")
    after_deletion = await hub.api.get("user", headers={"Authorization": f"token {token}"})

    assert (after_stop.status_code, after_deletion.status_code) == (200, 403)
