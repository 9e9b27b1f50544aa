"""Accepted launches that ended without a ready server, in the queue or at the Hub."""

from datetime import datetime
from typing import ClassVar

from hublaunch.launch.errors.base import LaunchError


class SpawnError(LaunchError):
    """An accepted launch ended without a ready server."""


class SpawnLost(SpawnError):
    """The Hub no longer knows a spawn that it had accepted, for example after a restart of the Hub."""

    code = "spawn_lost"
    title = "JupyterHub lost the launch"
    sentence = "JupyterHub no longer knows the server that it was starting. It may have been restarted."
    advice = "Launch again."
    retryable = True


class Displaced(SpawnError):
    """The queue was full, and the launch was the newest of the caller with the most launches in it.

    The transaction that accepts the other launch also ends this one (`store/displacement.py`).
    """

    code = "displaced"
    title = "The launch made room for another caller"
    sentence = (
        "The queue was full, and you had the most launches in it. Your newest one made room for a caller with "
        "fewer launches."
    )
    advice = "Launch again in a few minutes, or wait until more of your other launches have started."
    retryable = True


class NotAdmitted(SpawnError):
    """The launch ended in the queue."""


class QueueTimedOut(NotAdmitted):
    """The launch waited in the queue for LAUNCHER_MAX_WAIT_S."""

    code = "queue_timeout"
    title = "The launch waited too long"
    sentence = "JupyterHub was at its limit for as long as a launch may wait in the queue."
    advice = "Launch again when this service is less busy."


class ImageFailing(NotAdmitted):
    """The image itself caused two failures within ten minutes, for any callers. It is not launched again for now.

    Also raised before acceptance. The details of the earlier failures are not shown: they may be other callers'.
    """

    code = "image_failing"
    title = "This image keeps failing"
    advice = "Fix the image, or choose another one."
    operator_advice = "To allow the image again immediately, run `hublaunch guard clear --image IMAGE`."

    def __init__(self, cause: str, until: datetime) -> None:
        super().__init__(f"It failed twice in ten minutes: {cause}. You can launch it again at {until:%H:%M:%S} UTC.")
        self.until = until


class SpawnCancelled(SpawnError):
    """The server was stopped at the Hub while it was starting."""

    code = "cancelled_at_hub"
    title = "The launch was cancelled at JupyterHub"
    sentence = "The server was stopped at JupyterHub before it was ready."
    advice = "Launch again, unless you stopped the server yourself."


class SpawnTimedOut(SpawnError):
    """`launch_timeout` ran out; the spawn is stopped and cleaned up."""

    code = "launch_timeout"
    title = "The server was not ready in time"
    advice = "Launch again. If that does not help, the image may be too large or the Hub too busy to start it in time."

    def __init__(self, launch_timeout_s: float) -> None:
        super().__init__(f"The server was not ready within {launch_timeout_s:g} seconds.")


class ServerNotFound(SpawnError):
    """The Hub says that the server is ready, but another web server answers at its address."""

    code = "server_not_found"
    title = "The server is not at its address"
    advice = "Tell the operator of this service: only they can fix this."
    operator_advice = (
        "LAUNCHER_HUB_URL or LAUNCHER_PROXY_URL leads to a web server other than JupyterHub's proxy. The log of this "
        "service has the address."
    )

    def __init__(self, status: int | None) -> None:
        answered = "" if status is None else f" ({status})"
        super().__init__(
            f"JupyterHub says that the server is ready, but another web server answers at its address{answered}."
        )


class SpawnFailed(SpawnError):
    """The Hub said that the spawn failed, for a reason that none of the classes below describes."""

    is_of_image: ClassVar[bool] = False
    """Whether another launch of this image will most likely fail in the same way."""
    may_be_of_volume: ClassVar[bool] = False
    """Whether files in the user's own volume, such as a broken configuration, can also be the cause."""
    code = "spawn_failed"
    title = "The server could not be started"
    sentence = "JupyterHub gave no reason."
    advice = "Check the image. If it is fine, ask the operator: the Hub's log has more."


class ImageNotFound(SpawnFailed):
    """The registry has no such image, or the spawner may not pull it. Registries do not say which."""

    is_of_image = True
    code = "image_not_found"
    title = "The image does not exist, or access to it is denied"
    advice = (
        "Check the image's registry, name and tag. Check that the image is public, and built for this Hub's processors."
    )
    operator_advice = "To pull a private image, servers need credentials for its registry."


class ImagePullFailed(SpawnFailed):
    """The image could not be pulled, for a reason other than ImageNotFound."""

    is_of_image = True
    code = "image_pull_failed"
    title = "The image could not be pulled"
    advice = "Check the name of the image's registry, and launch again in a few minutes."
    operator_advice = "Check that the nodes reach the registry and have disk space left. The registry may limit pulls."


class CommandNotFound(SpawnFailed):
    """The image lacks the program that the spawner starts, or cannot run it."""

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
    """No node has the resources that the server requests, or no node with those resources may run it."""

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
    """Kubernetes did not create the server: the spawner's role, a policy or a limit forbids it."""

    code = "cluster_refused"
    title = "Kubernetes does not let JupyterHub start this server"
    advice = "Tell the operator of this service: only they can fix this."
    operator_advice = "JupyterHub's role, a policy or a limit in the cluster forbids the server."


class VolumeFailed(SpawnFailed):
    """The server's storage was not created, bound or mounted."""

    code = "volume_failed"
    title = "The server's storage could not be mounted"
    advice = "Launch again in a few minutes: a server that is stopping may still hold the volume."
    operator_advice = (
        "Check the volume claim that the message names, its storage class, and the paths that servers mount."
    )


class ServerExited(SpawnFailed):
    """The server was started, and ended by itself before it was ready."""

    is_of_image = True
    may_be_of_volume = True
    code = "server_exited"
    title = "The server ended before it was ready"
    advice = "Check that the image's start command works, and that the server has enough memory."
    operator_advice = "The server's log has the reason."


class ServerSilent(SpawnFailed):
    """The server was started, but did not answer the Hub within the Hub's http_timeout."""

    code = "http_timeout"
    title = "The server was started, but does not answer"
    advice = "Check that the image starts its Jupyter server with jupyterhub-singleuser."
    operator_advice = (
        "Raise the Hub's c.Spawner.http_timeout if servers are just slow. Otherwise check that the Hub can reach them."
    )


class StartTimedOut(SpawnFailed):
    """The Hub's start_timeout ran out, and no earlier message explains why."""

    code = "start_timeout"
    title = "The server did not start in the time that JupyterHub allows"
    advice = "Launch again. If the image is large, the pull may have finished by then."
    operator_advice = "Raise the Hub's c.Spawner.start_timeout."

    def __init__(self, said: str, *, after_s: float | None = None, warned: str = "") -> None:
        sentence = said or "The server did not start in the time that JupyterHub allows."
        if not said and after_s is not None:
            passed = f"The server had not started after {after_s:.0f} s."
            sentence = (
                f"{passed} JupyterHub gave no reason, which is usual when a server takes longer than the Hub allows."
            )
        super().__init__(f"{sentence} The last warning was: {warned}" if warned else sentence)
