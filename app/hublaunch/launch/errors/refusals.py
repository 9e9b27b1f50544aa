"""Refusals before a launch is accepted: nothing was created, and the caller can change the request."""

from datetime import UTC, datetime

from hublaunch.launch.errors.base import LaunchError
from hublaunch.launch.rules.quota import Quota, Scope


class RequestRefused(LaunchError):
    """The launch was not accepted; nothing was created."""


class InvalidRequest(RequestRefused):
    """A field of the request is invalid."""

    code = "invalid_request"
    title = "The request is not valid"
    advice = "Correct the named field and send the request again."

    def __init__(self, field: str, reason: str, *, operator_advice: str = "") -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.operator_advice = operator_advice


class Unauthenticated(RequestRefused):
    """Credentials are missing or unknown. Wrong credentials never count as missing."""

    code = "unauthenticated"
    title = "Credentials are required"
    advice = (
        "Send your JupyterHub token or an API key of this service as `Authorization: Bearer …`, or log in with your "
        "browser."
    )


class AccessDenied(RequestRefused):
    """The caller is known, but lacks the right."""

    code = "access_denied"
    title = "You are not allowed to do this"
    advice = "Ask the operator of this service for the missing right."

    def __init__(self, reason: str, *, operator_advice: str = "") -> None:
        super().__init__(reason)
        self.operator_advice = operator_advice


class ImageNotAllowed(RequestRefused):
    """Neither LAUNCHER_ALLOWED_IMAGES nor the patterns of the caller's API key or groups allow the image."""

    code = "image_not_allowed"
    title = "This image is not allowed here"
    advice = "Choose an allowed image, or ask the operator of this service to allow this one."
    operator_advice = "To allow the image, add a pattern for it to LAUNCHER_ALLOWED_IMAGES."

    def __init__(self, *, any_allowed: bool) -> None:
        super().__init__(
            "The image matches none of the patterns of images that you may launch."
            if any_allowed
            else "This service allows no images yet."
        )


class DigestRequired(RequestRefused):
    """LAUNCHER_REQUIRE_DIGEST is set: a tag may point to another image tomorrow, a digest cannot."""

    code = "digest_required"
    title = "The image must be named by its digest"
    sentence = "The image has no digest, and this service only launches images named by their digest."
    advice = "Name the image as repository@sha256:…. `docker buildx imagetools inspect IMAGE` shows its digest."


class RepoNotAllowed(RequestRefused):
    """LAUNCHER_ALLOWED_REPOS lacks the repository, or LAUNCHER_BANNED_REPOS has it. The caller does not learn which."""

    code = "repo_not_allowed"
    title = "This repository is not allowed here"
    advice = "Choose another repository, or ask the operator of this service to allow this one."
    operator_advice = "LAUNCHER_ALLOWED_REPOS and LAUNCHER_BANNED_REPOS decide which repositories may be launched."

    def __init__(self, *, named: bool) -> None:
        super().__init__(
            "This service does not launch this repository."
            if named
            else "The launch names no repository, and this service only launches certain repositories."
        )


class HookRefused(RequestRefused):
    """The operator's pre_launch_hook raised an error with a `status_code`, which becomes the status of the answer."""

    code = "refused_by_hook"
    title = "The operator of this service refused the launch"
    advice = "Ask the operator what you may launch here."

    def __init__(self, status_code: int, reason: str) -> None:
        super().__init__(reason)
        self.status_code = status_code


class HookFailed(RequestRefused):
    """The pre_launch_hook raised an error without a `status_code`, or did not return in time."""

    code = "hook_failed"
    title = "The operator's check of launches failed"
    advice = "Try again later."
    operator_advice = "The log of this service has the traceback of the pre_launch_hook."

    def __init__(self, reason: str) -> None:
        super().__init__(f"The operator's check {reason}.")


class ServerAlreadyRunning(RequestRefused):
    """The user's default server is running, and a user has only one."""

    code = "server_already_running"
    title = "The user already has a running server"
    advice = "Use the running server, or stop it and launch again."

    def __init__(self, url: str, *, open_url: str) -> None:
        """`url`: the server's root. `open_url`: the requested path below it."""
        super().__init__(f"A server is already running at {url}")
        self.url = url
        self.open_url = open_url


class ServerNameTaken(RequestRefused):
    """The name belongs to a server that hublaunch did not create. It never starts or removes such a server."""

    code = "server_name_taken"
    title = "The user already has a server of this name"
    sentence = "The user already has a server of this name."
    advice = "Choose another server name, or leave it out to get a new one."


class AlreadyLaunching(RequestRefused):
    """Another launch of this server is in progress, or has not been cleaned up yet.

    Both launches would get the same server, with the image of the first.
    """

    code = "already_launching"
    title = "This server is already being launched"
    sentence = "Another launch of this user's server is in progress."
    advice = "Follow that launch, which GET /launch lists for its caller, or wait for it to end."


class AlreadyRunning(RequestRefused):
    """The request wanted no second launch of the same image, repository and ref, and the caller already has one."""

    code = "already_running"
    title = "You already have a launch of this image and repository"
    advice = 'Open, follow or cancel that launch, or send `"if_running": "reuse"` to reuse it.'

    def __init__(self, launch_id: str) -> None:
        super().__init__(f"Launch {launch_id} has the same image, repository and ref, and is in progress or ready.")
        self.launch_id = launch_id


class NamedServerLimitReached(RequestRefused):
    """Stopped named servers count too, as they do at the Hub."""

    code = "named_server_limit_reached"
    title = "Named server limit reached"
    advice = "Delete one of the user's named servers and launch again."

    def __init__(self, limit: int) -> None:
        super().__init__(f"The user already has {limit} named server{'' if limit == 1 else 's'}, the most allowed.")
        self.limit = limit


class QuotaReached(RequestRefused):
    """Launches in progress and ready ones count; launches whose servers have stopped do not."""

    code = "quota_reached"
    title = "Launch limit reached"
    advice = "Cancel a launch that you no longer need, or send the request again in a minute."
    retry_after_s = 60

    def __init__(self, quota: Quota, *, active: int, sentence: str = "") -> None:
        counted = f"Launches {_counted(quota)} that are in progress or ready: {active} of at most {quota.most}."
        super().__init__(sentence or counted)
        self.quota = quota
        self.active = active


def _counted(quota: Quota) -> str:
    if quota.network is not None:
        return "of all callers in your network"
    if quota.pattern is not None:
        return f"under one shared {quota.scope} quota"
    return "in total" if quota.scope is Scope.TOTAL else f"for this {quota.scope}"


class RateLimited(RequestRefused):
    """One of LAUNCHER_RATE_LIMIT_CALLER, LAUNCHER_RATE_LIMIT_ADDRESS and LAUNCHER_RATE_LIMIT_CREDENTIALS is used up."""

    code = "rate_limited"
    title = "Too many requests"
    advice = "Wait as long as the header Retry-After says, then send the request again. Launches in progress continue."

    def __init__(self, *, names: tuple[str, ...], most: int, window_s: int, retry_after_s: int) -> None:
        """`names`: the limits that are used up. The numbers are those of the last one."""
        limit, _, prefix = names[-1].partition("/")
        place = f"One IPv6 /{prefix}" if prefix else "One address"
        launches = f"{most} launch{'' if most == 1 else 'es'}"
        allowed = {"caller": f"One caller may request {launches}", "address": f"{place} may request {launches}"}
        sentence = allowed.get(limit, f"{place} may send {most} wrong credentials")
        super().__init__(
            f"{sentence} at once, and as many again over {window_s} s. "
            f"The next request is allowed in {retry_after_s} s."
        )
        self.names = names
        self.retry_after_s = retry_after_s


class QueueFull(RequestRefused):
    """LAUNCHER_MAX_CONCURRENT_SPAWNS launches are at the Hub, LAUNCHER_MAX_QUEUE are queued, and none makes room."""

    code = "queue_full"
    title = "The queue is full"
    advice = "Try again in a minute."
    retry_after_s = 60

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} launches are queued or starting, the most allowed.")


class StorageFull(RequestRefused):
    """The disk has less free space than LAUNCHER_MIN_FREE_SPACE, or the database reports a full disk."""

    code = "storage_full"
    title = "This service has no disk space left"
    sentence = "There is not enough disk space to accept another launch."
    advice = "Try again in a few minutes, or tell the operator of this service. Launches in progress continue."
    operator_advice = "Free space on the volume of the database, or lower LAUNCHER_RETENTION."
    retry_after_s = 60


class SpecNotMapped(RequestRefused):
    """LAUNCHER_BINDER_IMAGES has no pattern for the repository that a BinderHub client asks for."""

    code = "spec_not_mapped"
    title = "No image for this repository"
    sentence = "This service has no image for this repository."
    advice = (
        "Check the repository and its ref. This service builds no images; it has images for certain repositories only."
    )
    operator_advice = "To launch this repository, map it to an image in LAUNCHER_BINDER_IMAGES."


class LaunchNotFound(RequestRefused):
    code = "launch_not_found"
    title = "Launch not found"
    sentence = "No launch has this id."
    advice = "Check the address, or the id that POST /launch returned."


class LaunchGone(RequestRefused):
    """The id is older than LAUNCHER_RETENTION, so its launch, if there was one, is no longer kept."""

    code = "launch_gone"
    title = "This launch has expired"
    sentence = "Launches as old as this one are no longer kept."
    advice = "Launch again."


class ServerStopped(RequestRefused):
    """A client wants to continue with a launch that was ready, and its server is gone."""

    code = "server_stopped"
    title = "The server of this launch has stopped"
    sentence = "The launch was ready, but its server has stopped since."
    advice = "Launch again. If you sent a `build_token`, use a new one."


class NothingToExtend(RequestRefused):
    """The launch is not ready, its server is being stopped, or LAUNCHER_MAX_SESSION_S set no end for it."""

    code = "nothing_to_extend"
    title = "There is nothing to extend"
    advice = "Get the launch: only a ready launch with `will_end_at` can be extended, and only before that time."

    def __init__(self, *, is_ready: bool) -> None:
        super().__init__(
            "The server of this launch runs without a time limit."
            if is_ready
            else "The server of this launch is not running, or is being stopped."
        )


class SessionLimitReached(RequestRefused):
    """The server would run longer than LAUNCHER_MAX_EXTENDED_SESSION_S allows. Nothing was extended."""

    code = "session_limit_reached"
    title = "The server cannot run that long"
    advice = "Ask for a shorter extension if the launch has `extendable_until`. Save your work before the server ends."
    operator_advice = "LAUNCHER_MAX_EXTENDED_SESSION_S is the longest time that a server may run with all extensions."

    def __init__(self, latest: datetime | None) -> None:
        """`latest`: the latest end that an extension can reach; None if it cannot be extended at all."""
        until = None if latest is None else latest.astimezone(UTC)
        super().__init__(
            "This server cannot be extended."
            if until is None
            else f"This server must end by {until:%Y-%m-%d %H:%M:%S} UTC."
        )


class IdempotencyKeyReused(RequestRefused):
    """The key was sent with another request before. A key stands for one request."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key belongs to another request"
    sentence = "This Idempotency-Key was sent with a different request before."
    advice = "Use a new key for a new request. To retry, send the request unchanged."


class SecretRequired(RequestRefused):
    """The request needs the launch's secret, or the credentials of its caller."""

    code = "secret_required"
    title = "The launch's secret is required"
    sentence = "The header X-Launch-Secret is missing, or does not match this launch."
    advice = (
        "In the header X-Launch-Secret, send the `secret` that POST /launch returned. Or use the credentials that "
        "requested the launch."
    )


class ServiceDraining(RequestRefused):
    """An operator ran `hublaunch drain`. No replica accepts a launch until `hublaunch drain --undo`."""

    code = "service_draining"
    title = "This service accepts no new launches at the moment"
    sentence = "The operator of this service has paused new launches."
    advice = "Try again later, or ask the operator of this service."
    operator_advice = "`hublaunch drain --undo` lets new launches in again."
    retry_after_s = 60


class ServiceStopping(RequestRefused):
    code = "service_stopping"
    title = "This service is stopping"
    sentence = "This process is shutting down and accepts no more launches."
    advice = "Send the request again in a few seconds."
