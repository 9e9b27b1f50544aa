"""Settings of a launch at the Hub, and of its visitor's way in."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from hublaunch.settings.topics import Topic

_YEAR_S = 31_536_000


class LaunchSettings(Topic):
    """A launch and its visitor."""

    create_user: bool = True
    """Create a temporary Hub user for each launch. Anonymous callers need this; Hub users always keep their own
    accounts.
    """
    allow_named_servers: bool = False
    """Start each launch of an existing user as a named server."""
    named_server_limit_per_user: int = Field(0, ge=0)
    """Maximum number of named servers of one user; 0 means no limit."""
    launch_timeout: float = Field(600, gt=0)
    """Seconds from admission until the server must be ready, over all attempts."""
    retries: int = Field(4, ge=1)
    """Attempts at each launch, and at each Hub API request, including the first."""
    retry_delay: float = Field(4, ge=0)
    """Seconds before the first retry, doubled for each further one."""
    token_mode: Literal["hub", "user_options"] = "hub"
    """How visitors get into their servers: hub (a Hub token for that server only) or user_options (BinderHub's way, for
    a spawner with its mixin).
    """
    token_lifetime_s: int = Field(86400, gt=0)
    """Seconds that a visitor's token is valid. With LAUNCHER_MAX_SESSION_S, it is valid for at least the longest
    session.
    """
    token_in_url: bool = True
    """Put the token into open_url. Turn it off if the servers refuse tokens in URLs (JUPYTERHUB_ALLOW_TOKEN_IN_URL)."""
    cull_after_s: float = Field(3600, ge=0)
    """Seconds that a temporary user is kept after their server has stopped."""
    max_session_s: float | None = Field(None, ge=60, le=_YEAR_S, examples=[14400])
    """Seconds after which a ready server is stopped, with everything in it that is not stored elsewhere. Without it,
    hublaunch stops no server by itself. At most a year.
    """
    max_extended_session_s: float | None = Field(None, ge=60, le=_YEAR_S, examples=[28800])
    """Seconds that a server may run if visitors extend its session. Without it, no session can be extended. It needs
    LAUNCHER_MAX_SESSION_S.
    """

    @field_validator("max_extended_session_s")
    @classmethod
    def _max_extended_session_s(cls, value: float | None, known: ValidationInfo) -> float | None:
        if value is None or "max_session_s" not in known.data:
            return value
        if (most_s := known.data["max_session_s"]) is None:
            raise ValueError("needs LAUNCHER_MAX_SESSION_S: without it, a session has no end to extend")
        if value < most_s:
            raise ValueError("must not be shorter than LAUNCHER_MAX_SESSION_S")
        return value
