"""Glob: the wildcards in operators' patterns."""

import re
from fnmatch import translate

_PIECES = re.compile(r"(?:[^\[\]]|\[[0-9a-fA-F]*:[0-9a-fA-F:]*\]|\[!?[^!\[\]:/@][^\[\]:/@]*\])+")
_ADDRESS = re.compile(r"\[([0-9a-fA-F]*:[0-9a-fA-F:]*)\]")


class Glob:
    """Matches text: `*` is any text, `?` one character, `[seq]` and `[!seq]` one character in or not in a set.

    Every other character stands for itself, and so do brackets around an IPv6 address, that is, around a colon. The
    time to match is at most proportional to the length of the pattern times that of the text, because `translate`
    prevents backtracking over `*`.

    Raises ValueError with a reason if the pattern is invalid.
    """

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        if not pattern:
            raise ValueError("must have no empty part")
        if any(character.isspace() for character in pattern):
            raise ValueError("must have no spaces")
        if not _PIECES.fullmatch(pattern):
            raise ValueError("must close each bracket that it opens, around a set of characters such as [0-9]")
        wildcards = translate(_ADDRESS.sub(r"[[]\1]", pattern))
        self._match = re.compile(wildcards, re.IGNORECASE if ignore_case else 0).match

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches the whole text."""
        return self._match(text) is not None
