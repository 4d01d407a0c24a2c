"""What one pass over a table too large for memory tells of its columns."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ...core.errors import DataError
from ..base import Domain, Rows, Survey
from .arrow_types import is_text, plain, type_to_json, value_type
from .columns import CategoryColumn
from .fitting import ordered_by_count
from .frames import combined, to_arrow
from .times import is_time, tick_cells

if TYPE_CHECKING:
    from . import Table

# Values of a column of categories are counted one by one up to this many; beyond, the sample's are all that are told
# apart, and the others count as missing.
MOST_COUNTED = 100_000


# What a row shows of a column, and the row's place in a slice.
Sight = tuple[str, int]
# The column, and what a row shows of it: a new extreme takes the place of the one before.
Sort = tuple[str, str]


class TableSurvey(Survey):
    """One pass over the rows of a table: see `Survey`."""

    def __init__(self, kind: "type[Table]"):
        self.kind = kind
        self.columns: list[_Column] = []
        # Rows that showed something, and which of them shows what.
        self.kept: Rows | None = None
        self.shown: dict[Sort, int] = {}

    def add(self, rows: Rows, first: int) -> None:
        table, _ = to_arrow(rows)
        if not self.columns:
            self.columns = [_column(field.name, field.type) for field in table.schema]
        shown: dict[Sort, int] = {}
        for column, cells in zip(self.columns, table.columns, strict=True):
            shown |= {(column.name, what): place for what, place in column.look(combined(cells), first)}
        # All at once: a table has rows to keep for each of its columns, and each row costs its width.
        older = {sort: row for sort, row in self.shown.items() if sort not in shown}
        kept, new = sorted(set(older.values())), sorted(set(shown.values()))
        self.kept = _taken(rows, new) if self.kept is None else _joined(_taken(self.kept, kept), _taken(rows, new))
        self.shown = {sort: bisect_left(kept, row) for sort, row in older.items()}
        self.shown |= {sort: len(kept) + bisect_left(new, row) for sort, row in shown.items()}

    def witnesses(self) -> Rows:
        return self.kept

    def refined(self, domain: Domain) -> Domain:
        assert isinstance(domain, self.kind)
        refined = [seen.refined(fitted) for seen, fitted in zip(self.columns, domain.columns, strict=True)]
        return self.kind(refined, domain.container, domain.family, domain.bins, domain.missing_modelled, domain.context)


class _Column:
    """What has been seen of a column so far."""

    def __init__(self, name: str):
        self.name = name
        self.missing = False

    def look(self, cells: pa.Array, first: int) -> Iterator[Sight]:
        """Which of these cells show something new; `first` is the first one's row."""
        cells = plain(cells)
        observed = np.arange(len(cells))
        if cells.null_count:
            missing = cells.is_null().to_numpy(zero_copy_only=False)
            if not self.missing:
                self.missing = True
                yield "missing", int(missing.argmax())
            observed, cells = observed[~missing], cells.drop_null()
        if len(cells):
            yield from ((what, int(observed[place])) for what, place in self._look(cells))

    def _look(self, cells: pa.Array) -> Iterator[Sight]:
        """New things among observed cells."""
        yield from ()

    def refined(self, fitted: Any) -> Any:
        return fitted


class _Ordered(_Column):
    """Booleans and quantities: the least and the greatest."""

    low: Any = None
    high: Any = None

    def _look(self, cells: pa.Array) -> Iterator[Sight]:
        values = self._values(cells)
        lowest, highest = int(values.argmin()), int(values.argmax())
        if self.low is None or values[lowest] < self.low:
            self.low = values[lowest]
            yield "low", lowest
        if self.high is None or values[highest] > self.high:
            self.high = values[highest]
            yield "high", highest
        yield from self._look_closer(values)

    def _values(self, cells: pa.Array) -> np.ndarray:
        return cells.to_numpy(zero_copy_only=False)

    def _look_closer(self, values: np.ndarray) -> Iterator[Sight]:
        yield from ()


class _Number(_Ordered):
    """Real numbers: also the first that is not whole."""

    broken = False

    def look(self, cells: pa.Array, first: int) -> Iterator[Sight]:
        infinite = np.isinf(_floats(cells))
        if infinite.any():
            row = first + int(infinite.argmax())
            raise DataError(f"column '{self.name}', row {row}: the value is infinity; mend or remove it")
        return super().look(cells, first)

    def _values(self, cells: pa.Array) -> np.ndarray:
        return _floats(cells)

    def _look_closer(self, values: np.ndarray) -> Iterator[Sight]:
        if not self.broken:
            broken = values != np.round(values)
            self.broken = bool(broken.any())
            if self.broken:
                yield "broken", int(broken.argmax())


class _Time(_Ordered):
    """Dates and times, as ticks: also those that are apart from the first by what no unit so far divides."""

    start: int | None = None
    unit = 0

    def _values(self, cells: pa.Array) -> np.ndarray:
        return tick_cells(cells).to_numpy()

    def _look_closer(self, values: np.ndarray) -> Iterator[Sight]:
        if self.start is None:
            self.start = int(values[0])
            yield "start", 0
        apart = values - self.start
        while self.unit != 1:
            finer = apart % self.unit != 0 if self.unit else apart != 0
            if not finer.any():
                return
            place = int(finer.argmax())
            self.unit = math.gcd(self.unit, abs(int(apart[place])))
            yield f"unit {self.unit}", place


class _Category(_Column):
    """Text and categories: how often each value occurs."""

    def __init__(self, name: str, type_: pa.DataType):
        super().__init__(name)
        self.type = type_
        self.counts: Counter[Any] = Counter()
        self.dictionary: dict[Any, None] = {}
        self.crowded = False

    def look(self, cells: pa.Array, first: int) -> Iterator[Sight]:
        if isinstance(cells, pa.DictionaryArray) and len(self.dictionary) <= MOST_COUNTED:
            self.dictionary |= dict.fromkeys(cells.dictionary.to_pylist())
        yield from super().look(cells, first)

    def _look(self, cells: pa.Array) -> Iterator[Sight]:
        if self.crowded:
            return
        before = len(self.counts)
        counted = cells.value_counts()
        self.counts.update(
            dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
        )
        if before < 2:  # that there is more than one value must be seen among the rows that are fitted
            for value in list(self.counts)[before:2]:
                yield f"value {value}", cells.index(pa.scalar(value, cells.type)).as_py()
        self.crowded = len(self.counts) > MOST_COUNTED

    def refined(self, fitted: Any) -> Any:
        if not isinstance(fitted, CategoryColumn):
            return fitted
        if self.crowded:
            once = fitted.identifier and max(self.counts.values()) == 1
            return fitted.model_copy(update={"has_missing": True, "identifier": once})
        update: dict[str, Any] = ordered_by_count(self.counts)
        if fitted.dictionary is not None:
            update["dictionary"] = list(dict.fromkeys([*fitted.dictionary, *self.dictionary]))
        return fitted.model_copy(update=update)


def _column(name: str, type_: pa.DataType) -> _Column:
    type_to_json(name, type_)  # refuses what cannot be modelled before the pass, not after it
    if pa.types.is_dictionary(type_) or is_text(value_type(type_)):
        return _Category(name, type_)
    if is_time(type_):
        return _Time(name)
    if pa.types.is_boolean(type_) or pa.types.is_integer(type_):
        return _Ordered(name)
    return _Column(name) if pa.types.is_null(type_) else _Number(name)


def _floats(cells: pa.Array) -> np.ndarray:
    return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _taken(rows: Rows, places: list[int]) -> Rows:
    """Some rows; taken, not sliced: a slice would keep all of the rows in memory."""
    if not isinstance(rows, pa.Table):
        return rows[places]
    return rows.unify_dictionaries().take(pa.array(places, pa.int64()))


def _joined(first: Rows, second: Rows) -> Rows:
    if not isinstance(first, pa.Table):
        return np.concatenate([first, second])
    return pa.concat_tables([first, second])
