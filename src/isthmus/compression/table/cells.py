"""Cells ↔ whole numbers, without loss: what every kind of column comes down to.

A column becomes int64 numbers and a state for each cell: 0 for one that has a number, `MISSING`, `ODD` for one whose
own bits are kept aside (an unseen word, a number with more decimals than the others). The number of a cell is
(raw − origin) / unit, where raw is:

- whole: the integer itself; days, ticks, booleans, and decimals without their point, too
- clock: minutes since midnight, for times written as 1745
- decimal: the float times 10^k, where dividing by 10^k gives every float back to its last bit
- bits: the float's own bits, ordered as floats are
- grid: the nearest step of a grid that is no wider than twice what the number may be off by; a number that its step
  would miss by more is odd
- words: the place in the sorted list of the column's words
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ...domains.table.arrow_types import is_text, type_from_json, type_to_json
from ..packing import framed, integer_bytes, integers_of, unframed

pc: Any = pyarrow.compute  # its functions are made when it is imported

PRESENT, MISSING, ODD = 0, 1, 2

MOST_DECIMALS = 9
# A list of words longer than this share of the rows is no dictionary: the column is packed as text.
MOST_SHARE = 0.5
# Nor is one of so many words or bytes; all columns together may have as many.
MOST_WORDS, LONGEST_WORDS = 2**22, 2**27

_GRID = (("step", 0.0), ("first", 0.0), ("bound", 0.0))
KINDS = ("whole", "clock", "decimal", "bits", "grid", "words", "text")


@dataclass
class Cells:
    """A column as whole numbers (rows,), int64, and states (rows,), int64; `odd` are the ODD cells, in order."""

    numbers: np.ndarray
    states: np.ndarray
    odd: pa.Array

    @property
    def present(self) -> np.ndarray:
        return self.states == PRESENT


@dataclass
class Form:
    """How one column's cells become whole numbers."""

    name: str
    type: pa.DataType
    kind: str
    origin: int = 0
    unit: int = 1
    decimals: int = 0
    step: float = 0.0  # of a grid, and its first value
    first: float = 0.0
    bound: float = 0.0  # how far a number may be off
    words: list[str] = field(default_factory=list)
    categories: pa.Array | None = None  # of an Arrow dictionary, whose cells are its indices

    @classmethod
    def fit(cls, name: str, cells: pa.Array, tolerance: float | None = None) -> "Form":
        """The form that suits a column; with a tolerance, a share of the column's range, numbers may be off by it."""
        type_to_json(name, cells.type)  # raises DataError for types that no column has
        form = cls(name, cells.type, "whole")
        if pa.types.is_dictionary(cells.type):
            form.categories = cells.dictionary
            return form
        if is_text(cells.type):
            return form._fit_words(cells)
        if tolerance and (pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type)):
            form._fit_rounding(cells, tolerance)
        if form.kind == "grid":
            pass
        elif pa.types.is_floating(cells.type):
            form._fit_floats(_floats(cells))
        elif pa.types.is_decimal(cells.type) and not _fits(cells):
            form.kind = "text"
            return form
        raw, states = form._raw(cells)
        raw = raw[states == PRESENT]
        if (form.kind == "whole" or (form.kind == "decimal" and not form.decimals)) and _is_clock(raw):
            form.kind = "clock"
        if len(raw) and form.kind in ("whole", "decimal"):
            form._fit_grid(raw)
        return form

    def _fit_words(self, cells: pa.Array) -> "Form":
        words = pc.unique(_reckonable(cells).drop_null()).to_pylist()
        size = sum(len(word.encode()) for word in words)
        if len(words) > min(max(MOST_SHARE * len(cells), 16), MOST_WORDS) or size > LONGEST_WORDS:
            self.kind = "text"
        else:
            self.kind, self.words = "words", sorted(words)
        return self

    def _fit_floats(self, values: np.ndarray) -> None:
        finite = values[np.isfinite(values)]
        for decimals in range(MOST_DECIMALS + 1):
            exact = _is_decimal(finite, decimals)
            if len(finite) and exact.mean() > 0.999:
                self.kind, self.decimals = "decimal", decimals
                return
            if len(finite) > 1000 and decimals == 0:
                finite = finite[:: len(finite) // 1000]
        self.kind = "bits"

    def _fit_rounding(self, cells: pa.Array, tolerance: float) -> None:
        values = cells.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
        values = values[np.isfinite(values)]
        with np.errstate(over="ignore"):
            extent = float(np.ptp(values)) if len(values) else 0.0
        bound = tolerance * extent
        if not np.isfinite(bound) or bound <= 0 or np.abs(values).max() >= 2.0**52 * bound:
            return
        step = 2 * bound
        if pa.types.is_integer(cells.type):
            # Whole numbers fall on whole steps: an odd step rounds to either side alike.
            step = float(max(2 * int(bound) + 1, 1))
            if step == 1 or max(abs(int(values.min())), abs(int(values.max()))) >= 2**52:
                return
        self.kind, self.step, self.first, self.bound = "grid", step, float(values.min()), bound

    def _fit_grid(self, raw: np.ndarray) -> None:
        """Count from the least in units of the common divisor, where that cannot overflow."""
        low, high = int(raw.min()), int(raw.max())
        if high - low >= 2**62:
            return
        unit = int(np.gcd.reduce(raw - low)) if high > low else 1
        # Whole numbers near zero are best as they are: relations between columns are then seen.
        self.unit = max(unit, 1)
        self.origin = low % self.unit if abs(low) < 2**40 else low

    def cells(self, cells: pa.Array) -> Cells:
        """Cells → whole numbers. Not for columns of kind "text"."""
        cells = _reckonable(cells)
        raw, states = self._raw(cells)
        numbers = (raw - self.origin) // self.unit
        odd = (states == PRESENT) & (numbers * self.unit + self.origin != raw)
        states[odd] = ODD
        numbers[states != PRESENT] = 0
        return Cells(numbers, states, cells.filter(pa.array(states == ODD)))

    def _raw(self, cells: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        states = np.where(pc.is_null(cells).to_numpy(zero_copy_only=False), MISSING, PRESENT).astype(np.int64)
        if self.kind == "words":
            places = pc.index_in(cells, pa.array(self.words, cells.type))
            states[(states == PRESENT) & pc.is_null(places).to_numpy(zero_copy_only=False)] = ODD
            return places.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64), states
        if self.kind == "grid":
            values = cells.fill_null(0).to_numpy(zero_copy_only=False)
            with np.errstate(invalid="ignore", over="ignore"):
                steps = np.rint((values.astype(np.float64) - self.first) / self.step)
                near = np.abs(steps) < 2**52
                steps = np.where(near, steps, 0)
                off = np.abs(self._on_grid(steps).astype(np.float64) - values.astype(np.float64))
            states[(states == PRESENT) & ~(near & (off <= self.bound))] = ODD
            return steps.astype(np.int64), states
        if pa.types.is_floating(cells.type):
            values = _floats(cells)
            if self.kind == "bits":
                return _ordered(values), states
            exact = _is_decimal(values, self.decimals)
            states[(states == PRESENT) & ~exact] = ODD
            scaled = np.where(exact, values.astype(np.float64), 0.0) * 10.0**self.decimals
            raw = np.rint(scaled).astype(np.int64)
        else:
            raw = _integers(cells)
        if self.kind == "clock":
            wrong = (raw < 0) | (raw > 2400) | (raw % 100 > 59)
            states[(states == PRESENT) & wrong] = ODD
            raw = raw // 100 * 60 + raw % 100
        return raw, states

    def _on_grid(self, steps: np.ndarray) -> np.ndarray:
        """The values of steps, in the column's own type."""
        width = np.dtype(self.type.to_pandas_dtype())
        with np.errstate(over="ignore", invalid="ignore"):
            values = steps * self.step + self.first
            if width.kind in "iu":  # what an integer type does not hold, machines convert each in its own way
                values = np.clip(values, max(np.iinfo(width).min, -(2**53)), min(np.iinfo(width).max, 2**53))
            return values.astype(width)

    def rounded(self, cells: pa.Array) -> pa.Array:
        """Cells as they will come back."""
        return self.restored(self.cells(cells)) if self.kind == "grid" else cells

    def restored(self, cells: Cells) -> pa.Array:
        """Whole numbers → cells. Raises ValueError for numbers that stand for no cell."""
        if pa.types.is_string_view(self.type):
            plain = replace(self, type=pa.large_string())
            return plain.restored(replace(cells, odd=_reckonable(cells.odd))).cast(self.type)
        raw = cells.numbers * self.unit + self.origin
        missing = pa.array(cells.states != PRESENT)
        if self.categories is not None:
            indices = _from_integers(raw, self.type.index_type, missing)
            if len(raw) and pc.max(indices).as_py() is not None:
                low, high = pc.min(indices).as_py(), pc.max(indices).as_py()
                if low < 0 or high >= len(self.categories):
                    raise ValueError("a category that there is not")
            return pa.DictionaryArray.from_arrays(indices, self.categories, ordered=self.type.ordered)
        if self.kind == "words":
            if not self.words:
                restored = pa.nulls(len(raw), self.type)
            elif raw.min(initial=0) < 0 or raw.max(initial=0) >= len(self.words):
                raise ValueError("a word that there is not")
            else:
                restored = pa.array(self.words, self.type).take(pa.array(raw, mask=missing.to_numpy(False)))
        elif self.kind == "grid":
            restored = pa.array(self._on_grid(raw.astype(np.float64)), self.type, mask=missing.to_numpy(False))
        elif self.kind == "bits":
            restored = _from_floats(_unordered(raw, self.type), self.type, missing)
        elif self.kind == "decimal":
            width = np.dtype(self.type.to_pandas_dtype())
            restored = _from_floats((raw / 10.0**self.decimals).astype(width), self.type, missing)
        else:
            if self.kind == "clock":
                raw = raw // 60 * 100 + raw % 60
            if pa.types.is_floating(self.type):
                restored = _from_floats(raw.astype(self.type.to_pandas_dtype()), self.type, missing)
            else:
                restored = _from_integers(raw, self.type, missing)
        odd = cells.states == ODD
        if odd.any():
            if len(cells.odd) != odd.sum():
                raise ValueError("odd cells that are not there")
            places = np.full(len(raw), -1)
            places[odd] = np.arange(len(cells.odd))
            both = pa.concat_arrays([restored, cells.odd])
            restored = both.take(pa.array(np.where(odd, len(raw) + places, np.arange(len(raw)))))
        return restored

    def text_bytes(self, cells: Cells) -> int:
        """How long the words and categories of cells are in all."""
        words = pa.array(self.words, pa.large_string()) if self.kind == "words" else self.categories
        if words is None or not len(words) or not is_text(words.type):
            return 0
        lengths = pc.binary_length(_reckonable(words)).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        places = cells.numbers[cells.present] * self.unit + self.origin
        return int(lengths[np.clip(places, 0, len(lengths) - 1)].sum())

    def settings(self) -> dict[str, Any]:
        """All but the words, as JSON."""
        held: dict[str, Any] = {"name": self.name, "type": type_to_json(self.name, self.type), "kind": self.kind}
        for key, default in (("origin", 0), ("unit", 1), ("decimals", 0), *_GRID):
            if getattr(self, key) != default:
                held[key] = getattr(self, key)
        return held

    def parameters(self) -> bytes:
        """The words, or the categories of an Arrow dictionary."""
        if self.categories is not None:
            return plain_bytes(self.categories)
        return plain_bytes(pa.array(self.words, pa.large_string())) if self.words else b""

    @classmethod
    def from_settings(cls, settings: dict[str, Any], parameters: bytes) -> "Form":
        """Raises KeyError, TypeError or ValueError for what was no form."""
        kind = settings["kind"]
        if kind not in KINDS:
            raise ValueError(f"an unknown kind of column ({kind!r})")
        type_ = type_from_json(settings["type"])
        form = cls(str(settings["name"]), type_, kind)
        for key in ("origin", "unit", "decimals"):
            setattr(form, key, int(settings.get(key, getattr(form, key))))
        for key, _ in _GRID:
            setattr(form, key, float(settings.get(key, 0.0)))
        if form.kind == "grid" and not (form.step > 0 and np.isfinite([form.step, form.first]).all()):
            raise ValueError("a grid without a step")
        if not 0 <= form.decimals <= MOST_DECIMALS or not 1 <= form.unit < 2**63 or not -(2**63) <= form.origin < 2**63:
            raise ValueError("numbers of a form beyond their bounds")
        if pa.types.is_dictionary(type_):
            form.categories = from_plain_bytes(parameters, type_.value_type)
        elif kind == "words" and parameters:
            if len(unframed(parameters)[1]) > 5 * MOST_WORDS:
                raise ValueError("too many words")
            form.words = from_plain_bytes(parameters, pa.large_string()).to_pylist()
        return form


def _reckonable(cells: pa.Array) -> pa.Array:
    """Cells in a type that all of Arrow's functions take."""
    return cells.cast(pa.large_string()) if pa.types.is_string_view(cells.type) else cells


def _floats(cells: pa.Array) -> np.ndarray:
    """Cells as floats of their own width, 0 where missing."""
    return cells.fill_null(0).to_numpy(zero_copy_only=False)


def _is_decimal(values: np.ndarray, decimals: int) -> np.ndarray:
    """Which floats a whole number over 10^decimals gives back bit for bit."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.rint(values.astype(np.float64) * 10.0**decimals)
        small = np.abs(scaled) < 2**53
        back = (np.where(small, scaled, 0) / 10.0**decimals).astype(values.dtype)
    whole = f"i{values.dtype.itemsize}"
    negative_zero = (scaled == 0) & np.signbit(values)
    return small & (back.view(whole) == values.view(whole)) & ~negative_zero


def _ordered(values: np.ndarray) -> np.ndarray:
    """Floats' bits as int64, in the order of the floats."""
    bits = values.view(f"i{values.dtype.itemsize}")
    return np.where(bits >= 0, bits, bits ^ np.iinfo(bits.dtype).max).astype(np.int64)


def _unordered(numbers: np.ndarray, type_: pa.DataType) -> np.ndarray:
    width = np.dtype(type_.to_pandas_dtype())
    bits = numbers.astype(f"i{width.itemsize}")
    return np.where(bits >= 0, bits, bits ^ np.iinfo(bits.dtype).max).view(width)


def _from_floats(values: np.ndarray, type_: pa.DataType, missing: pa.Array) -> pa.Array:
    return pa.array(values, type_, mask=missing.to_numpy(zero_copy_only=False))


def _is_clock(raw: np.ndarray) -> bool:
    """Whether numbers look like times of the day: up to 2400, never 60 minutes or more, and not few."""
    if len(raw) < 1000 or raw.min() < 0 or not 1200 < raw.max() <= 2400 or (raw % 100 > 59).any():
        return False
    return len(np.unique(raw)) > 200


def _fits(cells: pa.Array) -> bool:
    """Whether decimals are int64 without their point."""
    bounds = pc.min_max(cells).as_py()
    return bounds["min"] is None or all(
        abs(int(bound.scaleb(cells.type.scale))) < 2**62 for bound in (bounds["min"], bounds["max"])
    )


def _integers(cells: pa.Array) -> np.ndarray:
    """The int64 of integers, dates, times, decimals, booleans and indices; 0 where missing. uint64 wraps around."""
    type_ = cells.type
    if pa.types.is_null(type_):
        return np.zeros(len(cells), np.int64)
    if pa.types.is_dictionary(type_):
        return _integers(cells.indices)
    if pa.types.is_boolean(type_):
        return cells.fill_null(False).to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_decimal(type_):
        words = np.frombuffer(cells.buffers()[1], "<i8").reshape(-1, 2)[cells.offset : cells.offset + len(cells), 0]
        return np.where(pc.is_null(cells).to_numpy(zero_copy_only=False), 0, words)
    width = np.dtype(f"{'u' if str(type_).startswith('uint') else 'i'}{type_.bit_width // 8}")
    held = np.frombuffer(cells.buffers()[1], width)[cells.offset : cells.offset + len(cells)] if len(cells) else []
    numbers = np.asarray(held, width).astype(np.int64)
    return np.where(pc.is_null(cells).to_numpy(zero_copy_only=False), 0, numbers)


def _from_integers(numbers: np.ndarray, type_: pa.DataType, missing: pa.Array) -> pa.Array:
    if pa.types.is_null(type_):
        return pa.nulls(len(numbers))
    validity = pc.invert(missing).buffers()[1] if len(numbers) else None
    if pa.types.is_boolean(type_):
        return pa.array(numbers != 0, type_, mask=missing.to_numpy(zero_copy_only=False))
    if pa.types.is_decimal(type_):
        held = np.stack([numbers, numbers >> 63], 1).astype("<i8")
    else:
        held = numbers.astype(f"{'u' if str(type_).startswith('uint') else 'i'}{type_.bit_width // 8}")
    return pa.Array.from_buffers(type_, len(numbers), [validity, pa.py_buffer(held.tobytes())])


# Cells without a model, and what digests are taken of: validity, lengths, values.


def plain_bytes(cells: pa.Array) -> bytes:
    """Cells of any type as bytes, the same for equal cells: which are missing, then their values."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    present = pc.is_valid(cells).to_numpy(zero_copy_only=False)
    flags = b"" if present.all() else np.packbits(present).tobytes()
    if is_text(cells.type):
        cells = cells.cast(pa.large_string()).fill_null("")
        lengths = pc.binary_length(cells).to_numpy(zero_copy_only=False)
        offsets = np.frombuffer(cells.buffers()[1], "<i8")[cells.offset : cells.offset + len(cells) + 1]
        text = cells.buffers()[2] if len(cells) else None
        return framed([flags, integer_bytes(lengths), text[offsets[0] : offsets[-1]].to_pybytes() if text else b""])
    if pa.types.is_floating(cells.type):
        return framed([flags, _floats(cells).tobytes()])
    if pa.types.is_decimal(cells.type):
        words = np.frombuffer(cells.buffers()[1], "<i8").reshape(-1, 2)[cells.offset : cells.offset + len(cells)]
        return framed([flags, np.where(present[:, None], words, 0).tobytes()])
    return framed([flags, _integers(cells).astype("<i8").tobytes()])


def from_plain_bytes(data: bytes, type_: pa.DataType, count: int | None = None) -> pa.Array:
    """The cells that `plain_bytes` was given. Raises ValueError for anything else."""
    flags, *parts = unframed(data)
    if is_text(type_):
        lengths, text = integers_of(parts[0]), parts[1]
        if (lengths < 0).any() or lengths.sum() != len(text):
            raise ValueError("lengths of texts that do not add up")
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        size = len(lengths)
        validity = _validity(flags, size)
        array = pa.Array.from_buffers(pa.large_string(), size, [validity, pa.py_buffer(offsets), pa.py_buffer(text)])
        array.validate(full=True)
        array = array.cast(type_)
    else:
        floating, decimal = pa.types.is_floating(type_), pa.types.is_decimal(type_)
        width = type_.bit_width // 8 if floating else 16 if decimal else 8
        if len(parts) != 1 or len(parts[0]) % width:
            raise ValueError("values cut short")
        size = len(parts[0]) // width
        if floating or decimal:
            array = pa.Array.from_buffers(type_, size, [_validity(flags, size), pa.py_buffer(parts[0])])
        else:
            present = np.unpackbits(np.frombuffer(flags, np.uint8), count=size) if flags else np.ones(size, np.uint8)
            array = _from_integers(np.frombuffer(parts[0], "<i8"), type_, pa.array(present == 0))
    if count is not None and len(array) != count:
        raise ValueError(f"{len(array)} cells instead of {count}")
    return array


def _validity(flags: bytes, size: int) -> pa.Buffer | None:
    if not flags:
        return None
    if len(flags) != (size + 7) // 8:
        raise ValueError("marks of missing cells cut short")
    return pa.py_buffer(np.packbits(np.unpackbits(np.frombuffer(flags, np.uint8)), bitorder="little").tobytes())


def stored(cells: pa.Array) -> pa.Array:
    """Cells as they are packed: of categories, their numbers."""
    return cells.indices if isinstance(cells, pa.DictionaryArray) else cells


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
