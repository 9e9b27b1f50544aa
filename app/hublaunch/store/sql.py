"""SqlLaunchStore: the records in a SQL database."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from ulid import ULID

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.changes import Accepted, Adopted, CancelRequested, Change, Cleaned, Stopped
from hublaunch.launch.errors import StorageFull
from hublaunch.launch.model import Attempt, Caller, Event, Launch, Step
from hublaunch.launch.ports import Capacity, Held, LetThrough, Only, Queue, Wanted
from hublaunch.launch.rules.guard import Failing, Guard
from hublaunch.launch.rules.queue_order import Weight, equal
from hublaunch.launch.rules.quota import Quota
from hublaunch.sealing import Sealer
from hublaunch.store import (
    acceptance,
    history,
    leases,
    outcomes,
    queue,
    quota_counts,
    rate_counts,
    reads,
    schema,
    upkeep,
    writes,
)
from hublaunch.store.database import database
from hublaunch.store.rate_counts import SqlRateCounts
from hublaunch.store.space import Space, says_full
from hublaunch.store.writer import Writer

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

READERS = 3
"""Threads that read. Reads are short, and one that waits for the disk holds up no other."""

LEASE_S = 15.0
KEY_KEPT_S = 86400.0
_ULID_TIME = 10
"""The characters of a ULID that tell its time."""


class SqlLaunchStore:
    """The LaunchStore in SQL. Open from `async with` on to its end, which waits for all that is being written.

    `database_url` is `sqlite:///relative.sqlite` (to the working directory), `sqlite:////absolute.sqlite` or
    `postgresql+psycopg://…`; another one is DatabaseNotSupported. Entering brings the tables up to date, and takes a
    SQLite file for this process alone, or raises another StoreError. What the database says later is raised as
    SQLAlchemy's error.

    `lease_s`: how long launches stay this process's after it was last heard of. `key_kept_s`: how long after its
    acceptance a launch is known by its Idempotency-Key, once it has ended. `min_free_space`: bytes of disk space below
    which no launch is accepted, where the database is a file.
    """

    def __init__(
        self,
        database_url: str,
        *,
        sealer: Sealer,
        lease_s: float = LEASE_S,
        key_kept_s: float = KEY_KEPT_S,
        min_free_space: int = 0,
    ) -> None:
        self._sealer = sealer
        self._lease = leases.Lease(owner=str(ULID()), lease_s=lease_s)
        self._key_kept_s = key_kept_s
        self._database = database(database_url, readers=READERS, lease_s=lease_s)
        self._writer = Writer(self._database.writing)
        shares = self._database.counting is self._database.writing
        counter = self._writer if shares else Writer(self._database.counting)
        self._writers = {self._writer, counter}
        self.rate_counts = SqlRateCounts(counter, look=lambda limits: self._read(rate_counts.look, limits))
        """For rate limits; open as long as the store is."""
        self.space = Space(lambda: self._in_reader(self._database.free_bytes), least=min_free_space)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="hublaunch-reader")
        self._listeners: list[Callable[[Event], None]] = []
        self._change_listeners: list[Callable[[Change], None]] = []
        self._growth_listeners: list[Callable[[str, int], None]] = []
        self._work_listeners: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._database.open)
        for writer in self._writers:
            writer.start()
        try:
            await self.hold()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        for writer in self._writers:
            writer.stop()
        await asyncio.shield(self._close())

    async def is_healthy(self) -> bool:
        """Whether what is written now would be stored. After a fault that is tried, so health returns by itself."""
        if self._writer.is_alive and self._writer.is_failing:
            try:
                await self._writer.write(schema.touch, None)
            except SQLAlchemyError:  # is the answer, and is in the writer's log
                return False
        return self._writer.is_alive and not self._writer.is_stuck

    # --- writes -------------------------------------------------------------------------------------------------------

    async def accept(
        self,
        launch: Launch,
        key: IdempotencyKey | None = None,
        *,
        only: Only | None = None,
        quotas: Sequence[Quota] = (),
        most_under_way: int | None = None,
        weight: Weight = equal,
    ) -> Launch:
        accept = acceptance.Accept(
            launch, key, self._lease.owner, self._key_kept_s, only, quotas, most_under_way, weight
        )

        def publish(accepted: acceptance.Accepted) -> None:
            if accepted.event is not None:
                self._publish(accepted.event)
                self._tell(Accepted(launch=launch))
            if accepted.displaced is not None:
                self._publish(accepted.displaced)

        await self.space.check()
        while True:
            try:
                accepted = await self._writer.write(acceptance.accept, accept, on_stored=publish, lock=acceptance.LOCK)
            except DBAPIError as error:
                if says_full(error):
                    raise StorageFull from error
                raise
            if accepted.launch_id == launch.id:
                return launch
            if earlier := await self.get(accepted.launch_id):  # or it was removed in between
                return earlier

    async def begin_attempt(self, launch: Launch, attempt: Attempt) -> None:
        await self._writer.write(writes.begin_attempt, writes.NextAttempt(attempt, launch.fence))

    async def append(self, launch: Launch, step: Step) -> Event:
        sealed_token = None if step.token is None else self._sealer.seal(step.token)
        append = writes.Append(launch.id, launch.fence, step, sealed_token)
        return await self._writer.write(writes.append, append, on_stored=self._publish)

    async def request_cancel(self, launch_id: str, *, by: Caller | None = None) -> None:
        def tell(is_first: bool) -> None:
            if is_first:
                self._tell(CancelRequested(launch_id=launch_id, by=by))

        await self._writer.write(writes.request_cancel, launch_id, on_stored=tell)

    async def mark_cleaned(self, launch: Launch, attempt: Attempt, *, again_in_s: float | None = None) -> None:
        await self._writer.write(
            writes.mark_cleaned,
            writes.Cleaned(attempt, launch.fence, again_in_s),
            on_stored=lambda is_late: self._tell(Cleaned(attempt=attempt, is_late=is_late)),
        )

    async def mark_stopped(self, launch: Launch, *, stopped_by: str, clean_in_s: float | None) -> None:
        stop = writes.Stop(launch.id, launch.fence, stopped_by, clean_in_s)
        stopped = Stopped(launch_id=launch.id, stopped_by=stopped_by)
        await self._writer.write(writes.mark_stopped, stop, on_stored=lambda _: self._tell(stopped))

    # --- reads --------------------------------------------------------------------------------------------------------

    async def find(self, key: IdempotencyKey) -> Launch | None:
        return await self._read(reads.find, key, datetime.now(UTC) - timedelta(seconds=self._key_kept_s))

    async def get(self, launch_id: str) -> Launch | None:
        return await self._read(reads.get, launch_id)

    async def launches(self, wanted: Wanted, *, limit: int | None) -> Sequence[Launch]:
        return await self._read(reads.page, wanted, limit)

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        return await self._read(reads.events, launch_id, after)

    async def ends(self, launch_ids: Collection[str]) -> Mapping[str, int]:
        return await self._read(reads.ends, launch_ids)

    async def due(self, launch_id: str) -> Sequence[Attempt]:
        return await self._read(leases.due, launch_id)

    # --- the queue ------------------------------------------------------------

    async def admit(self, *, most: int, weight: Weight, guard: Guard) -> LetThrough:
        admit = queue.Admit(self._lease.owner, most, weight, guard)
        return await self._writer.write(queue.admit, admit, lock=queue.LOCK)

    async def failing(self, *, guard: Guard) -> Mapping[str, Failing]:
        return await self._read(outcomes.failing, guard)

    async def note_hub(self, hub: str, *, before_s: float) -> bool:
        return await self._writer.write(outcomes.note_hub, outcomes.SeenHub(hub, before_s))

    async def queue(self, *, weight: Weight, lately_s: float) -> Queue:
        return await self._read(queue.queue, weight, lately_s)

    async def capacity(self, *, guard: Guard, most: int) -> Capacity:
        return await self._read(queue.capacity, guard, most)

    async def put_back(
        self, launch: Launch, step: Step, *, time_left_s: float, waits_until: datetime, pause_s: float
    ) -> None:
        append = writes.Append(launch.id, launch.fence, step, None)
        back = queue.PutBack(append, time_left_s, waits_until, pause_s)
        await self._writer.write(queue.put_back, back, on_stored=self._publish)

    # --- who has which launch -----------------------------------------------------------------------------------------

    async def hold(self) -> Sequence[Held]:
        return await self._writer.write(leases.hold, self._lease)

    async def adopt(self, *, limit: int) -> Sequence[Launch]:
        return await self._writer.write(
            leases.adopt,
            leases.Adoption(self._lease, limit),
            on_stored=lambda launches: self._tell(Adopted(launches=launches)),
        )

    async def release(self) -> None:
        await self._writer.write(leases.release, self._lease.owner)

    async def doubt(self, launch_id: str) -> None:
        await self._writer.write(leases.doubt, launch_id)

    async def ready_to_look_up(self, *, every_s: float, limit: int) -> Sequence[Launch]:
        return await self._writer.write(upkeep.ready_to_look_up, upkeep.LookUp(every_s, limit))

    async def holders(self, quota: Quota, *, every_s: float, but: Collection[str], limit: int) -> Sequence[Launch]:
        return await self._writer.write(quota_counts.holders, quota_counts.Holders(quota, every_s, but, limit))

    async def remove_old(self, *, older_than_s: float, limit: int) -> int:
        return await self._writer.write(upkeep.remove_old, upkeep.Removal(_id_of(older_than_s), limit))

    async def remove_unasked(self, *, older_than_s: float, limit: int) -> int:
        removal = history.Unasked(older_than_s, self._key_kept_s, limit)
        return await self._writer.write(history.remove_unasked, removal)

    async def remove_excess(self, *, launching_in_s: float, bytes_most: int, limit: int) -> int:
        removal = history.Excess(_id_of(launching_in_s), bytes_most, limit)
        return await self._writer.write(history.remove_excess, removal)

    # --- news ---------------------------------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        self._listeners.append(listener)

    def on_change(self, listener: Callable[[Change], None]) -> None:
        self._change_listeners.append(listener)

    def on_growth(self, listener: Callable[[str, int], None]) -> None:
        self._growth_listeners.append(listener)

    def on_work(self, listener: Callable[[], None]) -> None:
        self._work_listeners.append(listener)

    def _publish(self, event: Event) -> None:
        _tell_all(self._listeners, event)

    def _tell(self, change: Change) -> None:
        _tell_all(self._change_listeners, change)

    async def listen(self) -> None:
        """Tell the listeners above of news from other processes, until cancelled; returns at once on SQLite.

        Started again, it misses nothing that matters: a notice that is lost is a hint that is lost.
        """
        async for notice in self._database.notices():
            launch_id, _, seq = notice.partition(" ")
            if seq.isdecimal():
                for grown in self._growth_listeners:
                    grown(launch_id, int(seq))
            else:  # something to do; or somebody else's, and looking does no harm
                for work in self._work_listeners:
                    work()

    # ------------------------------------------------------------------------------------------------------------------

    async def _read(self, read: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def run() -> T:
            with self._database.reading.connect() as connection:
                return read(connection, *args, **kwargs)

        return await self._in_reader(run)

    async def _in_reader(self, look: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, look)

    async def _close(self) -> None:
        await asyncio.to_thread(self._close_database)

    def _close_database(self) -> None:
        for writer in self._writers:
            writer.join()
        self._readers.shutdown()
        self._database.close()


def _id_of(seconds_ago: float) -> str:
    """What the ids of launches begin with that were accepted so long ago; those accepted later come behind it."""
    return str(ULID.from_datetime(datetime.now(UTC) - timedelta(seconds=seconds_ago)))[:_ULID_TIME]


def _tell_all(listeners: Sequence[Callable[[T], None]], news: T) -> None:
    """Tell every listener. One that raises is at fault itself, and keeps the news from no other."""
    for listener in listeners:
        try:
            listener(news)
        except Exception:
            log.exception("What is stored could not be told to a listener")
