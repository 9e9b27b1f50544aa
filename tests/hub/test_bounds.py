"""A server that answers in the Hub's place can use only limited memory and time."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from hublaunch.hub.address import HubAddress, HubPace
from hublaunch.hub.client import HubClient
from hublaunch.launch.errors import HubUnavailable
from hublaunch.wire.peer import ANSWER_BYTES_MAX
from hublaunch.wire.transport import WireTransport
from tests.fakes.wire import Flood, Script, WireServer, dripping

_SENT_MOST = ANSWER_BYTES_MAX + 16_777_216
"""The limit, plus some megabytes for the kernel's buffers."""
OK = b"HTTP/1.1 200 OK\r\n\r\n"
REFUSAL = b"HTTP/1.1 404 Not Found\r\n\r\n"
ONE_TRY = HubPace(tries=1)


@asynccontextmanager
async def client_of(script: Script, *, pace: HubPace = ONE_TRY) -> AsyncGenerator[HubClient]:
    async with WireServer(script) as server, WireTransport() as transport:
        url = f"{server.url}/"
        yield HubClient(transport, HubAddress(api_url=f"{url}hub/api/", hub_url=url), token="t" * 32, pace=pace)


async def read_progress(client: HubClient) -> None:
    async with aclosing(client.progress("ada", "")) as events:
        async for _ in events:
            pass


ASKED: list[tuple[bytes, Callable[[HubClient], Awaitable[object]]]] = [
    (OK, lambda client: client.get_user("ada")),
    (OK, lambda client: client.info()),
    (OK, read_progress),
    (REFUSAL, read_progress),
]
IDS = ["a user", "the version", "progress", "refused progress"]


@pytest.mark.parametrize(("head", "ask"), ASKED, ids=IDS)
async def test_answers_of_the_hub_are_read_up_to_a_size(
    head: bytes, ask: Callable[[HubClient], Awaitable[object]]
) -> None:
    flood = Flood(head)

    async with client_of(flood) as client:
        with pytest.raises(HubUnavailable, match="too large"):
            await ask(client)

    assert flood.sent < _SENT_MOST


@pytest.mark.parametrize("head", [OK, b"HTTP/1.1 200 OK\r\nX-Filler: "])
async def test_an_answer_that_comes_a_byte_at_a_time_has_a_deadline(head: bytes) -> None:
    async with client_of(
        dripping(head), pace=replace(ONE_TRY, call={"connect": 0.2, "write": 0.2, "read": 0.2})
    ) as client:
        with pytest.raises(HubUnavailable, match="did not answer in time"):
            await client.get_user("ada")
