"""Tables as users hold them (pandas, polars, Arrow, NumPy) ↔ Arrow tables, with types that come back as they were."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ...core.errors import DataError


@dataclass(frozen=True)
class Container:
    """What a table came in: `kind` is pandas, polars, arrow or numpy; `dtypes` are pandas' or NumPy's own names."""

    kind: str
    dtypes: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "dtypes": self.dtypes}


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
        names = [f"x{index}" for index in range(rows.shape[1])]
        columns = [pa.array(rows[:, index]) for index in range(rows.shape[1])]
        return pa.table(dict(zip(names, columns, strict=True))), Container("numpy", {"": rows.dtype.name})
    kind = _container_kind(rows)
    if kind == "pandas":
        return _from_pandas(rows)
    if kind == "polars":
        _refuse_duplicates(rows.columns)
        return rows.to_arrow(), Container("polars")
    _refuse_duplicates(rows.column_names)
    return rows, Container("arrow")


def _refuse_duplicates(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"two columns are named '{name}'; rename one of them")
        seen.add(name)


def _from_pandas(frame: Any) -> tuple[pa.Table, Container]:
    names = [str(name) for name in frame.columns]
    _refuse_duplicates(names)
    columns: dict[str, pa.Array] = {}
    dtypes: dict[str, str] = {}
    for name, (_, series) in zip(names, frame.items(), strict=True):
        try:
            array = pa.array(series, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as failure:
            raise DataError(
                f"column '{name}' mixes types that no one column can hold: {_first_line(failure)}"
            ) from None
        columns[name] = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        dtypes[name] = str(series.dtype)
    return pa.table(columns), Container("pandas", dtypes)


def _first_line(failure: Exception) -> str:
    return str(failure).splitlines()[0]


def from_arrow(table: pa.Table, container: Container) -> Any:
    """The table in its own container, with the dtypes that came in."""
    if container.kind == "numpy":
        dtype = container.dtypes[""]
        columns = [column.to_numpy(zero_copy_only=False) for column in table.columns]
        return np.stack(columns, axis=1).astype(dtype) if columns else np.empty((table.num_rows, 0), dtype)
    if container.kind == "polars":
        import polars

        return polars.from_arrow(table)
    if container.kind == "pandas":
        return _to_pandas(table, container)
    return table


def _to_pandas(table: pa.Table, container: Container) -> Any:
    import pandas

    series = {}
    for name in table.column_names:
        values = table.column(name).to_pandas()
        dtype = container.dtypes[name]
        # A category's own values come from the Arrow dictionary; "category" as a dtype would rebuild them sorted.
        series[name] = values if dtype == "category" or str(values.dtype) == dtype else values.astype(dtype)
    return pandas.DataFrame(series, columns=table.column_names)
