"""Silences of launches in SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from hublaunch.launch.model import Event, Launch, Step
from hublaunch.launch.news import NewsStream
from hublaunch.store import reads, start_times
from hublaunch.store.append import Append, append, lock_end
from hublaunch.store.transactions import Transactions


class SqlSilences:
    """The Silences in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream, *, owner: str) -> None:
        self._sql = sql
        self._news = news
        self._owner = owner

    async def silent(self, *, for_s: float) -> Sequence[Launch]:
        return await self._sql.read(reads.silent, self._owner, datetime.now(UTC) - timedelta(seconds=for_s))

    async def longest(self) -> Sequence[float]:
        return await self._sql.read(start_times.silences)

    async def append_if_silent(self, launch: Launch, step: Step) -> bool:
        def publish(event: Event | None) -> None:
            if event is not None:
                self._news.publish(event)

        addition = Append(launch.id, launch.fence, step, None)
        stored = await self._sql.writer.run(_append_after, addition, launch.last_event.seq, on_stored=publish)
        return stored is not None


def _append_after(connection: Connection, addition: Append, last_seq: int) -> Event | None:
    """Append a step if the launch's last event still is `last_seq`."""
    if lock_end(connection, addition.launch_id, addition.fence).seq != last_seq:
        return None
    (event,) = append(connection, [addition])
    return event
