"""Spawns that came to nothing, and what JupyterHub and its spawner said of them."""

from datetime import datetime
from typing import ClassVar

from hublaunch.launch.errors.base import LaunchError


class SpawnError(LaunchError):
    """The Hub was asked, and no server came of it."""


class SpawnLost(SpawnError):
    """The Hub has no trace of a spawn that it had agreed to, as after a restart of the Hub."""

    code = "spawn_lost"
    title = "JupyterHub lost the launch"
    advice = "Launch again."
    retryable = True

    def __init__(self) -> None:
        super().__init__("JupyterHub no longer knows of the server it was starting; it may have been restarted.")


class Displaced(SpawnError):
    """The queue was full, and the launch was the newest of the caller with the most launches in it.

    The transaction that accepts the other launch stores this end (`store/displacement.py`), so nothing is left to do.
    """

    code = "displaced"
    title = "The launch made room for another caller"
    advice = "Launch again in a few minutes, or wait until more of your other launches have started."
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "The queue was full, and you had the most launches in it. The newest of them made room for a caller "
            "with fewer."
        )


class NotAdmitted(SpawnError):
    """The launch ends in the queue."""


class QueueTimedOut(NotAdmitted):
    """The launch waited in the queue for LAUNCHER_MAX_WAIT_S."""

    code = "queue_timeout"
    title = "The launch waited for too long"
    advice = "Launch again when fewer others do."

    def __init__(self) -> None:
        super().__init__("JupyterHub was at its limit for as long as a launch may wait for its turn.")


class ImageFailing(NotAdmitted):
    """The image failed twice within ten minutes for causes of its own, whoever launched it: the Hub is spared a third.

    Before acceptance it refuses the request. The earlier failures' details are not told, as they are others'.
    """

    code = "image_failing"
    title = "This image keeps failing"
    advice = "Repair the image, or choose another."
    operator_advice = "To allow the image again at once, run `hublaunch guard clear --image IMAGE`."

    def __init__(self, cause: str, until: datetime) -> None:
        super().__init__(f"It failed twice in ten minutes: {cause}. It may be launched again at {until:%H:%M:%S} UTC.")
        self.until = until


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


class ServerNotFound(SpawnError):
    """The Hub says that the server is ready, and another web server answers at the server's address."""

    code = "server_not_found"
    title = "The server is not at its address"
    advice = "Tell the operator of this service: only they can change this."
    operator_advice = (
        "LAUNCHER_HUB_URL or LAUNCHER_PROXY_URL leads to another web server than JupyterHub's proxy. The log of this "
        "service names the address."
    )

    def __init__(self, status: int | None) -> None:
        super().__init__(
            f"JupyterHub says that the server is ready, but something that is not the server answers {status} at the "
            "server's address."
        )


class SpawnFailed(SpawnError):
    """The Hub said that the spawn failed, in words that fit none of the classes below."""

    is_of_image: ClassVar[bool] = False
    """Whether another launch of the same image will most likely fail the same way."""
    may_be_of_volume: ClassVar[bool] = False
    """Whether what a user keeps in their own volume, such as a broken configuration, can be the cause as well."""
    code = "spawn_failed"
    title = "The server could not be started"
    advice = "Check the image; if it is sound, ask the operator, who finds more in the Hub's log."

    def __init__(self, said: str) -> None:
        super().__init__(said or "JupyterHub gave no reason.")


class ImageNotFound(SpawnFailed):
    """The registry knows no such image, or does not show it to the spawner: registries do not tell which."""

    is_of_image = True
    code = "image_not_found"
    title = "The image does not exist, or may not be pulled"
    advice = (
        "Check the image's registry, name and tag, that it is public, and that it is built for this Hub's processors."
    )
    operator_advice = "A private image needs credentials where the servers run."


class ImagePullFailed(SpawnFailed):
    """The image was not fetched, for another reason than that it is not there."""

    is_of_image = True
    code = "image_pull_failed"
    title = "The image could not be pulled"
    advice = "Check the name of the image's registry, and launch again in a few minutes."
    operator_advice = "Check that the nodes reach the registry and have disk space left. The registry may limit pulls."


class CommandNotFound(SpawnFailed):
    """The image is there, and has no program of the name that the spawner starts, or none that runs."""

    is_of_image = True
    may_be_of_volume = True
    code = "command_not_found"
    title = "The image cannot run a Jupyter server for JupyterHub"
    advice = (
        "Choose an image that has JupyterLab and jupyterhub-singleuser installed, and is built for this Hub's "
        "processors."
    )
    operator_advice = "The Hub's c.Spawner.cmd names the program that the spawner starts."


class NoRoom(SpawnFailed):
    """No node has what the server asks for, or none that the server may run on."""

    code = "no_room"
    title = "There is no room for another server"
    advice = "Launch again later, when other servers have stopped."
    operator_advice = (
        "Compare the server's CPU, memory and GPU requests, its node selector and its tolerations with the nodes."
    )


class ClusterQuotaExceeded(SpawnFailed):
    """A ResourceQuota of Kubernetes, not a quota of hublaunch."""

    code = "cluster_quota_exceeded"
    title = "The cluster's quota for servers is used up"
    advice = "Launch again when other servers have stopped."
    operator_advice = "Raise the ResourceQuota that the message names, or lower the servers' requests."


class ClusterRefused(SpawnFailed):
    """Kubernetes would not create what the spawner asked it for: its role, a policy or a limit forbids it."""

    code = "cluster_refused"
    title = "Kubernetes does not let JupyterHub start this server"
    advice = "Tell the operator of this service: only they can change this."
    operator_advice = "JupyterHub's role, a policy or a limit in the cluster forbids the server."


class VolumeFailed(SpawnFailed):
    """The server's storage was not made, not bound or not mounted."""

    code = "volume_failed"
    title = "The server's storage could not be mounted"
    advice = "Launch again in a few minutes: a server that is stopping may still hold the volume."
    operator_advice = (
        "Check the volume claim that the message names, its storage class, and the paths that servers mount."
    )


class ServerExited(SpawnFailed):
    """The server was started and ended by itself before it was ready."""

    is_of_image = True
    may_be_of_volume = True
    code = "server_exited"
    title = "The server ended before it was ready"
    advice = "Check that the image's start command works and has enough memory."
    operator_advice = "The server's log has the reason."


class ServerSilent(SpawnFailed):
    """The server was started, and did not answer the Hub within the Hub's http_timeout."""

    code = "http_timeout"
    title = "The server was started and does not answer"
    advice = "Check that the image starts a Jupyter server by jupyterhub-singleuser."
    operator_advice = (
        "Raise the Hub's c.Spawner.http_timeout if servers are only slow. Otherwise check that the Hub can reach them."
    )


class StartTimedOut(SpawnFailed):
    """The Hub's start_timeout ran out, and nothing that was told before explains why."""

    code = "start_timeout"
    title = "The server did not start in the time that JupyterHub allows"
    advice = "Launch again: a large image that was not pulled in time may be there by then."
    operator_advice = "Raise the Hub's c.Spawner.start_timeout."

    def __init__(self, said: str, *, after_s: float | None = None, warned: str = "") -> None:
        sentence = said or "The server did not start in the time that JupyterHub allows."
        if not said and after_s is not None:
            passed = f"The server had not started after {after_s:.0f} s."
            sentence = f"{passed} JupyterHub gave no reason, as it does when a server takes longer than it allows."
        super().__init__(f"{sentence} The last warning before: {warned}" if warned else sentence)
