"""Answers byte by byte, without a connection: every way to cut one gives the same result, and none can be smuggled."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hublaunch.wire.headers import headers_of
from hublaunch.wire.incoming import BUFFER_BYTES_MAX, HEAD_BYTES_MAX, IncomingAnswer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "length": OK + b"Content-Length: 5\r\n\r\nhello",
    "empty": OK + b"X: \r\nContent-Length: 0\r\n\r\n",
    "chunks": CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "extensions-and-trailers": CHUNKED + b'2;a="b"\r\nhe\r\n03\r\nllo\r\n0;c\r\nX-Sum: 1\r\nX: y\r\n\r\n',
    "until-the-connection-ends": b"HTTP/1.0 200 \r\nX: 1\r\n\r\nhello",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n"
    + OK
    + b"Content-Length: 2\r\n\r\nok",
    "no-content": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "blank-lines-first": b"\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    "close": OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
    "surplus": OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
    "smuggled": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n",
    "malformed-chunk": CHUNKED + b"3\r\none\r\nxyz\r\n",
    "cut": OK + b"Content-Length: 9\r\n\r\nhello",
}


@dataclass
class RecordedLine:
    """Notes what an answer wants from its connection."""

    loop: asyncio.AbstractEventLoop
    is_sending: bool = False
    said: list[str] = field(default_factory=list)

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")

    def abort(self) -> None:
        self.said.append("abort")


def incoming(line: RecordedLine, method: str = "GET") -> IncomingAnswer:
    request = httpx.Request(method, "http://hub.example.org/")
    return IncomingAnswer(line, request, read_s=5, ends_at=math.inf)


async def read(pieces: Sequence[bytes], method: str = "GET") -> tuple[object, ...]:
    """Return all that a caller can see of an answer that arrives in these pieces, before its connection ends."""
    answer = incoming(RecordedLine(asyncio.get_running_loop()), method)
    for piece in pieces:
        answer.feed(piece)
    answer.lost(None, by_us=False)
    body, failure = b"", ""
    try:
        await answer.read_head(write_s=5)
        async for chunk in answer:
            body += chunk
    except httpx.RequestError as error:
        failure = f"{type(error).__name__}: {error}"
    return answer.status, headers_of(answer.headers), body, failure


async def fed(content: bytes, method: str = "GET") -> IncomingAnswer:
    answer = incoming(RecordedLine(asyncio.get_running_loop()), method)
    answer.feed(content)
    return answer


@pytest.mark.parametrize("name", ANSWERS)
@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 200), max_size=20))
def test_an_answer_cut_anywhere_gives_the_same_result(name: str, cuts: list[int]) -> None:
    content = ANSWERS[name]
    ends = [*sorted(cut for cut in cuts if cut < len(content)), len(content)]
    pieces = [content[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    assert asyncio.run(read(pieces)) == asyncio.run(read([content]))


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_in_single_bytes_gives_the_same_result(name: str) -> None:
    content = ANSWERS[name]

    assert await read([content[at : at + 1] for at in range(len(content))]) == await read([content])


@given(content=st.binary(max_size=400), head=st.sampled_from([b"", OK, CHUNKED, OK + b"Content-Length: 9\r\n\r\n"]))
def test_anything_at_all_is_an_answer_or_a_protocol_error(content: bytes, head: bytes) -> None:
    *_, failure = asyncio.run(read([head + content]))

    assert failure == "" or str(failure).startswith("RemoteProtocolError: ")


SMUGGLED = {
    "two-lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "one-length-twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a-list-of-lengths": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "a-signed-length": OK + b"Content-Length: +2\r\n\r\nok",
    "an-endless-length": OK + b"Content-Length: 99999999999999999999\r\n\r\nok",
    "length-before-chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks-before-length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "a-length-in-the-trailer": CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 2\r\n\r\n",
    "chunked-twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a-coding-inside-chunks": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a-coding-outside-chunks": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a-coding-with-a-tab": OK + b"Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
    "an-unknown-coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a-folded-header": OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "bare-line-feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a-bare-line-feed-in-the-head": OK + b"X: a\nContent-Length: 2\r\n\r\nok",
    "a-bare-carriage-return": OK + b"X: a\rY: b\r\nContent-Length: 2\r\n\r\nok",
    "bare-line-feeds-in-chunks": CHUNKED + b"2\nok\n0\n\n",
    "a-bare-line-feed-in-an-extension": CHUNKED + b"2;a\nok\r\n0\r\n\r\n",
    "a-space-before-the-colon": OK + b"Content-Length : 2\r\n\r\nok",
    "a-nul-in-a-value": OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "an-empty-name": OK + b": a\r\nContent-Length: 2\r\n\r\nok",
    "a-negative-chunk": CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
    "a-prefixed-chunk": CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
    "an-endless-chunk": CHUNKED + b"fffffffffffffffff\r\nok\r\n",
    "another-protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "another-protocol-without-a-name": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "no-status": b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n",
    "another-version": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("content", SMUGGLED.values(), ids=SMUGGLED)
async def test_an_ambiguous_answer_is_refused_and_its_connection_closed(content: bytes) -> None:
    line = RecordedLine(asyncio.get_running_loop())
    answer = incoming(line)

    answer.feed(content)

    assert (await read([content]))[-1] == "RemoteProtocolError: the response is not HTTP"
    assert line.said == ["abort"]
    assert not answer.is_reusable


@pytest.mark.parametrize(
    ("method", "content", "is_reusable"),
    [
        ("GET", ANSWERS["length"], True),
        ("GET", ANSWERS["extensions-and-trailers"], True),
        ("GET", ANSWERS["no-content"], True),
        ("GET", ANSWERS["not-modified"], True),
        ("GET", ANSWERS["interim"], True),
        ("GET", ANSWERS["close"], False),
        ("GET", ANSWERS["surplus"], False),
        ("GET", ANSWERS["length"] + b"!", False),
        ("GET", ANSWERS["no-content"] + b"hello", False),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        ("HEAD", OK + b"Content-Length: 5\r\n\r\n", True),
        ("HEAD", CHUNKED, True),
        ("HEAD", OK + b"Content-Length: 5\r\n\r\nhello", False),
        ("HEAD", CHUNKED + b"0\r\n\r\n", False),
        ("HEAD", OK + b"\r\n", False),
    ],
)
async def test_a_connection_is_reusable_only_if_its_answer_has_an_end_and_nothing_follows(
    method: str, content: bytes, is_reusable: bool
) -> None:
    answer = await fed(content, method)

    assert answer.is_complete
    assert answer.is_reusable is is_reusable


@pytest.mark.parametrize("name", ["no-content", "not-modified"])
async def test_an_answer_without_a_body_ends_at_its_head(name: str) -> None:
    answer = await fed(ANSWERS[name])

    assert [chunk async for chunk in answer] == []


async def test_spaces_around_a_header_are_not_part_of_it() -> None:
    answer = await fed(OK + b"Retry-After:  5  \r\nTransfer-Encoding: chunked \r\n\r\n0\r\n\r\n")

    assert headers_of(answer.headers)["Retry-After"] == "5"
    assert answer.is_complete


async def test_the_answer_to_head_ends_at_its_head() -> None:
    answer = await fed(OK + b"Content-Length: 5\r\n\r\n", "HEAD")

    assert headers_of(answer.headers)["Content-Length"] == "5"
    assert [chunk async for chunk in answer] == []


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        OK,
        OK + b"X: ",
        CHUNKED + b"2;",
        CHUNKED + b"0\r\n",
        CHUNKED + b"0\r\nX: ",
    ],
    ids=["nothing", "the-head", "a-header", "an-extension", "the-trailers", "a-trailer"],
)
async def test_bytes_outside_the_body_cannot_go_on_without_end(begin: bytes) -> None:
    answer = await fed(begin)
    piece = b"X: y\r\n" * 100 if begin.endswith(b"\n") else b"\r\n" * 300 if not begin else b"x" * 600

    fed_bytes = 0
    while answer._failure is None and fed_bytes < 4 * HEAD_BYTES_MAX:
        answer.feed(piece)
        fed_bytes += len(piece)

    assert answer._failure is not None
    assert fed_bytes <= HEAD_BYTES_MAX + len(piece)


async def test_interim_answers_cannot_go_on_without_end() -> None:
    answer = await fed(b"HTTP/1.1 100 Continue\r\n\r\n" * 5000)

    assert answer._failure is not None


async def test_an_answer_of_very_many_small_chunks_is_read() -> None:
    answer = await fed(CHUNKED)

    for _ in range(HEAD_BYTES_MAX):
        answer.feed(b"1\r\nx\r\n")

    assert answer._failure is None


async def test_a_body_that_nobody_reads_pauses_its_connection_until_it_is_read() -> None:
    line = RecordedLine(asyncio.get_running_loop())
    answer = incoming(line)
    answer.feed(OK + b"Content-Length: 1000000\r\n\r\n")

    answer.feed(b"x" * BUFFER_BYTES_MAX)
    assert line.said == []
    answer.feed(b"x")
    assert line.said == ["pause"]

    assert await anext(answer) == b"x" * (BUFFER_BYTES_MAX + 1)
    assert line.said == ["pause", "resume"]


@pytest.mark.parametrize("raw", [[], [(b"A", b"1"), (b"a", b"2"), (b"Set-Cookie", b"\xe9")]])
def test_headers_are_those_that_httpx_makes(raw: list[tuple[bytes, bytes]]) -> None:
    ours, theirs = headers_of([(name, name.lower(), value) for name, value in raw]), httpx.Headers(raw)

    assert (ours, ours.raw, ours.multi_items()) == (theirs, theirs.raw, theirs.multi_items())
    ours["B"] = "3"
    assert "B" not in headers_of([])
