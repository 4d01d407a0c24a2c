"""Dates, times of day, timestamps and durations: Arrow cells ↔ whole numbers of ticks, and text."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# From each type's own ticks up to a day.
LARGER_UNITS = {
    "ns": (1000, 1000, 1000, 60, 60, 24),
    "us": (1000, 1000, 60, 60, 24),
    "ms": (1000, 60, 60, 24),
    "s": (60, 60, 24),
}


def is_time(type_: pa.DataType) -> bool:
    """Whether a type counts time in ticks."""
    return pa.types.is_temporal(type_) and not pa.types.is_interval(type_)


def same_sort(first: pa.DataType, second: pa.DataType) -> bool:
    """Whether cells of one time type can be told as another: dates and timestamps, times of day, durations."""
    sorts = (pa.types.is_duration, pa.types.is_time)
    return is_time(first) and is_time(second) and all(sort(first) == sort(second) for sort in sorts)


def integer_of(type_: pa.DataType) -> pa.DataType:
    """The integer type that stores a time type's ticks."""
    return pa.int32() if pa.types.is_date32(type_) or pa.types.is_time32(type_) else pa.int64()


def tick_cells(cells: pa.Array) -> pa.Array:
    """The ticks of each cell, int64."""
    return cells.cast(integer_of(cells.type)).cast(pa.int64())


def shared_unit(ticks: np.ndarray, type_: pa.DataType) -> int:
    """The largest of second, minute, hour and day, in ticks, that divides all differences between `ticks`."""
    unit = 1
    if pa.types.is_date32(type_):
        return unit
    for factor in LARGER_UNITS["ms" if pa.types.is_date64(type_) else type_.unit]:
        phases = ticks % (unit * factor)
        if np.any(phases != phases[0]):
            break
        unit *= factor
    return unit


def iso_texts(cells: pa.Array) -> list[str | None]:
    """Dates and times as ISO 8601, to the second and in local time; durations as days and hours."""
    if pa.types.is_duration(cells.type):
        spans = cells.cast(pa.duration("us"), safe=False).to_pylist()
        return [None if span is None else str(span) for span in spans]
    if pa.types.is_timestamp(cells.type):
        local = pc.call_function("local_timestamp", [cells]) if cells.type.tz else cells
        cells = local.cast(pa.timestamp("s"), safe=False)
    texts = [None if text is None else text.replace(" ", "T") for text in cells.cast(pa.string()).to_pylist()]
    only_dates = all(text is None or text.endswith("T00:00:00") for text in texts)
    return [text and text.removesuffix("T00:00:00") for text in texts] if only_dates else texts
