"""Rows of text for the terminal, in columns that line up."""

import unicodedata
from collections.abc import Iterator, Sequence


def as_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row. Every row has as many cells as the first."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Columns of a terminal: letters of East Asia take two (UAX #11), marks on another letter none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
