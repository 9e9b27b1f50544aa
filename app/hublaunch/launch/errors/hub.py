"""Calls to the Hub that came to nothing."""

from hublaunch.launch.errors.base import LaunchError


class HubError(LaunchError):
    """The Hub did not do what it was asked."""

    may_have_acted: bool = True
    """False if no request of the call can have changed anything at the Hub."""


class HubUnavailable(HubError):
    """No answer, a broken answer or a 5xx. Look at the Hub before you ask it again, unless nothing was sent."""

    code = "hub_unavailable"
    title = "JupyterHub gives no useful answer"
    advice = "Try again in a minute."
    operator_advice = "Check that the Hub runs and that LAUNCHER_HUB_URL_LOCAL is its address."
    retryable = True

    def __init__(self, operation: str, reason: str, *, may_have_acted: bool = True) -> None:
        super().__init__(f"JupyterHub did not {operation}: {reason}")
        self.may_have_acted = may_have_acted


class NotTheHub(HubUnavailable):
    """Another web server answered for good: a redirect, or a 4xx that JupyterHub does not word. No retry helps."""

    code = "not_the_hub"
    title = "Another web server answers in JupyterHub's place"
    advice = "Tell the operator of this service: only they can change this."
    operator_advice = (
        "Set LAUNCHER_HUB_URL_LOCAL, or without it LAUNCHER_HUB_URL, to JupyterHub's own scheme, host, port and path."
    )
    retryable = False

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation, reason, may_have_acted=False)


class HubFailed(HubUnavailable):
    """A 5xx that the Hub itself answered, not a proxy before it: the Hub got the request and could not do it."""


class HubBusy(HubError):
    """429: the Hub is starting, or running, as many servers as it may."""

    code = "hub_busy"
    title = "JupyterHub is at its limit"
    advice = "Try again later."
    may_have_acted = False

    def __init__(self, reason: str, retry_after_s: float | None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        """What the Hub asked for; None if it named no time."""


class HubRefused(HubError):
    """A 4xx: asking again changes nothing."""

    code = "hub_refused"
    title = "JupyterHub refused the launch"
    advice = "The reason is JupyterHub's own; its operator can tell more."
    may_have_acted = False

    def __init__(self, operation: str, status: int, reason: str) -> None:
        super().__init__(f"JupyterHub refused to {operation} ({status}): {reason}")
        self.status = status
        self.reason = reason


class HubForbidden(HubRefused):
    """403. Most often the service's role lacks a scope; a spawner may say it too."""

    code = "hub_forbidden"
    title = "JupyterHub does not allow this service to do that"
    advice = "Tell the operator of this service: only they can change this."
    operator_advice = "Compare the scopes of this service's role at the Hub with the scopes in docs/hub-setup.md."


class SpawnRefused(HubRefused):
    """A 4xx on the start of a server: most often the spawner's, or a hook's before it."""


class NamedServersOff(SpawnRefused):
    """400 "Named servers are not enabled"."""

    code = "named_servers_off"
    title = "JupyterHub has named servers switched off"
    advice = "Tell the operator of this service: only they can change this."
    operator_advice = (
        "Set c.JupyterHub.allow_named_servers = True at the Hub (z2jh: hub.allowNamedServers), or "
        "LAUNCHER_ALLOW_NAMED_SERVERS=false here."
    )


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
    advice = "Tell the operator of this service: only they can change this."
    operator_advice = (
        "Give this service's role the scope `tokens`, and set LAUNCHER_TOKEN_LIFETIME_S to at most the Hub's "
        "token_expires_in_max_seconds."
    )
