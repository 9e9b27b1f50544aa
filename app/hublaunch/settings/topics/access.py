"""Settings of access: who may launch, and how they prove it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import NoDecode

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import AS_WORDS, Words


class AccessSettings(Topic):
    """Callers: docs/access.md."""

    access: Annotated[tuple[Literal["anonymous", "hub", "invitation", "key"], ...], NoDecode, AS_WORDS] = Field(
        ("anonymous",), min_length=1
    )
    """Who may launch, as a list: anonymous (anybody, with temporary users), hub (Hub users, on their own accounts), key
    (applications with an API key), invitation (holders of a link from `hublaunch invite add`, with temporary users).
    """
    api_keys_file: Path | None = Field(None, examples=["api-keys.json"])
    """File of the API keys, written by `hublaunch keys add`. LAUNCHER_ACCESS=key requires it."""
    service_name: str = Field("hublaunch", min_length=1)
    """Name of this service at the Hub."""
    admins: Words = Field((), examples=["ada,grace"])
    """Hub users who can see and cancel everybody's launches."""
    oauth_client_id: str | None = Field(None, examples=["service-hublaunch"])
    """OAuth client id of this service at the Hub; service-NAME if not set, NAME being the service name."""
    oauth_callback_url: str | None = Field(None, examples=["/services/hublaunch/oauth_callback"])
    """URL or path to which the Hub sends browsers after login, as registered at the Hub; PREFIX/oauth_callback if not
    set.
    """
