"""Rows and models as commands take them."""

from typing import TYPE_CHECKING, Any

from ...core.errors import DataError
from .screen import print_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...domains.base import Rows
    from ...estimator.base import Estimator
    from ...files.source import Source
    from ...files.streaming import Stream


def read_rows(data: str, drop: list[str], text: "Sequence[str]" = ()) -> "Source":
    """The rows of DATA without the columns to drop; what reading decided is noted on stderr.

    `text` names columns that are text, whatever a file's cells look like.
    """
    from ...files.reading import read

    source = read(data, text=text, drop=drop)
    _refuse_gaps(source.rows, data)
    print_notes(source.notes)
    return source


def read_or_stream(data: str, drop: list[str], always: bool = False) -> "Rows | Stream":
    """The rows of DATA without the columns to drop, or, where they are larger than memory or `always`, a stream."""
    from ...files import streaming

    if not (always or streaming.is_larger_than_memory(data)):
        return read_rows(data, drop).rows
    rows = streaming.stream(data, drop=drop)
    print_notes([*rows.notes, f"{rows.rows:,} rows stay in their files and are read a few at a time"])
    return rows


def _refuse_gaps(rows: Any, data: str) -> None:
    """Refuse NaN and infinity in a matrix: what is missing is said by a table's empty cells, not by numbers."""
    import numpy as np

    if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind == "f" and not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        value = "NaN" if np.isnan(rows[row, column]) else "infinity"
        raise DataError(
            f"{data}: row {row}, column {column} is {value}; remove the row, or give a table with empty cells"
        )


def read_rows_for(model: "Estimator", data: str) -> tuple["Source", Any]:
    """DATA, and its rows as the model takes them: its own columns by name, in its own order, whatever else there is.

    What they hold that the fitted rows did not (unseen categories, values out of range) is noted on stderr.
    """
    from ..results import own_columns

    domain = model.domain_
    source = read_rows(data, [], domain.text_columns)
    check_kind(data, source.rows, domain.name, "the model was fitted to")
    rows = own_columns(model, source.rows)
    print_notes(domain.surprises(rows))
    return source, rows


def text_columns(rows: Any) -> list[str]:
    """The columns of a table that hold text."""
    import pyarrow as pa

    if not isinstance(rows, pa.Table):
        return []
    texts = (pa.string(), pa.large_string(), pa.string_view())
    return [field.name for field in rows.schema if getattr(field.type, "value_type", field.type) in texts]


def check_kind(data: str, rows: Any, expected: str, because: str) -> None:
    """Refuse rows of another kind than the domain `expected`."""
    from ... import domains

    if not domains.find(expected).accepts(rows):
        raise DataError(f"{data}: holds {domains.choose(rows).called}; {because} {domains.find(expected).called}")


def row_ids(source: "Source", rows: int) -> Any:
    """What a row is called in results: its file, or its number from 0."""
    import pyarrow as pa

    return pa.array(range(rows), pa.int64()) if source.row_ids is None else pa.array(source.row_ids, pa.string())
