"""Columns of a table: cells ↔ numbers, one class for each kind of column.

Numbers are float64 and exact: 0 and 1 for booleans, 0, 1, 2, … by falling frequency for categories, and for
quantities the cell's own number less an origin, in units of a power of two, so that nothing is rounded. The fitted
real numbers come back bit for bit, and so do whole numbers and dates whose range spans fewer than 2⁵³ steps (285 years
of microseconds); a wider range, and real numbers far from the fitted ones, come back to float64's precision.
Decimals of up to 15 digits are exact. NaN is a missing cell.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from ...core.errors import DataError
from .arrow_types import is_number, is_text, plain, type_from_json, value_type
from .calendar import VALUES, Part, part, ticks_a_day
from .scaling import Scale
from .times import integer_of, iso_texts, same_sort, tick_cells

# Categories beyond this many, or seen once, share one place in the model ("rare") and come back by their frequency.
MOST_CATEGORIES = 256

# Sums and differences of whole numbers below this are exact in float64.
EXACT = 2.0**52


class Column(BaseModel, ABC):
    """One column: what was learned of it. The fields are its JSON schema."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: str
    name: str
    arrow_type: dict[str, Any]
    has_missing: bool

    def numbers(self, cells: pa.Array) -> np.ndarray:
        """Cells → float64 (rows,). Raises DataError naming the cell that does not fit."""
        cells = plain(cells)
        if cells.null_count == len(cells):  # whatever type a column without values came with
            return np.full(len(cells), np.nan)
        return self._numbers(cells)

    @abstractmethod
    def _numbers(self, cells: pa.Array) -> np.ndarray:
        """`numbers` of plain cells, at least one of them observed."""

    @abstractmethod
    def cells(self, numbers: np.ndarray) -> pa.Array:
        """Numbers → cells of the column's own type."""

    def filled(self, cells: pa.Array, filling: pa.Array) -> pa.Array:
        """Cells, and where one is missing that of `filling`, in the column's own type."""
        cells = plain(cells)
        if cells.null_count == len(cells):
            return filling
        inner = value_type(self.type)
        try:
            known = cells.cast(inner)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as failure:
            reason = str(failure).splitlines()[0]
            raise DataError(f"column '{self.name}' should hold {inner}, and a cell is none: {reason}") from None
        gone = pc.call_function("is_null", [known], pc.NullOptions(nan_is_null=True))
        whole = pc.call_function("if_else", [gone, plain(filling).cast(inner), known])
        if not pa.types.is_dictionary(self.type):
            return whole
        # The fitted dictionary first, so that its order stays; values that it lacks come after.
        values = pa.concat_arrays([filling.dictionary.cast(inner), whole]).unique()
        index = pc.call_function("index_in", [whole], pc.SetLookupOptions(values)).cast(self.type.index_type)
        return pa.DictionaryArray.from_arrays(index, values, ordered=self.type.ordered)

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        """Numbers → cells as a person reads them, None where missing."""
        return self.cells(numbers).cast(pa.string()).to_pylist()

    def values_of(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers → the values they stand for, as float64 (rows,)."""
        return numbers

    def surprise(self, cells: pa.Array) -> str | None:
        """A sentence about cells unlike any that were fitted."""
        return None

    @property
    def type(self) -> pa.DataType:
        return type_from_json(self.arrow_type)


class Quantity(Column):
    """A column of measurements: its number is (cell − origin) · 2^−exponent; `scale` is what networks see of it."""

    exponent: int
    scale: Scale
    low: float
    high: float
    """The range of the fitted numbers."""

    @property
    def step(self) -> float:
        """The distance between neighbouring numbers; 0 where they lie densely."""
        return 0.0

    def surprise(self, cells: pa.Array) -> str | None:
        numbers = self.numbers(cells)
        count = int(np.sum((numbers < self.low) | (numbers > self.high)))  # NaN is neither
        if not count:
            return None
        low, high = self.texts(np.array([self.low, self.high]))
        what = "1 value" if count == 1 else f"{count} values"
        return f"column '{self.name}': {what} outside {low} … {high}, the range that was fitted"


class NumberColumn(Quantity):
    """Real numbers, with a probability density."""

    kind: str = "number"
    origin: float

    def _numbers(self, cells: pa.Array) -> np.ndarray:
        return np.ldexp(floats(self.name, cells) - self.origin, -self.exponent)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        return real_cells(self.values_of(numbers), self.type)

    def values_of(self, numbers: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.ldexp(numbers, self.exponent) + self.origin

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        return [None if math.isnan(value) else f"{value:.4g}" for value in self.values_of(numbers)]


class WholeColumn(Quantity):
    """Counted things: a number is a count of `unit` from the origin, and each count has a probability mass."""

    origin: int
    unit: int = 1

    @property
    def step(self) -> float:
        return math.ldexp(1.0, -self.exponent)

    def as_number(self) -> NumberColumn:
        """The same numbers with a density in place of a mass for each: cheaper, and as heavy-tailed as is asked for."""
        kept = {name: getattr(self, name) for name in ("name", "arrow_type", "has_missing", "exponent", "scale")}
        return NumberColumn(**kept, low=self.low, high=self.high, origin=self.origin / self.unit)

    def values_of(self, numbers: np.ndarray) -> np.ndarray:
        return np.ldexp(numbers, self.exponent) + self.origin / self.unit

    def _count(self, wholes: np.ndarray) -> np.ndarray:
        """Whole numbers (integers, or floats) → numbers."""
        return np.ldexp(counted(wholes, self.origin, self.unit), -self.exponent)

    def _wholes(self, numbers: np.ndarray, bounds: np.iinfo) -> np.ndarray:
        """Numbers → whole numbers within bounds; 0 where missing."""
        return uncounted(np.nan_to_num(np.ldexp(numbers, self.exponent)), self.origin, self.unit, bounds)


class IntegerColumn(WholeColumn):
    """Whole numbers."""

    kind: str = "integer"

    def _numbers(self, cells: pa.Array) -> np.ndarray:
        if pa.types.is_integer(cells.type):
            return masked(self._count(integers(cells)), cells)
        return self._count(floats(self.name, cells))

    def cells(self, numbers: np.ndarray) -> pa.Array:
        if not pa.types.is_integer(self.type):
            return real_cells(np.round(np.ldexp(numbers, self.exponent) + self.origin), self.type)
        bounds = np.iinfo(self.type.to_pandas_dtype())
        return pa.array(self._wholes(numbers, bounds).astype(bounds.dtype), mask=np.isnan(numbers))

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        cells = self.cells(numbers).to_pylist()
        return [None if value is None or value != value else f"{value:.0f}" for value in cells]


class DateColumn(WholeColumn):
    """Dates, times and durations, in the coarsest unit that fitted cells share: days, though stored as microseconds."""

    kind: str = "date"
    # Parts of the calendar that networks see beside the date; none in files of before there were any.
    calendar: list[Part] = []

    def calendar_parts(self, counts: Any) -> list[tuple[Any, int]]:
        """Each part of `calendar`, counted from 0, and how many values it has, of counts of `unit` from the origin."""
        day = ticks_a_day(self.type)
        ticks = counts * self.unit + self.origin % day
        days, rest = ticks // day + self.origin // day, ticks % day / day
        return [(part(name, days, rest), VALUES[name]) for name in self.calendar]

    def _numbers(self, cells: pa.Array) -> np.ndarray:
        if is_text(cells.type):
            cells = parsed_times(self.name, cells, self.type)
        if not same_sort(cells.type, self.type):
            raise DataError(f"column '{self.name}' should hold {self.type}, but holds {cells.type}; convert it")
        try:
            own = cells.cast(self.type, safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as failure:
            raise DataError(f"column '{self.name}' should hold {self.type}: {str(failure).splitlines()[0]}") from None
        return masked(self._count(integers(tick_cells(own))), own)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        stored = integer_of(self.type)
        bounds = np.iinfo(stored.to_pandas_dtype())
        return pa.array(self._wholes(numbers, bounds), type=stored, mask=np.isnan(numbers)).cast(self.type)

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        return iso_texts(self.cells(numbers))


class BooleanColumn(Column):
    """True and false."""

    kind: str = "boolean"

    def _numbers(self, cells: pa.Array) -> np.ndarray:
        if not pa.types.is_boolean(cells.type):
            raise DataError(
                f"column '{self.name}' should hold true and false, but holds {_called(cells.type)}; convert it"
            )
        return cells.cast(pa.float64()).to_numpy(zero_copy_only=False)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        return pa.array(numbers >= 0.5, mask=np.isnan(numbers))


class CategoryColumn(Column):
    """One of a list of values; codes count from the most frequent."""

    kind: str = "category"
    values: list[str | int | float | bool]
    counts: list[int]
    # A dictionary-encoded column's own list, in its own order, values that never occurred included.
    dictionary: list[str | int | float | bool] | None = None
    # No value occurred twice: a name or a number for each row, of which a model can learn nothing but the list.
    identifier: bool = False
    # Whether the dictionary's order means something; not in files of before it was made use of.
    ordered: bool = False

    @property
    def kept(self) -> int:
        """How many categories the model tells apart; the rest share code `kept`."""
        common = sum(count > 1 for count in self.counts[:MOST_CATEGORIES])
        # A single rare category needs no group: it is one category more.
        return len(self.counts) if len(self.counts) - common <= 1 else common

    @property
    def modelled(self) -> int:
        """How many codes the model has: the kept ones, and one for the rare ones if there are any."""
        return min(self.kept + 1, len(self.counts))

    @property
    def in_order(self) -> bool:
        """Whether the codes stand for ranks: a group of rare categories has none, and two need none."""
        return self.ordered and self.modelled == len(self.values) > 2

    @property
    def by_rank(self) -> list[int]:
        """Codes of an ordered column, from the lowest rank to the highest."""
        rank = {value: place for place, value in enumerate(self.dictionary or [])}
        return sorted(range(len(self.values)), key=lambda code: rank[self.values[code]])

    def _numbers(self, cells: pa.Array) -> np.ndarray:
        codes = pc.call_function("index_in", [self._own(cells)], pc.SetLookupOptions(self._value_set))
        return codes.cast(pa.float64()).to_numpy(zero_copy_only=False)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        missing = np.isnan(numbers)
        codes = np.where(missing, 0, numbers).round().astype(np.int64).clip(0, len(self.values) - 1)
        values = self._value_set.take(pa.array(codes, mask=missing))
        if self.dictionary is None:
            return values.cast(self.type)
        own = pa.array(self.dictionary, type=values.type)
        index = pc.call_function("index_in", [values], pc.SetLookupOptions(own)).cast(self.type.index_type)
        return pa.DictionaryArray.from_arrays(index, own.cast(value_type(self.type)), ordered=self.type.ordered)

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        return plain(self.cells(numbers)).cast(pa.string()).to_pylist()

    def surprise(self, cells: pa.Array) -> str | None:
        observed = plain(cells).drop_null()
        if not len(observed):
            return None
        unseen = self._own(observed).filter(pa.array(np.isnan(self._numbers(observed))))
        values = unseen.unique().to_pylist()
        if not values:
            return None
        some = ", ".join(repr(value) for value in values[:3]) + (", …" if len(values) > 3 else "")
        what = "an unseen category, treated as missing" if len(values) == 1 else "unseen categories, treated as missing"
        return f"column '{self.name}': {what}: {some}"

    @property
    def _value_set(self) -> pa.Array:
        own = value_type(self.type)
        return pa.array(self.values, type=pa.large_string() if is_text(own) else own)

    def _own(self, cells: pa.Array) -> pa.Array:
        """Plain cells as the type of the values."""
        wanted = self._value_set.type
        try:
            return cells.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise DataError(
                f"column '{self.name}' should hold {_called(wanted)}, but holds {_called(cells.type)}; convert it"
            ) from None


class EmptyColumn(Column):
    """A column in which no cell was observed; whatever it holds later counts as missing too."""

    kind: str = "empty"

    def _numbers(self, cells: pa.Array) -> np.ndarray:
        return np.full(len(cells), np.nan)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        if pa.types.is_dictionary(self.type):
            index = pa.nulls(len(numbers), self.type.index_type)
            return pa.DictionaryArray.from_arrays(index, pa.array([], value_type(self.type)), ordered=self.type.ordered)
        return pa.nulls(len(numbers), self.type)

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        return [None] * len(numbers)

    def surprise(self, cells: pa.Array) -> str | None:
        cells = plain(cells)
        count = len(cells) - cells.null_count
        return f"column '{self.name}': {count} values, but none when fitted; treated as missing" if count else None


KINDS: dict[str, type[Column]] = {
    "number": NumberColumn,
    "integer": IntegerColumn,
    "date": DateColumn,
    "boolean": BooleanColumn,
    "category": CategoryColumn,
    "empty": EmptyColumn,
}


# Cells ↔ NumPy.


def floats(name: str, cells: pa.Array) -> np.ndarray:
    """Cells of a numeric column → float64 with NaN for missing; infinity and text are refused by place."""
    if is_text(cells.type):
        row, value = next((row, value) for row, value in enumerate(cells.to_pylist()) if value is not None)
        raise DataError(
            f"column '{name}' should hold numbers, but row {row} holds the text {value!r}; convert or mend it"
        )
    if not is_number(cells.type):
        raise DataError(f"column '{name}' should hold numbers, but holds {cells.type}; convert it")
    values = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(f"column '{name}', row {row}: the value is infinity; mend or remove it")
    return values


def parsed_times(name: str, cells: pa.Array, type_: pa.DataType) -> pa.Array:
    """Cells of text, dates and times in ISO 8601, as a time type; a text that is none is refused by place."""
    texts = cells.to_pylist()
    try:
        return pa.array(texts, pa.string()).cast(type_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        row, text = next((row, text) for row, text in enumerate(texts) if text is not None and not _parses(text, type_))
    raise DataError(f"column '{name}' should hold {type_}, but row {row} holds the text {text!r}; convert or mend it")


def _parses(text: str, type_: pa.DataType) -> bool:
    try:
        pa.scalar(text).cast(type_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _called(type_: pa.DataType) -> str:
    return "text" if is_text(type_) else str(type_)


def integers(cells: pa.Array) -> np.ndarray:
    """Cells of an integer column → integers, 0 where missing."""
    return cells.fill_null(0).to_numpy(zero_copy_only=False)


def masked(numbers: np.ndarray, cells: pa.Array) -> np.ndarray:
    """Numbers, NaN where the cell is missing."""
    return np.where(cells.is_null().to_numpy(zero_copy_only=False), np.nan, numbers)


def real_cells(values: np.ndarray, type_: pa.DataType) -> pa.Array:
    """float64 → the nearest cells of a type of real numbers, within its range; NaN becomes missing."""
    if pa.types.is_floating(type_):
        bounds = np.finfo(type_.to_pandas_dtype())
        values = values.clip(float(bounds.min), float(bounds.max)).astype(bounds.dtype)
        return pa.array(values, type=type_, from_pandas=True)
    # Up to 15 digits the largest decimal is a float of its own; beyond, the float below is taken.
    largest = 10.0 ** (type_.precision - type_.scale)
    largest = largest - 10.0**-type_.scale if type_.precision <= 15 else largest * (1 - 1e-15)
    # A decimal is a count of 10^−scale. Arrow cuts digits off; rounding to the count first loses none.
    rounded = np.round(values.clip(-largest, largest), type_.scale)
    cells = [None if math.isnan(value) else f"{value:.{type_.scale}f}" for value in rounded]
    return pa.array(cells, pa.string()).cast(type_)


def counted(wholes: np.ndarray, origin: int, unit: int) -> np.ndarray:
    """(wholes − origin) / unit as float64: exact where it is whole and below 2⁵³."""
    if wholes.dtype.kind == "f" or (abs(origin) < EXACT and np.abs(wholes.astype(np.float64)).max(initial=0) < EXACT):
        return (wholes.astype(np.float64) - origin) / unit
    return np.array([(int(whole) - origin) / unit for whole in wholes])


def uncounted(counts: np.ndarray, origin: int, unit: int, bounds: np.iinfo) -> np.ndarray:
    """origin + counts · unit as the nearest integers within bounds."""
    if abs(origin) < EXACT and np.abs(counts).max(initial=0) * unit < EXACT:
        low, high = max(float(bounds.min), -2 * EXACT), min(float(bounds.max), 2 * EXACT)
        return (np.round(counts * unit) + origin).clip(low, high).astype(bounds.dtype)
    wholes = [origin + int(whole) * unit + round(rest * unit) for whole, rest in zip(*divided(counts), strict=True)]
    return np.array([min(max(whole, int(bounds.min)), int(bounds.max)) for whole in wholes], dtype=bounds.dtype)


def divided(counts: np.ndarray) -> tuple[list[float], list[float]]:
    """Whole parts, and what is left of 1."""
    whole = np.floor(counts)
    return whole.tolist(), (counts - whole).tolist()
