"""Percent-encoding, undone for what may hide behind it."""

from urllib.parse import unquote


def decoded(text: str) -> str:
    """Without percent-encoding, however many times over: who reads it next, git or a proxy, may decode it once more."""
    while (once := unquote(text)) != text:
        text = once
    return text
