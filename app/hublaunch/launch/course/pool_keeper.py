"""The keeper of the warm pools: starts the members that are missing, and looks after those that are ready."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from hublaunch.launch.acceptance.account import temporary_user
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.lease import Leases
from hublaunch.launch.course.reaper import Reaper
from hublaunch.launch.errors import HubError
from hublaunch.launch.log_context import working_on
from hublaunch.launch.model import Event, Launch, Stage, Status
from hublaunch.launch.news import Accepted, News
from hublaunch.launch.pace import Pace
from hublaunch.launch.ports import Hub, Pools, RefillTerms
from hublaunch.launch.rules.pool import Pool

log = logging.getLogger(__name__)

_CHECKS_MAX = 10
"""Members checked in one batch, which counts as seen at its end."""
_CHECKS_PER_PERIOD = 6
"""How many times the keeper looks for members to check in each `Pace.check_members_s`."""
_ERRORS_MAX = 3
"""After this many errors in a row the fault is the Hub's, and the round ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolTerms:
    """The pools that the operator wants, and the limits of their members."""

    wanted: Callable[[], Sequence[Pool]]
    """Returns the pools, which the operator may change while the service runs."""
    refill: Callable[[], RefillTerms]
    """Returns the limits, which may change as well."""
    launch_timeout_s: float
    """How long a member may take to start."""
    new_id: Callable[[], str]
    """Returns the ULID of a new launch."""


class PoolKeeper:
    """Keeps the warm pools as large as the catalogue and the demand require. Every process has a keeper.

    The keeper of the newest process decides, in one transaction for each round, so that no member is started twice and
    no two catalogues compete. The members are launches of the process that started them. A keeper without pools and
    members asks neither the store nor the Hub.
    """

    def __init__(self, *, pools: Pools, hub: Hub, leases: Leases, reaper: Reaper, terms: PoolTerms, pace: Pace) -> None:
        self._pools = pools
        self._hub = hub
        self._leases = leases
        self._reaper = reaper
        self._terms = terms
        self._pace = pace
        self._may_have_members = True
        """Whether there may be members. At first there may: an earlier process may have left some."""
        self._changed = asyncio.Event()

    def on_news(self, news: News) -> None:
        """Receive the store's news: a claimed member is to be replaced."""
        if isinstance(news, Accepted) and news.launch.claimed_from is not None:
            self._changed.set()

    async def refill(self) -> None:
        """Start and retire members in rounds until cancelled."""
        while True:
            await self.refill_once()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.refill_s):
                    await self._changed.wait()
            self._changed.clear()

    async def refill_once(self) -> None:
        """Start and retire members once."""
        wanted = self._terms.wanted()
        if not (wanted or self._may_have_members):
            return
        refilled = await self._pools.refill(wanted, self._terms.refill(), new_member=self._new_member)
        self._may_have_members = refilled.has_members
        for member in refilled.started:
            log.info("launch %s is a new member of the warm pool %s", member.id, member.caller.key)
            self._leases.begin(member)

    async def look_after(self) -> None:
        """Check the ready members, and report them to the Hub as active, until cancelled."""
        while True:
            if self._may_have_members:
                await self.look_once()
            await asyncio.sleep(self._pace.check_members_s / _CHECKS_PER_PERIOD)

    async def look_once(self) -> None:
        """Check the members that have not been seen lately. A member whose server is gone is no longer a member.

        A member that the Hub could not be asked about still counts as unseen.
        """
        errors, has_looked = 0, True
        while has_looked and errors < _ERRORS_MAX:
            members = await self._pools.to_check(every_s=self._pace.check_members_s, limit=_CHECKS_MAX)
            seen, has_looked = [], False
            for member in members:
                try:
                    if await self._is_there(member):
                        seen.append(member)
                    errors, has_looked = 0, True
                except HubError as error:
                    errors += 1
                    with working_on(member.attempt):
                        log.info("launch %s, a member of a warm pool, could not be checked: %s", member.id, error)
                if errors >= _ERRORS_MAX:
                    break
            if seen:
                await self._pools.note_seen(seen)

    async def _is_there(self, member: Launch) -> bool:
        """Return whether the Hub has the server of a member, and report the server as active."""
        if await self._reaper.find_server(member) is None:
            with working_on(member.attempt):
                log.warning(
                    "launch %s, a member of the warm pool %s, has lost its server", member.id, member.caller.key
                )
            self._leases.wake()  # to delete its user
            return False
        await self._hub.note_activity(member.attempt.username, member.attempt.server_name)
        return True

    def _new_member(self, pool: Pool, at: datetime) -> Launch:
        """Return a new member. It never waits in the queue: it was admitted in the round that decided to start it."""
        launch_id = self._terms.new_id()
        first = Event(
            launch_id=launch_id,
            seq=1,
            at=at,
            attempt=1,
            phase=Status.WAITING,
            progress=0,
            message="Started for a warm pool",
            stage=Stage.STARTING,
        )
        return Launch(
            id=launch_id,
            caller=Caller(kind="pool", key=pool.name),
            request=pool.request,
            status=Status.WAITING,
            created_at=at,
            admitted_at=at,
            deadline_at=at + timedelta(seconds=self._terms.launch_timeout_s),
            attempt=temporary_user(launch_id, 1, pool.request),
            last_event=first,
            pool=str(pool.key),
        )
