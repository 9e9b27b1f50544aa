"""Everything that can go wrong with a launch, as one tree.

    LaunchError
    ├── InternalError                a fault of hublaunch itself; its log has it
    ├── RequestRefused               before acceptance; the caller can change something
    │   ├── InvalidRequest             a field is not what it must be
    │   ├── Unauthenticated            who is calling is not known, and has to be
    │   ├── AccessDenied               who is calling is known, and may not do this
    │   ├── ImageNotAllowed            LAUNCHER_ALLOWED_IMAGES does not name it
    │   ├── DigestRequired             the image is named by a tag, and has to be by its digest
    │   ├── RepoNotAllowed             the repository is none of the allowed ones, or is banned
    │   ├── HookRefused                the operator's pre_launch_hook said no
    │   ├── HookFailed                 the hook broke, or took too long
    │   ├── ServerAlreadyRunning       the user's default server is up
    │   ├── ServerNameTaken            the user already has a server of this name
    │   ├── AlreadyLaunching           another launch of the user's server is under way
    │   ├── NamedServerLimitReached    the user has as many named servers as allowed
    │   ├── QuotaReached               the caller has as many launches as allowed
    │   ├── IdempotencyKeyReused       the key came with another request before
    │   ├── LaunchNotFound             no launch of that id
    │   ├── LaunchGone                 there may have been one, and its record was removed
    │   ├── SecretRequired             the launch's secret is missing or wrong
    │   └── ServiceStopping            this process takes no more launches
    ├── HubError                     the Hub did not do what it was asked
    │   ├── HubUnavailable             no answer, a broken one, or a 5xx; it may have acted
    │   │   └── HubFailed                the 5xx is the Hub's own, not a proxy's before it
    │   ├── HubBusy                    429: ask again after `retry_after_s`
    │   └── HubRefused                 another 4xx
    │       ├── HubForbidden             403: token or scopes do not suffice
    │       ├── NameTaken                what is there is somebody else's, and not to be cleaned up
    │       │   ├── UserExists             409 on the first try to create a user
    │       │   └── ServerExists           400 "already running" on the first try to start a server
    │       ├── NotStarting              400 or 404 on progress: no spawn to follow
    │       └── TokenRefused             the Hub would not mint the visitor's token
    └── SpawnError                   the Hub was asked, and no server came of it
        ├── SpawnFailed                the Hub said so and gave a reason
        ├── SpawnLost                  the Hub knows nothing of the spawn any more
        ├── SpawnCancelled             the spawn was cancelled at the Hub, not by us
        └── SpawnTimedOut              launch_timeout ran out

A class carries a stable `code`, a `title`, `advice` on what to do next, and `retryable`: whether another
attempt can help. Its constructor takes the facts and writes the sentence that `str()` gives. No sentence repeats
what the caller sent, and none holds a credential. How an error looks to a caller is decided in `api/errors.py`.
"""

from typing import ClassVar


class LaunchError(Exception):
    """Any of the errors below."""

    code: ClassVar[str]
    title: ClassVar[str]
    advice: ClassVar[str]
    retryable: ClassVar[bool] = False


class InternalError(LaunchError):
    """Something that was not provided for. The traceback is in the log, never in what a caller sees."""

    code = "internal_error"
    title = "Something went wrong in this service"
    advice = "Launch again; if it happens again, tell the operator when it did."

    def __init__(self) -> None:
        super().__init__("The cause is in the log of this service.")


# --- before acceptance ------------------------------------------------------------------------------------------------


class RequestRefused(LaunchError):
    """The launch was not accepted; nothing was created."""


class InvalidRequest(RequestRefused):
    """A field is not what it must be."""

    code = "invalid_request"
    title = "The request is not valid"
    advice = "Correct the field that is named and send the request again."

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Unauthenticated(RequestRefused):
    """No credentials where some are needed, or such as nobody knows. Wrong ones never pass for none."""

    code = "unauthenticated"
    title = "This needs credentials"
    advice = (
        "Send a token of your JupyterHub user or an API key of this service as `Authorization: Bearer …`, or log in "
        "with your browser."
    )

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class AccessDenied(RequestRefused):
    """The caller is known and lacks the right."""

    code = "access_denied"
    title = "You may not do this"
    advice = "Ask the operator of this service for the right that is named."

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class ImageNotAllowed(RequestRefused):
    """LAUNCHER_ALLOWED_IMAGES, or what the caller has in its place or beside it, has no pattern for the image."""

    code = "image_not_allowed"
    title = "This image may not be launched here"
    advice = "Choose an allowed image, or ask the operator to add a pattern for it to LAUNCHER_ALLOWED_IMAGES."

    def __init__(self, *, any_allowed: bool) -> None:
        super().__init__(
            "The image matches none of the patterns of images that are allowed to you."
            if any_allowed
            else "No image is allowed yet: LAUNCHER_ALLOWED_IMAGES is empty."
        )


class DigestRequired(RequestRefused):
    """LAUNCHER_REQUIRE_DIGEST is set: a tag can mean another image tomorrow, a digest cannot."""

    code = "digest_required"
    title = "The image must be named by its digest"
    advice = "Name the image as repository@sha256:…; `docker buildx imagetools inspect IMAGE` tells its digest."

    def __init__(self) -> None:
        super().__init__("The image has no digest, and this service launches only images that have one.")


class RepoNotAllowed(RequestRefused):
    """LAUNCHER_ALLOWED_REPOS does not have the repository, or LAUNCHER_BANNED_REPOS has it; which, is not told."""

    code = "repo_not_allowed"
    title = "This repository may not be launched here"
    advice = "Choose another repository, or ask the operator of this service to allow this one."

    def __init__(self, *, named: bool) -> None:
        super().__init__(
            "The repository is not one that may be launched here."
            if named
            else "The launch names no repository, and this service launches only certain ones."
        )


class HookRefused(RequestRefused):
    """The operator's pre_launch_hook raised an error with a `status_code`, which becomes the answer's status."""

    code = "refused_by_hook"
    title = "The operator of this service refused the launch"
    advice = "Ask the operator what this service may be used for."

    def __init__(self, status_code: int, reason: str) -> None:
        super().__init__(reason)
        self.status_code = status_code


class HookFailed(RequestRefused):
    """The pre_launch_hook raised something that carries no status, or did not return in time."""

    code = "hook_failed"
    title = "The operator's check of launches does not work"
    advice = "Try again later. Operators: the log of this service says what the pre_launch_hook did."

    def __init__(self, reason: str) -> None:
        super().__init__(f"The pre_launch_hook {reason}.")


class ServerAlreadyRunning(RequestRefused):
    """The user's default server is up, and a user has only one of those."""

    code = "server_already_running"
    title = "The user already has a running server"
    advice = "Use the running server, or stop it and launch again."

    def __init__(self, url: str) -> None:
        super().__init__(f"A server is already running at {url}")
        self.url = url


class ServerNameTaken(RequestRefused):
    """A server that hublaunch did not make is never started or removed by it, not even a stopped one."""

    code = "server_name_taken"
    title = "The user already has a server of this name"
    advice = "Name another server, or none: then a name is chosen."

    def __init__(self) -> None:
        super().__init__("The user already has a server of this name.")


class AlreadyLaunching(RequestRefused):
    """Two launches of one server would get the same one, with the image of whichever came first."""

    code = "already_launching"
    title = "A launch of this server is under way"
    advice = "Follow that launch, which GET /launch lists for whoever asked for it, or wait for it to end."

    def __init__(self) -> None:
        super().__init__("Another launch of this user's server is under way.")


class NamedServerLimitReached(RequestRefused):
    """Stopped named servers count too, as the Hub counts them."""

    code = "named_server_limit_reached"
    title = "The user has as many named servers as allowed"
    advice = "Delete one of the user's named servers and launch again."

    def __init__(self, limit: int) -> None:
        super().__init__(f"The user already has {limit} named servers, the most that is allowed.")
        self.limit = limit


class QuotaReached(RequestRefused):
    """Launches under way and ready ones count; one whose server has stopped does not."""

    code = "quota_reached"
    title = "You have as many launches as you may"
    advice = "Cancel a launch that is no longer needed, or wait for one to end."

    def __init__(self, max_active: int) -> None:
        super().__init__(f"{max_active} launches are under way or ready, the most that this caller may have at once.")


class LaunchNotFound(RequestRefused):
    code = "launch_not_found"
    title = "There is no such launch"
    advice = "Check the id; it is in the answer to POST /launch."

    def __init__(self) -> None:
        super().__init__("No launch has this id.")


class LaunchGone(RequestRefused):
    """LAUNCHER_RETENTION has passed since the launch of this id could have been accepted."""

    code = "launch_gone"
    title = "There is no such launch any more"
    advice = "Launch again."

    def __init__(self) -> None:
        super().__init__("Launches that are as old as this id are no longer kept.")


class IdempotencyKeyReused(RequestRefused):
    """A key stands for one request; what came with it first is not what came now."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key belongs to another request"
    advice = "Send another request with a key of its own, and a repeated one exactly as it was."

    def __init__(self) -> None:
        super().__init__("The Idempotency-Key came with a different request before.")


class SecretRequired(RequestRefused):
    """Only who holds the launch's secret may do this."""

    code = "secret_required"
    title = "This needs the secret of the launch"
    advice = (
        "Send the `secret` of the answer to POST /launch as the header X-Launch-Secret, or the credentials with which "
        "the launch was asked for."
    )

    def __init__(self) -> None:
        super().__init__("The header X-Launch-Secret is missing, or is not this launch's secret.")


class ServiceStopping(RequestRefused):
    code = "service_stopping"
    title = "This service is being stopped"
    advice = "Send the request again in a few seconds."

    def __init__(self) -> None:
        super().__init__("This process is shutting down and takes no more launches.")


# --- the Hub ----------------------------------------------------------------------------------------------------------


class HubError(LaunchError):
    """The Hub did not do what it was asked."""


class HubUnavailable(HubError):
    """No answer, a broken answer or a 5xx. Unless it is known better, the Hub may have acted: look, then ask again."""

    code = "hub_unavailable"
    title = "JupyterHub gives no useful answer"
    advice = "Try again in a minute. Operators: see whether the Hub runs and LAUNCHER_HUB_URL_LOCAL is its address."
    retryable = True

    def __init__(self, operation: str, reason: str, *, may_have_acted: bool = True) -> None:
        super().__init__(f"JupyterHub did not {operation}: {reason}")
        self.may_have_acted = may_have_acted


class HubFailed(HubUnavailable):
    """A 5xx that the Hub itself answered, not a proxy before it: the Hub got the request and could not do it."""


class HubBusy(HubError):
    """429: the Hub is starting, or running, as many servers as it may."""

    code = "hub_busy"
    title = "JupyterHub is at its limit"
    advice = "Try again later."

    def __init__(self, reason: str, retry_after_s: float | None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        """What the Hub asked for; None if it named no time."""


class HubRefused(HubError):
    """A 4xx: asking again changes nothing."""

    code = "hub_refused"
    title = "JupyterHub refused the launch"
    advice = "The reason is JupyterHub's own; its operator can tell more."

    def __init__(self, operation: str, status: int, reason: str) -> None:
        super().__init__(f"JupyterHub refused to {operation} ({status}): {reason}")
        self.status = status
        self.reason = reason


class HubForbidden(HubRefused):
    """403. Most often the service's role lacks a scope; a spawner may say it too."""

    code = "hub_forbidden"
    title = "JupyterHub does not allow this service to do that"
    advice = "Operators: compare the scopes of the service's role at the Hub with the ones the documentation lists."


class NameTaken(HubRefused):
    """The name was in use before this attempt asked for it, so nothing under it is ours to clean up."""


class UserExists(NameTaken):
    """409 on the first try to create a user. Another attempt has another name."""

    code = "user_exists"
    title = "The chosen user name is taken"
    advice = "Launch again."
    retryable = True


class ServerExists(NameTaken):
    """400 "already running" on the first try to start a server."""

    code = "server_exists"
    title = "The user already has this server"
    advice = "Use the running server, or stop it and launch again."


class NotStarting(HubRefused):
    """Progress answers 400 or 404: the Hub has no spawn of this server to tell of."""

    code = "not_starting"
    title = "JupyterHub is not starting this server"
    advice = "Launch again."


class TokenRefused(HubRefused):
    """The Hub would not mint a token for the visitor, or minted one that opens nothing."""

    code = "token_refused"
    title = "JupyterHub did not give a token for the server"
    advice = (
        "Operators: the service's role needs the scope `tokens`, and LAUNCHER_TOKEN_LIFETIME_S must not be above the "
        "Hub's token_expires_in_max_seconds."
    )


# --- the spawn --------------------------------------------------------------------------------------------------------


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
