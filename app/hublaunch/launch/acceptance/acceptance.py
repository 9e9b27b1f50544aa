"""Acceptance: turns a checked request into a stored launch, within the quotas and the length of the queue."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hublaunch.launch.acceptance.checks import Checked, Checks
from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.acceptance.quota_reclaim import QuotaReclaim
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.errors import InvitationFull, QuotaReached
from hublaunch.launch.model import Event, Launch, LaunchRequest, Stage, Status
from hublaunch.launch.ports import Intake, Unless
from hublaunch.launch.rules.queue_order import Weight
from hublaunch.launch.rules.quota import Quota, Scope
from hublaunch.launch.rules.quota_rules import QuotaRules

log = logging.getLogger(__name__)

Count = Callable[[], Awaitable[None]]
"""Counts a request for a launch; raises RateLimited."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptanceTerms:
    """The limits on how many launches are accepted, and on how long each may take."""

    quotas: Callable[[], QuotaRules]
    """Returns the current quotas, which the operator may change while the service runs."""
    in_progress_max: int
    """Launches that may be queued or at the Hub at once."""
    weight: Weight
    """The weights of callers, which decide whose launch makes room in a full queue."""
    launch_timeout_s: float
    """Seconds until a launch must be ready, from its admission."""
    max_wait_s: float
    """Seconds that a launch may be queued."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acceptance:
    """Checks requests, and stores those that pass as launches."""

    intake: Intake
    checks: Checks
    admission: Admission
    reclaim: QuotaReclaim
    terms: AcceptanceTerms

    async def accept(
        self, launch_id: str, request: LaunchRequest, caller: Caller, *, key: IdempotencyKey | None, only_one: bool
    ) -> Launch:
        """Store a new launch with this id; or return the launch that another request has stored with `key` meanwhile.

        Raise a RequestRefused or PreflightRefused, or a HubError if the Hub could not be asked about the account.
        """
        checked = await self.checks.check(launch_id, request, caller, only_one=only_one)
        launch = self._new_launch(caller, checked)
        with self.admission.expecting(launch_id):
            accepted = await self._store_within_quotas(launch, key, checked.unless)
        if accepted.id != launch_id or accepted.is_claim:
            self.admission.forget(launch_id)
        return accepted

    async def _store_within_quotas(self, launch: Launch, key: IdempotencyKey | None, unless: Unless | None) -> Launch:
        """Store the launch. If a quota is used up, first search for launches that hold it, but whose servers are gone.

        Storing is tried again after every search, because other requests may have searched and used up the freed quota
        meanwhile. Once a search for a quota has found nothing, the next refusal for that quota is raised.
        """
        terms = self.terms
        quotas = terms.quotas().quotas(launch.caller, launch.request, at=launch.created_at)
        used_up: set[Quota] = set()
        while True:
            try:
                return await self.intake.accept(
                    launch,
                    key,
                    unless=unless,
                    quotas=quotas,
                    in_progress_max=terms.in_progress_max,
                    weight=terms.weight,
                )
            except QuotaReached as refusal:
                if refusal.quota in used_up:
                    quota = refusal.quota
                    log.info("Refused: %s (%s)", refusal, quota.pattern or quota.name or quota.scope)
                    if quota.scope is Scope.INVITATION:
                        raise InvitationFull(quota, active=refusal.active) from None
                    raise
                if not await self.reclaim.freed(refusal.quota):
                    used_up.add(refusal.quota)

    def _new_launch(self, caller: Caller, checked: Checked) -> Launch:
        launch_id, now = checked.first.launch_id, datetime.now(UTC)
        return Launch(
            id=launch_id,
            caller=caller,
            request=checked.request,
            status=Status.WAITING,
            created_at=now,
            deadline_at=now + timedelta(seconds=self.terms.max_wait_s),
            time_left_s=self.terms.launch_timeout_s,
            attempt=checked.first,
            image_digest=checked.image_digest,
            is_pinned=checked.is_pinned,
            pool=checked.warm.pool,
            pool_miss=checked.warm.miss,
            last_event=Event(
                launch_id=launch_id,
                seq=1,
                at=now,
                attempt=1,
                phase=Status.WAITING,
                progress=0,
                message="Accepted",
                stage=Stage.QUEUED,
            ),
        )
