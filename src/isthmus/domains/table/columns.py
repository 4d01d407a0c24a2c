"""Columns of a table: cells ↔ numbers, one class for each kind of column.

Numbers are what models see: about zero mean and unit spread for quantities, 0 and 1 for booleans, 0, 1, 2, … by falling
frequency for categories, NaN where a cell is missing.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from ...core.errors import DataError

# Categories beyond this many, or seen once, share one place in the model ("rare") and come back by their frequency.
MOST_CATEGORIES = 256


class Column(BaseModel, ABC):
    """One column: what was learned of it. The fields are its JSON schema."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: str
    name: str
    arrow_type: dict[str, Any]
    has_missing: bool

    @abstractmethod
    def numbers(self, cells: pa.Array) -> np.ndarray:
        """Cells → float64 (rows,). Raises DataError naming the cell that does not fit."""

    @abstractmethod
    def cells(self, numbers: np.ndarray) -> pa.Array:
        """Numbers → cells of the column's own type."""

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        """Numbers → cells as a person reads them, None where missing."""
        return self.cells(numbers).cast(pa.string()).to_pylist()

    def surprise(self, cells: pa.Array) -> str | None:
        """A sentence about cells unlike any that were fitted."""
        return None

    @property
    def type(self) -> pa.DataType:
        return type_from_json(self.arrow_type)


class Quantity(Column):
    """A column of measurements: scaled to about unit spread, by way of asinh where the tails are heavy."""

    location: float
    scale: float
    # asinh((x − centre) / width) comes before location and scale where width is given.
    centre: float = 0.0
    width: float | None = None
    low: float
    high: float

    def standardise(self, values: np.ndarray) -> np.ndarray:
        if self.width is not None:
            values = np.arcsinh((values - self.centre) / self.width)
        return (values - self.location) / self.scale

    def restore(self, numbers: np.ndarray) -> np.ndarray:
        values = numbers * self.scale + self.location
        return values if self.width is None else np.sinh(values) * self.width + self.centre

    def outside(self, values: np.ndarray) -> str | None:
        with np.errstate(invalid="ignore"):
            count = int(np.sum((values < self.low) | (values > self.high)))
        if not count:
            return None
        return f"column '{self.name}': {count} values outside {self.low:g} … {self.high:g}, the range that was fitted"


class NumberColumn(Quantity):
    """Real numbers, with a probability density."""

    kind: str = "number"

    def numbers(self, cells: pa.Array) -> np.ndarray:
        return self.standardise(floats(self.name, cells))

    def cells(self, numbers: np.ndarray) -> pa.Array:
        return pa.array(self.restore(numbers), type=pa.float64(), from_pandas=True).cast(self.type, safe=False)

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        return [None if math.isnan(value) else f"{value:.4g}" for value in self.restore(numbers)]

    def surprise(self, cells: pa.Array) -> str | None:
        return self.outside(floats(self.name, cells))


class IntegerColumn(Quantity):
    """Whole numbers, with a probability mass for each."""

    kind: str = "integer"

    def numbers(self, cells: pa.Array) -> np.ndarray:
        return self.standardise(floats(self.name, cells))

    def cells(self, numbers: np.ndarray) -> pa.Array:
        return whole(self.restore(numbers), self.type)

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        return [None if math.isnan(value) else f"{value:.0f}" for value in self.restore(numbers)]

    def surprise(self, cells: pa.Array) -> str | None:
        return self.outside(floats(self.name, cells))


class DateColumn(Quantity):
    """Dates, times and durations: whole numbers of the coarsest unit (`ticks`) that all observed cells share."""

    kind: str = "date"
    ticks: int

    def numbers(self, cells: pa.Array) -> np.ndarray:
        if not is_time(cells.type):
            raise DataError(f"column '{self.name}' should hold dates, but holds {cells.type}")
        return self.standardise(tick_numbers(cells.cast(self.type, safe=False)) / self.ticks)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        return whole(self.restore(numbers), pa.int64(), self.ticks).cast(integer_of(self.type)).cast(self.type)

    def texts(self, numbers: np.ndarray) -> list[str | None]:
        return iso_texts(self.cells(numbers))


class BooleanColumn(Column):
    """True and false."""

    kind: str = "boolean"

    def numbers(self, cells: pa.Array) -> np.ndarray:
        if not pa.types.is_boolean(cells.type):
            raise DataError(f"column '{self.name}' should hold true and false, but holds {cells.type}")
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

    def numbers(self, cells: pa.Array) -> np.ndarray:
        codes = pc.index_in(self._plain(cells), value_set=pa.array(self.values, type=value_type(self.type)))
        return codes.cast(pa.float64()).to_numpy(zero_copy_only=False)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        missing = np.isnan(numbers)
        codes = np.where(missing, 0, numbers).round().astype(np.int64).clip(0, max(len(self.values) - 1, 0))
        plain = pa.array(self.values, type=value_type(self.type)).take(pa.array(codes, mask=missing))
        if self.dictionary is None:
            return plain
        own = pa.array(self.dictionary, type=value_type(self.type))
        index = pc.index_in(plain, value_set=own).cast(self.type.index_type)
        return pa.DictionaryArray.from_arrays(index, own, ordered=self.type.ordered)

    def surprise(self, cells: pa.Array) -> str | None:
        plain = self._plain(cells)
        unseen = pc.unique(plain.filter(pc.invert(pc.is_in(plain, value_set=pa.array(self.values, type=plain.type)))))
        values = [value for value in unseen.to_pylist() if value is not None]
        if not values:
            return None
        some = ", ".join(repr(value) for value in values[:3]) + (", …" if len(values) > 3 else "")
        return f"column '{self.name}': unseen categories, treated as missing: {some}"

    def _plain(self, cells: pa.Array) -> pa.Array:
        """The cells without dictionary encoding, as the type of the values."""
        plain = cells.dictionary_decode() if isinstance(cells, pa.DictionaryArray) else cells
        try:
            return plain.cast(value_type(self.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise DataError(
                f"column '{self.name}' should hold {value_type(self.type)}, but holds {plain.type}"
            ) from None


class EmptyColumn(Column):
    """A column in which no cell was observed."""

    kind: str = "empty"

    def numbers(self, cells: pa.Array) -> np.ndarray:
        return np.full(len(cells), np.nan)

    def cells(self, numbers: np.ndarray) -> pa.Array:
        return pa.nulls(len(numbers), self.type)


KINDS: dict[str, type[Column]] = {
    "number": NumberColumn,
    "integer": IntegerColumn,
    "date": DateColumn,
    "boolean": BooleanColumn,
    "category": CategoryColumn,
    "empty": EmptyColumn,
}


def fit_column(name: str, cells: pa.Array) -> Column:
    """Learn a column from its cells."""
    own: dict[str, Any] = {"name": name, "arrow_type": type_to_json(name, cells.type), "has_missing": False}
    if isinstance(cells, pa.DictionaryArray):
        return _fit_category(cells.dictionary_decode(), own, cells.dictionary.to_pylist())
    if pa.types.is_floating(cells.type):
        cells = pc.if_else(pc.is_nan(cells), None, cells)
    own["has_missing"] = cells.null_count > 0
    if cells.null_count == len(cells):
        return EmptyColumn(**own)
    if pa.types.is_boolean(cells.type):
        return BooleanColumn(**own)
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type) or _is_string_view(cells.type):
        _refuse_stray_text(name, cells)
        return _fit_category(cells, own, None)
    if is_time(cells.type):
        ticks = tick_numbers(cells)
        unit = _shared_unit(ticks[~np.isnan(ticks)])
        return DateColumn(**own, ticks=unit, **_spread(ticks / unit, tails=False))
    values = floats(name, cells)
    observed = values[~np.isnan(values)]
    if np.all(observed == np.round(observed)) and np.abs(observed).max() < 2**53:
        return IntegerColumn(**own, **_spread(values, tails=False))
    return NumberColumn(**own, **_spread(values, tails=True))


def _fit_category(cells: pa.Array, own: dict[str, Any], dictionary: list[Any] | None) -> Column:
    own["has_missing"] = cells.null_count > 0
    if cells.null_count == len(cells):
        return EmptyColumn(**own)
    counted = pc.value_counts(cells.drop_null())
    pairs = sorted(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True),
        key=lambda pair: (-pair[1], str(pair[0])),
    )
    values, counts = [value for value, _ in pairs], [count for _, count in pairs]
    return CategoryColumn(**own, values=values, counts=counts, dictionary=dictionary)


def _spread(values: np.ndarray, tails: bool) -> dict[str, Any]:
    """Location and scale; with `tails`, asinh comes first where the largest value would lie beyond 20 deviations."""
    observed = values[~np.isnan(values)]
    learned: dict[str, Any] = {"low": float(observed.min()), "high": float(observed.max())}
    location, scale = _moments(observed)
    if tails and np.abs(observed - location).max() > 20 * scale:
        lower, centre, upper = np.quantile(observed, [0.25, 0.5, 0.75])
        width = float(upper - lower) or scale
        learned |= {"centre": float(centre), "width": width}
        location, scale = _moments(np.arcsinh((observed - centre) / width))
    return learned | {"location": location, "scale": scale}


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (1 for a constant), safe from overflow for values near the largest float."""
    largest = float(np.abs(values).max()) or 1.0
    shrunk = values / largest
    location, scale = float(shrunk.mean() * largest), float(shrunk.std() * largest)
    constant = values.min() == values.max() or scale == 0
    return (float(values[0]), 1.0) if constant else (location, scale)


def floats(name: str, cells: pa.Array) -> np.ndarray:
    """Cells of a numeric column → float64 with NaN for missing; infinity and text are refused by place."""
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan)
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        row, value = next((row, value) for row, value in enumerate(cells.to_pylist()) if value is not None)
        raise DataError(f"column '{name}' should hold numbers, but row {row} holds the text {value!r}")
    if not _is_number(cells.type):
        raise DataError(f"column '{name}' should hold numbers, but holds {cells.type}")
    values = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(f"column '{name}', row {row}: the value is infinity; mend or remove it")
    return values


def _is_number(type_: pa.DataType) -> bool:
    return pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def _is_string_view(type_: pa.DataType) -> bool:
    return str(type_) == "string_view"


def _refuse_stray_text(name: str, cells: pa.Array) -> None:
    """A column that is nearly all numbers is a column of numbers with a mistake in it."""
    texts = cells.to_pylist()
    observed = [text for text in texts if text is not None]
    if len(observed) < 10:
        return
    stray = [index for index, text in enumerate(texts) if text is not None and not _reads_as_number(text)]
    if 0 < len(stray) <= len(observed) // 10:
        raise DataError(
            f"column '{name}', row {stray[0]}: the text {texts[stray[0]]!r} stands in a column of numbers; "
            "mend it, or leave the cell empty"
        )


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def whole(values: np.ndarray, type_: pa.DataType, multiple: int = 1) -> pa.Array:
    """Nearest whole numbers, as this type, within its range; NaN becomes missing."""
    missing = np.isnan(values)
    rounded = np.where(missing, 0, np.round(values))
    if not pa.types.is_integer(type_):
        return pa.array(rounded * multiple, mask=missing).cast(type_, safe=False)
    bounds = np.iinfo(type_.to_pandas_dtype())
    # 2⁶³ − 1 has no float64 of its own: the nearest one below is the largest that converts.
    largest = float(bounds.max) if float(bounds.max) <= bounds.max else np.nextafter(float(bounds.max), 0)
    integers = np.clip(rounded * multiple, float(bounds.min), largest).astype(type_.to_pandas_dtype())
    return pa.array(integers, mask=missing)


# Dates and times.


def is_time(type_: pa.DataType) -> bool:
    """Whether a type counts time in ticks."""
    return pa.types.is_temporal(type_) and not pa.types.is_interval(type_)


def integer_of(type_: pa.DataType) -> pa.DataType:
    """The integer type that stores a time type's ticks."""
    return pa.int32() if pa.types.is_date32(type_) or pa.types.is_time32(type_) else pa.int64()


def tick_numbers(cells: pa.Array) -> np.ndarray:
    """Ticks as float64, NaN for missing."""
    return cells.cast(integer_of(cells.type)).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def iso_texts(cells: pa.Array) -> list[str | None]:
    """Dates and times as ISO 8601, to the second and without zone; durations as days and hours."""
    if pa.types.is_duration(cells.type):
        spans = cells.cast(pa.duration("us"), safe=False).to_pylist()
        return [None if span is None else str(span) for span in spans]
    if pa.types.is_timestamp(cells.type):
        cells = pc.local_timestamp(cells) if cells.type.tz else cells
        cells = cells.cast(pa.timestamp("s"), safe=False)
    texts = [None if text is None else text.replace(" ", "T") for text in cells.cast(pa.string()).to_pylist()]
    midnight = all(text is None or text.endswith("T00:00:00") for text in texts)
    return [text and text.removesuffix("T00:00:00") for text in texts] if midnight else texts


def _shared_unit(ticks: np.ndarray) -> int:
    """The largest product of 1000s, 60s and 24 that divides all ticks: days stored as microseconds count as days."""
    unit = 1
    for factor in (1000, 1000, 1000, 60, 60, 24):
        if not np.all(ticks % (unit * factor) == 0):
            break
        unit *= factor
    return unit


# Arrow types as JSON, from a closed list.


def value_type(type_: pa.DataType) -> pa.DataType:
    """The type of a category's values."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def type_to_json(name: str, type_: pa.DataType) -> dict[str, Any]:
    """A type as JSON; raises DataError for types no column of a table can have (lists, structs, bytes)."""
    if pa.types.is_dictionary(type_):
        return {
            "dictionary": type_to_json(name, type_.value_type),
            "index": str(type_.index_type),
            "ordered": type_.ordered,
        }
    if pa.types.is_timestamp(type_):
        return {"timestamp": type_.unit, "zone": type_.tz}
    if pa.types.is_duration(type_) or pa.types.is_time(type_):
        return {"duration" if pa.types.is_duration(type_) else "time": type_.unit}
    if pa.types.is_decimal(type_):
        return {"decimal": [type_.precision, type_.scale]}
    if str(type_) not in SIMPLE_TYPES:
        raise DataError(
            f"column '{name}' holds {type_}, which is not a kind of cell that can be modelled; leave it out"
        )
    return {"simple": str(type_)}


SIMPLE_TYPES: dict[str, pa.DataType] = {
    str(type_): type_
    for type_ in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string(), pa.string_view()),
        *(pa.date32(), pa.date64(), pa.null()),
    )
}


def type_from_json(stored: dict[str, Any]) -> pa.DataType:
    """The type that `type_to_json` described."""
    if "dictionary" in stored:
        index = SIMPLE_TYPES[stored["index"]]
        return pa.dictionary(index, type_from_json(stored["dictionary"]), ordered=bool(stored["ordered"]))
    if "timestamp" in stored:
        return pa.timestamp(stored["timestamp"], stored["zone"])
    if "duration" in stored:
        return pa.duration(stored["duration"])
    if "time" in stored:
        return pa.time32(stored["time"]) if stored["time"] in ("s", "ms") else pa.time64(stored["time"])
    if "decimal" in stored:
        return pa.decimal128(*stored["decimal"])
    return SIMPLE_TYPES[stored["simple"]]


def log_slope(column: Column, numbers: np.ndarray) -> np.ndarray:
    """log |d number / d cell| of a number column; 0 for columns whose cells have a mass."""
    if not isinstance(column, NumberColumn):
        return np.zeros_like(numbers)
    slope = np.full_like(numbers, -math.log(column.scale))
    if column.width is not None:
        # With u = asinh(y), du/dy = 1 / cosh(u).
        slope -= math.log(column.width) + np.log(np.cosh(numbers * column.scale + column.location))
    return np.where(np.isnan(numbers), 0.0, slope)
