"""Finding and ending the processes of a demo.

JupyterHub passes its environment to the proxy and, as configured, to servers, kernels and terminals. So all of them
carry `MARK`, even those whose parents are gone. It is read from `/proc`, so this works on Linux only.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from hublaunch.demo.errors import DemoError

MARK = "HUBLAUNCH_DEMO_STATE"
"""The variable that names the demo's directory in the environment of each of its processes."""

_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1


def marked_processes(state: Path) -> list[int]:
    """Return the ids of the demo's processes in this directory, from this run or an earlier one."""
    mark = f"{MARK}={state}".encode()
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if mark in _environment(entry)]


def kill_marked_processes(state: Path, *, timeout_s: float = 5.0) -> None:
    """Kill all of them, including those that they start meanwhile. Raises DemoError if some still run after 5 s."""
    deadline = time.monotonic() + timeout_s
    while pids := marked_processes(state):
        if time.monotonic() > deadline:
            raise DemoError(f"These processes of the demo could not be ended: {', '.join(map(str, pids))}.")
        for pid in pids:
            _kill(pid)
        time.sleep(_POLL_S)


def end_with_parent(parent: int) -> None:
    """Make Linux send this process a SIGTERM when `parent`, which started it, ends in any way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the call above
        sys.exit("The process that started this JupyterHub is gone.")


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or belongs to another user
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended
        return
