"""The addresses in a request's `path` and `extra_args`, each of which may name a repository."""

import re
from collections.abc import Generator, Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.binder_spec import BinderSpec
from hublaunch.launch.rules.percent import is_read_alike
from hublaunch.launch.rules.repo_url import REPO_URL_MAX

READ_MAX = 200_000
"""Characters read of one text and the texts nested in it. A link that pulls three repositories has 5,000."""

_REPOSITORIES = frozenset({"repo", "repo_url"})
"""Parameters whose value is always a repository: nbgitpuller reads `repo`."""
_PULLS = frozenset({"git-pull", "git-sync"})
"""The last part of nbgitpuller's addresses, today's and the former one."""
_SPECS = frozenset({"binder_request", "binder_persistent_request"})
"""Arguments of BinderHub whose value is a spec such as `v2/gh/org/repo/ref`, not a URL."""
_URL = re.compile(
    r"\\|^//|[a-z0-9+.-]:/|(?<![a-z0-9+.-])(?:https?|ssh|git|ftp|file|ext):|[a-z0-9_.~-]@[a-z0-9.-]+:(?=\S)",
    re.IGNORECASE,
)
"""Marks an address in any other text, as git and browsers read it. Matches in linear time."""


class _TooMuchToRead(Exception):
    """A text contains more than READ_MAX characters."""


def carried(request: LaunchRequest) -> Generator[str | None]:
    """Yield every address in the request besides its `repo_url`, as written; None for an unreadable one.

    `path` and `extra_args` reach programs in the server: nbgitpuller clones the `repo` of a link, and its `urlpath` may
    be another link with a `repo`. So every text in them is searched, at every level of percent-encoding.
    """
    for name, text in [("", request.path), *_texts(request.extra_args)]:
        try:
            if name in _SPECS:
                yield _repository(text)
            else:
                yield from _addresses(name, text)
        except _TooMuchToRead:
            yield None


def pulled(path: str) -> Generator[str]:
    """Yield the repositories that nbgitpuller clones when this path is opened, decoded as it decodes them.

    The `urlpath` of such a link is opened afterwards, and may be another one.
    """
    links = [path]
    while links:
        address, _, query = links.pop().partition("#")[0].partition("?")
        parameters = parse_qsl(query, keep_blank_values=True)
        if unquote(address).rstrip("/").rpartition("/")[2].casefold() in _PULLS:
            yield from (value for name, value in parameters if name.casefold() == "repo")
        links += [value for _, value in parameters]


def _texts(value: Any, name: str = "") -> Generator[tuple[str, str]]:
    """Yield every text in a JSON value, with its key."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield "", key
            yield from _texts(below, key)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below, name)


def _repository(written: str) -> str | None:
    """Return the repository of a BinderHub spec, with or without `v2/`; None if it is invalid."""
    if len(written) > REPO_URL_MAX or "?" in written or "#" in written or not is_read_alike(written):
        return None
    try:
        return BinderSpec.parse(written.removeprefix("/").removeprefix("v2/")).source().repo_url
    except (InvalidRequest, KeyError):
        return None


def _addresses(name: str, text: str) -> Generator[str]:
    """Yield the addresses in a text: the text before its query, the parameters after it, and decoded forms of both."""
    waiting, seen, read = [(name, text)], set[tuple[str, str]](), 0
    while waiting:
        name, text = pair = waiting.pop()
        if pair in seen or not text:
            continue
        seen.add(pair)
        read += len(text)
        if read > READ_MAX:
            raise _TooMuchToRead
        address = re.split("[?#]", text, maxsplit=1)[0]
        if name.casefold() in _REPOSITORIES or _URL.search(address):
            yield address
        waiting += [(name, unquote(text)), *_parameters(text)]


def _parameters(text: str) -> Iterable[tuple[str, str]]:
    for piece in re.split("[?#&;]", text)[1:]:
        name, _, value = piece.partition("=")
        yield unquote(name), unquote(value)
        yield "", name
