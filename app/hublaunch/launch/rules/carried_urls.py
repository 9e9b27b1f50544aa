"""The addresses that a launch carries in its `path` and its `extra_args`, each of which may be a repository."""

import re
from collections.abc import Generator, Iterable
from typing import Any
from urllib.parse import unquote

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.binder_spec import BinderSpec
from hublaunch.launch.rules.percent import is_read_alike
from hublaunch.launch.rules.repo_url import REPO_URL_MAX

READ_MAX = 200_000
"""So many characters are read in one text and all those within it; a link that pulls three repositories has 5,000."""

_REPOSITORIES = frozenset({"repo", "repo_url"})
"""Parameters that hold a repository whatever it looks like: nbgitpuller reads `repo`."""
_SPECS = frozenset({"binder_request", "binder_persistent_request"})
"""Arguments of BinderHub that hold `v2/gh/org/repo/ref` in place of a URL."""
_URL = re.compile(
    r"\\|^//|[a-z0-9+.-]:/|(?<![a-z0-9+.-])(?:https?|ssh|git|ftp|file|ext):|[a-z0-9_.~-]@[a-z0-9.-]+:(?=\S)",
    re.IGNORECASE,
)
"""A part of each address elsewhere, as git and browsers read them; found in linear time."""


class _TooMuchToRead(Exception):
    """A text has more within it than is read."""


def carried(request: LaunchRequest) -> Generator[str | None]:
    """Each address that the launch carries besides its `repo_url`, as it is written there; None for a hidden one.

    What is in `path` and `extra_args` reaches programs in the server: nbgitpuller clones what `repo` names, and its
    `urlpath` may be another link with a `repo`. So every text in them is read, at each depth of percent-encoding.
    """
    for name, text in [("", request.path), *_texts(request.extra_args)]:
        try:
            if name in _SPECS:
                yield _repository(text)
            else:
                yield from _addresses(name, text)
        except _TooMuchToRead:
            yield None


def _texts(value: Any, name: str = "") -> Generator[tuple[str, str]]:
    """Every text in a value of JSON, with the name that it has there."""
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
    """Of a spec of BinderHub's, with or without `v2/`; None for what is none."""
    if len(written) > REPO_URL_MAX or "?" in written or "#" in written or not is_read_alike(written):
        return None
    try:
        return BinderSpec.parse(written.removeprefix("/").removeprefix("v2/")).source().repo_url
    except (InvalidRequest, KeyError):
        return None


def _addresses(name: str, text: str) -> Generator[str]:
    """The addresses in a text: itself without query and fragment, and what stands in these, or is encoded in it."""
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
