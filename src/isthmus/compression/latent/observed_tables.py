"""Rows of tables under a decoder's likelihood: numbers, whole numbers, booleans and categories."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import torch

from ...core.errors import DataError
from ...domains.table import Table
from ...domains.table.blocks import (
    LEAST_DEGREES,
    LEAST_LOG_SCALE_PER_ROW,
    LOG_SCALE_BOUNDS,
    MIXTURE_COMPONENTS,
    NumberBlock,
)
from ...domains.table.calendar import VALUES
from ...domains.table.columns import (
    BooleanColumn,
    CategoryColumn,
    Column,
    DateColumn,
    EmptyColumn,
    NumberColumn,
    Quantity,
    WholeColumn,
)
from ...domains.table.frames import combined, from_arrow, to_arrow
from ...domains.table.likelihood import TableHead
from ..coder import MOST_SYMBOLS, Stack
from . import cells as cell_values
from . import curves
from .intervals import FARTHEST, Intervals, intervals
from .network import ONE, to_whole
from .numbers import Grid, Scales, plain_scale
from .observations import MARGIN, Observations, Rows, Symbols, kept_noise, noise_of, two_weights_of, weights_of

Kind = TypeVar("Kind", bound=Column)


def table_facts(domain: Table, head: TableHead, x: np.ndarray) -> dict[str, Any]:
    grids, missing = [], []
    for i, column in enumerate(domain.columns):
        observed = x[~np.isnan(x[:, i]), i]
        if column.has_missing:
            missing.append([len(observed) + 1, len(x) - len(observed) + 1])
        if isinstance(column, NumberColumn):
            type_ = str(column.type.to_pandas_dtype().__name__) if pa.types.is_floating(column.type) else "float64"
            spread = column.scale.width * (column.scale.spread if not column.scale.heavy else 1.0)
            values = column.values_of(observed)
            grids.append(Grid.of(values, type_, float(np.ldexp(spread, column.exponent))).settings())
    noise: dict[str, list[int]] = {}
    for block in head.blocks:
        if isinstance(block, NumberBlock) and block.family != "mixture":
            noise["log_scale"] = kept_noise(block.log_scale.clamp(*LOG_SCALE_BOUNDS).expand(block.columns))
            if block.family == "student_t":
                # Few different degrees of freedom need few tables.
                noise["log_degrees"] = kept_noise((block.log_degrees.clamp(-4.0, 4.0) * 8).round() / 8)
    return {"grids": grids, "missing": missing, **noise}


class TableObservations(Observations):
    """Numbers, whole numbers, booleans and categories; each cell under its column's own distribution."""

    def __init__(self, domain: Table, settings: dict[str, Any]):
        self.domain, self._table, self._settings = domain, domain, settings
        columns = domain.columns
        self._numbers, self._number_columns = _chosen(columns, NumberColumn)
        self._wholes, self._whole_columns = _chosen(columns, WholeColumn)
        self._booleans, _ = _chosen(columns, BooleanColumn)
        self._categories, self._category_columns = _chosen(columns, CategoryColumn)
        self._optional = [i for i, column in enumerate(columns) if column.has_missing]
        self._sized = [i for i, column in enumerate(columns) if isinstance(column, Quantity | BooleanColumn)]
        self._grids = [Grid.restored(stored) for stored in settings["grids"]]
        if len(self._grids) != len(self._numbers) or len(settings["missing"]) != len(self._optional):
            raise ValueError("a column's grid or frequencies are missing")
        self._missing = np.array([_two_weights(counts) for counts in settings["missing"]], np.float32).reshape(-1, 2)
        self._mixture = domain.family == "mixture"
        per_number = 3 * MIXTURE_COMPONENTS if self._mixture else 1
        per_whole = 3 * MIXTURE_COMPONENTS if self._mixture else 2
        self._alphabets = [column.modelled for column in self._category_columns]
        self._widths = [
            per_number * len(self._numbers),
            per_whole * len(self._wholes),
            len(self._booleans),
            sum(self._alphabets),
        ]
        self.output_count = max(1, sum(self._widths))
        slots = sum(self._alphabets)
        self._dates, self._date_columns = _chosen(columns, DateColumn)
        parts = sum(VALUES[name] for column in self._date_columns for name in column.calendar)
        self.feature_count = len(self._sized) + sum(columns[i].has_missing for i in self._sized) + slots + parts
        self._prepare_scales(settings)

    def _prepare_scales(self, settings: dict[str, Any]) -> None:
        numbers, wholes = self._number_columns, self._whole_columns
        self._number_scales = Scales(numbers, [grid.unit for grid in self._grids])
        self._whole_scales = Scales(wholes, [1.0] * len(wholes))
        self._log_scale, self._degrees = np.zeros(0), None
        if numbers and not self._mixture:
            self._log_scale = noise_of(settings, "log_scale", len(numbers), *LOG_SCALE_BOUNDS)
        if numbers and self._table.family == "student_t":
            log_degrees = noise_of(settings, "log_degrees", len(numbers), -4.0, 4.0)
            self._degrees = LEAST_DEGREES + curves.exponential(log_degrees)
        # Real numbers are coded within the fitted range and a margin; whole numbers within the range.
        self._number_ends = _within([_ends(column, grid) for column, grid in zip(numbers, self._grids, strict=True)])
        self._fillings = [
            float(grid.values(np.clip(np.zeros(1), *ends), np.zeros(1))[0])
            for grid, ends in zip(self._grids, self._number_ends, strict=True)
        ]
        self._whole_ends = _within(
            [[np.ldexp(end, column.exponent) for end in (column.low, column.high)] for column in wholes]
        )
        which = np.arange(len(wholes))
        cells = self._whole_ends[:, :, None] + np.array([-0.5, 0.5])
        scaled = self._whole_scales.scaled(cells, which)
        narrowest = np.maximum((scaled[:, :, 1] - scaled[:, :, 0]).min(axis=1, initial=1e30), 1e-30)
        self._least = np.minimum(curves.logarithm(narrowest) - 3.0, LOG_SCALE_BOUNDS[0] + 3.0)
        # What features end at: the fitted range, and as much again on both sides.
        sized = [self._as_quantity(self._table.columns[i]) for i in self._sized]
        self._feature_scales = Scales(sized, [1.0] * len(sized))
        ends = [[_value(column, end) for column in sized] for end in ("low", "high")]
        low, high = (self._feature_scales.scaled(np.array(end), np.arange(len(sized))) for end in ends)
        margin = np.fmax(high - low, 1.0)
        self._lowest, self._highest = low - margin, high + margin

    @staticmethod
    def _as_quantity(column: Column) -> Quantity:
        return column if isinstance(column, Quantity) else plain_scale(0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        return self._settings

    def symbols(self, rows: Rows) -> Symbols:
        """Values of real numbers, counts from the origin of whole ones, codes of the others; on the grid, in range."""
        x = self._table.tensors(rows).numpy().copy()
        for place, (i, column) in enumerate(zip(self._numbers, self._number_columns, strict=True)):
            grid, (low, high) = self._grids[place], self._number_ends[place]
            values = grid.nearest(column.values_of(x[:, i]))
            wholes = grid.wholes(values)[0]
            inside = (wholes >= low) & (wholes <= high)
            x[:, i] = np.where(np.isnan(x[:, i]), np.nan, np.where(inside, values, self._fillings[place]))
        for place, (i, column) in enumerate(zip(self._wholes, self._whole_columns, strict=True)):
            x[:, i] = np.clip(np.rint(np.ldexp(x[:, i], column.exponent)), *self._whole_ends[place])
        fillings = dict(zip(self._numbers, self._fillings, strict=True))
        fillings |= dict(zip(self._wholes, self._whole_ends[:, 0].tolist(), strict=True))
        for i, column in enumerate(self._table.columns):
            if not column.has_missing:  # then a cell is listed apart
                x[np.isnan(x[:, i]), i] = fillings.get(i, 0.0)
        return x

    def rows(self, symbols: Symbols) -> Rows:
        t = symbols.copy()
        for i, column in zip(self._numbers, self._number_columns, strict=True):
            t[:, i] = np.ldexp(t[:, i] - column.origin, -column.exponent)
        for i, column in zip(self._wholes, self._whole_columns, strict=True):
            t[:, i] = np.ldexp(t[:, i], -column.exponent)
        return self._table.rows(torch.from_numpy(t))

    def features(self, symbols: Symbols) -> np.ndarray:
        sized = symbols[:, self._sized]
        which = np.broadcast_to(np.arange(len(self._sized)), sized.shape)
        scaled = self._feature_scales.scaled(sized.ravel(), which.ravel()).reshape(sized.shape)
        scaled = np.nan_to_num(np.clip(scaled, self._lowest, self._highest))
        marked = [i for i in self._sized if self._table.columns[i].has_missing]
        pieces = [scaled, np.isnan(symbols[:, marked]).astype(np.float64)]
        for i, size, column in zip(self._categories, self._alphabets, self._category_columns, strict=True):
            one_hot = (np.minimum(symbols[:, [i]], size - 1) == np.arange(size)).astype(np.float64)
            pieces.append(_summed(one_hot, column.by_rank[::-1]) if column.in_order else one_hot)
        for i, column in zip(self._dates, self._date_columns, strict=True):
            for values, size in column.calendar_parts(symbols[:, i]):
                pieces.append((values[:, None] == np.arange(size)).astype(np.float64))
        return to_whole(np.concatenate(pieces, axis=1))

    def push(self, stack: Stack, outputs: np.ndarray, symbols: Symbols) -> None:
        observed = ~np.isnan(symbols)
        numbers, wholes, booleans, categories = self._pieces(outputs)
        place = sum(self._alphabets)
        for i, size in reversed(list(zip(self._categories, self._alphabets, strict=True))):
            place -= size
            seen = observed[:, i]
            codes = symbols[seen, i].astype(np.int64)
            self._push_rare(stack, i, codes[codes >= size - 1])
            stack.push(np.minimum(codes, size - 1), weights_of(categories[seen, place : place + size]))
        row, column = np.nonzero(observed[:, self._booleans])
        logits = booleans[row, column]
        truth = symbols[:, self._booleans][row, column]
        stack.push(truth.astype(np.int64), two_weights_of(logits))
        if self._wholes:
            row, column = np.nonzero(observed[:, self._wholes])
            self._whole_intervals(wholes, row, column).push(stack, symbols[:, self._wholes][row, column])
        if self._numbers:
            row, column = np.nonzero(observed[:, self._numbers])
            values = symbols[:, self._numbers][row, column]
            for place, grid in reversed(list(enumerate(self._grids))):
                _, rests, sizes = grid.wholes(values[column == place])
                stack.push_equal(rests.astype(np.int64), sizes)
            counts = np.zeros(len(values))
            for place, grid in enumerate(self._grids):
                counts[column == place] = grid.wholes(values[column == place])[0]
            for ours in reversed(self._groups(column)):
                self._number_intervals(numbers, row[ours], column[ours]).push(stack, counts[ours])
        if self._optional:
            missing = ~observed[:, self._optional]
            stack.push(missing.ravel().astype(np.int64), np.tile(self._missing, (len(symbols), 1)))

    def pop(self, stack: Stack, outputs: np.ndarray) -> Symbols:
        rows = len(outputs)
        numbers, wholes, booleans, categories = self._pieces(outputs)
        symbols = np.full((rows, len(self._table.columns)), np.nan)
        observed = np.ones(symbols.shape, bool)
        if self._optional:
            missing = stack.pop(np.tile(self._missing, (rows, 1))).reshape(rows, -1)
            observed[:, self._optional] = missing == 0
        for i, column in enumerate(self._table.columns):
            if isinstance(column, EmptyColumn):
                observed[:, i] = False
        if self._numbers:
            row, column = np.nonzero(observed[:, self._numbers])
            counts = np.zeros(len(row))
            for ours in self._groups(column):
                counts[ours] = self._number_intervals(numbers, row[ours], column[ours]).pop(stack)
            values = np.zeros(len(row))
            for place, grid in enumerate(self._grids):
                ours = column == place
                rests = stack.pop_equal(grid.sizes(counts[ours]))
                values[ours] = grid.values(counts[ours], rests.astype(np.float64))
            symbols[row, np.array(self._numbers)[column]] = values
        if self._wholes:
            row, column = np.nonzero(observed[:, self._wholes])
            symbols[row, np.array(self._wholes)[column]] = self._whole_intervals(wholes, row, column).pop(stack)
        row, column = np.nonzero(observed[:, self._booleans])
        logits = booleans[row, column]
        truth = stack.pop(two_weights_of(logits))
        if self._booleans:
            symbols[row, np.array(self._booleans)[column]] = truth
        place = 0
        for i, size in zip(self._categories, self._alphabets, strict=True):
            seen = observed[:, i]
            codes = stack.pop(weights_of(categories[seen, place : place + size]))
            rare = codes >= size - 1
            codes[rare] = self._pop_rare(stack, i, int(rare.sum()))
            symbols[seen, i] = codes
            place += size
        return symbols

    def _pieces(self, outputs: np.ndarray) -> list[np.ndarray]:
        *others, categories = np.split(outputs[:, : sum(self._widths)], np.cumsum(self._widths)[:-1], axis=1)
        places = np.split(categories, np.cumsum(self._alphabets)[:-1], axis=1) if self._alphabets else []
        pairs = zip(places, self._category_columns, strict=True)
        summed = [_summed(own, column.by_rank) if column.in_order else own for own, column in pairs]
        return [*others, np.concatenate([categories[:, :0], *summed], axis=1)]

    def _groups(self, column: np.ndarray) -> list[np.ndarray]:
        """Cells whose intervals have one distribution function: all, or for Student's t those of one column."""
        if self._degrees is None:
            return [np.arange(len(column))]
        return [np.flatnonzero(column == place) for place in range(len(self._numbers))]

    def _number_intervals(self, outputs: np.ndarray, row: np.ndarray, column: np.ndarray) -> Intervals:
        scales, curve, share = self._number_scales, curves.normal(), None
        if self._mixture:
            pieces = outputs.reshape(len(outputs), len(self._numbers), 3, MIXTURE_COMPONENTS)[row, column]
            share, location, log_scale = _components(pieces)
            log_scale = np.clip(log_scale, LEAST_LOG_SCALE_PER_ROW, LOG_SCALE_BOUNDS[1])
        else:
            location = outputs[row, column][:, None] / ONE
            log_scale = self._log_scale[column][:, None]
            if self._degrees is not None and len(column):
                curve = curves.student(float(self._degrees[column[0]]))
        low, high = self._number_ends[column].T
        return intervals(
            location,
            curves.exponential(log_scale),
            share,
            curve,
            lambda scaled: scales.places(scaled, column),
            lambda places: scales.scaled(places, column),
            low,
            high,
        )

    def _whole_intervals(self, outputs: np.ndarray, row: np.ndarray, column: np.ndarray) -> Intervals:
        scales, share = self._whole_scales, None
        if self._mixture:
            pieces = outputs.reshape(len(outputs), len(self._wholes), 3, MIXTURE_COMPONENTS)[row, column]
            share, location, log_scale = _components(pieces)
        else:
            pieces = outputs.reshape(len(outputs), len(self._wholes), 2)[row, column] / ONE
            location, log_scale = pieces[:, :1], pieces[:, 1:]
        log_scale = np.minimum(np.maximum(log_scale - 1.0, self._least[column][:, None]), LOG_SCALE_BOUNDS[1])
        low, high = self._whole_ends[column].T
        return intervals(
            location,
            curves.exponential(log_scale),
            share,
            curves.logistic(),
            lambda scaled: scales.places(scaled, column),
            lambda places: scales.scaled(places, column),
            low,
            high,
        )

    def _rare(self, i: int) -> tuple[int, int, np.ndarray]:
        """Rare categories, which stand by frequency: the first code, how many make a run, and the runs' weights."""
        column = self._table.columns[i]
        assert isinstance(column, CategoryColumn)
        first = column.modelled - 1
        counts = np.array(column.counts[first:], np.float64)
        run = -(-len(counts) // MOST_SYMBOLS)
        sums = np.add.reduceat(np.clip(counts, 1, 2.0**31).astype(np.int64), np.arange(0, len(counts), run))
        return first, run, np.maximum(sums * 60_000 // sums.max(), 1).astype(np.float32)

    def _push_rare(self, stack: Stack, i: int, codes: np.ndarray) -> None:
        first, run, weights = self._rare(i)
        places = codes - first
        stack.push_equal(places % run, self._run_sizes(i, places // run, run, first))
        stack.push(places // run, weights)

    def _pop_rare(self, stack: Stack, i: int, count: int) -> np.ndarray:
        first, run, weights = self._rare(i)
        runs = stack.pop(weights, count)
        sizes = self._run_sizes(i, runs, run, first)
        return first + runs * run + np.minimum(stack.pop_equal(sizes), sizes - 1)

    def _run_sizes(self, i: int, runs: np.ndarray, run: int, first: int) -> np.ndarray:
        column = self._table.columns[i]
        assert isinstance(column, CategoryColumn)
        return np.minimum(run, len(column.counts) - first - runs * run)

    # Rows.

    def _settled(self, rows: Rows) -> list[pa.Array]:
        table, container = to_arrow(rows)
        if "numpy" not in (container.kind, self._table.container.kind):
            for name in table.column_names:
                if name not in self._table.column_names:
                    raise DataError(f"the model knows no column '{name}': drop it, or fit a model to it too")
        found = self._table._cells(rows)
        return [cell_values.settled(column, cells) for column, cells in zip(self._table.columns, found, strict=True)]

    def patch(self, rows: Rows, coded: Rows) -> dict[str, Any]:
        patch: dict[str, Any] = {}
        pairs = zip(self._settled(rows), self._settled(coded), strict=True)
        for i, (own, other) in enumerate(pairs):
            places = cell_values.different(own, other)
            if len(places):
                steps = np.diff(places, prepend=0).tolist()
                patch[str(i)] = [steps, cell_values.listed(own, places)]
        return patch

    def patched(self, coded: Rows, patch: dict[str, Any]) -> Rows:
        if not patch:
            return coded
        table, _ = to_arrow(coded)
        cells = [combined(column) for column in table.columns]
        for key, (steps, values) in patch.items():
            column, i = self._table.columns[int(key)], int(key)
            places = np.cumsum(np.array(steps, np.int64))
            if len(values) != len(places) or places[0] < 0 or places[-1] >= len(table) or np.any(np.diff(places) <= 0):
                raise ValueError("cells are listed for rows that are none")
            cells[i] = cell_values.mended(column, cells[i], places, values)
        return from_arrow(pa.table(cells, names=self._table.column_names), self._table.container)

    def canonical(self, rows: Rows) -> bytes:
        return b"".join(cell_values.as_bytes(cells) for cells in self._settled(rows))

    def joined(self, parts: list[Rows]) -> Rows:
        if not parts:
            return self._table.rows(torch.empty((0, len(self._table.columns)), dtype=torch.float64))
        whole = pa.concat_tables([to_arrow(part)[0] for part in parts])
        cells = [combined(column) for column in whole.columns]
        return from_arrow(pa.table(cells, names=self._table.column_names), self._table.container)


def _chosen(columns: Sequence[Column], kind: type[Kind]) -> tuple[list[int], list[Kind]]:
    """The columns of a kind, and their places in the table."""
    chosen = {i: column for i, column in enumerate(columns) if isinstance(column, kind)}
    return list(chosen), list(chosen.values())


def _summed(values: np.ndarray, order: list[int]) -> np.ndarray:
    """Values (rows, codes) summed up along the order; exact, since they are whole."""
    summed = np.empty_like(values)
    summed[:, order] = values[:, order].cumsum(1)
    return summed


def _within(ends: list[list[float]]) -> np.ndarray:
    """First and last whole numbers of columns, (columns, 2), as far as can be coded."""
    pairs = np.clip(np.nan_to_num(np.rint(np.array(ends, np.float64).reshape(-1, 2))), -FARTHEST, FARTHEST)
    return np.stack([pairs[:, 0], np.maximum(pairs[:, 0], pairs[:, 1])], axis=1)


def _value(column: Quantity, end: str) -> float:
    """The end of the fitted range as scales take it."""
    origin = column.origin if isinstance(column, NumberColumn) else 0.0
    return float(np.ldexp(getattr(column, end), column.exponent) + origin)


def _components(pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decoder outputs (n, 3, components) → shares, locations and log scales, as the likelihood reads them."""
    weights = weights_of(pieces[:, 0]).astype(np.float64)
    spread = 3.0 * np.arange(MIXTURE_COMPONENTS) / (MIXTURE_COMPONENTS - 1) - 1.5
    return weights / weights.sum(axis=1, keepdims=True), pieces[:, 1] / ONE + spread, pieces[:, 2] / ONE - 0.5


def _ends(column: NumberColumn, grid: Grid) -> list[float]:
    low, high = (column.values_of(np.array([end]))[0] for end in (column.low, column.high))
    margin = (high - low) * MARGIN
    with np.errstate(all="ignore"):
        return [float(np.floor((low - margin) * grid.unit)), float(np.ceil((high + margin) * grid.unit))]


def _two_weights(counts: Any) -> list[int]:
    if len(counts) != 2 or any(type(count) is not int or not 1 <= count < 2**48 for count in counts):
        raise ValueError("frequencies of missing cells that are none")
    return [max(1, count * 65_000 // max(counts)) for count in counts]
