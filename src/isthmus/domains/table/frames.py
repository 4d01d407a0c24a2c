"""Tables as users hold them (pandas, polars, Arrow, NumPy) ↔ Arrow tables, with types that come back as they were."""

from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ...core.errors import DataError


class Container(BaseModel):
    """What a table came in, as JSON.

    `dtypes` are pandas' names by column, polars' "enum" where one is, or NumPy's under ""; `labels` are the column
    names of a DataFrame that are whole numbers, not text, by their text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["pandas", "polars", "arrow", "numpy"]
    dtypes: dict[str, str] = {}
    labels: dict[str, int] = {}


def is_table(rows: Any) -> bool:
    """Whether these rows are a DataFrame, an Arrow table or a 2-D array."""
    if isinstance(rows, np.ndarray):
        return rows.ndim == 2
    return _container_kind(rows) is not None


def _container_kind(rows: Any) -> str | None:
    """Told by the type's own module, so that neither pandas nor polars is imported to ask."""
    if isinstance(rows, pa.Table):
        return "arrow"
    package = type(rows).__module__.partition(".")[0]
    return package if package in ("pandas", "polars") and type(rows).__name__ == "DataFrame" else None


def to_arrow(rows: Any) -> tuple[pa.Table, Container]:
    """The table as Arrow, and what it takes to give it back."""
    if isinstance(rows, np.ndarray):
        return _from_numpy(rows)
    kind = _container_kind(rows)
    if kind == "pandas":
        return _from_pandas(rows)
    if kind == "polars":
        enums = [name for name, dtype in rows.schema.items() if type(dtype).__name__ == "Enum"]
        cells = [_arrow_of_polars(rows.get_column(name)) for name in rows.columns]
        return pa.table(cells, names=rows.columns), Container(kind="polars", dtypes=dict.fromkeys(enums, "enum"))
    _refuse_duplicates(rows.column_names)
    return rows, Container(kind="arrow")


def from_arrow(table: pa.Table, container: Container) -> Any:
    """The table in its own container, with the dtypes that came in."""
    if container.kind == "numpy":
        return _to_numpy(table, np.dtype(container.dtypes[""]))
    if container.kind == "polars":
        return _to_polars(table, container)
    if container.kind == "pandas":
        return _to_pandas(table, container)
    return table


def combined(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, with one dictionary."""
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _refuse_duplicates(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"two columns are named '{name}'; rename one of them")
        seen.add(name)


def _from_numpy(rows: np.ndarray) -> tuple[pa.Table, Container]:
    if rows.dtype.kind not in "biufOUT":
        raise DataError(
            f"an array of {rows.dtype} is not a table; its cells should be numbers, true and false, or text"
        )
    native = rows.astype(rows.dtype.newbyteorder("="), copy=False)
    cells = [_arrow_of(f"x{index}", native[:, index]) for index in range(rows.shape[1])]
    names = [f"x{index}" for index in range(rows.shape[1])]
    return pa.table(cells, names=names), Container(kind="numpy", dtypes={"": rows.dtype.str})


def _to_numpy(table: pa.Table, dtype: np.dtype) -> np.ndarray:
    rows = np.empty((table.num_rows, table.num_columns), dtype)
    for index, column in enumerate(table.columns):
        rows[:, index] = column.to_numpy(zero_copy_only=False)
    return rows


def _from_pandas(frame: Any) -> tuple[pa.Table, Container]:
    labels: dict[str, int] = {}
    for label in frame.columns:
        if isinstance(label, int | np.integer) and not isinstance(label, bool):
            labels[str(label)] = int(label)
        elif not isinstance(label, str):
            raise DataError(f"the column name {label!r} is neither text nor a whole number; rename it")
    names = [str(label) for label in frame.columns]
    _refuse_duplicates(names)
    series = [frame.iloc[:, index] for index in range(len(names))]
    cells = [_arrow_of(name, column) for name, column in zip(names, series, strict=True)]
    dtypes = {name: str(column.dtype) for name, column in zip(names, series, strict=True)}
    return pa.table(cells, names=names), Container(kind="pandas", dtypes=dtypes, labels=labels)


def _arrow_of(name: str, cells: Any) -> pa.Array:
    try:
        array = pa.array(cells, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as failure:
        raise DataError(f"column '{name}' {_mixture(cells) or _one_line(failure)}") from None
    return combined(array) if isinstance(array, pa.ChunkedArray) else array


def _arrow_of_polars(cells: Any) -> pa.Array:
    try:
        return cells.to_arrow()
    except pa.ArrowInvalid:  # Some types of polars have no equal in Arrow.
        raise DataError(f"column '{cells.name}' holds {cells.dtype}, which cannot be read; convert it") from None


def _mixture(cells: Any) -> str | None:
    """Where a column of Python objects changes its mind."""
    observed = [(row, cell) for row, cell in enumerate(cells) if cell is not None and cell == cell]
    texts = [row for row, cell in observed if isinstance(cell, str)]
    if not 0 < len(texts) < len(observed):
        return None
    others = [row for row, cell in observed if not isinstance(cell, str)]
    if len(texts) <= len(others):
        return f"mixes text with other cells: row {texts[0]} holds the text {cells_at(cells, texts[0])!r}; mend it"
    return f"mixes text with other cells: row {others[0]} holds {cells_at(cells, others[0])!r}; make it text"


def cells_at(cells: Any, row: int) -> Any:
    return cells.iloc[row] if hasattr(cells, "iloc") else cells[row]


def _one_line(failure: Exception) -> str:
    return f"cannot be read ({' '.join(str(failure).split())}); convert it to numbers, text or times"


def _to_polars(table: pa.Table, container: Container) -> Any:
    import polars

    frame = polars.from_arrow(table)
    assert isinstance(frame, polars.DataFrame)
    enums = {name: polars.Enum(combined(table.column(name)).dictionary.to_pylist()) for name in container.dtypes}
    return frame.with_columns(polars.col(name).cast(enum) for name, enum in enums.items())


def _to_pandas(table: pa.Table, container: Container) -> Any:
    import pandas

    series = [_series(pandas, table.column(name), container.dtypes[name]) for name in table.column_names]
    frame = pandas.concat(series, axis=1) if series else pandas.DataFrame(index=range(table.num_rows))
    frame.columns = [container.labels.get(name, name) for name in table.column_names]
    return frame


def _series(pandas: Any, cells: pa.ChunkedArray, dtype: str) -> Any:
    if dtype == "category":
        # A category's own values come from the Arrow dictionary; "category" as a dtype would rebuild them sorted.
        return cells.to_pandas()
    if dtype == "object":
        return pandas.Series(cells.to_pylist(), dtype=object)
    if dtype.endswith("[pyarrow]"):
        return pandas.Series(pandas.arrays.ArrowExtensionArray(cells))
    own = pandas.api.types.pandas_dtype(dtype)
    if hasattr(own, "__from_arrow__"):
        return pandas.Series(own.__from_arrow__(cells))
    return cells.to_pandas().astype(own)
