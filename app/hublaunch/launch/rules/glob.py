"""The wildcards in operators' patterns."""

import re
from fnmatch import translate

_PIECES = re.compile(r"(?:[^\[\]]|\[[0-9a-fA-F]*:[0-9a-fA-F:]*\]|\[!?[^!\[\]:/@][^\[\]:/@]*\])+")
_ADDRESS = re.compile(r"\[([0-9a-fA-F]*:[0-9a-fA-F:]*)\]")


class Glob:
    """`*` is any text, `?` one character, `[seq]` and `[!seq]` one in or not in a set. All else is itself.

    Brackets around a colon hold an IPv6 address and are themselves too. The time to match grows with the length of
    the pattern times that of the text, however many `*` there are: `translate` lets none of them be tried twice.

    Raises ValueError for what cannot be a pattern.
    """

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        if not pattern:
            raise ValueError("must have no empty part")
        if any(character.isspace() for character in pattern):
            raise ValueError("must have no blanks")
        if not _PIECES.fullmatch(pattern):
            raise ValueError("must close each bracket that it opens, around a set of characters such as [0-9]")
        wildcards = translate(_ADDRESS.sub(r"[[]\1]", pattern))
        self._match = re.compile(wildcards, re.IGNORECASE if ignore_case else 0).match

    def matches(self, text: str) -> bool:
        """Whether it matches the whole of the text."""
        return self._match(text) is not None
