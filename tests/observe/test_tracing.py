"""Traces, as a collector receives them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from ulid import ULID

from hublaunch.hub.connect import connect_hub
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import LaunchRequest
from hublaunch.observe.tracing import Tracing
from hublaunch.settings import Settings
from hublaunch.store.sql import SqlLaunchStore
from tests.fakes.asgi_server import AsgiServer, Receive, Scope, Send
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.launching import SEALER, Launching, launching
from tests.support.served import BODY, serve

ANYBODY = Caller(kind="anonymous", key="192.0.2.7")
REQUEST = LaunchRequest(image="a/b", repo_url="https://example.org/a/b")
CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Traced:
    """A process: its core, and the spans that it has exported."""

    core: Launching
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]


@asynccontextmanager
async def traced(hub: FakeHub, settings: Settings, *, attempts_max: int = 1) -> AsyncGenerator[Traced]:
    exporter = InMemorySpanExporter()
    traces = Tracing(SimpleSpanProcessor(exporter))
    async with (
        SqlLaunchStore(settings.database_url, sealer=SEALER) as store,
        connect_hub(settings, listeners=[traces.on_hub_request]) as client,
    ):
        store.news.subscribe(traces.on_news)
        async with launching(hub, client, store, attempts_max=attempts_max) as core:
            yield Traced(core, exporter)
    traces.close()


def trace_id(span: ReadableSpan) -> int:
    assert span.context is not None
    of_launch: int = span.context.trace_id
    return of_launch


def check_one_tree(spans: Sequence[ReadableSpan], launch_id: str) -> None:
    """Check that all spans are in the launch's trace, and each but one lies within its parent."""
    by_id = {span.context.span_id: span for span in spans if span.context is not None}
    assert len(by_id) == len(spans)
    assert {trace_id(span) for span in spans} == {int(ULID.from_str(launch_id))}
    roots = [span for span in spans if span.parent is None]
    assert [root.name for root in roots] == ["launch"]
    for span in spans:
        if span.parent is not None:
            parent = by_id[span.parent.span_id]
            assert parent.start_time is not None
            assert span.start_time is not None
            assert span.start_time >= parent.start_time - 2_000_000  # the launch's times are in milliseconds


async def test_a_launch_is_one_trace_from_its_acceptance_to_its_end(hub: FakeHub, settings: Settings) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling", "Starting"]))
    async with traced(hub, settings) as process:
        launch = await process.core.launch(ANYBODY, REQUEST)

    check_one_tree(process.spans, launch.id)
    assert {span.name for span in process.spans} == {
        "launch",
        "accept",
        "queue",
        "attempt",
        "hub create_user",
        "hub start_server",
        "hub progress",
        "hub mint_token",
        "hub reach_server",
    }
    (attempt,) = process.named("attempt")
    assert attempt.context is not None
    of_hub = [span for span in process.spans if span.name.startswith("hub ")]
    assert {span.parent.span_id for span in of_hub if span.parent} == {attempt.context.span_id}
    assert {span.kind for span in of_hub} == {SpanKind.CLIENT}
    (whole,) = process.named("launch")
    assert dict(whole.attributes or {}) == {
        "hublaunch.launch_id": launch.id,
        "hublaunch.outcome": "ready",
        "hublaunch.attempts": 1,
    }
    assert whole.status.status_code is StatusCode.UNSET


async def test_traces_have_no_secrets(hub: FakeHub, settings: Settings) -> None:
    async with traced(hub, settings) as process:
        launch = await process.core.launch(ANYBODY, REQUEST)

    written = "".join(span.to_json() for span in process.spans)
    assert launch.last_event.sealed_token is not None
    token = SEALER.open(launch.last_event.sealed_token)
    for secret in (token, settings.hub_api_token.get_secret_value()):
        assert secret not in written


async def test_failed_attempts_and_launches_are_errors_with_their_cause(hub: FakeHub, settings: Settings) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    async with traced(hub, settings) as process:
        launch = await process.core.launch(ANYBODY, REQUEST)

    (whole,), (attempt,) = process.named("launch"), process.named("attempt")
    check_one_tree(process.spans, launch.id)
    assert (whole.status.status_code, attempt.status.status_code) == (StatusCode.ERROR, StatusCode.ERROR)
    assert whole.attributes is not None
    assert whole.attributes["hublaunch.cause"] == "spawn_failed"


async def test_each_attempt_is_a_span_with_its_own_requests(hub: FakeHub, settings: Settings) -> None:
    hub.fail_on("start_server", status=503)
    async with traced(hub, settings, attempts_max=2) as process:
        launch = await process.core.launch(ANYBODY, REQUEST)

    check_one_tree(process.spans, launch.id)
    first, second = process.named("attempt")
    assert [(span.attributes or {})["hublaunch.attempt"] for span in (first, second)] == [1, 2]
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    starts = process.named("hub start_server")
    assert len({span.parent.span_id for span in starts if span.parent}) == 2
    assert (starts[0].attributes or {})["hublaunch.hub.outcome"] == "failed"


async def test_an_adopted_launch_continues_its_trace(hub: FakeHub, settings: Settings) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with traced(hub, settings) as former:
        launch = await former.core.service.start(REQUEST, ANYBODY)
        await hub.until(lambda: hub.is_spawning(launch.attempt.username) and hub.open_streams)
    async with traced(hub, settings) as following:
        hub.release(launch.attempt.username)
        await following.core.idle()

    assert not former.named("launch")
    assert {span.name for span in following.spans} >= {"launch", "attempt", "hub progress"}
    check_one_tree([*former.spans, *following.spans], launch.id)


async def test_requests_to_the_hub_carry_the_trace(hub: FakeHub, settings: Settings) -> None:
    async with traced(hub, settings) as process:
        launch = await process.core.launch(ANYBODY, REQUEST)

    (created,) = hub.asked("create_user")
    (span,) = process.named("hub create_user")
    assert span.context is not None
    traceparent = created.traceparent.split("-")
    assert traceparent[1] == f"{int(ULID.from_str(launch.id)):032x}"
    assert traceparent[2] == f"{span.context.span_id:016x}"


async def test_a_sampler_takes_whole_launches(
    hub: FakeHub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    async with traced(hub, settings) as process:
        launches = [await process.core.launch(ANYBODY, REQUEST) for _ in range(12)]

    spans = {int(ULID.from_str(launch.id)): 0 for launch in launches}
    for span in process.spans:
        spans[trace_id(span)] += 1
    assert set(spans.values()) <= {0, 9}


@dataclass
class Collector:
    """An OTLP collector that records every request."""

    received: list[ExportTraceServiceRequest] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if dict(scope["headers"]).get(b"content-encoding") == b"gzip":
            import gzip

            body = gzip.decompress(body)
        self.received.append(ExportTraceServiceRequest.FromString(body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_a_request_is_in_its_callers_trace_and_linked_to_the_launch(settings: Settings) -> None:
    collector = Collector()
    server = AsgiServer(collector)
    await server.start()
    sent = f"00-{CALLERS_TRACE}-b7ad6b7169203331-01"
    url = f"http://127.0.0.1:{server.port}/v1/traces"
    async with serve(settings, traces_url=url) as service:
        accepted = (await service.http.post("/launch", json=BODY, headers={"traceparent": sent})).json()
        await service.events(accepted["events_url"])
        await service.http.get("/healthz")
    await server.close()

    spans = [
        span
        for request in collector.received
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]
    by_name = {span.name: span for span in spans}
    posted, accept, whole = by_name["POST /launch"], by_name["accept"], by_name["launch"]
    assert (posted.trace_id.hex(), posted.parent_span_id.hex()) == (CALLERS_TRACE, "b7ad6b7169203331")
    assert whole.trace_id == ULID.from_str(accepted["id"]).bytes
    assert [link.span_id for link in posted.links] == [whole.span_id]
    assert [link.span_id for link in accept.links] == [posted.span_id]
    streams = [span for span in spans if span.name == "GET /launch/{launch_id}/events"]
    assert len(streams) == 1
    assert {span.trace_id.hex() for span in spans if span.name.startswith("hub ")} == {whole.trace_id.hex()}
    assert not [span for span in spans if "healthz" in span.name or "http send" in span.name]
    assert collector.received[0].resource_spans[0].resource.attributes


async def test_a_missing_collector_does_not_delay_shutdown(settings: Settings) -> None:
    async def never(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    server = AsgiServer(never)
    await server.start()
    url = f"http://127.0.0.1:{server.port}/v1/traces"
    async with serve(settings, traces_url=url) as service:
        accepted = await service.launch()
        await service.events(accepted["events_url"])
        ending_at = time.monotonic()
    took_s = time.monotonic() - ending_at
    await server.close()

    assert took_s < 5


_WITHOUT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):  # FastAPI brings the API
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from hublaunch.cli import cli
cli(["serve", "--port", "0"])
"""


def test_the_setting_without_the_extra_is_refused_with_advice(hub: FakeHub) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT],
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "LAUNCHER_HUB_URL": hub.url,
            "LAUNCHER_HUB_API_TOKEN": hub.api_token,
            "LAUNCHER_TRACES_URL": "http://127.0.0.1:1/v1/traces",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 3
    assert "pip install 'hublaunch[otel]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_opentelemetry_is_not_imported_without_the_setting(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from hublaunch.main import create_app
from hublaunch.settings import Settings

async def run():
    app = create_app(Settings(hub_url="http://127.0.0.1:1", hub_api_token="t" * 8))
    async with app.router.lifespan_context(app):
        print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])

asyncio.run(run())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == "[]\n", done.stderr
