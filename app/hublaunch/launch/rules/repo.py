"""Repositories by one name each, however their URL is spelled, and the patterns that allow and ban them.

A repository URL is a label (`model.py`): nothing here or elsewhere in hublaunch fetches it.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Self

from hublaunch.launch.rules.glob import Glob
from hublaunch.launch.rules.percent import decoded

_DEFAULT_PORTS = frozenset({"", "443", "80", "22", "9418"})
_ADDRESS = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?", re.DOTALL)
_SUFFIX_BACKWARDS = re.compile(r"(?:tig\./?)+(?=[^./])", re.IGNORECASE)
"""`.git` and `/.git` at the end, read from there: forwards each `.git` in a path would be tried."""


def repo_name(repo_url: str) -> str:
    """`host/path`, the same for all spellings of a URL; `""` for `""`.

    `https://user@GitHub.com:443/org/../org//%72epo.git/` and `git@github.com:org/repo` give `github.com/org/repo`. The
    default port of any scheme goes, as the scheme goes; another port stays. Takes any text, a name and a pattern too,
    whose name is then itself.
    """
    address, path = _address_and_path(decoded(repo_url))
    host, port = _host_and_port(address)
    host, port = _one_spelling(host.lower().rstrip(".")), port.lstrip("0")
    return (host if port in _DEFAULT_PORTS else f"{host}:{port}") + _without_git_suffix(_resolved(path))


@dataclass(frozen=True, kw_only=True, slots=True)
class RepoPattern:
    """Repositories by wildcards in their name, `github.com/org/*`; `*` goes on over each `/`, and `*` is everything."""

    host: Glob
    path: Glob
    banned: Glob

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """ValueError says what keeps it from being a pattern. A scheme, or the form `git@host:path`, does no harm."""
        name = repo_name(pattern)
        host, slash, path = name.partition("/")
        if not slash and host.strip("*"):
            raise ValueError("must go on after the host; github.com/* is all of a host")
        return cls(host=Glob(host), path=Glob(path or "*"), banned=Glob(name, ignore_case=True))

    def allows(self, name: str) -> bool:
        """Whether this, as a permission, allows the repository of that name.

        What stands before the first `/` is compared with the host alone, so that no path can pass for a host.
        """
        host, _, path = name.partition("/")
        return self.host.matches(host) and self.path.matches(path)

    def bans(self, name: str) -> bool:
        """Whether this, as a ban, bans the repository of that name: in upper and lower case, as most hosts take both.

        A ban that names no port bans them all.
        """
        address, slash, path = name.partition("/")
        host, _ = _host_and_port(address)
        return self.banned.matches(name) or self.banned.matches(f"{host}{slash}{path}")


def _address_and_path(url: str) -> tuple[str, str]:
    """`host:port` and path, of a URL, of `user@host:path`, or of a name."""
    before, scheme_end, after = url.partition("://")
    authority, _, path = (after if scheme_end else before).partition("/")
    _, user_end, address = authority.rpartition("@")
    if user_end and not scheme_end:
        host, below = _host_and_port(address)
        return host, f"{below}/{path}"
    return address, path


def _host_and_port(address: str) -> tuple[str, str]:
    found = _ADDRESS.fullmatch(address)
    assert found  # as every text does
    return found["host"], found["port"] or ""


def _one_spelling(host: str) -> str:
    """An IPv6 address in its shortest form; every other host as it is."""
    try:
        return f"[{IPv6Address(host[1:-1])}]" if host.startswith("[") else host
    except ValueError:
        return host


def _without_git_suffix(path: str) -> str:
    suffix = _SUFFIX_BACKWARDS.match(path[::-1])
    return path[: len(path) - suffix.end()] if suffix else path


def _resolved(path: str) -> str:
    """The path without empty parts, `.` and `..`; it begins with `/`, or is `""`."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "".join(f"/{part}" for part in parts)
