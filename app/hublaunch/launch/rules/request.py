"""What a request may say. Whatever passes here is safe to store, to log and to hand to the Hub."""

import json
import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import urlsplit

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.path import check_path
from hublaunch.launch.rules.percent import encoded, is_read_alike
from hublaunch.launch.rules.strict_json import json_fault

IMAGE_MAX = 512
REPO_URL_MAX = 2000
"""As a URL has them. PostgreSQL keeps repositories in indexes, beside callers, and takes 2,704 bytes there."""
EXTRA_ARGS_MAX_BYTES = 16_384

RESERVED_EXTRA_ARGS = frozenset({"image", "repo_url", "token", "url", "open_url", "display_name", "user_options"})
"""Keys with a meaning of their own: to hublaunch, to whoever reads `ready`, or to the Hub (`user_options` and
`display_name` change what JupyterHub 6 takes the body to be)."""

# https://github.com/distribution/reference: [domain/]path[:tag][@digest], and no bare id of an image
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?![0-9a-f]{64}\Z)"
    rf"(?:{_HOST}(?::[0-9]+)?/)?{_PATH}(?:/{_PATH})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,})?"
)
# Neither user nor host nor path begins like an option of a command. A host in other letters is written xn--…. Git
# decodes no % in this form.
_SCP_LIKE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!-)[^\s:@?#%]+")
_AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9._~-]*@)?(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"
)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_REPO_SCHEMES = ("https", "http", "git", "ssh")


def launch_request(
    *,
    image: str,
    repo_url: str,
    extra_args: Mapping[str, Any],
    allowed_extra_args: Collection[str],
    username: str = "",
    server_name: str = "",
    path: str = "",
) -> LaunchRequest:
    """A checked request; InvalidRequest names the first field that is wrong, without repeating its value.

    What names are taken depends on the caller: `account.py`.
    """
    check_image(image)
    check_repo_url(repo_url)
    extra_args = dict(extra_args)
    check_extra_args(extra_args, allowed_extra_args)
    path = path.lstrip("/")  # as BinderHub does with its urlpath
    check_path(path)
    return LaunchRequest(
        image=image,
        repo_url=repo_url,
        extra_args=extra_args,
        username=username,
        server_name=server_name,
        path=path,
    )


def check_image(image: str) -> None:
    """An image reference: `[registry/]repository[:tag][@digest]`."""
    if len(image) > IMAGE_MAX:
        raise InvalidRequest("image", f"must have at most {IMAGE_MAX} characters")
    if not _IMAGE.fullmatch(image):
        raise InvalidRequest("image", "must be an image reference such as quay.io/jupyter/base-notebook:latest")


def check_repo_url(repo_url: str) -> None:
    """A URL as git takes it, or `""`. A URL with a password or token in it is refused, so that none is ever stored."""
    if not repo_url:
        return
    if not repo_url.isprintable() or " " in repo_url:  # no other blank is printable
        raise InvalidRequest("repo_url", "must have no blanks and no control characters")
    if len(encoded(repo_url)) > REPO_URL_MAX:
        raise InvalidRequest("repo_url", f"must have at most {REPO_URL_MAX} characters, counted as a URL has them")
    if not is_read_alike(repo_url):
        raise InvalidRequest("repo_url", "must have no .. and no backslash, also not percent-encoded")
    if "://" not in repo_url:
        if _SCP_LIKE.fullmatch(repo_url):
            return
        raise InvalidRequest("repo_url", "must be a URL such as https://github.com/org/repo or git@github.com:org/repo")
    _check_url(repo_url)


def _check_url(repo_url: str) -> None:
    try:
        url = urlsplit(repo_url)
        _ = url.port
    except ValueError:
        raise InvalidRequest("repo_url", "is not a URL") from None
    if url.scheme not in _REPO_SCHEMES or not url.hostname:
        raise InvalidRequest("repo_url", f"must begin with one of {', '.join(f'{s}://' for s in _REPO_SCHEMES)}")
    if url.password is not None or (url.username is not None and url.scheme != "ssh"):
        raise InvalidRequest("repo_url", "must not have credentials in it")
    if not _AUTHORITY.fullmatch(url.netloc):
        raise InvalidRequest("repo_url", "must name its host with the letters a-z, digits, dots and hyphens")
    if not _has_one_spelling(url.hostname):
        raise InvalidRequest("repo_url", "must write an IP address as four numbers with dots, or in brackets")
    if "?" in repo_url or "#" in repo_url:
        raise InvalidRequest("repo_url", "must not have a query or a fragment, which could hold credentials")


def _has_one_spelling(host: str) -> bool:
    """Whether a host is no IPv4 address, or written as one usually is: 127.0.0.1 is also 2130706433 and 0x7f.1."""
    last = host.rstrip(".").rpartition(".")[2]
    if not _NUMBER.fullmatch(last):
        return True
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def check_extra_args(extra_args: dict[str, Any], allowed: Collection[str]) -> None:
    """JSON under keys that the operator allows, none of which can change what is launched; InvalidRequest."""
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
