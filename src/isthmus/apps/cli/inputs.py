"""Rows and models as commands take them."""

from typing import TYPE_CHECKING, Any

from ...core.errors import DataError
from .screen import print_notes

if TYPE_CHECKING:
    from ...estimator.base import Estimator
    from ...files.source import Source

KINDS = {"image": "images", "table": "a table"}


def read_rows(data: str, drop: list[str]) -> "Source":
    """The rows of DATA without the columns to drop; what reading decided is noted on stderr."""
    from ...files import target
    from ...files.reading import read

    source = target.drop(read(data), drop)
    print_notes(source.notes)
    return source


def read_rows_for(model: "Estimator", data: str) -> tuple["Source", Any]:
    """DATA, and its rows as the model takes them: its own columns by name, in its own order, whatever else there is.

    What they hold that the fitted rows did not (unseen categories, values out of range) is noted on stderr.
    """
    import pyarrow as pa

    from ... import domains

    source = read_rows(data, [])
    domain, rows = model.domain_, source.rows
    kind = domains.choose(rows).name
    if kind != domain.name:
        raise DataError(
            f"{data}: holds {KINDS.get(kind, kind)}; the model was fitted to {KINDS.get(domain.name, domain.name)}"
        )
    if isinstance(rows, pa.Table) and set(domain.column_names) <= set(rows.column_names):
        rows = rows.select(domain.column_names)
    print_notes(domain.surprises(rows))
    return source, rows


def row_ids(source: "Source", rows: int) -> Any:
    """What a row is called in results: its file, or its number from 0."""
    import pyarrow as pa

    return pa.array(range(rows), pa.int64()) if source.row_ids is None else pa.array(source.row_ids, pa.string())
