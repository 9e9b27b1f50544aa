"""The run of one launch in this process: a task that its caller can cancel, and that the process can drop."""

import asyncio
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field

from hublaunch.launch.log_context import working_on
from hublaunch.launch.model import Launch
from hublaunch.launch.ports import LeaseLost

log = logging.getLogger(__name__)

_current_run: ContextVar["LaunchRun | None"] = ContextVar("current_run", default=None)


def check_not_dropped() -> None:
    """Raise LeaseLost if the current task belongs to a run that was dropped."""
    run = _current_run.get()
    if run is not None and run.is_dropped:
        raise LeaseLost("the lease ran out, or another process has adopted the launch")


@dataclass(eq=False)
class LaunchRun:
    """The run of one launch.

    `cancel` is for the caller: the task cleans up at the Hub before it ends. `drop` is for a launch that another
    process may continue: the task must end without changing anything.

    A dropped task ends late if the database is silent, and never if a fault swallows its cancellation. The lease cannot
    wait for that: without a heartbeat, the process would lose all its other launches. So a task that was dropped but
    still runs must be harmless, for three reasons:

    - It cannot change the Hub. From `drop` on, `check_not_dropped` refuses every request that would, even in tasks that
      it has started. A request that is on its way already may still arrive: for those, the next owner of the launch
      cleans up a second time (`Terms.settled_s`).
    - It cannot write to the launch once another process has adopted it, because the store refuses its fence.
    - Until then the fence is still its own. So `Leases` starts no second task for the launch before this one has ended,
      and two tasks never write with the same fence.
    """

    launch: Launch
    cancel_requested: bool
    is_lost: bool = field(default=False, init=False)
    """Whether another process has adopted the launch."""
    task: asyncio.Task[None] = field(init=False)
    _dropped_at: float | None = field(default=None, init=False)
    """By the clock of the event loop."""
    _is_named: bool = field(default=False, init=False)

    def enter(self) -> None:
        """Make this the run of the current task, and of the tasks that it starts."""
        _current_run.set(self)

    @property
    def is_dropped(self) -> bool:
        return self._dropped_at is not None

    def cancel(self) -> None:
        """Interrupt the task, which then carries out the cancellation. Only the first call has an effect."""
        if not (self.cancel_requested or self.is_dropped):
            self.cancel_requested = True
            self.task.cancel()

    def drop(self) -> None:
        """Keep the task from changing the Hub, and interrupt it. Only the first call has an effect."""
        if not self.is_dropped:
            self._dropped_at = asyncio.get_running_loop().time()
            self.cancel_requested = False
            self.task.cancel()

    def insist(self, *, after_s: float) -> None:
        """Interrupt the task again if it was dropped `after_s` ago. The first time, the log names the launch."""
        if self._dropped_at is None or self.task.done():
            return
        seconds = asyncio.get_running_loop().time() - self._dropped_at
        if seconds < after_s:
            return
        self.task.cancel()
        if not self._is_named:
            self._is_named = True
            with working_on(self.launch.attempt):
                log.error(
                    "launch %s was dropped %d seconds ago, but its task has not ended. The task can change nothing at "
                    "JupyterHub. The launch continues when the task ends, or when this process is restarted",
                    self.launch.id,
                    seconds,
                )
