"""The thread that writes: it takes all waiting changes and commits them together."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, TypeVarTuple, Unpack

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError, OperationalError

from hublaunch.store.coordination import lock
from hublaunch.store.space import says_full

log = logging.getLogger(__name__)

A = TypeVar("A")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Change = Callable[[Connection, Sequence[A]], Sequence[T]]
"""Makes a change for each of its arguments, in the writer's transaction, and returns a result for each.

If it raises, the transaction is rolled back, and the change is called again with one argument at a time.
"""

TRANSACTIONS_MAX = 5
"""How many times a batch is tried if it fails because of a conflict between two processes."""
_IN_THE_WAY = frozenset({"40001", "40P01"})
"""PostgreSQL's serialization_failure and deadlock_detected: nothing is stored, and a retry may succeed."""

STUCK_S = 10.0
"""How long a transaction may take before the database counts as gone."""

BATCH_MAX = 256
"""The most changes in one transaction, so that a change behind a burst does not wait for all of it."""


@dataclass(frozen=True, slots=True)
class _Write(Generic[A, T]):
    change: Change[A, T]
    argument: A
    stored: asyncio.Future[T]
    on_stored: Callable[[T], None] | None
    lock: str | None
    context: Context


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception

    @property
    def is_of_database(self) -> bool:
        """Whether the database failed, and not the change."""
        return isinstance(self.error, OperationalError)


class Writer:
    """Makes changes in the order of the calls, and all waiting changes in one transaction (group commit).

    If a change fails, the others of its batch are still made. If a commit fails, every change in it fails, and the
    writer continues with the next batch.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: SimpleQueue[_Write[Any, Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="hublaunch-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._is_failing = False
        self._busy_since: float | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the writer accepts changes."""
        return self._thread.is_alive() and not self._stopped

    @property
    def is_failing(self) -> bool:
        """Whether the database failed at the last write."""
        return self._is_failing

    @property
    def is_stuck(self) -> bool:
        """Whether a transaction takes so long that the database counts as gone."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > STUCK_S

    def start(self) -> None:
        """Begin to write, for callers in this event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def write(
        self,
        change: Change[A, T],
        argument: A,
        *,
        on_stored: Callable[[T], None] | None = None,
        lock: str | None = None,
    ) -> T:
        """Make a change. Return its result once it is committed, or raise the error of the change or the database.

        The change is made even if the call is cancelled. `on_stored` is then called with the result in the event loop:
        in the order of the calls, before any caller continues, and in this caller's context. Processes that share the
        database make changes with the same `lock` one after the other.
        """
        if self._loop is None or self._stopped:
            raise RuntimeError("the store is not open")
        stored: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Write(change, argument, stored, on_stored, lock, copy_context()))
        return await stored

    async def run(
        self,
        write: Callable[[Connection, Unpack[Ts]], T],
        *args: *Ts,
        on_stored: Callable[[T], None] | None = None,
        lock: str | None = None,
    ) -> T:
        """Make a change that gains nothing from batches. Otherwise as `write`."""
        return await self.write(_each, lambda connection: write(connection, *args), on_stored=on_stored, lock=lock)

    def stop(self) -> None:
        """Accept no more changes. Call this in the event loop, so that no change comes after it."""
        self._stopped = True
        self._queue.put(None)

    def join(self) -> None:
        """Wait until all accepted changes are made, after `stop`. Blocks."""
        self._thread.join()

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        assert self._loop is not None
        while batch := self._next_batch():
            self._busy_since = time.monotonic()
            outcomes = self._commit(batch)
            self._busy_since = None
            self._loop.call_soon_threadsafe(_settle, batch, outcomes)

    def _next_batch(self) -> Sequence[_Write[Any, Any]]:
        """Wait for a write, and return it with those behind it; nothing once the writer has stopped."""
        batch: list[_Write[Any, Any]] = []
        try:
            write = self._queue.get()
            while write is not None:
                batch.append(write)
                if len(batch) == BATCH_MAX:
                    return batch
                write = self._queue.get_nowait()
            self._queue.put(None)  # for the next call, as this batch comes first
        except Empty:
            pass  # no more writes wait, so the batch is complete
        return batch

    def _commit(self, batch: Sequence[_Write[Any, Any]]) -> Sequence[Any]:
        try:
            outcomes = self._transact_again(batch)
        except Exception as error:  # noqa: BLE001 - raised where each change was requested
            log.error("Changes not stored: %d. %s", len(batch), error)  # noqa: TRY400 - callers get the traceback
            outcomes = [_Failure(error)] * len(batch)
        self._is_failing = any(isinstance(outcome, _Failure) and outcome.is_of_database for outcome in outcomes)
        return outcomes

    def _transact_again(self, batch: Sequence[_Write[Any, Any]]) -> Sequence[Any]:
        for _ in range(TRANSACTIONS_MAX - 1):
            try:
                return self._transact(batch)
            except OperationalError as error:
                if not _is_in_the_way(error):
                    raise
        return self._transact(batch)

    def _transact(self, batch: Sequence[_Write[Any, Any]]) -> Sequence[Any]:
        """Make all changes in one transaction. If one fails, start again, with a savepoint for each change.

        If the connection is lost before the commit, the second run uses another one.
        """
        locks = {write.lock for write in batch if write.lock is not None}
        with self._engine.connect() as connection:
            transaction = _begin(connection, locks)
            try:
                outcomes = _together(connection, batch)
            except Exception:  # noqa: BLE001 - the second run shows which change failed
                transaction.rollback()
                transaction = _begin(connection, locks)
                outcomes = [_apart(connection, write) for write in batch]
            try:
                transaction.commit()
            except Exception:
                connection.invalidate()  # SQLite stays in the transaction, which the pool believes to have ended
                raise
            return outcomes


def _each(connection: Connection, writes: Sequence[Callable[[Connection], T]]) -> Sequence[T]:
    return [write(connection) for write in writes]


def _begin(connection: Connection, locks: Collection[str]) -> RootTransaction:
    """Begin a transaction, on another connection if this one was lost while it was idle.

    The locks come first, so that no process waits for a lock while it holds rows that another process needs.
    """
    transaction = connection.begin()
    try:
        lock(connection, locks)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        transaction.rollback()
        transaction = connection.begin()
        lock(connection, locks)
    return transaction


def _together(connection: Connection, batch: Sequence[_Write[Any, Any]]) -> Sequence[Any]:
    """Return the results of all changes in order. Consecutive changes of one kind are made at once."""
    results: list[Any] = []
    for change, writes in groupby(batch, key=lambda write: write.change):
        results.extend(change(connection, [write.argument for write in writes]))
    return results


def _apart(connection: Connection, write: _Write[Any, Any]) -> Any:
    """Return the result of one change, or its failure. Raise if the whole transaction is lost."""
    savepoint = connection.begin_nested()
    try:
        (result,) = write.change(connection, [write.argument])
    except Exception as error:
        if _ends_transaction(error):
            raise
        savepoint.rollback()
        return _Failure(error)
    savepoint.commit()
    return result


def _ends_transaction(error: Exception) -> bool:
    """Return whether a savepoint does not help: SQLite ends the whole transaction when the disk is full."""
    return _is_in_the_way(error) or (isinstance(error, DBAPIError) and says_full(error))


def _is_in_the_way(error: Exception) -> bool:
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) in _IN_THE_WAY


def _settle(batch: Sequence[_Write[Any, Any]], outcomes: Sequence[Any]) -> None:
    """Pass results and failures on to the callers, in the event loop."""
    for write, outcome in zip(batch, outcomes, strict=True):
        if write.stored.done():
            continue
        if isinstance(outcome, _Failure):
            write.stored.set_exception(outcome.error)
        else:
            write.stored.set_result(outcome)
    for write, outcome in zip(batch, outcomes, strict=True):
        if write.on_stored is not None and not isinstance(outcome, _Failure):
            write.context.run(write.on_stored, outcome)
