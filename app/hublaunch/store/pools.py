"""Warm pools in SQL."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from hublaunch.launch.model import Attempt, Event, Launch, Status
from hublaunch.launch.news import Accepted, ClaimFailed, NewsStream, WorkLeft
from hublaunch.launch.ports import PoolState, Refilled, RefillTerms
from hublaunch.launch.rules.pool import Pool
from hublaunch.store import pool_claims, pool_members, pool_refill, pool_states
from hublaunch.store.drain import ADMISSION
from hublaunch.store.pool_claims import NextClaim
from hublaunch.store.pool_refill import Refill, refill
from hublaunch.store.transactions import Transactions


class SqlPools:
    """The Pools in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream, *, owner: str) -> None:
        self._sql = sql
        self._news = news
        self._owner = owner

    async def refill(
        self, pools: Sequence[Pool], terms: RefillTerms, *, new_member: Callable[[Pool, datetime], Launch]
    ) -> Refilled:
        def publish(refilled: Refilled) -> None:
            for member in refilled.started:
                self._news.publish(Accepted(launch=member))
            if refilled.retired:
                self._news.publish(WorkLeft())

        order = Refill(pools, terms, new_member, self._owner)
        return await self._sql.writer.run(refill, order, lock=ADMISSION, on_stored=publish)

    async def claim_next(self, launch: Launch, *, may_claim: bool, cold: Attempt) -> None:
        def publish(event: Event) -> None:
            self._news.publish(event)
            if event.phase is Status.WAITING:
                self._news.publish(ClaimFailed(launch_id=launch.id))
            self._news.publish(WorkLeft())  # a member has a user to delete again

        await self._sql.writer.run(pool_claims.claim_next, NextClaim(launch, may_claim, cold), on_stored=publish)

    async def has_free(self, pool: str) -> bool:
        return await self._sql.read(pool_claims.has_free, pool)

    async def to_check(self, *, every_s: float, limit: int) -> Sequence[Launch]:
        return await self._sql.read(pool_members.to_check, self._owner, every_s, limit)

    async def note_seen(self, members: Collection[Launch]) -> None:
        await self._sql.writer.run(pool_members.note_seen, [member.id for member in members])

    async def states(self, *, within_s: float) -> Sequence[PoolState]:
        return await self._sql.read(pool_states.states, within_s, {})

    async def overview(self, pools: Sequence[Pool], terms: RefillTerms, *, within_s: float) -> Sequence[PoolState]:
        return await self._sql.read(pool_refill.overview, pools, terms, within_s)

    async def drain(self, name: str) -> int:
        def publish(_: int) -> None:
            self._news.publish(WorkLeft())

        return await self._sql.writer.run(pool_members.drain, name, on_stored=publish)

    async def fill(self, name: str) -> None:
        await self._sql.writer.run(pool_members.order, name, False)
