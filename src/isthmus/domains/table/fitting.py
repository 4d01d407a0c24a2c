"""What kind of column cells make, and its scale, by the evidence of the cells."""

import math
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ...core.errors import DataError
from .arrow_types import is_text, plain, type_to_json
from .calendar import meaningful_parts, ticks_a_day
from .columns import (
    BooleanColumn,
    CategoryColumn,
    Column,
    DateColumn,
    EmptyColumn,
    IntegerColumn,
    NumberColumn,
    counted,
    floats,
    integers,
)
from .scaling import fit_scale, moments, near
from .times import is_time, shared_unit, tick_cells

# A text column with at most this share of texts that are no numbers is a column of numbers with a mistake in it.
MOST_STRAY = 0.1
FEWEST_FOR_STRAY = 10
# Fewer rows than this are often all different by chance.
FEWEST_FOR_IDENTIFIER = 20
# Single precision keeps seven digits: where the mean is this many deviations from 0, it is taken off first.
FARTHEST_MEAN = 1024.0


def fit_column(name: str, cells: pa.Array) -> Column:
    """Learn a column from its cells."""
    observed = plain(cells).drop_null()
    own: dict[str, Any] = {
        "name": name,
        "arrow_type": type_to_json(name, cells.type),
        "has_missing": len(observed) < len(cells),
    }
    if not len(observed):
        return EmptyColumn(**own)
    if isinstance(cells, pa.DictionaryArray):
        return _fit_category(observed, own | {"ordered": cells.type.ordered}, cells.dictionary.to_pylist())
    if is_text(cells.type):
        _refuse_stray_text(name, plain(cells))
        return _fit_category(observed, own, None)
    if pa.types.is_boolean(cells.type):
        return BooleanColumn(**own)
    if is_time(cells.type):
        return _fit_dates(observed, own)
    if pa.types.is_integer(cells.type):
        return IntegerColumn(**own, **_counted(integers(observed), 1))
    values = floats(name, plain(cells))
    values = values[~np.isnan(values)]
    if np.all(values == np.round(values)) and np.abs(values).max() < 2**53:
        return IntegerColumn(**own, **_counted(values, 1))
    return NumberColumn(**own, **_measured(values))


def refuse_uninformative(name: str, cells: pa.Array) -> None:
    """A named column from which nothing can be learned is more likely a mistake than a wish. A value that is sometimes
    missing tells something."""
    cells = plain(cells)
    if cells.null_count == len(cells):
        raise DataError(f"column '{name}' has no value in any of {len(cells)} rows: {drop_advice(name)}")
    distinct = cells.unique()
    if len(distinct) == 1:
        only = distinct.cast(pa.string())[0].as_py()
        raise DataError(
            f"column '{name}' has one value, {only}, in all {len(cells)} rows: nothing to learn; {drop_advice(name)}"
        )


def drop_advice(name: str) -> str:
    """How to leave a column out."""
    return f"drop it (--drop {shlex.quote(name)})"


def _fit_category(observed: pa.Array, own: dict[str, Any], dictionary: list[Any] | None) -> CategoryColumn:
    counted = observed.value_counts()
    found = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    return CategoryColumn(**own, **ordered_by_count(found), dictionary=dictionary)


def ordered_by_count(found: Mapping[Any, int]) -> dict[str, Any]:
    """Values of a column of categories and how often each occurs, the most frequent first, and whether none occurs
    twice."""
    pairs = sorted(found.items(), key=lambda pair: (-pair[1], str(pair[0])))
    identifier = sum(found.values()) >= FEWEST_FOR_IDENTIFIER and pairs[0][1] == 1
    return {
        "values": [value for value, _ in pairs],
        "counts": [count for _, count in pairs],
        "identifier": identifier,
    }


def _fit_dates(observed: pa.Array, own: dict[str, Any]) -> DateColumn:
    ticks = integers(tick_cells(observed))
    unit = shared_unit(ticks, observed.type)
    parts = meaningful_parts(ticks, ticks_a_day(observed.type))
    return DateColumn(**own, unit=unit, calendar=parts, **_counted(ticks, unit))


def _counted(wholes: np.ndarray, unit: int) -> dict[str, Any]:
    """Origin, exponent, scale and range of whole numbers that differ by multiples of `unit`."""
    first = int(wholes[0])
    counts = counted(wholes, first, unit)
    # From the mean, so that numbers are small; a multiple of the unit from every cell, so that they are whole.
    origin = first + round(moments(counts)[0]) * unit
    counts = counted(wholes, origin, unit)
    return {"origin": origin, **_scaled(counts, near(counts)[1])}


def _measured(values: np.ndarray) -> dict[str, Any]:
    """Origin, exponent, scale and range of real numbers, chosen so that every one of them comes back bit for bit."""
    mean, deviation = moments(values)
    for origin in (mean if abs(mean) > FARTHEST_MEAN * deviation else 0.0, 0.0):
        rest = values - origin
        learned = _scaled(rest, near(rest)[1])
        numbers = np.ldexp(rest, -learned["exponent"])
        if np.array_equal(np.ldexp(numbers, learned["exponent"]) + origin, values):
            return {"origin": origin, **learned}
    return {"origin": 0.0, **_scaled(values, 1.0)}


def _scaled(rest: np.ndarray, width: float) -> dict[str, Any]:
    """Exponent, scale and range of numbers of about this width."""
    exponent = math.frexp(width)[1] - 1  # 2^exponent ≤ width
    numbers = np.ldexp(rest, -exponent)
    return {
        "exponent": exponent,
        "scale": fit_scale(numbers),
        "low": float(numbers.min()),
        "high": float(numbers.max()),
    }


def _refuse_stray_text(name: str, cells: pa.Array) -> None:
    counted = cells.drop_null().value_counts()
    texts, counts = counted.field("values").to_pylist(), counted.field("counts").to_numpy()
    stray = [index for index, text in enumerate(texts) if not _reads_as_number(text)]
    observed, strays = int(counts.sum()), int(counts[stray].sum())
    if observed < FEWEST_FOR_STRAY or not 0 < strays <= MOST_STRAY * observed:
        return
    rows = [cells.index(texts[index]).as_py() for index in stray]
    row, text = min(zip(rows, (texts[index] for index in stray), strict=True))
    raise DataError(
        f"column '{name}', row {row}: the text {text!r} stands in a column of numbers; mend it, or leave the cell empty"
    )


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
