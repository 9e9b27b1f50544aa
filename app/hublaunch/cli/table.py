"""Rows as lines."""

from collections.abc import Generator, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> Generator[str]:
    """A line a row, the first being the heading. Nothing is cut off or broken: lines are searched."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
