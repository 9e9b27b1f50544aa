"""Metrics in Prometheus's protobuf format, the one in which it takes native histograms.

By hand, as the format is small and fixed, and its library is not otherwise needed:
https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

import struct
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from hublaunch.observe.native import SCHEMA, ZERO_THRESHOLD, NativeHistogram

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_COUNTER, _GAUGE, _HISTOGRAM = 0, 1, 4
_TYPES = {"counter": _COUNTER, "gauge": _GAUGE, "histogram": _HISTOGRAM}

Natives = Mapping[tuple[str, str], NativeHistogram]
"""By the name of the family and the value of its one label."""


def is_preferred(accept: str) -> bool:
    """Whether an `Accept` header wants this format more than any other."""
    wanted: dict[bool, float] = {True: 0.0, False: 0.0}
    for media_range in accept.split(","):
        media_type, *parameters = (part.strip() for part in media_range.split(";"))
        is_this = media_type == "application/vnd.google.protobuf" and "encoding=delimited" in parameters
        weights = [parameter.removeprefix("q=") for parameter in parameters if parameter.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            weight = 0.0
        wanted[is_this] = max(wanted[is_this], weight)
    return wanted[True] > wanted[False]


def encode(registry: CollectorRegistry, natives: Natives) -> bytes:
    """Every family, each preceded by its length."""
    families = [family for family in registry.collect() if family.samples]
    for family in families:  # when a series was made is told only if prometheus_client was not kept from it
        family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
    return b"".join(_delimited(_family(family, natives)) for family in families)


def _family(family: Metric, natives: Natives) -> bytes:
    kind = _TYPES[family.type]
    name = family.samples[0].name if kind == _COUNTER else family.name
    metrics = _histograms(family, natives) if kind == _HISTOGRAM else _values(family.samples, kind)
    return (
        _text(1, name)
        + _text(2, family.documentation)
        + _integer(3, kind)
        + b"".join(_message(4, metric) for metric in metrics)
    )


def _values(samples: Iterable[Sample], kind: int) -> Iterable[bytes]:
    field = 3 if kind == _COUNTER else 2
    for sample in samples:
        yield _labels(sample.labels) + _message(field, _double(1, sample.value))


def _histograms(family: Metric, natives: Natives) -> Iterable[bytes]:
    of_labels: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in family.samples:
        labels = tuple((name, value) for name, value in sample.labels.items() if name != "le")
        of_labels.setdefault(labels, []).append(sample)
    for labels, samples in of_labels.items():
        native = natives.get((family.name, labels[0][1])) if labels else None
        yield _labels(dict(labels)) + _message(7, _histogram(samples, native))


def _histogram(samples: Iterable[Sample], native: NativeHistogram | None) -> bytes:
    parts = []
    for sample in samples:
        if sample.name.endswith("_count"):
            parts.append(_integer(1, int(sample.value)))
        elif sample.name.endswith("_sum"):
            parts.append(_double(2, sample.value))
        else:
            bound = float(sample.labels["le"])
            parts.append(_message(3, _integer(1, int(sample.value)) + _double(2, bound)))
    return b"".join(parts) + (b"" if native is None else _native(native))


def _native(native: NativeHistogram) -> bytes:
    told = native.spans()
    spans = told.spans or [(0, 0)]  # by an empty span a native histogram without values shows what it is
    return (
        _signed(5, SCHEMA)
        + _double(6, ZERO_THRESHOLD)
        + _integer(7, native.zero_count)
        + b"".join(_message(12, _signed(1, offset) + _integer(2, length)) for offset, length in spans)
        + b"".join(_signed(13, delta) for delta in told.deltas)
    )


def _labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(_message(1, _text(1, name) + _text(2, value)) for name, value in labels.items())


# --- the wire: https://protobuf.dev/programming-guides/encoding/ ------------------------------------------------------

_VARINT, _FIXED_64, _LENGTH = 0, 1, 2


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _delimited(content: bytes) -> bytes:
    return _varint(len(content)) + content


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _signed(field: int, value: int) -> bytes:
    return _integer(field, value << 1 if value >= 0 else (-value << 1) - 1)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FIXED_64) + struct.pack("<d", value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _LENGTH) + _delimited(content)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())
