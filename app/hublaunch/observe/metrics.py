"""The metrics of one process, fed by the store, the Hub's client and the API."""

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from ulid import ULID

from hublaunch.launch.errors import Displaced
from hublaunch.launch.model import Event, Launch, LaunchRequest, Status
from hublaunch.launch.news import (
    Accepted,
    Adopted,
    Cleaned,
    DigestFound,
    News,
    SessionEnded,
    SessionExtended,
    SessionWarned,
    Stopped,
)
from hublaunch.launch.ports import Capacity
from hublaunch.launch.rules.condition import Condition
from hublaunch.launch.rules.invitation import InvitationUse
from hublaunch.launch.rules.preflight import RegistryOutcome
from hublaunch.observe.capacity_metrics import CapacityMetrics
from hublaunch.observe.invitation_metrics import InvitationMetrics
from hublaunch.observe.pool_metrics import PoolMetrics

log = logging.getLogger(__name__)

LAUNCH_BUCKETS_S = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
QUEUE_BUCKETS_S = (0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1200, 3600)
HUB_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45)

OTHER = "other"
"""Label for a code that only a newer release knows, and for environments beyond the limit below."""
_ENVIRONMENTS_MAX = 1000
"""Pairs of environment and size that have a series of their own."""
_MEMBERS_MAX = 10_000
"""Members of warm pools that are known to be starting."""
_DISPLACED = "displaced"
"""The outcome of a launch that gave up its place in a full queue. Its event is a failure with its own code."""


class Metrics:
    """Counters, histograms and gauges in their own registry. Every label has a fixed set of values.

    `codes` are the codes of all problems, `kinds` the kinds of requests to the Hub. Each scrape calls `capacity` once
    and reads `followers` and `loops` (for each background task, whether it runs). `invitations` reads the use of
    invitations; None if this service accepts none.
    """

    def __init__(
        self,
        *,
        codes: Collection[str],
        kinds: Collection[str],
        capacity: Callable[[], Awaitable[Capacity]],
        followers: Callable[[], int],
        loops: Callable[[], Mapping[str, bool]],
        invitations: Callable[[int], Awaitable[Sequence[InvitationUse]]] | None = None,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series, and nobody reads them
        self.registry = CollectorRegistry()
        self._codes = frozenset(codes)
        self._capacity = capacity
        self._pools: PoolMetrics | None = None
        self._conditions: Callable[[], Awaitable[Collection[str]]] | None = None
        self._followers = followers
        self._loops = loops
        self._invitations = InvitationMetrics(self.registry, invitations) if invitations is not None else None
        self._count_launches()
        self._count_hub_requests(kinds)
        self._count_lookups()
        self._count_upkeep()
        self._measure_replicas()
        for code in (*sorted(codes), OTHER):  # start at 0, so that the first of each code counts as an increase
            self._refusals.labels(code)
            if code != Displaced.code:
                self._ended.labels(Status.FAILED, code)

    def include(self, pools: PoolMetrics) -> None:
        """Update the metrics of the warm pools with each scrape too. They are in `registry`."""
        self._pools = pools

    def watch(self, conditions: Callable[[], Awaitable[Collection[str]]]) -> None:
        """Show with each scrape which conditions apply to the service. `conditions` returns their codes."""
        self._conditions = conditions

    # --- listeners ----------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        """Count a stored event of a launch. Nobody waits for a member of a warm pool, so it is not measured."""
        self._events[event.phase].inc()
        if event.launch_id in self._members:
            if event.phase.ends_stream:
                self._members.pop(event.launch_id, None)
            return
        if event.seq == 2:  # the event after acceptance ends the wait in the queue
            self._queue_s.observe(_since_acceptance_s(event))
        if event.phase is Status.WAITING and event.seq > 1:
            self._requeues.inc()
        if event.phase.ends_stream:
            self._count_end(event)
            if event.phase is Status.READY and event.attempt == 1:
                self._ready_first.inc()

    def _on_accepted(self, launch: Launch) -> None:
        if launch.is_member:
            self._note_member(launch)
            return
        self._accepted.inc()
        self._count_environment(launch.request)
        if self._invitations is not None:
            self._invitations.count(launch.caller)
        if launch.image_digest is not None:
            self._digests["at_once"].inc()

    def _on_adopted(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            if launch.is_member and launch.is_in_progress:
                self._note_member(launch)
        orphans = sum(not launch.is_in_progress for launch in launches)
        self._orphans_found.inc(orphans)
        self._adopted.inc(len(launches) - orphans)

    def _note_member(self, member: Launch) -> None:
        self._members[member.id] = None
        if len(self._members) > _MEMBERS_MAX:  # those that other processes have adopted end there
            del self._members[next(iter(self._members))]

    def _count_environment(self, request: LaunchRequest) -> None:
        """Count a launch of an environment. Names come from the catalogue, which may be replaced without end."""
        if not request.environment:
            return
        names = request.environment, request.size
        if len(self._environments) < _ENVIRONMENTS_MAX:
            self._environments.add(names)
        self._of_environment.labels(*(names if names in self._environments else (OTHER, OTHER))).inc()

    def _count_end(self, event: Event) -> None:
        if event.is_displacement:  # not a failure: it never reached the Hub
            self._ended.labels(_DISPLACED, "").inc()
            return
        self._duration_s.labels(event.phase).observe(_since_acceptance_s(event))
        self._ended.labels(event.phase, "" if event.problem is None else self._known(event.problem.code)).inc()

    def on_news(self, news: News) -> None:
        """Count news of the store."""
        match news:
            case Event():
                self._on_event(news)
            case Accepted(launch=launch):
                self._on_accepted(launch)
            case DigestFound():
                self._digests["later"].inc()
            case SessionWarned() | SessionExtended() | SessionEnded():
                self._sessions[type(news)].inc()
            case Adopted(launches=launches):
                self._on_adopted(launches)
            case Cleaned(is_late=True):
                self._orphans_cleaned_up.inc()
            case Stopped(stopped_by=stopped_by):
                self._stopped.labels(stopped_by).inc()

    def on_hub_request(self, kind: str, _: object) -> Callable[[str], None]:
        """Start timing a request to the Hub. Return a function to call with its outcome."""
        began_at = time.perf_counter()

        def end(outcome: str) -> None:
            self._hub_s[kind].observe(time.perf_counter() - began_at)
            if outcome != "answered":
                self._hub_errors.labels(kind, outcome).inc()

        return end

    def on_lookup(self, outcome: RegistryOutcome, seconds: float) -> None:
        """Count a lookup at a registry."""
        self._lookups_s[outcome].observe(seconds)

    def on_refusal(self, code: str) -> None:
        """Count a request answered with a problem."""
        self._refusals.labels(self._known(code)).inc()

    def on_loop_end(self, name: str) -> None:
        """Count a background task that ended while the service was running."""
        self._loop_ends.labels(name).inc()

    async def refresh(self) -> None:
        """Update the gauges. Those read from the database become NaN if it does not answer."""
        self._following.set(self._followers())
        for name, is_up in self._loops().items():
            self._loop_up.labels(name).set(is_up)
            self._loop_ends.labels(name)  # start at 0, so that the first end counts as an increase
        if self._invitations is not None:
            await self._invitations.refresh()
        try:
            capacity: Capacity | None = await self._capacity()
        except Exception:
            log.exception("The database did not answer while Prometheus scraped the metrics")
            capacity = None
        if self._pools is not None:
            await self._pools.refresh(can_read=capacity is not None)
        if self._conditions is not None:
            applying = await self._conditions()
            for condition in Condition:
                self._condition.labels(condition.code).set(condition.code in applying)
        self._database_up.set(capacity is not None)
        self._shared.set(capacity)

    def _known(self, code: str) -> str:
        return code if code in self._codes else OTHER

    # --- the metrics --------------------------------------------------------------------------------------------------

    def _count_launches(self) -> None:
        self._accepted = self._counter("launches_accepted", "Launches accepted.")
        self._environments: set[tuple[str, str]] = set()
        self._of_environment = self._counter(
            "environment_launches",
            "Launches accepted of an environment of the catalogue, by its name and size.",
            "environment",
            "size",
        )
        self._members: dict[str, None] = {}
        """The members of warm pools that this process starts, oldest first."""
        self._ended = self._counter(
            "launches_ended",
            "Launches ended, by outcome (ready, failed, cancelled or displaced), and by cause if failed.",
            "outcome",
            "cause",
        )
        self._ready_first = self._counter("launches_ready_first_attempt", "Launches ready on the first attempt.")
        self._duration_s = self._histogram(
            "launch_duration_seconds",
            "Time from the request to ready, failed or cancelled, including queueing and retries.",
            LAUNCH_BUCKETS_S,
            "outcome",
        )
        self._queue_s = self._histogram(
            "launch_queue_seconds", "Time from the request to admission, or to its end in the queue.", QUEUE_BUCKETS_S
        )
        self._requeues = self._counter(
            "launch_requeues", "Launches returned to the queue because the Hub was at its limit (429)."
        )
        events = self._counter("events_appended", "Events stored, by phase.", "phase")
        self._events: Mapping[Status, Counter] = {
            phase: events.labels(phase) for phase in Status if phase is not Status.STOPPED
        }
        self._refusals = self._counter("refusals", "Requests answered with a problem, by code.", "code")
        for outcome in (Status.READY, Status.CANCELLED, _DISPLACED):
            self._ended.labels(outcome, "")
        for phase in Status:
            if phase.ends_stream:
                self._duration_s.labels(phase)

    def _count_hub_requests(self, kinds: Collection[str]) -> None:
        took_s = self._histogram(
            "hub_request_seconds",
            "Time from a request to the Hub to the headers of its response.",
            HUB_BUCKETS_S,
            "kind",
        )
        self._hub_s: Mapping[str, Histogram] = {kind: took_s.labels(kind) for kind in kinds}
        self._hub_errors = self._counter(
            "hub_request_errors",
            "Requests to the Hub that failed, by error: refused (4xx), busy (429), failed (5xx), unreachable (not "
            "sent), broken (no complete response; the Hub may have acted), given_up (cancelled by this service).",
            "kind",
            "error",
        )

    def _count_lookups(self) -> None:
        took_s = self._histogram(
            "registry_lookup_seconds",
            "Time of a check at a registry, with all of its requests, by outcome.",
            HUB_BUCKETS_S,
            "outcome",
        )
        self._lookups_s: Mapping[RegistryOutcome, Histogram] = {one: took_s.labels(one) for one in RegistryOutcome}
        digests = self._counter(
            "launches_digest",
            "Launches whose image had a known digest before the Hub was asked, by whether it was known at acceptance.",
            "found",
        )
        self._digests: Mapping[str, Counter] = {found: digests.labels(found) for found in ("at_once", "later")}

    def _count_upkeep(self) -> None:
        self._adopted = self._counter("launches_adopted", "Launches adopted from processes that ended.")
        self._orphans_found = self._counter(
            "orphans_found", "Ended launches found with a user, server or token left at the Hub."
        )
        self._orphans_cleaned_up = self._counter(
            "orphans_cleaned_up", "Orphans that are gone, as confirmed by the Hub."
        )
        self._stopped = self._counter(
            "launches_stopped",
            "Ready launches whose servers are gone, by what stopped them (caller, hub, session_end or operator).",
            "by",
        )
        for by in ("caller", "hub", "session_end", "operator"):
            self._stopped.labels(by)
        sessions = self._counter(
            "sessions", "Sessions of ready launches that were warned of their end, extended, or ended.", "step"
        )
        self._sessions: Mapping[type, Counter] = {
            SessionWarned: sessions.labels("warned"),
            SessionExtended: sessions.labels("extended"),
            SessionEnded: sessions.labels("ended"),
        }

    def _measure_replicas(self) -> None:
        self._following = self._gauge("followers", "Open streams that follow launches in this process.")
        self._loop_up = self._gauge("background_task_up", "1 if the background task runs, else 0.", "task")
        self._loop_ends = self._counter(
            "background_task_ends", "Times the background task ended with an error and was restarted.", "task"
        )
        self._condition = self._gauge(
            "service_condition",
            "1 for each condition that keeps the service from working as usual, as in /status, else 0.",
            "condition",
        )
        self._database_up = self._gauge("database_up", "1 if the database answered this scrape, else 0.")
        self._shared = CapacityMetrics(self.registry)
        self._gauge("build_info", "Always 1, labeled with the version.", "version").labels(version("hublaunch")).set(1)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, namespace="hublaunch", registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, what, labels, namespace="hublaunch", registry=self.registry)

    def _histogram(self, name: str, what: str, buckets_s: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, what, labels, namespace="hublaunch", registry=self.registry, buckets=buckets_s)


def _since_acceptance_s(event: Event) -> float:
    """Return the time since acceptance, computed from the id, so that launches of other processes work too."""
    return max(0.0, event.at.timestamp() - ULID.from_str(event.launch_id).timestamp)
