"""What codes are decoded to, column by column, in numbers that can be averaged."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..domains.base import Domain
from ..domains.table import Table
from ..domains.table.columns import BooleanColumn, CategoryColumn, Column, EmptyColumn, Quantity
from ..domains.table.frames import to_arrow
from ..estimator.base import BATCH, Estimator
from ..estimator.inference import in_batches

# Probabilities are told for at most this many values of a column, the commonest; the others count as one.
MOST_VALUES = 16

SECONDS_PER_YEAR = 365.2425 * 86_400


@dataclass(frozen=True)
class Readout:
    """Decoded codes. For tables `chances` are p(column = value | code), shape (rows, columns, values), 0 where a column
    has fewer values or is no category."""

    domain: Domain
    tensor: Tensor | None  # the rows themselves, if they were asked for
    matrix: np.ndarray  # like that of the domain; of texts how frequent each symbol is, in per cent
    chances: np.ndarray | None

    def part(self, rows: slice) -> "Readout":
        """Some of the rows."""
        chances = None if self.chances is None else self.chances[rows]
        tensor = None if self.tensor is None else self.tensor[rows]
        return Readout(self.domain, tensor, self.matrix[rows], chances)

    def numbers(self) -> tuple[np.ndarray, list[str | None]]:
        """Cells of a table as a person counts them, (rows, columns), and each column's unit where it is not its own."""
        assert self.tensor is not None
        return in_own_units(self.domain, self.tensor)


def read(estimator: Estimator, codes: np.ndarray) -> Readout:
    """What codes (rows, latent_dim) are decoded to."""
    domain, z = estimator.domain_, torch.from_numpy(np.asarray(codes, np.float32))
    if domain.picture_kind == "text" and not domain.side_by_side:
        return Readout(domain, None, 100 * _shares(estimator, z), None)
    decoded = estimator.decode_tensors(z)
    chances = _chances(estimator, domain, z) if isinstance(domain, Table) and domain.categorical.any() else None
    return Readout(domain, decoded, domain.matrix(decoded), chances)


def values_of(column: Column) -> list[str]:
    """The values whose probability is told, as text: those of a category, the commonest first, or that of True."""
    if isinstance(column, BooleanColumn):
        return ["True"]
    return [str(value) for value in column.values[: value_count(column)]] if isinstance(column, CategoryColumn) else []


def value_count(column: Column) -> int:
    """How many values `Readout.chances` knows of a column."""
    if isinstance(column, BooleanColumn):
        return 1
    return min(column.kept, MOST_VALUES) if isinstance(column, CategoryColumn) else 0


def in_own_units(domain: Domain, x: Tensor) -> tuple[np.ndarray, list[str | None]]:
    """`Readout.numbers` of rows; NaN in columns that are no quantities, and where a cell is missing."""
    assert isinstance(domain, Table)
    cells, _ = to_arrow(domain.rows(x))
    numbers = np.full(x.shape, np.nan)
    units: list[str | None] = [None] * len(domain.columns)
    for place, column in enumerate(domain.columns):
        if isinstance(column, Quantity):
            numbers[:, place], units[place] = in_numbers(cells.column(place))
    return numbers, units


def in_numbers(cells: pa.ChunkedArray) -> tuple[np.ndarray, str | None]:
    """Cells as float64, and the unit if it is not the column's own: dates in years, durations and times in seconds."""
    kind = cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        seconds = cells.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()).to_numpy() / 1e6
        return 1970 + seconds / SECONDS_PER_YEAR, "years"
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        integer = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        return cells.cast(integer).cast(pa.float64()).to_numpy() / per_second, "seconds"
    return cells.cast(pa.float64(), safe=False).to_numpy(), None


def _shares(estimator: Estimator, codes: Tensor) -> np.ndarray:
    def shares(batch: Tensor) -> Tensor:
        found = estimator.model_.likelihood(batch).shares()
        assert found is not None
        return found

    return in_batches(shares, codes, BATCH, estimator._device).double().numpy()


def _chances(estimator: Estimator, table: Table, codes: Tensor) -> np.ndarray:
    counts = [value_count(column) for column in table.columns]
    places = np.arange(max(counts, default=0))
    known = places < np.array(counts)[:, None]  # (columns, values)
    # Columns with fewer values are asked for one that they have; of booleans, the one that is told is True.
    asked = np.where(known, places, 0.0)
    asked[[isinstance(column, BooleanColumn) for column in table.columns]] = 1.0
    empty = [isinstance(column, EmptyColumn) for column in table.columns]
    asked[empty] = np.nan
    values = torch.from_numpy(asked.T.copy()).float().to(estimator._device)

    def chances(batch: Tensor) -> Tensor:
        likelihood = estimator.model_.likelihood(batch).without_context()
        each = [likelihood.log_prob_per_feature(value.expand(len(batch), -1)).exp() for value in values]
        return torch.stack(each, dim=-1)

    found = in_batches(chances, codes, BATCH, estimator._device).double().numpy()
    return np.where(known, found, 0.0)


def short(value: SupportsFloat) -> float:
    """Six significant digits: more say nothing and make a report heavy."""
    return float(f"{float(value):.6g}")


def all_short(values: Iterable[float]) -> list[float | None]:
    """The same of each, None where there is no number."""
    return [short(value) if np.isfinite(value) else None for value in values]


def told(column: Column, unit: str | None) -> dict[str, Any]:
    """What a column's numbers are counted in, where it is not its own unit."""
    return {"in": unit} if unit and isinstance(column, Quantity) else {}
