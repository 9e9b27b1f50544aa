"""Before acceptance: nothing was created, and the caller can change something."""

from hublaunch.launch.errors.base import LaunchError
from hublaunch.launch.rules.quota import Quota


class RequestRefused(LaunchError):
    """The launch was not accepted; nothing was created."""


class InvalidRequest(RequestRefused):
    """A field is not what it must be."""

    code = "invalid_request"
    title = "The request is not valid"
    advice = "Correct the field that is named and send the request again."

    def __init__(self, field: str, reason: str, *, operator_advice: str = "") -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.operator_advice = operator_advice


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

    def __init__(self, reason: str, *, operator_advice: str = "") -> None:
        super().__init__(reason)
        self.operator_advice = operator_advice


class ImageNotAllowed(RequestRefused):
    """LAUNCHER_ALLOWED_IMAGES, or what the caller has in its place or beside it, has no pattern for the image."""

    code = "image_not_allowed"
    title = "This image may not be launched here"
    advice = "Choose an allowed image, or ask the operator of this service to allow this one."
    operator_advice = "To allow the image, add a pattern for it to LAUNCHER_ALLOWED_IMAGES."

    def __init__(self, *, any_allowed: bool) -> None:
        super().__init__(
            "The image matches none of the patterns of images that are allowed to you."
            if any_allowed
            else "This service allows no image yet."
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
    operator_advice = "LAUNCHER_ALLOWED_REPOS and LAUNCHER_BANNED_REPOS decide on repositories."

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
    advice = "Try again later."
    operator_advice = "The log of this service has the error of the pre_launch_hook."

    def __init__(self, reason: str) -> None:
        super().__init__(f"The operator's check {reason}.")


class ServerAlreadyRunning(RequestRefused):
    """The user's default server is up, and a user has only one of those."""

    code = "server_already_running"
    title = "The user already has a running server"
    advice = "Use the running server, or stop it and launch again."

    def __init__(self, url: str, *, open_url: str) -> None:
        """`url` is the server's root; `open_url` is that root with the path that the launch asked for."""
        super().__init__(f"A server is already running at {url}")
        self.url = url
        self.open_url = open_url


class ServerNameTaken(RequestRefused):
    """A server that hublaunch did not make is never started or removed by it, not even a stopped one."""

    code = "server_name_taken"
    title = "The user already has a server of this name"
    advice = "Name another server, or none: then a name is chosen."

    def __init__(self) -> None:
        super().__init__("The user already has a server of this name.")


class AlreadyLaunching(RequestRefused):
    """Two launches of one server would get the same one, with the image of whichever came first.

    Also while what an earlier one left of it has yet to be deleted.
    """

    code = "already_launching"
    title = "A launch of this server is under way"
    advice = "Follow that launch, which GET /launch lists for whoever asked for it, or wait for it to end."

    def __init__(self) -> None:
        super().__init__("Another launch of this user's server is under way.")


class AlreadyRunning(RequestRefused):
    """The request wanted no second launch of the same image and repository, and the caller has one."""

    code = "already_running"
    title = "You already have a launch of this image and repository"
    advice = 'Open, follow or cancel that launch, or send `"if_running": "reuse"` to be given it.'

    def __init__(self, launch_id: str) -> None:
        super().__init__(f"Launch {launch_id} is of the same image and repository, and is ready or under way.")
        self.launch_id = launch_id


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
    title = "There are as many launches at once as may be"
    advice = "Cancel a launch of yours that is no longer needed, or send the request again in a minute."
    retry_after_s = 60

    def __init__(self, quota: Quota, *, active: int) -> None:
        super().__init__(f"Launches {_counted(quota)} that are under way or ready: {active}, of at most {quota.most}.")
        self.quota = quota
        self.active = active


def _counted(quota: Quota) -> str:
    if quota.network is not None:
        return "of all callers in your network"
    if quota.pattern is not None:
        return f"that are counted together by their {quota.scope}, and"
    return {"caller": "of this caller", "repository": "for this repository", "image": "of this image"}.get(
        quota.scope, "in all"
    )


class RateLimited(RequestRefused):
    """One of LAUNCHER_RATE_LIMIT_CALLER, LAUNCHER_RATE_LIMIT_ADDRESS and LAUNCHER_RATE_LIMIT_CREDENTIALS is used up."""

    code = "rate_limited"
    title = "Too many requests"
    advice = "Send the request again after as many seconds as the header Retry-After says. What runs already goes on."

    def __init__(self, *, names: tuple[str, ...], most: int, window_s: int, retry_after_s: int) -> None:
        """`names`: of the limits that have no room; the numbers are those of the last."""
        limit, _, prefix = names[-1].partition("/")
        place = f"one IPv6 /{prefix}" if prefix else "one address"
        whose = {"caller": "launches of one caller", "address": f"launches from {place}"}
        what = whose.get(limit, f"wrong credentials from {place}")
        super().__init__(
            f"At most {most} {what} may come at once, and as many again in {window_s} s. "
            f"The next may come in {retry_after_s} s."
        )
        self.names = names
        self.retry_after_s = retry_after_s


class QueueFull(RequestRefused):
    """LAUNCHER_MAX_CONCURRENT_SPAWNS launches are at the Hub, LAUNCHER_MAX_QUEUE wait, and no caller makes room."""

    code = "queue_full"
    title = "Too many launches are waiting"
    advice = "Try again in a minute."
    retry_after_s = 60

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} launches are under way or waiting for their turn, the most that may.")


class StorageFull(RequestRefused):
    """The disk has less free space than LAUNCHER_MIN_FREE_SPACE, or the database says that its disk is full."""

    code = "storage_full"
    title = "This service has no disk space left"
    advice = "Try again in a few minutes, or tell the operator of this service. Launches under way go on."
    operator_advice = "Make room on the volume of the database, or shorten LAUNCHER_RETENTION."
    retry_after_s = 60

    def __init__(self) -> None:
        super().__init__("There is too little disk space to accept another launch.")


class SpecNotMapped(RequestRefused):
    """LAUNCHER_BINDER_IMAGES has no pattern for what a BinderHub client asks for; without it `/build` is off."""

    code = "spec_not_mapped"
    title = "There is no image for this repository here"
    advice = "Check the repository and its ref. This service builds no images: it has them for certain repositories."
    operator_advice = "To launch this repository, map it to an image in LAUNCHER_BINDER_IMAGES."

    def __init__(self) -> None:
        super().__init__("No pattern of repositories that have an image matches this one.")


class LaunchNotFound(RequestRefused):
    code = "launch_not_found"
    title = "There is no such launch"
    advice = "Check the address, or the id: POST /launch answers with it."

    def __init__(self) -> None:
        super().__init__("No launch has this id.")


class LaunchGone(RequestRefused):
    """LAUNCHER_RETENTION has passed since the launch of this id could have been accepted."""

    code = "launch_gone"
    title = "There is no such launch any more"
    advice = "Launch again."

    def __init__(self) -> None:
        super().__init__("Launches that are as old as this id are no longer kept.")


class ServerStopped(RequestRefused):
    """Who goes on with a launch that was ready would be sent to a server that is gone."""

    code = "server_stopped"
    title = "The server of this launch has stopped"
    advice = "Launch again, with a new `build_token` where one was sent."

    def __init__(self) -> None:
        super().__init__("The launch was ready, and its server is gone since.")


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
