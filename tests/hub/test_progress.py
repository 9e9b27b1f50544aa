"""The Hub's progress stream, with chunks of any size and any content."""

import json
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.client.event_stream import EVENT_BYTES_MAX
from hublaunch.hub.markup import words_of
from hublaunch.hub.progress import ProgressStream
from hublaunch.launch.errors import HubUnavailable
from hublaunch.launch.ports import Progress

STREAM = (
    b"\n\n"
    b'data: {"progress": 0, "message": "Server requested"}\n\n'
    b"\n\n"
    b'data: {"progress": 50, "message": "\xe2\x80\xa8 Spawning \xc3\xa9", "raw_event": {"a": [1]}}\n\n'
    b'data: {"progress": 100, "ready": true, "message": "Server ready at /user/alice/", '
    b'"html_message": "<a>", "url": "/user/alice/"}\n\n'
)
EVENTS = [
    Progress(message="Server requested", progress=0),
    Progress(message="\u2028 Spawning é", progress=50),
    Progress(message="Server ready at /user/alice/", progress=100, ready=True, url="/user/alice/"),
]
ONE = [Progress(message="a")]
TWO = [Progress(message="a"), Progress(message="b")]
A, B = b'data: {"message": "a"}', b'data: {"message": "b"}'


def parsed(chunks: Iterable[bytes]) -> list[Progress]:
    stream = ProgressStream()
    return [event for chunk in chunks for event in stream.feed(chunk)]


def test_a_real_hubs_stream_yields_its_events() -> None:
    assert parsed([STREAM]) == EVENTS


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(0, len(STREAM) * 2), max_size=30))
def test_chunks_of_any_size_yield_the_same_events(line_end: bytes, cuts: list[int]) -> None:
    stream = STREAM.replace(b"\n", line_end)
    bounds = [0, *sorted(cuts), len(stream)]

    assert parsed(stream[start:end] for start, end in pairwise(bounds)) == EVENTS


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=20, max_size=20))
def test_mixed_line_ends_in_single_bytes_yield_the_same_events(line_ends: list[bytes]) -> None:
    stream = b""
    for line, end in zip(STREAM.split(b"\n"), line_ends, strict=False):
        follows_cr = not line and stream.endswith(b"\r")  # CR and LF together would be one line end
        stream += line + (b"\r" if follows_cr and end == b"\n" else end)

    assert parsed(stream[index : index + 1] for index in range(len(stream))) == EVENTS


@pytest.mark.parametrize(
    ("chunks", "events"),
    [
        ((), []),
        ((b"",), []),
        ((b"\n\n\n\n",), []),
        ((b": keepalive\n\n", A, b"\n\n"), ONE),
        ((b"\xef\xbb\xbf" + A + b"\n\n",), ONE),
        ((b"\xef", b"\xbb", b"\xbf", A + b"\n\n"), ONE),
        ((b"\xef\xbb\xbf\n", A + b"\n\n"), ONE),
        ((b"event: progress\nid: 7\nretry: 10\nnew-field: x\nno colon\n" + A + b"\n\n",), ONE),
        ((b"event: progress\n\nid: 7\n\nretry: 10\n\n" + A + b"\n\n",), ONE),
        ((b'data:{"message": "a"}\n\n',), ONE),
        ((b'data: {"message":\ndata: "a"\ndata: }\n\n',), ONE),
        ((A + b"\n: between\n" + b"event: x\n\n",), ONE),
        ((A + b"\r", b"\n\r", b"\n" + B + b"\r\n\r\n"), TWO),
        ((A + b"\r\r" + B + b"\r\r",), TWO),
        ((A + b"\r", b"\r", B + b"\r", b"\r"), TWO),
        ((A + b"\r", b"", b"\n" + b"data: \r\n\r\n"), ONE),
        ((A + b"\n\n" + B + b"\n",), ONE),
        ((A + b"\n\n" + B,), ONE),
        ((A + b"\n\n" + b"\xef\xbb\xbf" + B + b"\n\n",), ONE),
    ],
)
def test_a_stream_is_parsed_as_the_specification_says(chunks: tuple[bytes, ...], events: list[Progress]) -> None:
    assert parsed(chunks) == events


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ("0", 0),
        ("100", 100),
        ("33.7", 33),
        ("-0.5", 0),
        ("-3", 0),
        ("101", 100),
        ("9" * 400, 100),
        ("1e400", 100),
        ("-Infinity", 0),
        ("NaN", None),
        ("true", None),
        ('"50"', None),
        ("null", None),
        ("[50]", None),
    ],
)
def test_progress_is_an_integer_from_0_to_100_or_none(progress: str, expected: int | None) -> None:
    assert parsed([f'data: {{"progress": {progress}}}\n\n'.encode()]) == [Progress(message="", progress=expected)]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b"{}", Progress(message="")),
        (b'{"message": null, "url": 7}', Progress(message="")),
        (b'{"message": ["a"], "html_message": "<b>"}', Progress(message="")),
        (b'{"message": "\xff a"}', Progress(message="\ufffd a")),
        (rb'{"message": "\ud800 a", "url": "/\udc00"}', Progress(message="\ufffd a", url="/\ufffd")),
        (rb'{"message": "\ud83d\ude80"}', Progress(message="🚀")),
        (b'{"message": "a", "ready": "false", "failed": 0}', Progress(message="a")),
        (b'{"message": "Spawn failed: ", "failed": true}', Progress(message="Spawn failed: ", failed=True)),
    ],
)
def test_fields_of_the_wrong_type_count_as_absent(event: bytes, expected: Progress) -> None:
    assert parsed([b"data: " + event + b"\n\n"]) == [expected]


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none())))
def test_any_object_yields_an_event_that_can_be_encoded(event: dict[str, object]) -> None:
    [progress] = parsed([f"data: {json.dumps(event)}\n\n".encode()])

    assert progress.message.encode() is not None
    assert (progress.url or "").encode() is not None


@pytest.mark.parametrize(
    "content", [b"hunter2", b"", b'{"message": "hunter2', b'["hunter2"]', b'"hunter2"', b"null", b"[" * 200_000]
)
def test_content_that_is_not_a_json_object_is_an_error_that_does_not_repeat_it(content: bytes) -> None:
    with pytest.raises(
        HubUnavailable, match="JupyterHub did not report the progress of the spawn: an event is not"
    ) as raised:
        parsed([b"data: " + content + b"\n\n"])

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"x" * 65_536),
        (b"data: ", b"x" * 65_536),
        (b"", b"data: " + b"x" * 1_000 + b"\n"),
        (b"data: " + b"x" * (EVENT_BYTES_MAX + 1) + b"\n\n", b"\n"),
    ],
    ids=["line", "data", "lines-of-data", "in-one-chunk"],
)
def test_an_endless_event_is_an_error(start: bytes, more: bytes) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield start
        while True:
            taken += len(more)
            yield more

    with pytest.raises(HubUnavailable, match="too large"):
        parsed(endless())

    assert taken < EVENT_BYTES_MAX * 2


def test_endless_comments_are_skipped() -> None:
    comments = [b": " + b"x" * 65_000 + b"\n"] * 40

    assert parsed([*comments, A + b"\n\n"]) == ONE


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            {"html_message": "<details><summary>Sending the request</summary>Options: …</details>"},
            "Sending the request Options: …",
        ),
        ({"message": "", "html_message": "Server &lt;b&gt; <b>re</b>load<br>now"}, "Server <b> reload now"),
        ({"message": "told", "html_message": "<b>more</b>"}, "told"),
        ({"message": "Spawn failed: ", "failed": True, "html_message": "<p>no tunnel</p>"}, "no tunnel"),
        ({"message": "Spawn failed: boom", "failed": True, "html_message": "<p>no tunnel</p>"}, "Spawn failed: boom"),
        ({"html_message": "<style>p{}</style><script>alert(1)</script><p>seen"}, "seen"),
        ({"html_message": "<img src=x onerror=alert(1)>"}, ""),
        ({"html_message": "<!-- <p>not told</p> --><a href='https://example.org/?token=x'>log</a>"}, "log"),
        ({"html_message": ["<p>"]}, ""),
    ],
)
def test_an_event_without_a_message_has_the_text_of_its_html(event: dict[str, object], message: str) -> None:
    (progress,) = parsed([b"data: " + json.dumps(event).encode() + b"\n\n"])

    assert progress.message == message


@pytest.mark.parametrize("part", ["<", "<!--", "<a ", "</", "&", "<script>", "<a b='", "<![", "<?"])
def test_any_html_is_parsed_quickly(part: str) -> None:
    began = time.process_time()

    words_of(part * 1_000_000)

    assert time.process_time() - began < 0.2
