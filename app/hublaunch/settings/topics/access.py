"""Who may launch, and how they prove it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic_settings import NoDecode

from hublaunch.settings.types import AS_WORDS, Words


class AccessSettings(BaseModel):
    """Who may launch: docs/access.md."""

    access: Annotated[tuple[Literal["anonymous", "hub", "key"], ...], NoDecode, AS_WORDS] = Field(
        ("anonymous",),
        min_length=1,
        description="Who may launch, as a list: anonymous (anybody, with temporary users), hub (Hub users, on their "
        "own accounts), key (applications with an API key).",
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of the API keys, written by `hublaunch keys add`. LAUNCHER_ACCESS=key requires it.",
        examples=["api-keys.json"],
    )
    service_name: str = Field("hublaunch", min_length=1, description="Name of this service at the Hub.")
    admins: Words = Field(
        (), description="Hub users who can see and cancel everybody's launches.", examples=["ada,grace"]
    )
    oauth_client_id: str | None = Field(
        None,
        description="OAuth client id of this service at the Hub; service-NAME if not set, NAME being the service name.",
        examples=["service-hublaunch"],
    )
    oauth_callback_url: str | None = Field(
        None,
        description="URL or path to which the Hub sends browsers after login, as registered at the Hub; "
        "PREFIX/oauth_callback if not set.",
        examples=["/services/hublaunch/oauth_callback"],
    )
