"""The checks of a launch request. A request that passes is safe to store, to log and to send to the Hub."""

import json
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.carried_urls import pulled
from hublaunch.launch.rules.path import check_path
from hublaunch.launch.rules.ref import check_ref
from hublaunch.launch.rules.repo_url import check_repo_url
from hublaunch.launch.rules.strict_json import json_fault

EXTRA_ARGS_MAX_BYTES = 16_384

RESERVED_EXTRA_ARGS = frozenset(
    {"image", "repo_url", "ref", "content_dir", "token", "url", "open_url", "display_name", "user_options"}
)
"""Keys that already have a meaning: to hublaunch, to clients that read the `ready` event, or to the Hub (JupyterHub 6
reads a body with `user_options` or `display_name` differently)."""


def launch_request(
    *,
    image: str = "",
    repo_url: str,
    extra_args: Mapping[str, Any],
    allowed_extra_args: Collection[str],
    ref: str = "",
    username: str = "",
    server_name: str = "",
    path: str = "",
    environment: str = "",
    size: str = "",
) -> LaunchRequest:
    """Return a checked request; InvalidRequest names the first invalid field, without repeating its value.

    `account.py` checks the names of the user and the server, and `catalogue.py` those of the environment and the size,
    because they depend on the caller.
    """
    if image and environment:
        raise InvalidRequest("environment", "must not be sent together with `image`")
    if not image and not environment:
        raise InvalidRequest("image", "is required, unless `environment` names an environment of the catalogue")
    if size and not environment:
        raise InvalidRequest("size", "can only be chosen together with `environment`")
    request = LaunchRequest(
        image=image,
        repo_url=repo_url,
        ref=ref,
        extra_args=dict(extra_args),
        username=username,
        server_name=server_name,
        path=path.lstrip("/"),  # as BinderHub does with its urlpath
        environment=environment,
        size=size,
    )
    with _naming("image"):
        if image:
            _ = request.image_reference  # parsed here once; the request keeps it
    with _naming("repo_url"):
        if repo_url:
            check_repo_url(repo_url)
    if ref:
        if not repo_url:
            raise InvalidRequest("ref", "needs the repository that it belongs to, in repo_url")
        with _naming("ref"):
            check_ref(ref)
    check_extra_args(request.extra_args, allowed_extra_args)
    check_path(request.path)
    for pulled_url in pulled(request.path):
        try:
            check_repo_url(pulled_url)
        except ValueError as error:
            raise InvalidRequest("path", f"names a repository that {error}") from None
    return request


@contextmanager
def _naming(field: str) -> Generator[None]:
    """Turn a ValueError into an InvalidRequest that names the field."""
    try:
        yield
    except ValueError as error:
        raise InvalidRequest(field, str(error)) from None


def check_extra_args(extra_args: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Raise InvalidRequest unless the arguments are JSON under allowed keys that do not change the launch itself."""
    if not RESERVED_EXTRA_ARGS.isdisjoint(extra_args):
        raise InvalidRequest("extra_args", f"must have none of the keys {', '.join(sorted(RESERVED_EXTRA_ARGS))}")
    if not set(extra_args) <= set(allowed):
        keys = ", ".join(sorted(set(allowed) - RESERVED_EXTRA_ARGS)) or "none"
        raise InvalidRequest(
            "extra_args",
            f"may have only these keys: {keys}",
            operator_advice="To allow a key, add it to LAUNCHER_ALLOWED_EXTRA_ARGS.",
        )
    if fault := json_fault(extra_args, values_max=EXTRA_ARGS_MAX_BYTES):
        raise InvalidRequest("extra_args", fault)
    if len(json.dumps(extra_args)) > EXTRA_ARGS_MAX_BYTES:
        raise InvalidRequest("extra_args", f"must have at most {EXTRA_ARGS_MAX_BYTES} bytes as JSON")
