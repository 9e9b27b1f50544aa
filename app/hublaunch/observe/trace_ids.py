"""Ids of traces and spans, derived from the launch, so that nothing needs to be stored."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from ulid import ULID


def launch_ids(launch_id: str) -> tuple[int, int]:
    """Return the id of the launch's trace and the id of the launch's span."""
    return int(ULID.from_str(launch_id)), _span_id(launch_id)


def attempt_ids(launch_id: str, number: int) -> tuple[int, int]:
    """Return the id of the launch's trace and the id of the attempt's span."""
    return int(ULID.from_str(launch_id)), _span_id(f"{launch_id}:{number}")


def _span_id(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) or 1


def accepted_at(launch_id: str) -> datetime:
    """Return the time of the request for the launch, in milliseconds precision."""
    return ULID.from_str(launch_id).datetime


class Ids(RandomIdGenerator):
    """Generates random ids, except for a span created within `fixed`."""

    def __init__(self) -> None:
        self._fixed: tuple[int, int] | None = None

    @contextmanager
    def fixed(self, trace_id: int, span_id: int) -> Generator[None]:
        self._fixed = trace_id, span_id
        try:
            yield
        finally:
            self._fixed = None

    def generate_trace_id(self) -> int:
        return self._fixed[0] if self._fixed else super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self._fixed[1] if self._fixed else super().generate_span_id()
