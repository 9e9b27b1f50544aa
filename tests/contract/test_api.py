"""Rules for all requests: authorization, errors, scopes and pages."""

import re

import httpx
import pytest

from hublaunch.hub.check import missing_scopes, needed_scopes, needless_scopes
from tests.contract.contract_hub import ContractHub, error


async def test_anybody_may_ask_for_the_version(hub: ContractHub, stranger: httpx.AsyncClient) -> None:
    with_none = await stranger.get("")
    with_wrong = await stranger.get("", headers={"Authorization": "token wrong"})

    assert with_none.status_code == with_wrong.status_code == 200
    assert with_none.json() == with_wrong.json() == {"version": ".".join(map(str, hub.version))}


async def test_without_a_token_everything_else_is_forbidden(hub: ContractHub, stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("users/anybody")

    assert error(answer) == (403, "Missing or invalid credentials.")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-JupyterHub-Version"] == ".".join(map(str, hub.version))


async def test_a_wrong_token_has_no_owner_and_no_rights(hub: ContractHub) -> None:
    wrong = {"Authorization": "token wrong"}

    assert error(await hub.api.get("user", headers=wrong)) == (403, None if hub.version >= (6,) else "Forbidden")
    start = await hub.api.post("users/anybody/server", headers=wrong)
    assert error(start) == (403, "Missing or invalid credentials.")


async def test_a_service_sees_its_scopes_expanded(hub: ContractHub) -> None:
    identity = (await hub.api.get("user")).json()

    expected = ["admin:users", "delete:users", "read:users", "servers", "delete:servers", "read:servers", "tokens"]
    assert (identity["kind"], identity["name"]) == ("service", "launcher")
    assert set(expected) <= set(identity["scopes"])
    assert ("start:servers" in identity["scopes"]) == (hub.version >= (6,))


async def test_the_role_for_temporary_users_has_exactly_the_needed_scopes(hub: ContractHub) -> None:
    scopes = (await hub.api.get("user")).json()["scopes"]

    needed = needed_scopes(temporary_users=True, mints_tokens=True)
    assert (missing_scopes(scopes, needed), needless_scopes(scopes, needed)) == ([], [])


@pytest.mark.parametrize("path", ["users/nobody", "users/nobody/server/progress", "no-such-thing"])
async def test_a_missing_resource_is_404_with_json(hub: ContractHub, path: str) -> None:
    answer = await hub.api.get(path)

    assert error(answer) == (404, None if hub.version >= (6,) else "Not Found")
    assert answer.headers["Content-Type"] == "application/json"


async def test_the_address_of_a_missing_server_redirects_to_the_hub(hub: ContractHub) -> None:
    answer = await hub.api.get(f"{hub.url}user/nobody/api")

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{hub.base_url}hub/user/nobody/api"


async def test_a_page_for_browsers_has_a_mark_of_the_hubs_start(hub: ContractHub, stranger: httpx.AsyncClient) -> None:
    pages = [await stranger.get(f"{hub.url}hub/error/404") for _ in range(2)]

    marks = [re.findall(r'urlArgs: "v=(\d{14})"', page.text) for page in pages]
    assert len(marks[0]) == 1
    assert marks[0] == marks[1]
