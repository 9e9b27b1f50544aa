"""Users: created once, and deleted only when no server of theirs prevents it."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from tests.contract.contract_hub import ContractHub, error, on_hubs
from tests.fakes.hub_model import is_strict


async def test_a_new_user_has_no_server(hub: ContractHub, username: str) -> None:
    answer = await hub.api.post(f"users/{username}")

    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    expected = {"name": username, "kind": "user", "admin": False, "server": None, "pending": None, "servers": {}}
    assert expected.items() <= answer.json().items()
    assert await hub.user(username) == answer.json()


async def test_the_creation_time_of_a_user_and_the_date_header_use_the_same_clock(hub: ContractHub, user: str) -> None:
    answer = await hub.api.get(f"users/{user}")

    age = parsedate_to_datetime(answer.headers["Date"]) - datetime.fromisoformat(answer.json()["created"])
    assert timedelta(seconds=-2) < age < timedelta(seconds=60)


async def test_a_taken_name_is_a_conflict(hub: ContractHub, user: str) -> None:
    answer = await hub.api.post(f"users/{user}")

    assert error(answer) == (409, f"User {user} already exists")


@pytest.mark.parametrize(("quoted", "name"), [("a%2Fb", "a/b"), ("%20x", " x"), ("x%20", "x ")])
async def test_a_name_that_breaks_paths_is_refused(hub: ContractHub, quoted: str, name: str) -> None:
    answer = await hub.api.post(f"{hub.url}hub/api/users/{quoted}")

    assert error(answer) == (400, f"Failed to create user: {name}")


@on_hubs(is_strict)
@pytest.mark.parametrize(("quoted", "name"), [("%2E%2E", ".."), ("%252e", "%2e")])
async def test_newer_hubs_refuse_a_name_of_dots(hub: ContractHub, quoted: str, name: str) -> None:
    answer = await hub.api.post(f"{hub.url}hub/api/users/{quoted}")

    assert error(answer) == (400, f"Failed to create user: {name}")


@pytest.mark.parametrize(("suffix", "name"), [("%20B", " B"), ("%C3%A9", "é"), ("%3Cb%3E", "<b>"), ("%252f", "%2f")])
async def test_a_name_is_unquoted_once_and_kept(hub: ContractHub, username: str, suffix: str, name: str) -> None:
    created = await hub.api.post(f"users/{username}{suffix}")
    deleted = await hub.api.delete(f"users/{username}{suffix}")

    assert (created.status_code, created.json()["name"]) == (201, f"{username}{name}")
    assert deleted.status_code == 204


async def test_a_deleted_user_is_gone(hub: ContractHub, user: str) -> None:
    first = await hub.api.delete(f"users/{user}")
    second = await hub.api.delete(f"users/{user}")

    assert (first.status_code, first.content) == (204, b"")
    assert second.status_code == 404
    assert (await hub.api.get(f"users/{user}")).status_code == 404


async def test_deleting_a_user_stops_a_ready_default_server(hub: ContractHub, user: str) -> None:
    await hub.start(user)

    answer = await hub.api.delete(f"users/{user}")

    assert answer.status_code == 204


async def test_a_user_cannot_be_deleted_while_a_server_starts(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)

    answer = await hub.api.delete(f"users/{user}")

    assert error(answer) == (500, "Internal Server Error")
    assert (await hub.user(user))["pending"] == "spawn"


async def test_a_deletion_refused_for_a_named_server_still_stops_a_ready_default_server(
    hub: ContractHub, user: str
) -> None:
    await hub.start(user)
    await hub.start(user, "extra")

    answer = await hub.api.delete(f"users/{user}")

    servers = (await hub.user(user))["servers"]
    assert error(answer) == (500, "Internal Server Error")
    assert (set(servers), servers["extra"]["ready"]) == ({"extra"}, True)


async def test_deleting_a_user_waits_no_longer_than_a_stop(hub: ContractHub, user: str) -> None:
    await hub.start(user, never_stops=True)
    await hub.configure({"slow_stop_timeout": 0.1})

    answers = [await hub.api.delete(f"users/{user}") for _ in range(2)]

    for answer in answers:
        assert error(answer) == (400, f"{user}'s server is in the process of stopping, please wait.")
    assert (await hub.user(user))["pending"] == "stop"


async def test_activity_that_is_reported_shows_in_the_user(hub: ContractHub, user: str) -> None:
    at = datetime.now(UTC).isoformat()

    noted = await hub.api.post(
        f"users/{user}/activity", json={"last_activity": at, "servers": {"": {"last_activity": at}}}
    )
    unknown = await hub.api.post(f"users/{user}-x/activity", json={"last_activity": at})

    assert (noted.status_code, unknown.status_code) == (200, 404)
