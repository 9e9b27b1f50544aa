"""Stopping servers."""

import asyncio

from tests.contract.contract_hub import ContractHub, error, on_hubs


async def test_a_stopped_server_is_hidden_but_remembered(hub: ContractHub, user: str) -> None:
    await hub.start(user)

    answer = await hub.stop(user)

    stopped = (await hub.api.get(f"users/{user}?include_stopped_servers=1")).json()["servers"][""]
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await hub.user(user))["servers"] == {}
    assert (stopped["stopped"], stopped["ready"]) == (True, False)


async def test_stopping_a_stopped_server_succeeds(hub: ContractHub, user: str) -> None:
    answers = [await hub.stop(user) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]


async def test_a_slow_stop_answers_202_each_time(hub: ContractHub, user: str) -> None:
    await hub.start(user, never_stops=True)
    await hub.configure({"slow_stop_timeout": 0.1})

    answers = [await hub.stop(user) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (await hub.user(user))["pending"] == "stop"


async def test_a_stop_interrupts_a_start_since_5_1(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)

    answer = await hub.stop(user)

    if hub.version >= (5, 1):
        assert answer.status_code == 204
        assert (await hub.user(user))["servers"] == {}
    else:
        assert error(answer) == (400, f"{user} is pending spawn, please wait")
        assert (await hub.user(user))["pending"] == "spawn"


@on_hubs(lambda version: version >= (5, 1))
async def test_an_interrupted_start_answers_with_an_error(hub: ContractHub, user: str) -> None:
    start = asyncio.create_task(hub.start(user, never=True))
    await hub.until_pending(user, "spawn")

    await hub.stop(user)

    assert error(await start) == (500, "Internal Server Error")


@on_hubs(lambda version: version >= (5, 1))
async def test_an_interrupted_start_looks_ready_for_a_while(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)
    stop = asyncio.create_task(hub.stop(user))
    await hub.until_pending(user, None)

    server = (await hub.user(user))["servers"][""]

    assert server["ready"]
    assert (await stop).status_code == 204


@on_hubs(lambda version: version >= (5, 1))
async def test_the_first_of_two_interrupting_stops_may_get_an_error(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)
    first = asyncio.create_task(hub.stop(user))
    await hub.until_pending(user, None)

    second = await hub.stop(user)

    assert second.status_code == 204
    assert error(await first) == (500, "Internal Server Error")
