"""The operator's view and switches in SQL, for the page for admins. `hublaunch drain` and `guard` run the same SQL."""

from hublaunch.launch.caller import Caller
from hublaunch.launch.news import DrainEnded, DrainStarted, GuardCleared, NewsStream
from hublaunch.launch.ports import Overview
from hublaunch.launch.rules.guard import Guard, known_as
from hublaunch.store import drain, spawn_history
from hublaunch.store.overview import overview
from hublaunch.store.transactions import Transactions


class SqlOperation:
    """The Operation in SQL."""

    def __init__(self, sql: Transactions, news: NewsStream) -> None:
        self._sql = sql
        self._news = news

    async def overview(self, *, guard: Guard, spawns: int, most: int) -> Overview:
        return await self._sql.read(overview, guard, spawns, most)

    async def start_drain(self, *, by: Caller) -> None:
        def publish(changed: bool) -> None:
            if changed:
                self._news.publish(DrainStarted(by=by))

        # The batch takes this lock first, so that two processes never wait for each other.
        await self._sql.writer.run(drain.start, lock=drain.ACCEPTANCE, on_stored=publish)

    async def end_drain(self, *, by: Caller) -> None:
        def publish(changed: bool) -> None:
            if changed:
                self._news.publish(DrainEnded(by=by))

        await self._sql.writer.run(drain.end, on_stored=publish)

    async def clear_guard(self, image: str | None, *, by: Caller) -> None:
        known = None if image is None else known_as(image)

        def publish(_: None) -> None:
            self._news.publish(GuardCleared(image=known, by=by))

        await self._sql.writer.run(spawn_history.clear, known, on_stored=publish)
