"""The progress stream: its bytes, its events, and its answers before, after and without a spawn."""

import asyncio
from typing import Any

import pytest

from tests.contract.contract_hub import ContractHub, error, events, on_hubs

REQUESTED = {"progress": 0, "message": "Server requested"}


def _ready(url: str) -> dict[str, object]:
    return {
        "progress": 100,
        "ready": True,
        "message": f"Server ready at {url}",
        "html_message": f'Server ready at <a href="{url}">{url}</a>',
        "url": url,
    }


def _failed(message: str) -> dict[str, object]:
    return {"progress": 100, "failed": True, "message": message}


async def test_a_stream_has_these_exact_bytes_is_chunked_and_is_not_cached(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)

    stream = await hub.progress_released_after(user, "Spawning server...")

    url = f"{hub.base_url}user/{user}/"
    assert (stream.status_code, stream.headers["Content-Type"]) == (200, "text/event-stream")
    assert (stream.headers["Cache-Control"], stream.headers["Transfer-Encoding"]) == ("no-cache", "chunked")
    assert stream.content == (
        b"\n\n"
        b'data: {"progress": 0, "message": "Server requested"}\n\n'
        b'data: {"progress": 50, "message": "Spawning server..."}\n\n'
        b'data: {"progress": 100, "ready": true, "message": "Server ready at %(url)b", '
        b'"html_message": "Server ready at <a href=\\"%(url)b\\">%(url)b</a>", "url": "%(url)b"}\n\n'
        % {b"url": url.encode()}
    )


async def test_events_of_the_spawner_arrive_unchanged_but_cannot_announce_ready(hub: ContractHub, user: str) -> None:
    sent: list[dict[str, Any]] = [
        {"progress": 20, "message": "pulling"},
        {"message": "still pulling", "raw_event": {"kind": "Event"}},
        {"progress": 80, "message": "é <b>", "html_message": "<b>é</b>"},
    ]
    await hub.start_in_background(user, never=True, messages=[*sent[:2], sent[2] | {"ready": True}])

    stream = await hub.progress_released_after(user, "</b>")

    assert events(stream) == [REQUESTED, *sent, _ready(f"{hub.base_url}user/{user}/")]


async def test_every_reader_gets_all_events_from_the_first(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True, messages=["one", "two"])
    early = b""
    async with hub.api.stream("GET", f"users/{user}/server/progress") as stream:
        chunks = stream.aiter_bytes()
        while b"two" not in early:
            early += await anext(chunks)

        late = await hub.progress_released_after(user, "two")

        early += b"".join([chunk async for chunk in chunks])
    assert events(late) == events(early)
    assert [event["message"] for event in events(late)][:3] == ["Server requested", "one", "two"]


async def test_a_reader_that_leaves_does_not_stop_the_spawn(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)
    async with hub.api.stream("GET", f"users/{user}/server/progress") as stream:
        await anext(stream.aiter_bytes())

    await hub.release(user)

    assert events(await hub.progress(user))[-1]["ready"]


async def test_a_ready_server_is_announced_immediately(hub: ContractHub, user: str) -> None:
    await hub.start(user)

    stream = await hub.progress(user)

    assert stream.content.startswith(b"data: ")
    assert events(stream) == [_ready(f"{hub.base_url}user/{user}/")]


async def test_a_named_server_has_its_own_stream(hub: ContractHub, user: str) -> None:
    await hub.start(user, "extra")

    answer = await hub.api.get(f"users/{user}/servers/extra/progress")

    assert events(answer) == [_ready(f"{hub.base_url}user/{user}/extra/")]
    assert (await hub.api.get(f"users/{user}/servers/progress")).status_code in (404, 405)


async def test_the_url_of_a_server_is_quoted(hub: ContractHub, username: str) -> None:
    await hub.create(f"{username}%20b@c~d")
    await hub.start(f"{username}%20b@c~d")

    stream = await hub.progress(f"{username}%20b@c~d")

    assert events(stream)[0]["url"] == f"{hub.base_url}user/{username}%20b@c~d/"
    await hub.clean_up(f"{username}%20b@c~d")


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"fails": "boom"}, "Spawn failed: boom"),
        ({"fails": "no quota", "status": 403}, "Spawn failed: HTTP 403: error (no quota)"),
    ],
)
async def test_a_failure_has_the_spawners_message(
    hub: ContractHub, user: str, plan: dict[str, Any], message: str
) -> None:
    await hub.start_in_background(user, never=True, messages=["trying"], **plan)

    stream = await hub.progress_released_after(user, "trying")

    assert events(stream) == [REQUESTED, {"progress": 50, "message": "trying"}, _failed(message)]


async def test_a_spawn_that_times_out_fails_without_a_reason(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True, start_timeout=0.3)

    last = events(await hub.progress(user))[-1]

    assert last == _failed("Spawn failed: Timeout" if hub.version < (5, 1) else "Spawn failed: ")


async def test_a_failure_can_be_read_later_even_after_a_stop(hub: ContractHub, user: str) -> None:
    await hub.start(user, fails="boom")

    first = await hub.progress(user)
    await hub.stop(user)
    second = await hub.progress(user)

    assert first.content == second.content
    assert events(first) == [_failed("Spawn failed: boom")]


async def test_the_next_start_forgets_a_failure(hub: ContractHub, user: str) -> None:
    await hub.start(user, fails="boom")

    await hub.start(user)

    assert events(await hub.progress(user)) == [_ready(f"{hub.base_url}user/{user}/")]


async def test_even_a_start_refused_for_lack_of_room_forgets_a_failure(hub: ContractHub, user: str) -> None:
    other = f"{user}-other"
    await hub.create(other)
    await hub.start(other)
    await hub.start(user, fails="boom")
    await hub.configure({"active_server_limit": 1})

    await hub.start(user)

    assert (await hub.progress(user)).status_code == (404 if hub.version >= (6,) else 400)
    await hub.clean_up(other)


@on_hubs(lambda version: version >= (5, 1))
async def test_a_cancelled_spawn_is_announced_as_ready(hub: ContractHub, user: str) -> None:
    await hub.start_in_background(user, never=True)
    reader = asyncio.create_task(_read_cancelling_after_the_first_event(hub, user))

    content = await reader

    assert events(content)[-1] == _ready(f"{hub.base_url}user/{user}/")
    assert (await hub.user(user))["servers"] == {}


async def _read_cancelling_after_the_first_event(hub: ContractHub, user: str) -> bytes:
    content, stop = b"", None
    async with hub.api.stream("GET", f"users/{user}/server/progress") as stream:
        async for chunk in stream.aiter_bytes():
            content += chunk
            if stop is None and b"Spawning" in content:
                stop = asyncio.create_task(hub.stop(user))
    assert stop is not None
    assert (await stop).status_code == 204
    return content


# --- no spawn ---------------------------------------------------------------------------------------------------------


async def test_a_server_that_was_never_started_or_has_stopped_has_no_progress(hub: ContractHub, user: str) -> None:
    default, named = await hub.progress(user), await hub.progress(user, "extra")
    await hub.start(user)
    await hub.stop(user)
    stopped = await hub.progress(user)

    assert (default.status_code, named.status_code, stopped.status_code) == (404, 404, 404)


async def test_a_stopping_server_is_not_starting(hub: ContractHub, user: str) -> None:
    await hub.start(user, never_stops=True)
    await hub.configure({"slow_stop_timeout": 0.1})
    await hub.stop(user)

    assert error(await hub.progress(user)) == (400, f"{user} is not starting...")


async def test_a_server_that_was_only_ever_stopped_is_not_starting(hub: ContractHub, user: str) -> None:
    await hub.stop(user)

    assert error(await hub.progress(user)) == (400, f"{user} is not starting...")
