"""Rows that meet conditions on their columns, by conditioning.

Codes come from the prior; given a code, cells under a condition are drawn from within it, and the row is weighted by
the probability w that the condition had. Rows are then kept with probability w / max w, so that none is there twice:
rejection with the largest weight seen (Caffo, Booth & Davis, 2002, https://doi.org/10.1093/biomet/89.4.745). They are
drawn from the model's own p(row | conditions), up to rows whose weight is larger than every one seen. It costs
max w / E w draws for each row, where keeping those of plain draws that happen to meet the conditions costs 1 / E w.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.randomness import Randomness
from ..domains.base import Domain
from ..domains.table import Table
from ..domains.table.arrow_types import in_words, is_text, plain, value_type
from ..domains.table.columns import (
    CategoryColumn,
    Column,
    DateColumn,
    EmptyColumn,
    IntegerColumn,
    NumberColumn,
    Quantity,
)
from ..domains.table.evidence import Evidence

# Drawing ends without success after this many rows, or, where more rows are wanted, after so many for each of them; and
# sooner where none had any chance.
MOST_DRAWS, MOST_DRAWS_PER_ROW = 1_000_000, 100
MOST_HOPELESS_DRAWS = 50_000
# Steps inward from the end of a range, at most, to the first value that the column's type has.
MOST_STRIDES = 64
# Draws from which the largest weight is told, at least.
FEWEST_DRAWS = 4096

# Values and columns named in an error.
MOST_LISTED = 8


@dataclass(frozen=True)
class Condition:
    """low ≤ cell ≤ high in one column, as Arrow compares cells; None is an open end, low = high a single value."""

    column: Column
    place: int
    low: pa.Scalar | None
    high: pa.Scalar | None

    @property
    def single(self) -> bool:
        """Whether it names one value, and is no range."""
        return self.low is not None and self.low is self.high

    def met(self, x: Tensor) -> np.ndarray:
        """Which rows of a domain's tensor (rows, columns) meet it, as booleans (rows,); missing cells do not."""
        return self._holds(x[:, self.place].double().numpy())

    def numbers(self) -> tuple[float, float]:
        """The least and the largest number whose cell meets it, infinite for an open end.

        Raises DataError if there is none, as between neighbouring numbers of single precision.
        """
        return self._end(self.low, 1.0), self._end(self.high, -1.0)

    def _holds(self, numbers: np.ndarray) -> np.ndarray:
        """Compared are the cells that a user will see, after rounding to the column's type."""
        cells = _comparable(self.column.cells(numbers))
        met = pc.call_function("is_valid", [cells])
        for function, bound in (("greater_equal", self.low), ("less_equal", self.high)):
            if bound is not None:
                met = pc.call_function("and", [met, pc.call_function(function, [cells, bound])])
        return met.fill_null(False).to_numpy(zero_copy_only=False)

    def _end(self, bound: pa.Scalar | None, inward: float) -> float:
        """The number of a bound, or, where its cell is rounded to beyond the bound, the next one inward."""
        if bound is None:
            return -inward * math.inf
        number = float(self.column.numbers(pa.array([bound.as_py()], bound.type))[0])
        step = stride = self.column.step if isinstance(self.column, Quantity) else 0.0
        if step:
            number = inward * math.ceil(inward * number / step) * step
        for _ in range(MOST_STRIDES):
            if self._holds(np.array([number]))[0]:
                return number
            distance = max(stride, float(np.spacing(abs(number))))
            number += inward * distance
            stride = step or 2 * distance
        raise DataError(
            f"column '{self.column.name}' holds {in_words(self.column.type)}: none lies between {self.low} and "
            f"{self.high}"
        )


def conditions_of(where: Mapping[str, Any], domain: Domain) -> list[Condition]:
    """Conditions by column name → checked conditions on a table's columns.

    A value is one of the column's own, or its text; for quantities also a range: a pair (low, high), None for an open
    end, or text such as "3500..4000" or "3500:4000". Raises DataError, in one line, for what no row could meet.
    """
    if not isinstance(domain, Table):
        raise DataError(f"conditions are on the columns of a table; the model was fitted to {domain.called}")
    if not isinstance(where, Mapping):
        raise DataError(f"where={where!r}: give conditions by column name, such as {{'sex': 'male'}}")
    return [_condition(name, value, domain) for name, value in where.items()]


def evidence_of(conditions: list[Condition], table: Table) -> Evidence:
    """What conditions say of the cells of one row: single values are known cells, ranges stay ranges.

    Raises DataError for a range in which the column has no value.
    """
    columns = len(table.columns)
    cells = torch.full((1, columns), torch.nan, dtype=torch.float64)
    high = torch.full((columns,), torch.inf, dtype=torch.float64)
    low = -high
    for condition in conditions:
        first, last = condition.numbers()
        if condition.single:
            cells[0, condition.place] = first
        else:
            low[condition.place], high[condition.place] = first, last
    return Evidence(cells, low, high)


def drawn_under(
    batches: Iterator[tuple[Tensor, Tensor]], conditions: list[Condition], rows: int, randomness: Randomness
) -> Tensor:
    """So many rows, (rows, columns), of an endless stream of batches: draws under the conditions, (draws, columns), and
    the logs of their weights w.

    A draw is kept if w > u max w, with a u of its own, uniform on (0, 1). Raises DataError, with the effective sample
    size Σ w / max w, where `MOST_DRAWS` draws, or `MOST_DRAWS_PER_ROW` for each row wanted, are worth fewer rows.
    """
    kept: list[tuple[Tensor, Tensor]] = []  # of each batch: rows, and log w − log u of each
    drawn, found, largest, total = 0, 0, -math.inf, -math.inf
    while found < rows or drawn < FEWEST_DRAWS:
        hopeless = largest == -math.inf and drawn >= MOST_HOPELESS_DRAWS
        if hopeless or drawn >= max(MOST_DRAWS, MOST_DRAWS_PER_ROW * rows):
            raise DataError(_too_rare(drawn, 0.0 if hopeless else math.exp(total - largest), rows))
        cells, log_weights = next(batches)
        met = torch.from_numpy(np.logical_and.reduce([condition.met(cells) for condition in conditions]))
        log_weights = log_weights.masked_fill(~met, -torch.inf)
        heights = log_weights - randomness.uniform(len(cells)).double().clamp(min=2.0**-25).log()
        drawn += len(cells)
        largest = max(largest, float(log_weights.max()))
        total = float(np.logaddexp(total, float(log_weights.logsumexp(0))))
        kept = [_above(largest, *batch) for batch in (*kept, (cells, heights))]
        found = sum(len(x) for x, _ in kept)
    return torch.cat([x for x, _ in kept])[:rows]


def _above(height: float, x: Tensor, heights: Tensor) -> tuple[Tensor, Tensor]:
    higher = heights > height
    return x[higher], heights[higher]


def _too_rare(drawn: int, effective: float, rows: int) -> str:
    if effective == 0:
        return (
            f"none of {drawn:,} draws had any chance to meet the conditions: the model knows no such rows; widen them"
        )
    return (
        f"the conditions are rare under the model: {drawn:,} draws have an effective sample size of {effective:,.0f}, "
        f"and {rows:,} rows are wanted; widen a condition, or ask for fewer rows"
    )


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
    elif isinstance(value, str) and isinstance(column, Quantity) and (mark := _range_mark(column, value)):
        ends = tuple(end.strip() or None for end in value.split(mark, 1))
    else:
        return None
    if len(ends) != 2 or ends == (None, None):
        raise DataError(f"column '{column.name}': {value!r} is no range; give {_example(column)}")
    return ends


def _range_mark(column: Quantity, text: str) -> str | None:
    """What stands between the ends of a range: two dots, or a colon, which in times of day means something else."""
    marks = ("..",) if isinstance(column, DateColumn) else ("..", ":")
    return next((mark for mark in marks if mark in text), None)


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
        raise DataError(f"column '{column.name}' holds {in_words(wanted)}; {value!r} cannot be that") from None
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
