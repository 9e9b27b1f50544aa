"""The log and the leases under any sequence of calls, by processes that live, lapse and return."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from hublaunch.launch.model import Event, Launch, Status
from hublaunch.launch.ports import LeaseLost
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore
from hublaunch.store.tables import launch_events, launch_owners
from tests.store.launches import CANCELLED, FAILED, PULLING, READY, new_launch, second_attempt
from tests.support.postgres import Postgres
from tests.support.sqlite import migrated

T = TypeVar("T")

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = [PULLING, PULLING, PULLING, READY, FAILED, CANCELLED]
BRIEFLY = settings(stateful_step_count=40, suppress_health_check=list(HealthCheck))
SEALER = Sealer(["0" * 32], purpose="stored tokens")

pytestmark = pytest.mark.thorough


@dataclass
class Known:
    """The state that the test expects of a launch."""

    id: str
    owner: int | None
    fence: int = 1
    status: Status = Status.WAITING
    attempt: int = 1
    cleaned: bool = False
    cancel_requested: bool = False
    written: list[Event] = field(default_factory=list)

    @property
    def is_unfinished(self) -> bool:
        if self.status in (Status.WAITING, Status.LAUNCHING):
            return True
        if self.status is Status.READY:
            return self.cancel_requested
        return not self.cleaned


class LogAndLeases(RuleBasedStateMachine):
    """Each process writes with launches that it got at any time, even if another process owns them now."""

    processes: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stores: list[SqlLaunchStore] = []
        self.handles: list[list[Launch]] = []
        self.living: list[bool] = []
        self.known: dict[str, Known] = {}

    def new_url(self) -> str:
        raise NotImplementedError

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    @initialize()
    def open(self) -> None:
        self.url = self.new_url()
        for _ in range(self.processes):
            store = SqlLaunchStore(self.url, sealer=SEALER, lease_s=3600)
            self.run(store.__aenter__())
            self.stores.append(store)
            self.handles.append([])
            self.living.append(True)

    def teardown(self) -> None:
        for store in self.stores:
            self.run(store.__aexit__())
        self.runner.close()

    process = st.integers(0, 2)
    which = st.integers(0, 9)

    def at(self, process: int) -> int:
        return process % self.processes

    def handle(self, process: int, which: int) -> Launch | None:
        """Return one of the launches that the process owns or owned, or None."""
        handles = self.handles[process]
        return handles[which % len(handles)] if handles else None

    # --- what processes do --------------------------------------------------------------------------------------------

    @rule(process=process)
    def accept(self, process: int) -> None:
        process = self.at(process)
        launch = new_launch()
        self.run(self.stores[process].intake.accept(launch))
        self.handles[process].append(launch)
        self.known[launch.id] = Known(launch.id, owner=process, written=[launch.last_event])

    @rule(process=process, which=which, step=st.sampled_from(STEPS))
    def append(self, process: int, which: int, step: Any) -> None:
        process = self.at(process)
        if (launch := self.handle(process, which)) is None:
            return
        known = self.known[launch.id]
        if launch.fence != known.fence:
            with pytest.raises(LeaseLost):
                self.run(self.stores[process].log.append(launch, step))
        elif not known.status.may_become(step.phase):
            with pytest.raises(ValueError, match="cannot become"):
                self.run(self.stores[process].log.append(launch, step))
        else:
            known.written.append(self.run(self.stores[process].log.append(launch, step)))
            known.status = step.phase
            if step.phase is Status.READY:
                known.owner = None

    @rule(process=process, which=which)
    def clean(self, process: int, which: int) -> None:
        process = self.at(process)
        if (launch := self.handle(process, which)) is None:
            return
        known, store = self.known[launch.id], self.stores[process]
        if launch.fence != known.fence:
            with pytest.raises(LeaseLost):
                self.run(store.upkeep.mark_cleaned(launch, launch.attempt))
        elif launch.attempt.number == known.attempt:
            self.run(store.upkeep.mark_cleaned(launch, launch.attempt))
            known.cleaned = True

    @rule(process=process, which=which)
    def begin_attempt(self, process: int, which: int) -> None:
        process = self.at(process)
        if (launch := self.handle(process, which)) is None:
            return
        known, following = self.known[launch.id], second_attempt(launch)
        call = self.stores[process].log.begin_attempt(launch, following)
        if launch.fence != known.fence:
            with pytest.raises(LeaseLost):
                self.run(call)
        elif known.attempt != 1 or known.status not in (Status.WAITING, Status.LAUNCHING):
            with pytest.raises(ValueError, match="cannot be the next"):
                self.run(call)
        else:
            self.run(call)
            known.attempt, known.cleaned = 2, False

    @rule(process=process, which=which)
    def request_cancel(self, process: int, which: int) -> None:
        if self.known:
            known = list(self.known.values())[which % len(self.known)]
            self.run(self.stores[self.at(process)].ownership.request_cancel(known.id))
            known.cancel_requested = True

    @rule(process=process)
    def hold(self, process: int) -> None:
        process = self.at(process)
        held = self.run(self.stores[process].ownership.renew())
        self.living[process] = True
        assert {(one.launch_id, one.fence, one.cancel_requested) for one in held} == {
            (known.id, known.fence, known.cancel_requested)
            for known in self.known.values()
            if known.owner == process and known.is_unfinished
        }

    @rule(process=process, limit=st.sampled_from([1, 100]))
    def adopt(self, process: int, limit: int) -> None:
        process = self.at(process)
        free = sorted(
            known.id
            for known in self.known.values()
            if known.is_unfinished
            and (known.owner is None or (known.owner != process and not self.living[known.owner]))
        )
        self.living[process] = True
        taken = self.run(self.stores[process].ownership.adopt(limit=limit))
        assert [launch.id for launch in taken] == free[:limit]
        for launch in taken:
            known = self.known[launch.id]
            known.owner, known.fence = process, known.fence + 1
            assert (launch.fence, launch.status, launch.attempt.number) == (known.fence, known.status, known.attempt)
            self.handles[process].append(launch)

    @rule(process=process)
    def lapse(self, process: int) -> None:
        """A process sends no heartbeat for longer than its lease; on SQLite, it dies and is started again."""
        process = self.at(process)
        store = self.stores[process]
        if self.processes > 1:
            self.living[process] = False
            with store.database.writing.begin() as connection:
                mine = launch_owners.c.id == store.ownership.lease.owner
                connection.execute(update(launch_owners).where(mine).values(leased_until=LONG_AGO))
            return
        self.run(store.__aexit__())
        self.stores[process] = SqlLaunchStore(self.url, sealer=SEALER, lease_s=3600)
        self.run(self.stores[process].__aenter__())
        for known in self.known.values():
            known.owner = None

    @rule(process=process)
    @precondition(lambda self: self.processes > 1)
    def release(self, process: int) -> None:
        process = self.at(process)
        self.run(self.stores[process].ownership.release())
        self.living[process] = False

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def logs_are_what_the_owners_wrote_without_gaps(self) -> None:
        of_event = (launch_events.c.launch_id, launch_events.c.seq, launch_events.c.phase, launch_events.c.at)
        with self.stores[-1].database.reading.connect() as connection:
            stored = connection.execute(select(*of_event)).all()
        assert sorted(map(tuple, stored)) == sorted(
            (known.id, seq, event.phase, event.at)
            for known in self.known.values()
            for seq, event in enumerate(known.written, 1)
        )


class OnSqlite(LogAndLeases):
    processes = 1

    def new_url(self) -> str:
        self.directory = TemporaryDirectory()
        return migrated(Path(self.directory.name, "x.sqlite"))

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


def test_the_log_and_the_leases_on_sqlite() -> None:
    run_state_machine_as_test(OnSqlite, settings=settings(BRIEFLY, max_examples=30))


def test_the_log_and_the_leases_on_postgresql(postgres: Postgres) -> None:
    class OnPostgres(LogAndLeases):
        processes = 3

        def new_url(self) -> str:
            return postgres.database()

    run_state_machine_as_test(OnPostgres, settings=settings(BRIEFLY, max_examples=15))
