"""Percent-encoding, undone for what may hide behind it."""

from urllib.parse import unquote


def decoded(text: str) -> str:
    """Without percent-encoding, however many times over: who reads it next, git or a proxy, may decode it once more."""
    while (once := unquote(text)) != text:
        text = once
    return text


def is_read_alike(path: str) -> bool:
    """Whether git, browsers and servers agree on what this path names, however it is encoded.

    They differ on backslashes and control characters, on `..` (also as `..;x`), and on bytes that are not UTF-8.
    """
    plain = decoded(path)
    climbs = any(segment.partition(";")[0] == ".." for segment in plain.split("/"))
    return plain.isprintable() and not climbs and "\\" not in plain and "\ufffd" not in plain
