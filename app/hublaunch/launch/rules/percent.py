"""Percent-encoding: done for URLs, and undone for what may hide behind it."""

from urllib.parse import quote, unquote

TIMES_MAX = 10
"""How many times over text is decoded: more often than all readers together do, and not as often as it takes."""

_LEFT_ALONE = "%/:?#@!$&'()*+,;="
"""The signs that a URL may have in its path, query or fragment beside letters and digits."""


def encoded(text: str) -> str:
    """Return text as a URL has it: every character that a URL cannot have is percent-encoded."""
    return quote(text, safe=_LEFT_ALONE)


def decoded(text: str) -> str:
    """Return text without percent-encoding, also where it is encoded up to 10 times over.

    Readers such as git or a proxy may decode it once more each.
    """
    for _ in range(TIMES_MAX):
        once = unquote(text)
        if once == text:
            break
        text = once
    return text


def is_read_alike(path: str) -> bool:
    """Whether git, browsers and servers agree on what this path names, however it is encoded.

    They differ on backslashes and control characters, on `..` (also as `..;x`), on bytes that are not UTF-8, and on
    text that is encoded more than 10 times over.
    """
    plain = decoded(path)
    if unquote(plain) != plain:
        return False
    climbs = any(segment.partition(";")[0] == ".." for segment in plain.split("/"))
    return plain.isprintable() and not climbs and "\\" not in plain and "\ufffd" not in plain
