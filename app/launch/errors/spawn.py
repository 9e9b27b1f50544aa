"""Spawns that came to nothing."""

from app.launch.errors.base import LaunchError


class SpawnError(LaunchError):
    """The Hub was asked, and no server came of it."""


class SpawnFailed(SpawnError):
    """The Hub said that the spawn failed."""

    code = "spawn_failed"
    title = "The server could not be started"
    advice = "Check the image; if it is sound, ask the operator, who finds more in the Hub's log."

    def __init__(self, reason: str) -> None:
        super().__init__(
            reason or "The server did not start within the time that JupyterHub allows its spawner (start_timeout)."
        )


class SpawnLost(SpawnError):
    """The Hub has no trace of a spawn that it had agreed to, as after a restart of the Hub."""

    code = "spawn_lost"
    title = "JupyterHub lost the launch"
    advice = "Launch again."
    retryable = True

    def __init__(self) -> None:
        super().__init__("JupyterHub no longer knows of the server it was starting; it may have been restarted.")


class SpawnCancelled(SpawnError):
    """The server was stopped at the Hub while it was starting."""

    code = "cancelled_at_hub"
    title = "The launch was cancelled at JupyterHub"
    advice = "Launch again if it was not you who stopped the server."

    def __init__(self) -> None:
        super().__init__("The server was stopped at JupyterHub before it was ready.")


class SpawnTimedOut(SpawnError):
    """`launch_timeout` ran out; the spawn is stopped and cleaned up."""

    code = "launch_timeout"
    title = "The server was not ready in time"
    advice = "Launch again; if that does not help, the image may be too large or the Hub too full to start in time."

    def __init__(self, launch_timeout_s: float) -> None:
        super().__init__(f"The server was not ready within {launch_timeout_s:g} seconds.")
