"""Launches and their logs in SQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, insert

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.model import Attempt, Event, Launch, Status, Step
from hublaunch.launch.news import DigestFound, NewsStream
from hublaunch.launch.ports import LaunchFilter
from hublaunch.sealing import Sealer
from hublaunch.store import reads
from hublaunch.store.append import UPDATE_LAUNCH, Append, append, lock_end
from hublaunch.store.rows import attempt_row
from hublaunch.store.tables import launch_attempts
from hublaunch.store.transactions import Transactions

KEY_KEPT_S = 86400.0

_INSERT_ATTEMPT = insert(launch_attempts)


class SqlLog:
    """The LaunchLog in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream, sealer: Sealer, *, key_kept_s: float = KEY_KEPT_S) -> None:
        self._sql = sql
        self._news = news
        self._sealer = sealer
        self._key_kept_s = key_kept_s

    async def get(self, launch_id: str) -> Launch | None:
        return await self._sql.read(reads.get, launch_id)

    async def get_many(self, launch_ids: Collection[str]) -> Mapping[str, Launch]:
        return {launch.id: launch for launch in await self._sql.read(reads.of_ids, launch_ids)}

    async def find(self, key: IdempotencyKey) -> Launch | None:
        return await self._sql.read(reads.find, key, datetime.now(UTC) - timedelta(seconds=self._key_kept_s))

    async def launches(self, selected: LaunchFilter, *, limit: int | None) -> Sequence[Launch]:
        return await self._sql.read(reads.page, selected, limit)

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        return await self._sql.read(reads.events, launch_id, after)

    async def ends(self, launch_ids: Collection[str]) -> Mapping[str, int]:
        return await self._sql.read(reads.ends, launch_ids)

    async def begin_attempt(self, launch: Launch, attempt: Attempt) -> None:
        await self._sql.writer.run(_begin_attempt, attempt, launch.fence)

    async def note_digest(self, launch: Launch, image_digest: str, *, is_pinned: bool) -> None:
        found = DigestFound(launch_id=launch.id, image_digest=image_digest)
        await self._sql.writer.run(_note_digest, found, launch.fence, is_pinned, on_stored=self._news.publish)

    async def append(self, launch: Launch, step: Step) -> Event:
        sealed_token = None if step.token is None else self._sealer.seal(step.token)
        addition = Append(launch.id, launch.fence, step, sealed_token)
        return await self._sql.writer.write(append, addition, on_stored=self._news.publish)


def _note_digest(connection: Connection, found: DigestFound, fence: int, is_pinned: bool) -> DigestFound:
    lock_end(connection, found.launch_id, fence)
    values = {"image_digest": found.image_digest, "is_pinned": is_pinned}
    connection.execute(UPDATE_LAUNCH.values(values), {"of_launch": found.launch_id})
    return found


def _begin_attempt(connection: Connection, attempt: Attempt, fence: int) -> None:
    end = lock_end(connection, attempt.launch_id, fence)
    if end.status not in (Status.WAITING, Status.LAUNCHING) or end.attempt != attempt.number - 1:
        raise ValueError(f"attempt {attempt.number} cannot be the next of launch {attempt.launch_id}")
    connection.execute(UPDATE_LAUNCH.values(attempt=attempt.number), {"of_launch": attempt.launch_id})
    connection.execute(_INSERT_ATTEMPT, attempt_row(attempt, datetime.now(UTC)))
