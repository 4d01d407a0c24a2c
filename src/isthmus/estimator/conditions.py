"""Rows that meet conditions on their columns, by rejection: rows are drawn, and those that meet every condition kept.

That is a draw from the model's own p(row | conditions), exactly; it costs 1 / P(conditions) draws for each row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from ..core.errors import DataError
from ..domains.base import Domain
from ..domains.table import Table
from ..domains.table.arrow_types import is_text, plain, value_type
from ..domains.table.columns import CategoryColumn, Column, EmptyColumn, IntegerColumn, NumberColumn, Quantity

# Drawing ends without success after this many rows, or, where more rows are wanted, after so many for each of them.
MOST_DRAWS = 1_000_000
MOST_DRAWS_PER_ROW = 100

# Values and columns named in an error.
MOST_LISTED = 8


@dataclass(frozen=True)
class Condition:
    """low ≤ cell ≤ high in one column, as Arrow compares cells; None is an open end, low = high a single value."""

    column: Column
    place: int
    low: pa.Scalar | None
    high: pa.Scalar | None

    def met(self, x: Tensor) -> np.ndarray:
        """Which rows of a domain's tensor (rows, columns) meet it, as booleans (rows,); missing cells do not.

        Compared are the cells that a user will see, after rounding to the column's type.
        """
        cells = _comparable(self.column.cells(x[:, self.place].double().numpy()))
        met = pc.call_function("is_valid", [cells])
        for function, bound in (("greater_equal", self.low), ("less_equal", self.high)):
            if bound is not None:
                met = pc.call_function("and", [met, pc.call_function(function, [cells, bound])])
        return met.fill_null(False).to_numpy(zero_copy_only=False)


def conditions_of(where: Mapping[str, Any], domain: Domain) -> list[Condition]:
    """Conditions by column name → checked conditions on a table's columns.

    A value is one of the column's own, or its text; for quantities also a range: a pair (low, high), None for an open
    end, or text such as "3500..4000". Raises DataError, in one line, for what no row could meet.
    """
    if not isinstance(domain, Table):
        raise DataError(f"conditions are on the columns of a table; the model was fitted to {domain.name} data")
    if not isinstance(where, Mapping):
        raise DataError(f"where={where!r}: give conditions by column name, such as {{'sex': 'male'}}")
    return [_condition(name, value, domain) for name, value in where.items()]


def drawn_until_met(batches: Iterator[Tensor], conditions: list[Condition], rows: int) -> Tensor:
    """The first `rows` rows of an endless stream of batches that meet all conditions, (rows, columns).

    Raises DataError when `MOST_DRAWS` rows, or `MOST_DRAWS_PER_ROW` for each one wanted, do not hold as many.
    """
    kept: list[Tensor] = []
    found = drawn = 0
    while found < rows:
        if drawn >= max(MOST_DRAWS, MOST_DRAWS_PER_ROW * rows):
            raise DataError(
                f"only {found:,} of {drawn:,} rows drawn met the conditions, and {rows:,} are wanted: "
                "such rows are rare under the model; widen a condition, or ask for fewer rows"
            )
        batch = next(batches)
        met = np.logical_and.reduce([condition.met(batch) for condition in conditions] or [np.ones(len(batch), bool)])
        kept.append(batch[torch.from_numpy(met)])
        found, drawn = found + int(met.sum()), drawn + len(batch)
    return torch.cat(kept)[:rows]


def _condition(name: str, value: Any, table: Table) -> Condition:
    if name not in table.column_names:
        raise DataError(f"no column is named {name!r}; the model's columns are {_listed(table.column_names)}")
    place = table.column_names.index(name)
    column = table.columns[place]
    if isinstance(column, EmptyColumn):
        raise DataError(f"column '{name}' held no values when it was fitted; no row can meet a condition on it")
    ends = _ends(column, value)
    if ends is None:
        low = high = _single(column, value)
    else:
        low, high = (None if end is None else _cell(column, end) for end in ends)
        _check_order(column, low, high)
    if isinstance(column, Quantity):
        _check_reach(column, low, high)
    return Condition(column, place, low, high)


def _ends(column: Column, value: Any) -> tuple[Any, Any] | None:
    """The ends of a range, or None if the value is a single one."""
    if isinstance(value, list | tuple):
        if not isinstance(column, Quantity):
            raise DataError(f"column '{column.name}' holds a {column.kind}: it takes one value, not a range")
        ends = tuple(value)
    elif isinstance(value, str) and ".." in value and isinstance(column, Quantity):
        ends = tuple(end.strip() or None for end in value.split("..", 1))
    else:
        return None
    if len(ends) != 2 or ends == (None, None):
        raise DataError(f"column '{column.name}': {value!r} is no range; give {_example(column)}")
    return ends


def _single(column: Column, value: Any) -> pa.Scalar:
    if isinstance(column, NumberColumn):
        raise DataError(
            f"column '{column.name}' holds real numbers, and no row has exactly {value}; "
            f"give a range, such as {_example(column)}"
        )
    cell = _cell(column, value)
    if isinstance(column, CategoryColumn) and cell.as_py() not in column.values:
        raise DataError(f"column '{column.name}' has no category {value!r}; it has {_listed(column.values)}")
    return cell


def _cell(column: Column, value: Any) -> pa.Scalar:
    """One value as a cell to compare the column's with."""
    wanted = _type_of_values(column)
    try:
        cell = _cast(value, wanted)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        raise DataError(f"column '{column.name}' holds {wanted}; {value!r} cannot be that") from None
    if not cell.is_valid or cell.as_py() != cell.as_py():  # NaN
        raise DataError(f"column '{column.name}': {value!r} is a missing value, and missing cells meet no condition")
    return _comparable(cell)


def _cast(value: Any, wanted: pa.DataType) -> pa.Scalar:
    if isinstance(value, str):
        text = pa.scalar(value if is_text(wanted) else value.strip(), pa.string())
        if pa.types.is_timestamp(wanted) and wanted.tz:
            return _zoned(text, wanted)
        return text.cast(wanted)
    cell = pa.scalar(value)
    if pa.types.is_boolean(cell.type) != pa.types.is_boolean(wanted) and cell.is_valid:
        raise TypeError("true and false are no numbers, and numbers are neither")
    return cell.cast(wanted)


def _zoned(text: pa.Scalar, wanted: pa.DataType) -> pa.Scalar:
    """Text → a timestamp with a zone: local time, as cells are shown, unless it says its own offset."""
    try:
        local = text.cast(pa.timestamp(wanted.unit))
    except pa.ArrowInvalid:
        return text.cast(wanted)
    return pc.call_function("assume_timezone", [local], pc.AssumeTimezoneOptions(wanted.tz))


def _type_of_values(column: Column) -> pa.DataType:
    """The type that a condition's values are read as: wide enough for every number that a user may name."""
    own = value_type(column.type)
    if isinstance(column, NumberColumn):
        return pa.float64()
    if isinstance(column, IntegerColumn):
        return pa.uint64() if pa.types.is_uint64(own) else pa.int64()
    return pa.large_string() if is_text(own) else own


def _comparable(cells: Any) -> Any:
    """Cells, or one, without dictionary, and every real number in double precision."""
    if isinstance(cells, pa.Array):
        cells = plain(cells)
    real = pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type)
    return cells.cast(pa.float64()) if real else cells


def _check_order(column: Column, low: pa.Scalar | None, high: pa.Scalar | None) -> None:
    if low is not None and high is not None and _less(high, low):
        raise DataError(f"column '{column.name}': the range begins at {low} and ends below, at {high}; swap them")


def _check_reach(column: Quantity, low: pa.Scalar | None, high: pa.Scalar | None) -> None:
    """Refuse a range that does not touch the fitted one."""
    fitted_low, fitted_high = _comparable(column.cells(np.array([column.low, column.high])))
    if (high is not None and _less(high, fitted_low)) or (low is not None and _less(fitted_high, low)):
        least, most = column.texts(np.array([column.low, column.high]))
        raise DataError(f"column '{column.name}': the condition lies outside {least} … {most}, the fitted range")


def _less(first: pa.Scalar, second: pa.Scalar) -> bool:
    return pc.call_function("less", [first, second]).as_py()


def _example(column: Column) -> str:
    """The fitted range, as a condition."""
    assert isinstance(column, Quantity)
    return "{}={}..{}".format(column.name, *column.texts(np.array([column.low, column.high])))


def _listed(values: list[Any]) -> str:
    return ", ".join(str(value) for value in values[:MOST_LISTED]) + (", …" if len(values) > MOST_LISTED else "")
