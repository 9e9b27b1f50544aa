"""Settings of the images and repositories that may be launched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field, ImportString

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import TextByName, Words, WordsByName

BINDERHUB_EXTRA_ARGS = (
    "binder_ref_url",
    "binder_launch_host",
    "binder_request",
    "binder_persistent_request",
    "binder_client_ip",
)


class ImageSettings(Topic):
    """Images and repositories: docs/access.md, docs/catalogue.md."""

    allowed_images: Words = Field((), examples=["quay.io/jupyter/*"])
    """Glob patterns of the images that may be launched. Empty allows none, except those of the catalogue."""
    group_allowed_images: WordsByName = Field({}, examples=['{"gpu": ["quay.io/org/gpu-*"]}'])
    """Additional image patterns for the members of Hub groups, as a JSON object."""
    require_digest: bool = False
    """Refuse images that are named without a digest."""
    allowed_repos: Words = Field((), examples=["github.com/org/*"])
    """Glob patterns (host/path) of the repositories that may be launched. Empty allows every repository, and requests
    without one.
    """
    banned_repos: Words = Field((), examples=["github.com/org/secret-*"])
    """Glob patterns (host/path) of repositories that are always refused, even if LAUNCHER_ALLOWED_REPOS allows them."""
    binder_images: TextByName = Field({}, examples=['{"gh/org/*/*": "quay.io/org/{1}:{2}"}'])
    """Images for BinderHub's clients, as a JSON object from patterns of provider/spec to images, or to environments of
    the catalogue (docs/binderhub.md). Empty turns GET /build off.
    """
    catalogue_file: Path | None = Field(None, examples=["catalogue.yaml"])
    """YAML or JSON file of the environments that callers launch by name, and of the sizes of their servers
    (docs/catalogue.md). It is read again when it changes.
    """
    allowed_extra_args: Words = BINDERHUB_EXTRA_ARGS
    """Keys that a request's extra_args may have. They reach the spawner as user_options."""
    pre_launch_hook: ImportString[Callable[..., Any]] | None = Field(None, examples=["hub_hooks.check_launch"])
    """Dotted path of a function (launcher, image, username, server_name, repo_url) that runs before each launch and may
    refuse it.
    """
