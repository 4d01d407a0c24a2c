"""Rows under a decoder's likelihood: what is coded of them, under which weights, and what a coder cannot hold.

`Symbols` are all that is coded: for each row and feature a number, NaN where a cell is missing. Whatever rows hold
beyond them (an unseen category, a number outside the fitted range, −0) is listed beside the stack, cell by cell.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from ..core.errors import DataError
from ..domains.base import Domain
from ..domains.image import LARGEST_INTENSITY, Image, ImageHead
from ..domains.table import Table
from ..domains.table.blocks import (
    LEAST_DEGREES,
    LEAST_LOG_SCALE_PER_ROW,
    LOG_SCALE_BOUNDS,
    MIXTURE_COMPONENTS,
    NumberBlock,
)
from ..domains.table.columns import BooleanColumn, CategoryColumn, EmptyColumn, NumberColumn, Quantity, WholeColumn
from ..domains.table.frames import combined, from_arrow, to_arrow
from ..domains.table.likelihood import TableHead
from . import cells as cell_values
from . import curves
from .coder import MOST_SYMBOLS, Stack
from .exact import LOGIT_UNIT, softmax_weights
from .exact_network import ONE, to_whole
from .intervals import FARTHEST, intervals
from .numbers import Grid, Scales, plain_scale, same

Symbols = np.ndarray
Rows = Any
# How much of the fitted range real numbers may lie beyond its ends.
MARGIN = 0.25
# Learned noise is kept in whole numbers of this.
NOISE_UNIT = 4096.0


def weights_of(logits: np.ndarray) -> np.ndarray:
    """Weights ∝ exp(logit), at least 1 each, for logits (..., alphabet) in whole numbers of 2⁻¹²."""
    units = np.rint(logits * (LOGIT_UNIT / ONE)).astype(np.float32)
    weights = np.maximum(softmax_weights(units), 1.0)
    # Their sum stays below 2²⁴ also where an alphabet has one more symbol than usual.
    return weights if weights.shape[-1] <= MOST_SYMBOLS else np.maximum(np.floor(weights / 2.0), 1.0)


class Observations(ABC):
    """How rows of a domain are coded, given a decoder's outputs."""

    domain: Domain
    feature_count: int
    output_count: int

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What was learned besides the domain's schema, as JSON."""

    @abstractmethod
    def symbols(self, rows: Rows) -> Symbols:
        """float64 (n, features): what of rows is coded."""

    @abstractmethod
    def rows(self, symbols: Symbols) -> Rows:
        """The rows that hold just the symbols."""

    @abstractmethod
    def features(self, symbols: Symbols) -> np.ndarray:
        """What the encoder network sees, whole numbers (n, feature_count)."""

    @abstractmethod
    def push(self, stack: Stack, outputs: np.ndarray, symbols: Symbols) -> None:
        """Code symbols under the decoder's outputs, whole numbers (n, output_count)."""

    @abstractmethod
    def pop(self, stack: Stack, outputs: np.ndarray) -> Symbols: ...

    @abstractmethod
    def patch(self, rows: Rows, coded: Rows) -> dict[str, Any]:
        """What is to be changed in `coded` to give `rows`, as JSON; empty where nothing is."""

    @abstractmethod
    def patched(self, coded: Rows, patch: dict[str, Any]) -> Rows: ...

    @abstractmethod
    def canonical(self, rows: Rows) -> bytes: ...

    @abstractmethod
    def joined(self, parts: list[Rows]) -> Rows: ...


def learned(domain: Domain, head: nn.Module, rows: Tensor) -> Observations:
    """The observations of a fitted decoder's head, grids and frequencies found on some rows (a tensor)."""
    if isinstance(domain, Table) and isinstance(head, TableHead):
        return TableObservations(domain, _table_facts(domain, head, rows.detach().cpu().double().numpy()))
    if isinstance(domain, Image) and isinstance(head, ImageHead):
        return ImageObservations(domain, _image_facts(domain, head, rows.detach().cpu()))
    raise DataError(f"rows of kind '{domain.name}' cannot be coded through a model")


def restored(domain: Domain, settings: dict[str, Any]) -> Observations:
    if isinstance(domain, Table):
        return TableObservations(domain, settings)
    if isinstance(domain, Image):
        return ImageObservations(domain, settings)
    raise ValueError(f"rows of kind '{domain.name}' cannot be coded through a model")


# Tables.


def _table_facts(domain: Table, head: TableHead, x: np.ndarray) -> dict[str, Any]:
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
            noise["log_scale"] = _kept(block.log_scale.clamp(*LOG_SCALE_BOUNDS).expand(block.columns))
            if block.family == "student_t":
                # Few different degrees of freedom need few tables.
                noise["log_degrees"] = _kept((block.log_degrees.clamp(-4.0, 4.0) * 8).round() / 8)
    return {"grids": grids, "missing": missing, **noise}


def _kept(values: Tensor) -> list[int]:
    return [round(float(value) * NOISE_UNIT) for value in values.detach().cpu().double()]


def _noise(settings: dict[str, Any], name: str, count: int, low: float, high: float) -> np.ndarray:
    values = settings[name]
    if len(values) != count or any(type(value) is not int for value in values):
        raise ValueError("the noise of a column is missing")
    noise = np.array(values, np.float64) / NOISE_UNIT
    if not np.all((noise >= low) & (noise <= high)):
        raise ValueError("the noise of a column is out of bounds")
    return noise


class TableObservations(Observations):
    """Numbers, whole numbers, booleans and categories; each cell under its column's own distribution."""

    def __init__(self, domain: Table, settings: dict[str, Any]):
        self.domain, self._settings = domain, settings
        columns = domain.columns
        self._numbers = [i for i, column in enumerate(columns) if isinstance(column, NumberColumn)]
        self._wholes = [i for i, column in enumerate(columns) if isinstance(column, WholeColumn)]
        self._booleans = [i for i, column in enumerate(columns) if isinstance(column, BooleanColumn)]
        self._categories = [i for i, column in enumerate(columns) if isinstance(column, CategoryColumn)]
        self._optional = [i for i, column in enumerate(columns) if column.has_missing]
        self._sized = [i for i, column in enumerate(columns) if isinstance(column, Quantity | BooleanColumn)]
        self._grids = [Grid.restored(stored) for stored in settings["grids"]]
        if len(self._grids) != len(self._numbers) or len(settings["missing"]) != len(self._optional):
            raise ValueError("a column's grid or frequencies are missing")
        self._missing = np.array(
            [_two_weights(counts) for counts in settings["missing"]], np.float32
        ).reshape(-1, 2)
        self._mixture = domain.family == "mixture"
        per_number = 3 * MIXTURE_COMPONENTS if self._mixture else 1
        per_whole = 3 * MIXTURE_COMPONENTS if self._mixture else 2
        self._alphabets = [columns[i].modelled for i in self._categories]
        self._widths = [
            per_number * len(self._numbers),
            per_whole * len(self._wholes),
            len(self._booleans),
            sum(self._alphabets),
        ]
        self.output_count = max(1, sum(self._widths))
        slots = sum(self._alphabets)
        self.feature_count = len(self._sized) + sum(columns[i].has_missing for i in self._sized) + slots
        self._prepare_scales(settings)

    def _prepare_scales(self, settings: dict[str, Any]) -> None:
        columns = self.domain.columns
        numbers, wholes = [columns[i] for i in self._numbers], [columns[i] for i in self._wholes]
        self._number_scales = Scales(numbers, [grid.unit for grid in self._grids])
        self._whole_scales = Scales(wholes, [1.0] * len(wholes))
        if not self._mixture:
            self._log_scale = _noise(settings, "log_scale", len(numbers), *LOG_SCALE_BOUNDS) if numbers else np.zeros(0)
        self._degrees = None
        if self.domain.family == "student_t" and numbers:
            log_degrees = _noise(settings, "log_degrees", len(numbers), -4.0, 4.0)
            self._degrees = LEAST_DEGREES + curves.exponential(log_degrees)
        # Real numbers are coded within the fitted range and a margin; whole numbers within the range.
        self._number_ends = np.array([_ends(column, grid) for column, grid in zip(numbers, self._grids, strict=True)])
        self._number_ends = self._number_ends.reshape(-1, 2)
        ends = [[np.ldexp(end, column.exponent) for end in (column.low, column.high)] for column in wholes]
        self._whole_ends = np.rint(np.array(ends, np.float64)).reshape(-1, 2)
        for pair in (self._number_ends, self._whole_ends):
            if not np.all(np.isfinite(pair)) or np.any(pair[:, 0] > pair[:, 1]) or np.abs(pair).max(initial=0) > FARTHEST:
                np.clip(np.nan_to_num(pair), -FARTHEST, FARTHEST, out=pair)
                pair[:, 1] = np.maximum(pair[:, 0], pair[:, 1])
        which = np.arange(len(wholes))
        cells = self._whole_ends[:, :, None] + np.array([-0.5, 0.5])
        scaled = self._whole_scales.scaled(cells, which)
        narrowest = np.maximum((scaled[:, :, 1] - scaled[:, :, 0]).min(axis=1, initial=1e30), 1e-30)
        self._least = np.minimum(curves.logarithm(narrowest) - 3.0, LOG_SCALE_BOUNDS[0] + 3.0)
        # What features end at: the fitted range, and as much again on both sides.
        self._feature_scales = Scales(
            [columns[i] if isinstance(columns[i], Quantity) else plain_scale(0.0, 1.0) for i in self._sized],
            [1.0] * len(self._sized),
        )
        low, high = (
            np.array(
                [
                    getattr(columns[i], name) if isinstance(columns[i], Quantity) else float(name == "high")
                    for i in self._sized
                ]
            )
            for name in ("low", "high")
        )
        which = np.arange(len(self._sized))
        with np.errstate(all="ignore"):
            low, high = (self._feature_scales.scaled(self._value_of_t(end), which) for end in (low, high))
        margin = np.fmax(high - low, 1.0)
        self._lowest, self._highest = low - margin, high + margin

    def _value_of_t(self, t: np.ndarray) -> np.ndarray:
        """The tensor's numbers of the sized columns → the values that scales take."""
        values = np.array(t, np.float64)
        for place, i in enumerate(self._sized):
            column = self.domain.columns[i]
            if isinstance(column, Quantity):
                origin = column.origin if isinstance(column, NumberColumn) else 0.0
                values[place] = np.ldexp(values[place], column.exponent) + origin
        return values

    def settings(self) -> dict[str, Any]:
        return self._settings

    def symbols(self, rows: Rows) -> Symbols:
        """Values of real numbers, counts from the origin of whole ones, codes of the others; on the grid, in range."""
        columns = self.domain.columns
        x = self.domain.tensors(rows).numpy().copy()
        with np.errstate(all="ignore"):
            for place, i in enumerate(self._numbers):
                grid, (low, high) = self._grids[place], self._number_ends[place]
                values = grid.nearest(columns[i].values_of(x[:, i]))
                wholes = grid.wholes(values)[0]
                middle = np.clip(0.0, low, high) / grid.unit
                inside = (wholes >= low) & (wholes <= high)
                x[:, i] = np.where(np.isnan(x[:, i]), np.nan, np.where(inside, values, middle))
            for place, i in enumerate(self._wholes):
                counts = np.rint(np.ldexp(x[:, i], columns[i].exponent))
                x[:, i] = np.clip(counts, *self._whole_ends[place])
        required = [i for i in range(len(columns)) if i not in self._optional]
        for i in required:
            filling = 0.0
            if i in self._wholes:
                filling = self._whole_ends[self._wholes.index(i), 0]
            if i in self._numbers:
                place = self._numbers.index(i)
                low, high = self._number_ends[place]
                filling = float(np.clip(0.0, low, high) / self._grids[place].unit)
            x[np.isnan(x[:, i]), i] = filling
        return x

    def rows(self, symbols: Symbols) -> Rows:
        t = symbols.copy()
        columns = self.domain.columns
        with np.errstate(all="ignore"):
            for i in self._numbers:
                t[:, i] = np.ldexp(t[:, i] - columns[i].origin, -columns[i].exponent)
            for i in self._wholes:
                t[:, i] = np.ldexp(t[:, i], -columns[i].exponent)
        return self.domain.rows(torch.from_numpy(t))

    def features(self, symbols: Symbols) -> np.ndarray:
        sized = symbols[:, self._sized]
        which = np.broadcast_to(np.arange(len(self._sized)), sized.shape)
        scaled = self._feature_scales.scaled(sized.ravel(), which.ravel()).reshape(sized.shape)
        scaled = np.nan_to_num(np.clip(scaled, self._lowest, self._highest))
        marked = [i for i in self._sized if self.domain.columns[i].has_missing]
        pieces = [scaled, np.isnan(symbols[:, marked]).astype(np.float64)]
        for i, size in zip(self._categories, self._alphabets, strict=True):
            pieces.append((np.minimum(symbols[:, [i]], size - 1) == np.arange(size)).astype(np.float64))
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
        stack.push(truth.astype(np.int64), weights_of(np.stack([np.zeros_like(logits), logits], axis=1)))
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
        symbols = np.full((rows, len(self.domain.columns)), np.nan)
        observed = np.ones(symbols.shape, bool)
        if self._optional:
            missing = stack.pop(np.tile(self._missing, (rows, 1))).reshape(rows, -1)
            observed[:, self._optional] = missing == 0
        for i, column in enumerate(self.domain.columns):
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
        truth = stack.pop(weights_of(np.stack([np.zeros_like(logits), logits], axis=1)))
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
        return np.split(outputs[:, : sum(self._widths)], np.cumsum(self._widths)[:-1], axis=1)

    def _groups(self, column: np.ndarray) -> list[np.ndarray]:
        """Cells whose intervals have one distribution function: all, or for Student's t those of one column."""
        if self._degrees is None:
            return [np.arange(len(column))]
        return [np.flatnonzero(column == place) for place in range(len(self._numbers))]

    def _number_intervals(self, outputs: np.ndarray, row: np.ndarray, column: np.ndarray) -> Any:
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

    def _whole_intervals(self, outputs: np.ndarray, row: np.ndarray, column: np.ndarray) -> Any:
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
        """Rare categories, which stand in order of frequency: the first code, how many make a run, the runs' weights."""
        column = self.domain.columns[i]
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
        column = self.domain.columns[i]
        assert isinstance(column, CategoryColumn)
        return np.minimum(run, len(column.counts) - first - runs * run)

    # Rows.

    def _settled(self, rows: Rows) -> list[pa.Array]:
        table, container = to_arrow(rows)
        if "numpy" not in (container.kind, self.domain.container.kind):
            for name in table.column_names:
                if name not in self.domain.column_names:
                    raise DataError(f"the model knows no column '{name}': drop it, or fit a model to it too")
        found = self.domain._cells(rows)
        return [cell_values.settled(column, cells) for column, cells in zip(self.domain.columns, found, strict=True)]

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
            column, i = self.domain.columns[int(key)], int(key)
            places = np.cumsum(np.array(steps, np.int64))
            if len(values) != len(places) or places[0] < 0 or places[-1] >= len(table) or np.any(np.diff(places) <= 0):
                raise ValueError("cells are listed for rows that are none")
            cells[i] = cell_values.mended(column, cells[i], places, values)
        return from_arrow(pa.table(cells, names=self.domain.column_names), self.domain.container)

    def canonical(self, rows: Rows) -> bytes:
        return b"".join(cell_values.as_bytes(cells) for cells in self._settled(rows))

    def joined(self, parts: list[Rows]) -> Rows:
        if not parts:
            return self.domain.rows(torch.empty((0, len(self.domain.columns)), dtype=torch.float64))
        whole = pa.concat_tables([to_arrow(part)[0] for part in parts])
        cells = [combined(column) for column in whole.columns]
        return from_arrow(pa.table(cells, names=self.domain.column_names), self.domain.container)


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


# Images.


def _image_facts(domain: Image, head: ImageHead, x: Tensor) -> dict[str, Any]:
    if domain.family != "gaussian":
        return {}
    values = x.double().numpy().ravel()
    type_ = domain.dtype if domain.dtype in ("float64", "float32", "float16") else "float64"
    return {
        "grid": Grid.of(values, type_, float(values.std())).settings(),
        "log_scale": _kept(head.log_scale.clamp(-6.0, 4.0)[None]),
    }


class ImageObservations(Observations):
    """Pixels; symbols are (n, channels · height · width): steps from the darkest, black or white, or values."""

    def __init__(self, domain: Image, settings: dict[str, Any]):
        self.domain, self._settings = domain, settings
        channels, height, width = domain.event
        self._values = channels * height * width
        self.feature_count = self._values
        self._range = (domain.high - domain.low) or 1.0
        if not (np.isfinite(domain.low) and 0 < self._range < 1e300):
            raise ValueError("an image has a range that is none")
        self._family = domain.family
        self.output_count = self._values * (2 if self._family in ("discretised_logistic", "beta_binomial") else 1)
        self._levels = round(self._range)
        if self._family == "beta_binomial" and self._levels >= MOST_SYMBOLS:
            raise DataError(f"beta-binomial pixels of more than {MOST_SYMBOLS} levels cannot be coded")
        if self._family in ("discretised_logistic", "beta_binomial") and self._levels > FARTHEST:
            raise ValueError("an image has more levels than can be coded")
        if self._family == "gaussian":
            self._grid = Grid.restored(settings["grid"])
            self._scale = curves.exponential(_noise(settings, "log_scale", 1, -6.0, 4.0))[0]
            self._scales = Scales([plain_scale(domain.low, self._range)], [self._grid.unit])
            ends = np.array([domain.low - MARGIN * self._range, domain.high + MARGIN * self._range]) * self._grid.unit
            self._ends = np.clip(np.rint(ends), -FARTHEST, FARTHEST)

    def settings(self) -> dict[str, Any]:
        return self._settings

    def _flat(self, rows: Rows) -> np.ndarray:
        """Images → (n, channels · height · width) of their own numbers, in float64 or integers."""
        images = self._settled(rows)
        channels = images.reshape(len(images), *self.domain.event[1:], self.domain.event[0])
        return channels.transpose(0, 3, 1, 2).reshape(len(images), self._values)

    def symbols(self, rows: Rows) -> Symbols:
        values = self._flat(rows).astype(np.float64)
        if self._family == "bernoulli":
            return (values - self.domain.low > self._range / 2).astype(np.float64)
        if self._family == "gaussian":
            values = self._grid.nearest(values)
            wholes = self._grid.wholes(values.ravel())[0].reshape(values.shape)
            inside = (wholes >= self._ends[0]) & (wholes <= self._ends[1])
            return np.where(inside, values, np.clip(0.0, *self._ends) / self._grid.unit)
        return np.clip(np.rint(values - self.domain.low), 0.0, self._levels)

    def rows(self, symbols: Symbols) -> Rows:
        dtype = np.dtype(self.domain.dtype)
        if self._family != "gaussian":
            symbols = symbols * (self._range if self._family == "bernoulli" else 1.0) + self.domain.low
        if dtype.kind in "ui":
            bounds = np.iinfo(dtype)
            symbols = np.clip(symbols, max(float(bounds.min), -(2.0**62)), min(float(bounds.max), 2.0**62))
        channels, height, width = self.domain.event
        images = symbols.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        with np.errstate(over="ignore"):
            return images.reshape(-1, *self.domain.shape).astype(dtype)

    def features(self, symbols: Symbols) -> np.ndarray:
        if self._family == "bernoulli":
            return to_whole(symbols)
        offset = self.domain.low if self._family == "gaussian" else 0.0
        return to_whole(np.clip((symbols - offset) / self._range, -1.0, 2.0))

    def push(self, stack: Stack, outputs: np.ndarray, symbols: Symbols) -> None:
        flat = symbols.ravel()
        if self._family == "gaussian":
            counts, rests, sizes = self._grid.wholes(flat)
            stack.push_equal(rests.astype(np.int64), sizes)
            self._intervals(outputs).push(stack, counts)
        elif self._family == "discretised_logistic":
            self._intervals(outputs).push(stack, flat)
        else:
            stack.push(flat.astype(np.int64), self._weights(outputs))

    def pop(self, stack: Stack, outputs: np.ndarray) -> Symbols:
        if self._family == "gaussian":
            counts = self._intervals(outputs).pop(stack)
            flat = self._grid.values(counts, stack.pop_equal(self._grid.sizes(counts)).astype(np.float64))
        elif self._family == "discretised_logistic":
            flat = self._intervals(outputs).pop(stack)
        else:
            flat = stack.pop(self._weights(outputs)).astype(np.float64)
        return flat.reshape(len(outputs), self._values)

    def _weights(self, outputs: np.ndarray) -> np.ndarray:
        """Weights (n · values, levels) of black and white, or of a beta-binomial's levels."""
        if self._family == "bernoulli":
            logits = outputs.ravel()
            return weights_of(np.stack([np.zeros_like(logits), logits], axis=1))
        alpha, beta = (
            curves.exponential(np.clip(piece.ravel() / ONE, -8.0, 8.0))[:, None] for piece in np.split(outputs, 2, axis=1)
        )
        # P(x + 1) / P(x) = (count − x)(α + x) / ((x + 1)(β + count − x − 1))
        x, count = np.arange(self._levels, dtype=np.float64), float(self._levels)
        ratio = ((count - x) * (alpha + x)) / ((x + 1.0) * (beta + (count - x - 1.0)))
        steps = np.rint(curves.logarithm(ratio) * 2.0**32).astype(np.int64)  # summed as whole numbers
        logits = np.cumsum(np.concatenate([np.zeros((len(steps), 1), np.int64), steps], axis=1), axis=1)
        logits -= logits.max(axis=1, keepdims=True)
        return weights_of(np.maximum(logits >> 20, -(2**20)).astype(np.float64))

    def _intervals(self, outputs: np.ndarray) -> Any:
        if self._family == "gaussian":
            which = np.zeros(outputs.size, np.intp)
            return intervals(
                outputs.reshape(-1, 1) / ONE,
                np.full((outputs.size, 1), self._scale),
                None,
                curves.normal(),
                lambda scaled: self._scales.places(scaled, which),
                lambda places: self._scales.scaled(places, which),
                self._ends[0],
                self._ends[1],
            )
        location, log_scale = (piece.reshape(-1, 1) / ONE for piece in np.split(outputs, 2, axis=1))
        return intervals(
            location + 0.5,
            curves.exponential(np.clip(log_scale - 2.0, -8.0, 3.0)),
            None,
            curves.logistic(),
            lambda scaled: scaled * self._range,
            lambda places: places / self._range,
            0.0,
            float(self._levels),
        )

    def _settled(self, rows: Rows) -> np.ndarray:
        images, dtype = np.asarray(rows), np.dtype(self.domain.dtype)
        if images.shape[1:] != self.domain.shape:
            sizes = ["×".join(str(side) for side in shape) for shape in (images.shape[1:], self.domain.shape)]
            raise DataError(f"images of {sizes[0]}; the model was fitted to images of {sizes[1]}")
        if images.dtype.kind not in "uifb":
            raise DataError(f"images should hold numbers; these hold {images.dtype}")
        if images.dtype.kind == "f" and not np.isfinite(images).all():
            raise DataError("an image holds NaN or infinity, which cannot be coded")
        with np.errstate(all="ignore"):
            own = images.astype(dtype)
            if images.dtype != dtype and not np.array_equal(own.astype(images.dtype), images):
                raise DataError(f"images hold {images.dtype}; the model was fitted to {dtype}: convert them")
        return own

    def patch(self, rows: Rows, coded: Rows) -> dict[str, Any]:
        own, other = (self._bits(self._settled(images)) for images in (rows, coded))
        places = np.flatnonzero(own != other)
        return {"0": [np.diff(places, prepend=0).tolist(), own[places].tolist()]} if len(places) else {}

    def patched(self, coded: Rows, patch: dict[str, Any]) -> Rows:
        if not patch:
            return coded
        ((steps, values),) = patch.values()
        places = np.cumsum(np.array(steps, np.int64))
        bits = self._bits(coded).copy()
        if len(places) != len(values) or places[0] < 0 or places[-1] >= len(bits) or np.any(np.diff(places) <= 0):
            raise ValueError("pixels are listed for places that are none")
        bits[places] = np.array(values, bits.dtype)
        return bits.view(self.domain.dtype).reshape(-1, *self.domain.shape)

    def _bits(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images).reshape(-1).view(f"u{images.dtype.itemsize}")

    def canonical(self, rows: Rows) -> bytes:
        images = self._settled(rows)
        return images.astype(images.dtype.newbyteorder("<")).tobytes()

    def joined(self, parts: list[Rows]) -> Rows:
        empty = np.empty((0, *self.domain.shape), self.domain.dtype)
        return np.concatenate([empty, *(self._settled(part) for part in parts)])
