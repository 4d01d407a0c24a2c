"""What users hand over ↔ what codecs take: frames and matrices are tables, and come back as what they were."""

from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse
from narwhals.exceptions import DuplicateError

from ..core.errors import DataError
from ..core.parts import Parts
from ..files.failures import reason
from ..files.writing import table_of

# A matrix of more columns is kept as an array.
MOST_COLUMNS = 256


def taken(rows: Any) -> tuple[Any, dict[str, Any]]:
    """(rows as a codec takes them, notes by which `given_back` makes them what they were)."""
    if isinstance(rows, pa.Table):
        return _named_once(rows), {"container": "arrow"}
    if isinstance(rows, Parts | dict):
        raise DataError("rows of several parts are not archived; compress each part on its own")
    if scipy.sparse.issparse(rows):
        raise DataError("sparse counts are not archived; keep them as .npz")
    if isinstance(rows, np.ndarray):
        if not rows.ndim:
            raise DataError("a single number is no array of rows; give an array of one dimension or more")
        plain = rows.dtype.kind in "iuf" and rows.dtype.itemsize <= 8 and rows.dtype.isnative
        if plain and rows.ndim == 2 and 0 < rows.shape[1] <= MOST_COLUMNS:
            return table_of(np.ascontiguousarray(rows), "rows"), {"container": "matrix", "dtype": rows.dtype.str}
        return rows, {"container": "array"}
    container = type(rows).__module__.partition(".")[0]
    try:
        table = table_of(rows, "rows").replace_schema_metadata(None)
    except (DuplicateError, pa.ArrowException) as error:
        raise DataError(f"rows: do not fit a table ({reason(error)}); give each column a name and one type") from error
    return _named_once(table), {"container": container if container in ("pandas", "polars") else "arrow"}


def given_back(rows: Any, notes: dict[str, Any]) -> Any:
    """Rows from a codec in the container that they came in, or in Arrow's where that is not installed."""
    try:
        return _given_back(rows, notes)
    except (ValueError, TypeError, OverflowError, ImportError, pa.ArrowException):
        return rows  # the notes are nothing that rows depend on


def _given_back(rows: Any, notes: dict[str, Any]) -> Any:
    container = notes.get("container")
    if container == "matrix" and isinstance(rows, pa.Table):
        columns = [column.to_numpy() for column in rows.columns]
        return np.stack(columns, axis=1).astype(np.dtype(str(notes["dtype"])), copy=False)
    if container == "pandas" and isinstance(rows, pa.Table):
        return rows.to_pandas()
    if container == "polars" and isinstance(rows, pa.Table):
        import polars  # pyright: ignore[reportMissingImports]: the rows came from it

        return polars.from_arrow(rows)
    return rows


def _named_once(table: pa.Table) -> pa.Table:
    names = table.schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"two columns are called '{twice}'; rename one")
    if not names:
        raise DataError("the table has no columns")
    return table.replace_schema_metadata(None).unify_dictionaries()
