"""Which processes belong to a demo, and that none of them outlives it.

JupyterHub gives its environment to the proxy, and the configuration gives the servers what they hand on to kernels
and terminals. So all of them carry `MARK`, even those whose parents are gone. Linux only, as `/proc` tells it.
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

_KILL_TIMEOUT_S = 5.0
_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1


def marked_processes(state: Path) -> list[int]:
    """The processes of the demo in this directory, from this run or an earlier one."""
    mark = f"{MARK}={state}".encode()
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if mark in _environment(entry)]


def kill_marked_processes(state: Path) -> None:
    """SIGKILL all of them, also those that they start meanwhile; DemoError if some stay for 5 s all the same."""
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while pids := marked_processes(state):
        if time.monotonic() > deadline:
            raise DemoError(f"These processes of the demo could not be ended: {', '.join(map(str, pids))}.")
        for pid in pids:
            _kill(pid)
        time.sleep(_POLL_S)


def end_with_parent(parent: int) -> None:
    """Have Linux send this process SIGTERM when `parent`, the process that started it, ends in whatever way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before it could be asked for
        sys.exit("The process that started this JupyterHub is gone.")


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended by itself
        return
