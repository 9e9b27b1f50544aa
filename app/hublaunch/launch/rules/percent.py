"""Percent-encoding of URLs, and decoding of text in which it may hide something."""

from urllib.parse import quote, unquote

TIMES_MAX = 10
"""The maximum number of times that text is decoded: more than all its readers together decode it, but still bounded."""

_LEFT_ALONE = "%/:?#@!$&'()*+,;="
"""The characters besides letters and digits that a path, query or fragment may contain unencoded."""


def encoded(text: str) -> str:
    """Percent-encode every character of the text that a URL cannot contain."""
    return quote(text, safe=_LEFT_ALONE)


def decoded(text: str) -> str:
    """Decode text that is percent-encoded up to 10 times over.

    Each of its readers, such as git or a proxy, may decode it once more.
    """
    for _ in range(TIMES_MAX):
        once = unquote(text)
        if once == text:
            break
        text = once
    return text


def is_read_alike(path: str) -> bool:
    """Return whether git, browsers and servers all read this path in the same way, however it is encoded.

    They differ on backslashes, control characters, `..` (even as `..;x`), bytes that are not UTF-8, and text that is
    encoded more than 10 times over.
    """
    plain = decoded(path)
    if unquote(plain) != plain:
        return False
    climbs = any(segment.partition(";")[0] == ".." for segment in plain.split("/"))
    return plain.isprintable() and not climbs and "\\" not in plain and "\ufffd" not in plain
