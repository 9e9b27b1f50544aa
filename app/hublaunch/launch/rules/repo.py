"""Repositories by name, the same for all spellings of their URL, and the patterns that allow and ban them.

A repository URL is a label: hublaunch never fetches it.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Self

from hublaunch.launch.rules.glob import Glob
from hublaunch.launch.rules.percent import decoded

_DEFAULT_PORTS = frozenset({"", "443", "80", "22", "9418"})
_ADDRESS = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?", re.DOTALL)
FOLDER_MAX = 64
"""Characters."""
_NOT_IN_FOLDER = re.compile(r"[^A-Za-z0-9._-]+")
_SUFFIX_BACKWARDS = re.compile(r"(?:tig\./?)+(?=[^./])", re.IGNORECASE)
"""`.git` and `/.git` at the end of a path, matched backwards, because forwards each `.git` in it would be tried."""


def repo_name(repo_url: str) -> str:
    """Return `host/path`, the same for all spellings of a URL; `""` for `""`.

    `https://user@GitHub.com:443/org/../org//%72epo.git/` and `git@github.com:org/repo` give `github.com/org/repo`. The
    scheme is dropped, and so are the default ports of all schemes. Takes any text; a name or a pattern is returned
    unchanged.
    """
    address, path = _address_and_path(decoded(repo_url))
    host, port = _host_and_port(address)
    host, port = _one_spelling(host.lower().rstrip(".")), port.lstrip("0")
    return (host if port in _DEFAULT_PORTS else f"{host}:{port}") + _without_git_suffix(_resolved(path))


def folder_of(name: str) -> str:
    """Return the folder for the files of the repository with this name: its last part, as `git clone` would choose it.

    It has 1 to 64 letters, digits, dots, hyphens and underscores, and begins with neither a dot nor a hyphen.
    """
    last = _NOT_IN_FOLDER.sub("-", name.rpartition("/")[2])
    return last.lstrip(".-")[:FOLDER_MAX] or "repository"


@dataclass(frozen=True, kw_only=True, slots=True)
class RepoPattern:
    """A pattern for names of repositories: `github.com/org/*`. `*` also matches `/`, and alone matches everything."""

    host: Glob
    path: Glob
    banned: Glob

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """Parse a pattern, which may have a scheme or the form `git@host:path`. Raises ValueError with a reason."""
        name = repo_name(pattern)
        host, slash, path = name.partition("/")
        if not slash and host.strip("*"):
            raise ValueError("must name more than the host; github.com/* is everything on a host")
        return cls(host=Glob(host), path=Glob(path or "*"), banned=Glob(name, ignore_case=True))

    def allows(self, name: str) -> bool:
        """Return whether this pattern, as a permission, matches the name.

        Text before the first `/` is compared with the host only, so that a path cannot pass for a host.
        """
        host, _, path = name.partition("/")
        return self.host.matches(host) and self.path.matches(path)

    def bans(self, name: str) -> bool:
        """Return whether this pattern, as a ban, matches the name; case does not matter, as on most hosts.

        A ban without a port bans all ports.
        """
        address, slash, path = name.partition("/")
        host, _ = _host_and_port(address)
        return self.banned.matches(name) or self.banned.matches(f"{host}{slash}{path}")


def _address_and_path(url: str) -> tuple[str, str]:
    """Split a URL, `user@host:path` or a name into `host:port` and path."""
    before, scheme_end, after = url.partition("://")
    authority, _, path = (after if scheme_end else before).partition("/")
    _, user_end, address = authority.rpartition("@")
    if user_end and not scheme_end:
        host, below = _host_and_port(address)
        return host, f"{below}/{path}"
    return address, path


def _host_and_port(address: str) -> tuple[str, str]:
    found = _ADDRESS.fullmatch(address)
    assert found  # the pattern matches every text
    return found["host"], found["port"] or ""


def _one_spelling(host: str) -> str:
    """Shorten an IPv6 address; return every other host unchanged."""
    try:
        return f"[{IPv6Address(host[1:-1])}]" if host.startswith("[") else host
    except ValueError:
        return host


def _without_git_suffix(path: str) -> str:
    suffix = _SUFFIX_BACKWARDS.match(path[::-1])
    return path[: len(path) - suffix.end()] if suffix else path


def _resolved(path: str) -> str:
    """Resolve empty parts, `.` and `..`; the result begins with `/`, or is `""`."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "".join(f"/{part}" for part in parts)
