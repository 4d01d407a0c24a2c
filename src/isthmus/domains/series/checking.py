"""What series come as, and what they must be: arrays of numbers, in one block or one for each series."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...core.errors import DataError
from ...core.rows import one_by_one

# Longer series are better cut into windows.
MOST_STEPS = 65_536
# Whole numbers are held as 64-bit floats, exact up to here.
LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class Block:
    """Series in one block, NaN where a cell is missing and beyond a series' end, and what they came in."""

    values: np.ndarray  # (rows, steps, channels) float32 or float64
    lengths: np.ndarray | None  # (rows,) of a list; None where all are equally long by their type
    container: str  # "array", "list" or "table"
    flat: bool  # whether series came without a dimension for channels
    dtype: np.dtype
    names: tuple[str, ...] = ()  # of the columns of a table


def is_list_of_arrays(rows: Any) -> bool:
    """Whether these are series one by one: a list, a tuple or an array of arrays."""
    if isinstance(rows, np.ndarray):
        return rows.dtype == object and rows.ndim == 1 and len(rows) > 0 and is_list_of_arrays(list(rows))
    return isinstance(rows, list | tuple) and len(rows) > 0 and all(isinstance(each, np.ndarray) for each in rows)


def indexed(rows: Any) -> Any:
    """Series one by one as an array of arrays, of which some can be picked; other rows as they are."""
    listed = is_list_of_arrays(rows) and not isinstance(rows, np.ndarray)
    return one_by_one(rows) if listed else rows


def block(rows: Any) -> Block:
    """The series in one block. Raises DataError, naming series, step and channel, for what cannot be modelled."""
    if is_list_of_arrays(rows):
        return _of_list(list(rows))
    if isinstance(rows, pa.Table):
        return _of_table(rows)
    array = np.asarray(rows)
    if array.ndim not in (2, 3) or array.dtype.kind not in "buif":
        raise DataError(
            "series are an array (n, length) or (n, length, channels) of numbers, or a list of arrays (length, "
            f"channels); this is of shape {array.shape} and holds {array.dtype}"
        )
    if 0 in array.shape:
        raise DataError(f"the array of series is empty: its shape is {array.shape}")
    _check_steps(array.shape[1], 0)
    values = _as_floats(array, array.dtype)
    _check_finite(values)
    return Block(values.reshape(*array.shape[:2], -1), None, "array", array.ndim == 2, array.dtype)


def _of_list(series: list[np.ndarray]) -> Block:
    flat = series[0].ndim == 1
    channels = 1 if flat else series[0].shape[-1]
    for place, each in enumerate(series):
        if each.dtype.kind not in "buif":
            raise DataError(f"series {place}: holds {each.dtype}; series are numbers, NaN where one is missing")
        if each.ndim not in (1, 2):
            raise DataError(f"series {place}: has the shape {each.shape}; a series is (length,) or (length, channels)")
        if not len(each):
            raise DataError(f"series {place}: has no steps (length 0); leave it out")
        if each.ndim != series[0].ndim or (each.shape[1] if each.ndim == 2 else 1) != channels:
            raise DataError(
                f"series {place}: has the shape {each.shape}, series 0 {series[0].shape}; give all series the same "
                "channels, NaN where one was not measured"
            )
        _check_steps(len(each), place)
    if channels == 0:
        raise DataError("series 0: has no channels; a series is (length,) or (length, channels)")
    dtype = np.result_type(*series)
    lengths = np.array([len(each) for each in series])
    # What is beyond an end has no type of its own: a block of whole numbers is one of floats.
    values = np.full((len(series), lengths.max(), channels), np.nan, _held_as(dtype))
    for place, each in enumerate(series):
        values[place, : len(each)] = _as_floats(each.reshape(len(each), channels), dtype)
    _check_finite(values)
    return Block(values, lengths, "list", flat, dtype)


def _of_table(table: pa.Table) -> Block:
    for field in table.schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_null(field.type)):
            raise DataError(
                f"column '{field.name}' holds {field.type}; as a series each row is numbers, one column a step: leave "
                "other columns out"
            )
    if not table.num_rows or not table.num_columns:
        raise DataError("the table is empty; each row should be a series, one column a step")
    _check_steps(table.num_columns, 0)
    columns = [column.cast(pa.float64(), safe=False).to_numpy() for column in table.columns]
    values = np.stack(columns, axis=1)[..., None]
    _check_finite(values)
    return Block(values, None, "table", True, np.dtype(np.float64), tuple(table.column_names))


def _held_as(dtype: np.dtype) -> type[np.floating]:
    """The float that holds these numbers exactly."""
    small = (
        dtype.kind == "b" or (dtype.kind == "f" and dtype.itemsize <= 4) or (dtype.kind in "ui" and dtype.itemsize <= 2)
    )
    return np.float32 if small else np.float64


def _as_floats(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if (
        array.dtype.kind in "ui"
        and array.dtype.itemsize == 8
        and np.abs(array.astype(np.float64)).max() > LARGEST_WHOLE
    ):
        raise DataError("series hold whole numbers beyond 2⁵³, which floats cannot tell apart; give them as floats")
    return array.astype(_held_as(dtype))


def _check_steps(steps: int, place: int) -> None:
    if steps > MOST_STEPS:
        raise DataError(
            f"series {place}: {steps:,} steps are too many for one row; cut it with isthmus.windows(recording, length)"
        )


def _check_finite(values: np.ndarray) -> None:
    if np.isinf(values).any():
        place = [int(index) for index in np.argwhere(np.isinf(values))[0]]
        channel = f", channel {place[2]}" if len(place) > 2 and values.shape[2] > 1 else ""
        raise DataError(
            f"series {place[0]}, step {place[1]}{channel}: the value is infinity; mend it, or write NaN where one is "
            "missing"
        )
