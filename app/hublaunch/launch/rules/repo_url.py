"""The URLs of repositories that a request may name, in every form that git accepts."""

import re
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from hublaunch.launch.rules.percent import encoded, is_read_alike

REPO_URL_MAX = 2000
"""Characters, percent-encoded. PostgreSQL indexes repositories together with callers, in at most 2,704 bytes."""

# Neither user nor host nor path may look like an option of a command. A host with other letters is written xn--….
# Git does not decode % in this form.
_SCP_LIKE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!-)[^\s:@?#%]+")
_AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9._~-]*@)?(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"
)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_REPO_SCHEMES = ("https", "http", "git", "ssh")


def check_repo_url(repo_url: str) -> None:
    """Check a URL that git accepts. Raises ValueError with a reason that does not repeat the URL.

    A URL with credentials in it is refused, so that none are ever stored.
    """
    if not repo_url.isprintable() or " " in repo_url:  # no other white space is printable
        raise ValueError("must have no spaces and no control characters")
    if len(encoded(repo_url)) > REPO_URL_MAX:
        raise ValueError(f"must have at most {REPO_URL_MAX} characters once percent-encoded")
    if not is_read_alike(repo_url):
        raise ValueError("must contain neither .. nor a backslash, not even percent-encoded")
    if "://" not in repo_url:
        if _SCP_LIKE.fullmatch(repo_url):
            return
        raise ValueError("must be a URL such as https://github.com/org/repo or git@github.com:org/repo")
    _check_url(repo_url)


def _check_url(repo_url: str) -> None:
    try:
        url = urlsplit(repo_url)
        _ = url.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme not in _REPO_SCHEMES or not url.hostname:
        raise ValueError(f"must begin with one of {', '.join(f'{s}://' for s in _REPO_SCHEMES)}")
    if url.password is not None or (url.username is not None and url.scheme != "ssh"):
        raise ValueError("must not have credentials in it")
    if not _AUTHORITY.fullmatch(url.netloc):
        raise ValueError("must name its host with the letters a-z, digits, dots and hyphens")
    if not _has_one_spelling(url.hostname):
        raise ValueError("must write an IP address as four numbers with dots, or in brackets")
    if "?" in repo_url or "#" in repo_url:
        raise ValueError("must not have a query or a fragment, which could hold credentials")


def _has_one_spelling(host: str) -> bool:
    """Return whether a host is not an IPv4 address in an unusual spelling: 127.0.0.1 is also 2130706433 and 0x7f.1."""
    last = host.rstrip(".").rpartition(".")[2]
    if not _NUMBER.fullmatch(last):
        return True
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True
