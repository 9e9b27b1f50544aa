"""The path that a launch opens below the server's root, such as `lab/tree/x.ipynb` or `git-pull?repo=…`."""

import re
from urllib.parse import quote

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.rules.percent import decoded, encoded, is_read_alike

PATH_MAX = 2000

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_TOKEN = re.compile(r"(?:^|[?&;])\s*token\s*=", re.IGNORECASE)
_USERINFO = re.compile(r"(?<!ssh)://[^/?#&]*@|://[^/?#&:]*:[^/?#&]*@", re.IGNORECASE)


def check_path(path: str) -> None:
    """Raise InvalidRequest unless this is `""`, or a path relative to the server's root.

    The path may have a query and a fragment. Browsers and servers resolve `..`, `//` and backslashes differently, and
    decode a different number of times. So a path with any of these, however encoded, is refused, even if it would stay
    inside the server. In the query, which the server reads, only credentials are refused: they must not be stored in
    clear text, nor replace the visitor's token.
    """
    if not path.isprintable() or "\\" in path:
        raise _refused("must have no control characters and no backslash")
    if len(encoded(path)) > PATH_MAX:
        raise _refused(f"must have at most {PATH_MAX} characters once percent-encoded")
    if _BAD_ESCAPE.search(path):
        raise _refused("must have a % only before two hexadecimal digits; write %25 for the character itself")
    below, _, query = path.partition("#")[0].partition("?")
    _check_below(decoded(below))
    query = decoded(query)
    if _TOKEN.search(query) or _USERINFO.search(query):
        raise _refused("must not have credentials in it")


def _check_below(below: str) -> None:
    if not below.isprintable() or "\\" in below:
        raise _refused("must have no control characters and no backslash")
    segments = below.split("/")
    if below.startswith("/") or "" in segments[:-1]:
        raise _refused("must be relative to the server's root: no / at the beginning, and no //")
    if ":" in segments[0]:
        raise _refused("must be relative to the server's root: no scheme, and no : before the first /")
    if not is_read_alike(below):
        raise _refused("must have no .., and must decode to UTF-8")


def opened_at(url: str, path: str, *, token: str | None) -> str:
    """Return the URL that opens a checked path below the server's root `url`, which ends in `/`, with the token."""
    before, hash_sign, fragment = encoded(path).partition("#")
    if token is not None:
        before += f"{'&' if '?' in before else '?'}token={quote(token, safe='')}"
    return f"{url}{before}{hash_sign}{fragment}"


def _refused(reason: str) -> InvalidRequest:
    return InvalidRequest("path", reason)
