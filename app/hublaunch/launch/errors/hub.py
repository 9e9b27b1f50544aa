"""Calls to the Hub that failed."""

from hublaunch.launch.errors.base import LaunchError


class HubError(LaunchError):
    """The Hub did not do what it was asked to do."""

    may_have_acted: bool = True
    """False if no request of the call can have changed anything at the Hub."""


class HubUnavailable(HubError):
    """No answer, an incomplete answer or a 5xx. Unless nothing was sent, check the Hub's state before asking again."""

    code = "hub_unavailable"
    title = "JupyterHub is not available"
    advice = "Try again in a minute."
    operator_advice = "Check that the Hub is running and that LAUNCHER_HUB_URL_LOCAL is its address."
    retryable = True

    def __init__(self, operation: str, reason: str, *, may_have_acted: bool = True) -> None:
        super().__init__(f"JupyterHub did not {operation}: {reason}")
        self.may_have_acted = may_have_acted


class NotTheHub(HubUnavailable):
    """Another web server answered: a redirect, or a 4xx without JupyterHub's wording. A retry cannot help."""

    code = "not_the_hub"
    title = "Another web server answers at JupyterHub's address"
    advice = "Tell the operator of this service: only they can fix this."
    operator_advice = (
        "Set LAUNCHER_HUB_URL_LOCAL, or LAUNCHER_HUB_URL if that is not set, to JupyterHub's own scheme, host, port "
        "and path."
    )
    retryable = False

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation, reason, may_have_acted=False)


class HubFailed(HubUnavailable):
    """A 5xx from the Hub itself, not from a proxy in front of it: the Hub received the request and failed."""


class HubBusy(HubError):
    """429: the Hub is starting, or running, as many servers as it allows."""

    code = "hub_busy"
    title = "JupyterHub is at its limit"
    advice = "Try again later."
    may_have_acted = False

    def __init__(self, reason: str, retry_after_s: float | None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        """From the Hub's Retry-After header; None without one."""


class HubRefused(HubError):
    """A 4xx: asking again would get the same answer."""

    code = "hub_refused"
    title = "JupyterHub refused the launch"
    advice = "The reason comes from JupyterHub. Its operator can tell you more."
    may_have_acted = False

    def __init__(self, operation: str, status: int, reason: str) -> None:
        super().__init__(f"JupyterHub refused to {operation} ({status}): {reason}")
        self.status = status
        self.reason = reason


class HubForbidden(HubRefused):
    """403 in the Hub's own words: the service's role lacks a scope."""

    code = "hub_forbidden"
    title = "JupyterHub does not allow this service to do that"
    advice = "Tell the operator of this service: only they can fix this."
    operator_advice = "Compare this service's role at the Hub with the scopes in docs/hub-setup.md."


class HubTokenUnknown(HubForbidden):
    """403 for a token that the Hub does not know. A Hub whose database fails answers the same."""

    code = "hub_token_unknown"
    title = "JupyterHub does not know this service's token"
    operator_advice = (
        "Set LAUNCHER_HUB_API_TOKEN to the api_token that the Hub has for hublaunch, and restart hublaunch."
    )


class SpawnRefused(HubRefused):
    """A 4xx on the start of a server, usually from the spawner or a hook that runs before it."""


class NamedServersOff(SpawnRefused):
    """400 "Named servers are not enabled"."""

    code = "named_servers_off"
    title = "Named servers are disabled at JupyterHub"
    advice = "Tell the operator of this service: only they can fix this."
    operator_advice = (
        "Set c.JupyterHub.allow_named_servers = True at the Hub (z2jh: hub.allowNamedServers), or "
        "LAUNCHER_ALLOW_NAMED_SERVERS=false here."
    )


class NameTaken(HubRefused):
    """The name was in use before this attempt asked for it, so nothing under it may be cleaned up."""


class UserExists(NameTaken):
    """409 on the first try to create a user. The next attempt uses another name."""

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
    """400 or 404 on progress: the Hub is not starting this server."""

    code = "not_starting"
    title = "JupyterHub is not starting this server"
    advice = "Launch again."


class TokenRefused(HubRefused):
    """The Hub did not issue a token for the visitor, or issued one without access to the server."""

    code = "token_refused"
    title = "JupyterHub did not issue a token for the server"
    advice = "Tell the operator of this service: only they can fix this."
    operator_advice = (
        "Give this service's role the scope `tokens`, and set LAUNCHER_TOKEN_LIFETIME_S to at most the Hub's "
        "token_expires_in_max_seconds."
    )
