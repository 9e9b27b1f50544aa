"""Starting servers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.contract_hub import ContractHub, error


async def test_a_quick_start_answers_201(hub: ContractHub, user: str) -> None:
    answer = await hub.start(user)

    assert (answer.status_code, answer.content) == (201, b"")
    server = (await hub.user(user))["servers"][""]
    assert (server["ready"], server["pending"], server["stopped"]) == (True, None, False)


async def test_a_start_beyond_the_slow_spawn_timeout_answers_202(hub: ContractHub, user: str) -> None:
    await hub.configure({"slow_spawn_timeout": 0.1})

    answer = await hub.start(user, never=True)

    assert (answer.status_code, answer.content) == (202, b"")
    server = (await hub.user(user))["servers"][""]
    assert (server["ready"], server["pending"], server["stopped"]) == (False, "spawn", False)


async def test_the_user_model_shows_the_urls_of_the_server(hub: ContractHub, user: str) -> None:
    await hub.start(user)

    model = await hub.user(user)

    url = f"{hub.base_url}user/{user}/"
    assert (model["server"], model["servers"][""]["url"]) == (url, url)
    assert model["servers"][""]["progress_url"] == f"{hub.base_url}hub/api/users/{user}/server/progress"


async def test_start_time_and_options_stay_the_same_until_the_next_start(hub: ContractHub, user: str) -> None:
    """hublaunch uses both to distinguish its own server from a later one with the same name."""
    begun_at = datetime.now(UTC)
    await hub.start_in_background(user, never=True, messages=["first"])
    pending = await hub.server(user)
    await hub.progress_released_after(user, "first")
    ready = await hub.server(user)
    await hub.stop(user)
    await hub.start(user, messages=["second"])
    next_one = await hub.server(user)

    started_at, next_started_at = (datetime.fromisoformat(server["started"]) for server in (ready, next_one))
    assert ready["ready"]
    assert pending["started"] == ready["started"]
    assert begun_at <= started_at < next_started_at <= datetime.now(UTC)
    options = [server["user_options"]["test_spawn"]["messages"] for server in (pending, ready, next_one)]
    assert options == [["first"], ["first"], ["second"]]


async def test_flat_user_options_are_kept_and_readable(hub: ContractHub, user: str) -> None:
    await hub.api.post(f"users/{user}/server", json={"image": "img:1", "repo_url": "", "n": {"m": [1]}})

    server = (await hub.user(user))["servers"][""]

    assert server["user_options"] == {"image": "img:1", "repo_url": "", "n": {"m": [1]}}


async def test_wrapped_user_options_are_unwrapped_from_version_6_on(hub: ContractHub, user: str) -> None:
    body = {"user_options": {"image": "img:1"}, "display_name": "Mine"}

    await hub.api.post(f"users/{user}/server", json=body)

    server = (await hub.user(user))["servers"][""]
    assert server["user_options"] == ({"image": "img:1"} if hub.version >= (6,) else body)


async def test_a_second_start_of_a_pending_server_is_accepted_and_its_body_ignored(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)

    answer = await hub.api.post(f"users/{user}/server", json={"image": "other"})

    assert answer.status_code == 202
    assert (await hub.user(user))["servers"][""]["user_options"] == {"test_spawn": {"never": True}}


async def test_a_running_server_is_not_started_again(hub: ContractHub, user: str) -> None:
    await hub.start(user)

    answer = await hub.start(user)

    assert error(answer) == (400, f"{user} is already running")


async def test_a_stopping_server_is_not_started(hub: ContractHub, user: str) -> None:
    await hub.start(user, never_stops=True)
    await hub.configure({"slow_stop_timeout": 0.1})
    await hub.stop(user)

    answer = await hub.start(user)

    assert error(answer) == (400, f"{user} is pending stop")


async def test_a_server_of_a_missing_user_cannot_be_started_or_stopped(hub: ContractHub) -> None:
    start, stop = await hub.start("nobody"), await hub.stop("nobody")

    assert (start.status_code, stop.status_code) == (404, 404 if hub.version >= (5, 4, 5) else 500)


@pytest.mark.parametrize(
    ("plan", "status", "message"),
    [
        ({"fails": "boom"}, 500, "Internal Server Error"),
        ({"fails": "no quota for you", "status": 403}, 403, "no quota for you"),
        ({"fails": "come back later", "status": 503}, 503, "come back later"),
    ],
)
async def test_a_start_that_fails_before_the_answer_is_an_error(
    hub: ContractHub, user: str, plan: dict[str, Any], status: int, message: str
) -> None:
    answer = await hub.start(user, **plan)

    failure = error(answer)
    assert failure[0] == status
    assert hub.version < (6,) or failure[1] == message
    assert (await hub.user(user))["servers"] == {}


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_too_many_starts_at_once_get_a_retry_after(hub: ContractHub, user: str) -> None:
    other = f"{user}-other"
    await hub.create(other)
    await hub.start_in_background(other, never=True)
    await hub.configure({"concurrent_spawn_limit": 1})

    answer = await hub.start(user)

    status, message = error(answer)
    assert status == 429
    assert message is not None
    assert message.startswith("Too many users trying to log in right now. Try again in ")
    assert 30 <= int(answer.headers["Retry-After"]) <= 60
    await _assert_untouched(hub, user)
    await hub.clean_up(other)


async def test_too_many_servers_get_no_retry_after(hub: ContractHub, user: str) -> None:
    other = f"{user}-other"
    await hub.create(other)
    await hub.start(other)
    await hub.configure({"active_server_limit": 1})

    answer = await hub.start(user)

    assert error(answer) == (429, "Active user limit exceeded. Try again in a few minutes.")
    assert "Retry-After" not in answer.headers
    await _assert_untouched(hub, user)
    await hub.clean_up(other)


async def _assert_untouched(hub: ContractHub, user: str) -> None:
    assert (await hub.user(user))["servers"] == {}
    assert error(await hub.progress(user)) == (400, f"{user} is not starting...")
