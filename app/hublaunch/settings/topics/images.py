"""Which images and repositories may be launched."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field, ImportString

from hublaunch.settings.types import TextByName, Words, WordsByName

BINDERHUB_EXTRA_ARGS = (
    "binder_ref_url",
    "binder_launch_host",
    "binder_request",
    "binder_persistent_request",
    "binder_client_ip",
)


class ImageSettings(BaseModel):
    """What may be launched: docs/access.md."""

    allowed_images: Words = Field(
        (),
        description="Glob patterns of the images that may be launched. Empty allows none.",
        examples=["quay.io/jupyter/*"],
    )
    group_allowed_images: WordsByName = Field(
        {},
        description="Additional image patterns for the members of Hub groups, as a JSON object.",
        examples=['{"gpu": ["quay.io/org/gpu-*"]}'],
    )
    require_digest: bool = Field(default=False, description="Refuse images that are named without a digest.")
    allowed_repos: Words = Field(
        (),
        description="Glob patterns (host/path) of the repositories that may be launched. Empty allows every "
        "repository, and launches without one.",
        examples=["github.com/org/*"],
    )
    banned_repos: Words = Field(
        (),
        description="Glob patterns (host/path) of repositories that are always refused, even if LAUNCHER_ALLOWED_REPOS "
        "allows them.",
        examples=["github.com/org/secret-*"],
    )
    binder_images: TextByName = Field(
        {},
        description="Images for BinderHub's clients, as a JSON object from patterns of provider/spec to images "
        "(docs/binderhub.md). Empty turns GET /build off.",
        examples=['{"gh/org/*/*": "quay.io/org/{1}:{2}"}'],
    )
    allowed_extra_args: Words = Field(
        BINDERHUB_EXTRA_ARGS,
        description="Keys that a request's extra_args may have. They reach the spawner as user_options.",
    )
    pre_launch_hook: ImportString[Callable[..., Any]] | None = Field(
        None,
        description="Dotted path of a function (launcher, image, username, server_name, repo_url) that runs before "
        "each launch and may refuse it.",
        examples=["hub_hooks.check_launch"],
    )
