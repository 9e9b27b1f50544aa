"""Text for terminals and pipes."""

from collections.abc import Generator, Sequence
from typing import TextIO

_JOINERS = "\u200c\u200d"
"""Unicode calls these unprintable, but Persian, Hindi and emoji fall apart without them."""


def printable(text: str) -> str:
    """Return the text without characters that could control a terminal."""
    return "".join(one if one.isprintable() or one in _JOINERS else " " for one in text)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal. Python has None for a closed stream."""
    return stream is not None and stream.isatty()


def aligned(rows: Sequence[Sequence[str]]) -> Generator[str]:
    """Yield one line per row. Nothing is truncated or wrapped, so that the lines can be searched."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
