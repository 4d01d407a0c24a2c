"""Long tables, one row a step of a series, ↔ series one by one."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import DataError
from .failures import shown

# Steps that are filled in for times without a row: at most so many for each row.
MOST_FILLED = 10
# How far a time may lie beside its place on an even grid, in steps.
TOLERANCE = 1e-3
WRITTEN = ("series", "step")


def read_long(table: pa.Table, key: str, path: Path) -> tuple[np.ndarray, list[str], tuple[str, ...]]:
    """Series of a long table, told apart by the column ID of `key` "ID,TIME" and put in order by its column TIME.

    All other columns are channels. Gives an array of arrays (length, channels), float64, NaN where a cell is empty; the
    ids, in the order in which they come first; and notes. Where the times of all series lie on one even grid, steps
    without a row are filled in as missing.
    Raises DataError, naming the column or the series, for what is no such table.
    """
    of, when = _key_columns(table, key, path)
    channels = [name for name in table.column_names if name not in (of, when)]
    if not channels:
        raise DataError(f"{shown(path)}: has no columns but '{of}' and '{when}'; every other one is a channel")
    values = np.stack([_numbers(table, name, path) for name in channels], axis=1)
    times = _times(table, when, path)
    encoded = table.column(of).combine_chunks().dictionary_encode()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    if encoded.null_count:
        raise DataError(f"{shown(path)}: column '{of}' has empty cells; every row should say which series it is of")
    numbers, ids = (
        encoded.indices.to_numpy(zero_copy_only=False),
        [str(each) for each in encoded.dictionary.to_pylist()],
    )
    order = np.lexsort((times, numbers))
    bounds = np.flatnonzero(np.diff(numbers[order], prepend=-1, append=len(ids)))
    parts = [order[start:end] for start, end in pairwise(bounds)]
    for name, part in zip(ids, parts, strict=True):
        if (np.diff(times[part]) == 0).any():
            raise DataError(f"{shown(path)}: series {name!r} has two rows of one time in '{when}'; keep one of them")
    step = _grid_step([times[part] for part in parts])
    series = np.empty(len(parts), dtype=object)
    for place, part in enumerate(parts):
        series[place] = values[part] if step is None else _on_grid(values[part], times[part], step)
    return series, ids, (_note(len(parts), len(values), sum(map(len, series)), step is not None, when),)


def long_table(series: Sequence[np.ndarray]) -> pa.Table:
    """Series one by one as a long table: columns `series` and `step`, numbers from 0, and `value`, or `value_0` …"""
    lengths = [len(each) for each in series]
    cells = np.concatenate([each.reshape(len(each), -1) for each in series])
    names = ["value"] if cells.shape[1] == 1 else [f"value_{channel}" for channel in range(cells.shape[1])]
    steps = np.concatenate([np.arange(length) for length in lengths])
    columns = [np.repeat(np.arange(len(series)), lengths), steps]
    numbers = [pa.array(column, from_pandas=True) for column in (*columns, *cells.T)]
    return pa.table(numbers, names=[*WRITTEN, *names])


def _key_columns(table: pa.Table, key: str, path: Path) -> tuple[str, str]:
    of, comma, when = (part.strip() for part in key.partition(","))
    if not comma or not when:
        raise DataError(
            f"{shown(path)}: {key!r} names one column; a long table of series is read as {shown(path.name)}:ID,TIME, "
            "with the column that tells series apart and the one that puts steps in order"
        )
    if when not in table.column_names and "," in when:
        raise DataError(
            f"{shown(path)}: {key!r} names more than two columns: the one that tells series apart and the one that "
            "puts steps in order; all others are channels, but those left out with --drop"
        )
    for name in (of, when):
        if name not in table.column_names:
            names = ", ".join(table.column_names[:12])
            raise DataError(f"{shown(path)}: there is no column '{name}'; the columns are {names}")
    if of == when:
        raise DataError(f"{shown(path)}: '{of}' cannot be both the series and the time; name two columns")
    return of, when


def _numbers(table: pa.Table, name: str, path: Path) -> np.ndarray:
    column = table.column(name)
    kind = column.type
    if not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    ):
        raise DataError(
            f"{shown(path)}: column '{name}' holds {kind}; channels are numbers: leave it out or write numbers"
        )
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    return column.cast(pa.float64(), safe=False).to_numpy()


def _times(table: pa.Table, name: str, path: Path) -> np.ndarray:
    """The times as numbers: dates and times in microseconds."""
    column = table.column(name)
    if column.null_count:
        raise DataError(f"{shown(path)}: column '{name}' has empty cells; every row should say its time")
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = pc.cast(pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None))), pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(f"{shown(path)}: column '{name}' holds {kind}; times are numbers or dates")
    return column.cast(pa.float64(), safe=False).to_numpy()


def _grid_step(times: list[np.ndarray]) -> float | None:
    """The step of the even grid on which all times of each series lie; None if there is none."""
    apart = np.concatenate([np.diff(each) for each in times])
    if not len(apart):
        return 1.0  # of one row each, they lie on any grid
    step = float(apart.min())
    counts = apart / step
    even = np.abs(counts - np.rint(counts)).max() < TOLERANCE
    return step if even and counts.sum() <= MOST_FILLED * sum(map(len, times)) else None


def _on_grid(values: np.ndarray, times: np.ndarray, step: float) -> np.ndarray:
    at = np.rint((times - times[0]) / step).astype(np.int64)
    filled = np.full((at[-1] + 1, values.shape[1]), np.nan)
    filled[at] = values
    return filled


def _note(series: int, rows: int, steps: int, even: bool, when: str) -> str:
    head = f"{series:,} series of {rows:,} rows, in order of '{when}'"
    if not even:
        return f"{head}, whose times are on no even grid: each row is a step"
    return f"{head}; {steps - rows:,} steps without a row are missing values" if steps > rows else head
