"""The metrics of one process, counted from what the records, the Hub's client and the web tell."""

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from ulid import ULID

from hublaunch.launch.changes import Accepted, Adopted, Change, Cleaned, Stopped
from hublaunch.launch.errors import Displaced
from hublaunch.launch.model import Event, Status
from hublaunch.launch.ports import Capacity
from hublaunch.launch.rules.guard import GuardState
from hublaunch.observe.native import NativeHistogram

log = logging.getLogger(__name__)

LAUNCH_BUCKETS_S = (1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
QUEUE_BUCKETS_S = (0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1200, 3600)
HUB_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45)

_DURATION = "hublaunch_launch_duration_seconds"
OTHER = "other"
"""For a code that this release does not know: one of a launch that a newer one has written."""
_DISPLACED = "displaced"
"""The outcome of a launch that made room in a full queue; its event is a failure with a code of its own."""
_NAN = float("nan")
_OF_ALL = "Of all replicas that share the database: take max() over them, not sum()."


_STANDING: Mapping[str, tuple[str, Callable[[Capacity], float]]] = {
    "queue_size": ("Launches in the queue.", lambda now: now.waiting),
    "queue_oldest_seconds": ("Since the oldest in the queue was accepted.", lambda now: _age_s(now.waiting_since)),
    "launches_in_progress": ("Launches admitted to the Hub.", lambda now: now.launching),
    "launches_ready": ("Launches whose servers are up, as far as is known.", lambda now: now.ready),
    "hub_busy_seconds": ("How long the Hub still asks to be left alone (429).", lambda now: now.hub_busy_for_s or 0),
    "guard_failures": ("Spawns that failed in a row, at most.", lambda now: now.failures),
    "guard_window": (
        "Launches of images that are not proven at once; NaN while the guard is off.",
        lambda now: _NAN if now.window is None else now.window,
    ),
    "guard_failing_images": ("Images that are refused, as they keep failing.", lambda now: now.failing_images),
}


class Metrics:
    """Counts what it is told, in a registry of its own. Every label has a fixed set of values.

    `codes` are those of all problems there are, `kinds` those of requests to the Hub. `capacity` is asked once a
    scrape, and `followers` and `loops` (each background task by its name, and whether it runs) are read then.
    """

    def __init__(
        self,
        *,
        codes: Collection[str],
        kinds: Collection[str],
        capacity: Callable[[], Awaitable[Capacity]],
        followers: Callable[[], int],
        loops: Callable[[], Mapping[str, bool]],
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody reads
        self.registry = CollectorRegistry()
        self._codes = frozenset(codes)
        self._capacity = capacity
        self._followers = followers
        self._loops = loops
        self._count_launches()
        self._count_hub_requests(kinds)
        self._count_upkeep()
        self._measure_replicas()
        for code in (*sorted(codes), OTHER):  # from 0 on, so that the first of each is an increase too
            self._refusals.labels(code)
            if code != Displaced.code:
                self._ended.labels(Status.FAILED, code)

    # --- what is told -------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """A launch has a new event."""
        self._events[event.phase].inc()
        if event.seq == 2:  # whatever comes after the acceptance ends the wait for admission
            self._queue_s.observe(_since_acceptance_s(event))
        if event.phase is Status.WAITING and event.seq > 1:
            self._put_backs.inc()
        if event.phase.ends_stream:
            self._count_end(event)
            if event.phase is Status.READY and event.attempt == 1:
                self._ready_first.inc()

    def _count_end(self, event: Event) -> None:
        if event.is_displacement:  # is nobody's failure, and never got as far as the Hub
            self._ended.labels(_DISPLACED, "").inc()
            return
        took_s = _since_acceptance_s(event)
        self._duration_s.labels(event.phase).observe(took_s)
        self.natives[_DURATION, event.phase].observe(took_s)
        self._ended.labels(event.phase, "" if event.problem is None else self._known(event.problem.code)).inc()

    def on_change(self, change: Change) -> None:
        """Something else was stored."""
        match change:
            case Accepted():
                self._accepted.inc()
            case Adopted(launches=launches):
                orphans = sum(not launch.is_under_way for launch in launches)
                self._orphans_found.inc(orphans)
                self._adopted.inc(len(launches) - orphans)
            case Cleaned(is_late=True):
                self._orphans_reaped.inc()
            case Stopped(stopped_by=stopped_by):
                self._stopped.labels(stopped_by).inc()

    def on_hub_request(self, kind: str, _: object) -> Callable[[str], None]:
        """A request to the Hub begins; the result is called with its outcome."""
        began_at = time.perf_counter()

        def end(outcome: str) -> None:
            self._hub_s[kind].observe(time.perf_counter() - began_at)
            if outcome != "answered":
                self._hub_errors.labels(kind, outcome).inc()

        return end

    def on_refusal(self, code: str) -> None:
        """A request was answered with a problem."""
        self._refusals.labels(self._known(code)).inc()

    def on_loop_end(self, name: str) -> None:
        """A background task ended while the service goes on."""
        self._loop_ends.labels(name).inc()

    async def refresh(self) -> None:
        """Read what is not counted but stands in the records. If they do not answer, it is not a number."""
        self._following.set(self._followers())
        for name, is_up in self._loops().items():
            self._loop_up.labels(name).set(is_up)
            self._loop_ends.labels(name)  # from 0 on, so that the first end is an increase too
        try:
            capacity: Capacity | None = await self._capacity()
        except Exception:
            log.exception("The records could not be counted for the metrics")
            capacity = None
        self._records_answer.set(capacity is not None)
        for gauge, read in self._standing.items():
            gauge.set(_NAN if capacity is None else read(capacity))
        for state, gauge in self._guard.items():
            gauge.set(_NAN if capacity is None else capacity.guard == state)

    def _known(self, code: str) -> str:
        return code if code in self._codes else OTHER

    # --- the metrics --------------------------------------------------------------------------------------------------

    def _count_launches(self) -> None:
        self._accepted = self._counter("launches_accepted", "Launches that were accepted.")
        self._ended = self._counter(
            "launches_ended",
            "Launches that ended, by outcome: ready, failed, cancelled or displaced; and if failed by the cause.",
            "outcome",
            "cause",
        )
        self._ready_first = self._counter("launches_ready_first_attempt", "Launches that were ready by one attempt.")
        self._duration_s = self._histogram(
            _DURATION.removeprefix("hublaunch_"),
            "From the request to its end, with all waiting and attempts in it; to ready, where that is the outcome.",
            LAUNCH_BUCKETS_S,
            "outcome",
        )
        self.natives: Mapping[tuple[str, str], NativeHistogram] = {
            (_DURATION, phase): NativeHistogram() for phase in Status if phase.ends_stream
        }
        """The histograms that are native ones too, by their name and outcome."""
        self._queue_s = self._histogram(
            "launch_queue_seconds", "From the request to its admission, or its end in the queue.", QUEUE_BUCKETS_S
        )
        self._put_backs = self._counter(
            "launch_put_backs", "Launches that stand in the queue again, as the Hub was at its limit (429)."
        )
        events = self._counter("events_appended", "Events stored of launches, by phase.", "phase")
        self._events: Mapping[Status, Counter] = {
            phase: events.labels(phase) for phase in Status if phase is not Status.STOPPED
        }
        self._refusals = self._counter("refusals", "Requests answered with a problem, by its code.", "code")
        for outcome in (Status.READY, Status.CANCELLED, _DISPLACED):
            self._ended.labels(outcome, "")
        for _, ended in self.natives:
            self._duration_s.labels(ended)

    def _count_hub_requests(self, kinds: Collection[str]) -> None:
        took_s = self._histogram(
            "hub_request_seconds", "From a request to the Hub to the head of its answer.", HUB_BUCKETS_S, "kind"
        )
        self._hub_s: Mapping[str, Histogram] = {kind: took_s.labels(kind) for kind in kinds}
        self._hub_errors = self._counter(
            "hub_request_errors",
            "Requests to the Hub without a good answer, by what came instead: refused (4xx), busy (429), failed (5xx), "
            "unreachable (never sent), broken (perhaps acted on), given_up (waited for no longer).",
            "kind",
            "error",
        )

    def _count_upkeep(self) -> None:
        self._adopted = self._counter("launches_adopted", "Launches taken over to go on with, as their process ended.")
        self._orphans_found = self._counter(
            "orphans_found", "Launches taken over that were over, with something of theirs left at the Hub."
        )
        self._orphans_reaped = self._counter(
            "orphans_reaped", "Attempts that were over, of which the Hub has confirmed that nothing is left."
        )
        self._stopped = self._counter(
            "launches_stopped", "Ready launches whose servers are gone, by who stopped them: caller or hub.", "by"
        )
        for by in ("caller", "hub"):
            self._stopped.labels(by)

    def _measure_replicas(self) -> None:
        self._following = self._gauge("followers", "Streams that follow launches in this process.")
        self._loop_up = self._gauge("background_task_up", "1 if the background task runs, else 0.", "task")
        self._loop_ends = self._counter(
            "background_task_ends", "Background tasks that ended by a fault, each time, and were started again.", "task"
        )
        self._records_answer = self._gauge("records_answer", "1 if the database answered this scrape, else 0.")
        self._standing = {self._gauge(name, f"{what} {_OF_ALL}"): read for name, (what, read) in _STANDING.items()}
        guard = self._gauge("guard_state", f"1 for the state that the Hub guard is in, else 0. {_OF_ALL}", "state")
        self._guard: Mapping[GuardState, Gauge] = {state: guard.labels(state) for state in get_args(GuardState)}
        self._gauge("build_info", "1, with the release.", "version").labels(version("hublaunch")).set(1)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, namespace="hublaunch", registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, what, labels, namespace="hublaunch", registry=self.registry)

    def _histogram(self, name: str, what: str, buckets_s: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, what, labels, namespace="hublaunch", registry=self.registry, buckets=buckets_s)


def _since_acceptance_s(event: Event) -> float:
    """By the time in the launch's id, so that it holds for a launch that another process has accepted."""
    return max(0.0, event.at.timestamp() - ULID.from_str(event.launch_id).timestamp)


def _age_s(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, time.time() - since.timestamp())
