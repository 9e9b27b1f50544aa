"""Named servers."""

import pytest

from tests.contract.contract_hub import ContractHub, error


async def test_a_named_server_runs_beside_the_default_one(hub: ContractHub, user: str) -> None:
    default = await hub.start(user)
    named = await hub.start(user, "extra")

    servers = (await hub.user(user))["servers"]
    assert (default.status_code, named.status_code) == (201, 201)
    assert set(servers) == {"", "extra"}
    assert servers["extra"]["url"] == f"{hub.base_url}user/{user}/extra/"
    assert servers["extra"]["progress_url"] == f"{hub.base_url}hub/api/users/{user}/servers/extra/progress"


async def test_a_stopped_named_server_is_remembered_until_it_is_removed(hub: ContractHub, user: str) -> None:
    await hub.start(user, "extra")
    await hub.stop(user, "extra")

    remembered = await hub.all_servers(user)
    removal = await hub.api.request("DELETE", f"users/{user}/servers/extra", json={"remove": True})

    assert "extra" in remembered
    assert removal.status_code == 204
    assert "extra" not in await hub.all_servers(user)
    assert error(await hub.stop(user, "extra")) == (404, f"{user} has no server named 'extra'")


async def test_a_running_named_server_can_be_removed_with_one_request(hub: ContractHub, user: str) -> None:
    await hub.start(user, "extra")

    answer = await hub.api.request("DELETE", f"users/{user}/servers/extra", json={"remove": True})

    assert answer.status_code == 204
    assert "extra" not in await hub.all_servers(user)


async def test_the_default_server_cannot_be_removed(hub: ContractHub, user: str) -> None:
    answer = await hub.api.request("DELETE", f"users/{user}/server", json={"remove": True})

    assert error(answer) == (400, "Cannot delete the default server")


@pytest.mark.parametrize("name", ["A-b", "x_y", "9lives", "a--b", "a" * 31])
async def test_version_6_restricts_names_of_new_servers(hub: ContractHub, user: str, name: str) -> None:
    answer = await hub.start(user, name)

    if hub.version >= (6,):
        assert error(answer) == (400, f"Invalid server_name: {name!r}")
    else:
        assert answer.status_code == 201


async def test_named_servers_can_be_switched_off(hub: ContractHub, user: str) -> None:
    await hub.configure({"allow_named_servers": False})

    assert error(await hub.start(user, "extra")) == (400, "Named servers are not enabled.")
    assert error(await hub.stop(user, "extra")) == (400, "Named servers are not enabled.")


async def test_stopped_named_servers_count_against_the_limit(hub: ContractHub, user: str) -> None:
    await hub.start(user, "first")
    await hub.stop(user, "first")
    await hub.configure({"named_server_limit_per_user": 1})

    status, message = error(await hub.start(user, "second"))

    assert status == 400
    assert message is not None
    assert message.startswith(f"User {user} already has the maximum of 1 named servers.")
