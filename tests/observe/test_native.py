"""Native histograms, and the format that they are told in."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hublaunch.observe import protobuf
from hublaunch.observe.native import NativeHistogram, Spans
from hublaunch.observe.protobuf import encode, is_preferred

Message = dict[int, list[Any]]

PROMETHEUS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


def test_a_value_is_counted_in_the_bucket_that_it_ends() -> None:
    histogram = NativeHistogram()
    for value in (0, 0.0005, 1, 2, 2, 2**1.5, 100, 10**9):
        histogram.observe(value)

    assert (histogram.count, histogram.zero_count) == (8, 2)
    assert histogram.spans() == Spans([(0, 1), (7, 1), (3, 1), (41, 1), (105, 1)], [1, 1, -1, 0, 0])


def test_neighbours_are_one_span_and_nothing_is_none() -> None:
    histogram = NativeHistogram()
    for value in (0.9, 1, 1.05):
        histogram.observe(value)

    assert histogram.spans() == Spans([(-1, 3)], [1, 0, 0])
    assert NativeHistogram().spans() == Spans([], [])


def read(message: bytes) -> Message:
    """The fields of a message as they are on the wire."""
    fields: Message = defaultdict(list)
    at = 0

    def varint() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        match key & 7:
            case 0:
                fields[key >> 3].append(varint())
            case 1:
                fields[key >> 3].append(struct.unpack_from("<d", message, at)[0])
                at += 8
            case _:
                length = varint()
                fields[key >> 3].append(message[at : at + length])
                at += length
    return fields


def families(encoded: bytes) -> Iterator[Message]:
    while encoded:
        length, width = 0, 0
        while True:
            byte = encoded[width]
            length |= (byte & 0x7F) << (7 * width)
            width += 1
            if byte < 0x80:
                break
        yield read(encoded[width : width + length])
        encoded = encoded[width + length :]


def test_counters_gauges_and_histograms_are_told_in_protobuf() -> None:
    registry = CollectorRegistry()
    Counter("seen", "Seen.", ["kind"], registry=registry).labels("ö").inc(300)
    Gauge("now", "Now.", registry=registry).set(-1.5)
    classic = Histogram("took", "Took.", ["outcome"], registry=registry, buckets=(1, 2))
    native = NativeHistogram()
    for value in (0.5, 1.5, 3):
        classic.labels("ready").observe(value)
        native.observe(value)
    classic.labels("failed").observe(1)

    seen, now, took = families(encode(registry, {("took", "ready"): native}))

    assert (seen[1], seen[2], seen[3]) == ([b"seen_total"], [b"Seen."], [0])
    metric = read(seen[4][0])
    assert read(metric[1][0]) == {1: [b"kind"], 2: ["ö".encode()]}
    assert read(metric[3][0]) == {1: [300.0]}
    assert (now[1], now[3], read(read(now[4][0])[2][0])) == ([b"now"], [1], {1: [-1.5]})
    assert (took[1], took[3]) == ([b"took"], [4])
    both, alone = (read(read(metric)[7][0]) for metric in took[4])
    assert [read(bucket) for bucket in both[3]] == [
        {1: [1], 2: [1.0]},
        {1: [2], 2: [2.0]},
        {1: [3], 2: [float("inf")]},
    ]
    assert (both[1], both[2], both[5], both[7]) == ([3], [5.0], [6], [0])  # schema 3 is 6 in zigzag
    assert [read(span) for span in both[12]] == [{1: [15], 2: [1]}, {1: [24], 2: [1]}, {1: [14], 2: [1]}]
    assert both[13] == [2, 0, 0]
    assert alone[1] == [1]
    assert 5 not in alone


def test_a_native_histogram_without_values_shows_what_it_is_by_an_empty_span() -> None:
    registry = CollectorRegistry()
    Histogram("took", "Took.", ["outcome"], registry=registry).labels("ready")

    (took,) = families(encode(registry, {("took", "ready"): NativeHistogram()}))

    histogram = read(read(took[4][0])[7][0])
    assert [read(span) for span in histogram[12]] == [{1: [0], 2: [0]}]
    assert 13 not in histogram


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        (PROMETHEUS, True),
        (PROMETHEUS.replace("delimited", "delimited;q=0.3"), False),
        (PROMETHEUS.replace("delimited", "text"), False),
        (PROMETHEUS.replace("delimited", "delimited;q=none"), False),
        ("*/*", False),
        ("", False),
    ],
)
def test_protobuf_is_for_whoever_wants_it_most(accept: str, preferred: bool) -> None:
    assert is_preferred(accept) is preferred


def test_the_content_type_is_the_one_that_prometheus_asks_for() -> None:
    assert protobuf.CONTENT_TYPE.replace(" ", "") == PROMETHEUS.partition(",")[0]
