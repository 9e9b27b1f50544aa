"""The Hub's progress stream, as bytes in any pieces."""

from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.hub.progress import BUFFER_MAX_BYTES, parse_progress
from app.launch.errors import HubUnavailable
from app.launch.ports import Progress

HUBS_OWN = (
    b'\n\ndata: {"progress": 0, "message": "Server requested"}\n\n\n\n'
    b'data: {"progress": 50, "message": "Spawning server..."}\n\n'
    b'data: {"progress": 100, "ready": true, "message": "Server ready at /user/alice/", '
    b'"html_message": "<a>", "url": "/user/alice/"}\n\n'
)
HUBS_EVENTS = [
    Progress(progress=0, message="Server requested"),
    Progress(progress=50, message="Spawning server..."),
    Progress(progress=100, message="Server ready at /user/alice/", ready=True, url="/user/alice/"),
]


async def parsed(*chunks: bytes) -> list[Progress]:
    async def stream() -> AsyncGenerator[bytes]:
        for chunk in chunks:
            yield chunk

    return [event async for event in parse_progress(stream())]


async def test_the_hubs_own_stream_is_understood() -> None:
    assert await parsed(HUBS_OWN) == HUBS_EVENTS


@given(st.lists(st.integers(0, len(HUBS_OWN)), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\r"]))
async def test_any_pieces_and_any_line_ends_give_the_same_events(cuts: list[int], line_end: bytes) -> None:
    text = HUBS_OWN.replace(b"\n", line_end)
    places = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]

    chunks = [text[begin:end] for begin, end in pairwise(places)]

    assert await parsed(*chunks) == HUBS_EVENTS


async def test_single_bytes_give_the_same_events() -> None:
    text = HUBS_OWN.replace(b"\n", b"\r\n")

    assert await parsed(*[bytes([byte]) for byte in text]) == HUBS_EVENTS


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (b'\xef\xbb\xbfdata: {"message": "bom"}\n\n', ["bom"]),
        (b': a comment\nevent: x\nid: 1\nretry: 5\nunknown\ndata: {"message": "a"}\n\n', ["a"]),
        (b'data:{"message":\ndata: "two lines"}\n\n', ["two lines"]),
        ('data: {"message": "a\u2028b"}\n\n'.encode(), ["a\u2028b"]),
        (b'data: {"message": "\xff"}\n\n', ["\ufffd"]),
        (b'data: {"message": "whole"}\n\ndata: {"message": "cut off"}\n', ["whole"]),
        (b'data: {"raw_event": {"a": 1}}\n\n', [""]),
        (b'data: {"message": 5}\n\n', [""]),
        (b"event: only\n\nretry: 5\n\n", []),
        (b"", []),
    ],
)
async def test_what_servers_may_send_is_taken_as_the_standard_says(text: bytes, messages: list[str]) -> None:
    assert [event.message for event in await parsed(text)] == messages


@pytest.mark.parametrize(
    ("told", "progress"),
    [
        ("50", 50),
        ("49.9", 49),
        ("-5", 0),
        ("500", 100),
        ("1e999", 100),
        ("NaN", None),
        ("true", None),
        ('"50"', None),
        ("null", None),
    ],
)
async def test_progress_is_a_number_from_0_to_100_or_none(told: str, progress: int | None) -> None:
    assert [event.progress for event in await parsed(b'data: {"progress": %b}\n\n' % told.encode())] == [progress]


@pytest.mark.parametrize("data", [b"[]", b"null", b"{", b"hunter2", b"5"])
async def test_what_is_no_event_of_a_hub_is_not_repeated(data: bytes) -> None:
    with pytest.raises(HubUnavailable) as caught:
        await parsed(b"data: %b\n\n" % data)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("chunk", [b"x" * 4096, b"data: " + b"x" * 4090 + b"\n"])
async def test_an_event_without_end_is_given_up(chunk: bytes) -> None:
    with pytest.raises(HubUnavailable, match="1 MiB"):
        await parsed(*[chunk] * (BUFFER_MAX_BYTES // 4000 + 10))


async def test_nothing_is_read_after_the_end_of_the_spawn() -> None:
    assert await parsed(b'data: {"failed": true, "message": "x"}\n\ndata: {"message": "y"}\n\n') == [
        Progress(message="x", failed=True)
    ]
