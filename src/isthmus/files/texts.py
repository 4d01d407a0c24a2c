"""Texts: a file with one on each line, or a column of a table; and texts as such a file or table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.errors import DataError
from ..core.rows import one_by_one
from .failures import damage_named, shown
from .limits import check_bytes
from .tables import check_utf8

# The column of a table that texts are written as.
COLUMN = "text"


def read_lines(path: Path) -> tuple[np.ndarray, list[str] | None, tuple[str, ...]]:
    """A text on each line of a file in UTF-8: an array of strings, what each is called, and notes.

    Lines of nothing but blanks are left out, and texts are then called by their line, counted from 1.
    Raises DataError naming the line that is not UTF-8, and for a file without any text.
    """
    with damage_named(path, "lines of text"):
        check_bytes(path, path.stat().st_size)
        check_utf8(path)
        # The last line ends where the file does; other characters that end lines for Python are part of a text.
        lines = path.read_bytes().decode("utf-8-sig").removesuffix("\n").split("\n")
    texts = [line.removesuffix("\r") for line in lines]
    kept = [place for place, text in enumerate(texts) if text.strip()]
    if not kept:
        raise DataError(f"{shown(path)}: holds no text; give a file with a text on each line")
    if len(kept) == len(texts):
        return one_by_one(texts), None, ()
    note = f"{len(texts) - len(kept):,} empty lines were left out; texts are called by their line"
    return one_by_one([texts[place] for place in kept]), [f"line {place + 1}" for place in kept], (note,)


def read_column(table: pa.Table, name: str, path: Path) -> tuple[np.ndarray, list[str] | None, tuple[str, ...]]:
    """The texts of a column of a table, as `read_lines` gives them; rows whose cell is empty are left out.

    Raises DataError for a column that does not exist or holds no text.
    """
    if name not in table.column_names:
        names = ", ".join(table.column_names[:12])
        raise DataError(f"{shown(path)}: there is no column '{name}'; the columns are {names}")
    column = table.column(name)
    kind = getattr(column.type, "value_type", column.type)
    if kind not in (pa.string(), pa.large_string(), pa.string_view()):
        raise DataError(
            f"{shown(path)}: column '{name}' holds {kind}, no text; texts are read as {shown(path.name)}:COLUMN, a "
            f"long table of series as {shown(path.name)}:ID,TIME, with the columns that tell series apart and put "
            "steps in order"
        )
    texts = column.to_pylist()
    kept = [place for place, text in enumerate(texts) if text is not None]
    if not kept:
        raise DataError(f"{shown(path)}: column '{name}' has empty cells alone; name another one")
    if len(kept) == len(texts):
        return one_by_one(texts), None, ()
    note = f"{len(texts) - len(kept):,} rows without a text in '{name}' were left out; texts are called by their row"
    return one_by_one([texts[place] for place in kept]), [f"row {place}" for place in kept], (note,)


def are_texts(rows: Any) -> bool:
    """Whether these are texts one by one: a list or an array of strings."""
    many = isinstance(rows, list) or (isinstance(rows, np.ndarray) and rows.dtype == object and rows.ndim == 1)
    return many and len(rows) > 0 and all(isinstance(each, str) for each in rows)


def text_table(texts: Sequence[str]) -> pa.Table:
    """Texts as a table of one column."""
    return pa.table({COLUMN: pa.array(list(texts), pa.string())})


def lines_of(texts: Sequence[str], path: str | Path) -> bytes:
    """Texts as the bytes of a file with one on each line. Raises DataError for a text that has several lines."""
    for place, text in enumerate(texts):
        if "\n" in text or "\r" in text:
            raise DataError(
                f"{shown(path)}: text {place} has more than one line, and .txt holds a text on each; choose .jsonl"
            )
    return "".join(f"{text}\n" for text in texts).encode()
