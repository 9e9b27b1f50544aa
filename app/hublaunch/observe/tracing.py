"""OpenTelemetry traces: one for each launch, whichever processes run it, and one for each request to the API.

No part of a trace is stored. A launch's trace id is the launch's id, which has the same number of bits. The ids of its
span and of its attempts' spans are derived from it. So a process that adopts a launch continues its trace, and the
launch's id is enough to find the trace.
"""

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.model import Event, Launch, Status
from hublaunch.launch.news import Accepted, Adopted, News
from hublaunch.observe.trace_ids import Ids, accepted_at, attempt_ids, launch_ids

_BEGUN_MAX = 10_000
_FLUSH_S = 2.0
_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class _Begun:
    """An attempt in progress, as far as this process knows."""

    number: int
    at: datetime


class Tracing:
    """Creates spans from events and requests, and passes them to `processor` when they end.

    A launch has a span with `accept`, `queue` and `attempt` below it, created from events after each has ended. Below
    an attempt are its requests to the Hub. A request to the API is a span in its caller's trace (`traceparent`). The
    span of a request that launches and the launch's `accept` span link to each other.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        self._ids = Ids()
        resource = Resource.create({"service.name": "hublaunch", "service.version": version("hublaunch")})
        self._provider = TracerProvider(id_generator=self._ids, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("hublaunch")
        self._begun: dict[str, _Begun] = {}

    def close(self) -> None:
        """Pass on the finished spans. Blocks for at most 2 s, even if the collector does not answer."""
        flushing = threading.Thread(target=self._provider.shutdown, name="hublaunch-traces", daemon=True)
        flushing.start()
        flushing.join(_FLUSH_S)

    # --- launches -----------------------------------------------------------------------------------------------------

    def on_news(self, news: News) -> None:
        """Create spans for events and changes that were stored."""
        match news:
            case Event():
                self._on_event(news)
            case Accepted(launch=launch):
                self._accepted(launch)
            case Adopted(launches=launches):
                for launch in launches:
                    if launch.is_in_progress and launch.launching_at is not None:
                        is_first = launch.attempt.number == 1
                        began_at = launch.launching_at if is_first else launch.last_event.at
                        self._begin(launch.id, launch.attempt.number, began_at)

    def _on_event(self, event: Event) -> None:
        """End the spans that an event of the launch completes."""
        begun = self._begun.get(event.launch_id)
        if event.seq == 2:
            self._span(event.launch_id, "queue", accepted_at(event.launch_id), event.at)
        if event.phase is Status.LAUNCHING and (begun is None or begun.number != event.attempt):
            self._end_attempt(event, begun)
            self._begin(event.launch_id, event.attempt, event.at)
        if event.phase.ends_stream:
            self._end_attempt(event, self._begun.pop(event.launch_id, None))
            self._end_launch(event)

    def _accepted(self, launch: Launch) -> None:
        request = get_current_span()
        links = [Link(request.get_span_context())] if request.get_span_context().is_valid else []
        self._span(launch.id, "accept", accepted_at(launch.id), launch.created_at, links=links)
        request.add_link(self._of_launch(launch.id))
        request.set_attribute("hublaunch.launch_id", launch.id)

    def _begin(self, launch_id: str, number: int, at: datetime) -> None:
        self._begun[launch_id] = _Begun(number, at)
        if len(self._begun) > _BEGUN_MAX:  # launches that other processes adopted: these processes create the span
            del self._begun[next(iter(self._begun))]

    def _end_attempt(self, event: Event, begun: _Begun | None) -> None:
        if begun is None:
            return
        is_failed = event.phase is Status.FAILED or begun.number != event.attempt
        with self._ids.fixed(*attempt_ids(event.launch_id, begun.number)):
            self._span(
                event.launch_id,
                "attempt",
                begun.at,
                event.at,
                attributes={"hublaunch.attempt": begun.number},
                status=StatusCode.ERROR if is_failed else StatusCode.UNSET,
            )

    def _end_launch(self, event: Event) -> None:
        attributes: dict[str, str | int] = {"hublaunch.outcome": event.phase.value, "hublaunch.attempts": event.attempt}
        if event.problem is not None:
            attributes["hublaunch.cause"] = event.problem.code
        with self._ids.fixed(*launch_ids(event.launch_id)):
            self._span(
                event.launch_id,
                "launch",
                accepted_at(event.launch_id),
                event.at,
                attributes=attributes,
                status=StatusCode.ERROR if event.phase is Status.FAILED else StatusCode.UNSET,
                context=Context(),
            )

    def _span(
        self,
        launch_id: str,
        name: str,
        began_at: datetime,
        ended_at: datetime,
        *,
        attributes: dict[str, str | int] | None = None,
        status: StatusCode = StatusCode.UNSET,
        links: list[Link] | None = None,
        context: Context | None = None,
    ) -> None:
        """Create a span that has already ended, below the launch's span unless a `context` is given."""
        span = self._tracer.start_span(
            name,
            context=_below(self._of_launch(launch_id)) if context is None else context,
            attributes={"hublaunch.launch_id": launch_id, **(attributes or {})},
            links=links,
            start_time=_ns(began_at),
        )
        span.set_status(status)
        span.end(max(_ns(began_at), _ns(ended_at)))

    def _of_launch(self, launch_id: str) -> SpanContext:
        return self._context(*launch_ids(launch_id))

    def _context(self, trace_id: int, span_id: int) -> SpanContext:
        """Return the context of a launch's span. Processes that create it later or elsewhere sample it the same way."""
        sampling = self._provider.sampler.should_sample(Context(), trace_id, "launch")
        is_sampled = sampling.decision.is_sampled()  # type: ignore[no-untyped-call]  # the library has no types here
        flags = TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))

    # --- requests -----------------------------------------------------------------------------------------------------

    def on_hub_request(self, kind: str, headers: MutableMapping[str, str]) -> Callable[[str], None]:
        """Start a span for a request to the Hub and add `traceparent`. Return a function to call with the outcome.

        The span is below the current attempt, or below the current request to the API. Requests outside of both, such
        as regular checks of the Hub, have no span.
        """
        attempt, context = current_attempt.get(), None
        if attempt is not None:
            context = _below(self._context(*attempt_ids(attempt.launch_id, attempt.number)))
        elif not get_current_span().get_span_context().is_valid:
            return lambda _: None
        span = self._tracer.start_span(f"hub {kind}", context=context, kind=SpanKind.CLIENT)
        if attempt is not None:
            span.set_attributes({"hublaunch.launch_id": attempt.launch_id, "hublaunch.attempt": attempt.number})
        _PROPAGATOR.inject(headers, set_span_in_context(span, Context()))

        def end(outcome: str) -> None:
            span.set_attribute("hublaunch.hub.outcome", outcome)
            if outcome != "answered":
                span.set_status(StatusCode.ERROR)
            span.end()

        return end

    def begin_request(self, method: str, headers: dict[str, str]) -> Callable[[str, int], None]:
        """Start a span for a request to the API, in its caller's trace if it has one.

        Return a function to call in the same context, with the route and the status of the answer.
        """
        span = self._tracer.start_span(method, context=_PROPAGATOR.extract(headers, Context()), kind=SpanKind.SERVER)
        token = attach(set_span_in_context(span))

        def end(route: str, status: int) -> None:
            detach(token)
            _describe(span, method, route, status)
            span.end()

        return end


def _describe(span: Span, method: str, route: str, status: int) -> None:
    span.update_name(f"{method} {route}".rstrip())
    attributes: dict[str, Any] = {"http.request.method": method, "http.response.status_code": status}
    span.set_attributes(attributes | ({"http.route": route} if route else {}))
    if status >= 500:
        span.set_status(StatusCode.ERROR)


def _below(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
