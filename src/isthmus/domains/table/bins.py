"""Quantities as symbols: bins that hold about as many rows each, frequent values alone, and narrower bins within.

A symbol is all that a network tells of a number; where within its symbol a number lies, the fitted rows tell.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.distributions import Categorical
from .columns import Quantity
from .scaling import Scale, Scaling

# A column has about √rows symbols, within these bounds: so many that there are rows to learn each one's place from.
FEWEST_SYMBOLS, MOST_SYMBOLS = 4, 64
# A column with no more values than this, and twice its symbols, has a symbol for each.
MOST_VALUES = 128
# Rows in a bin, about, and bins in a column, at most: what is finer is told by nothing but chance.
ROWS_IN_BIN = 32
MOST_BINS = 1024
# Neighbouring values this far apart, in units of the column's spread, are never in one bin, nor in one symbol: nothing
# is known to lie between, and the mean of both says nothing. So many of the widest gaps count, at most.
LEAST_GAP, MOST_GAPS = 1.0, 8
# Real numbers this near to a frequent one, in units of the column's spread, count as that value: no density grows
# without limit.
LEAST_WIDTH = 0.0025
# Quantities that no bin holds share this probability; the farther out, the less.
OUTSIDE = 1e-4
# A logarithm of 0 that gradients bear.
NEVER = -1e4


class Bins(BaseModel):
    """Bins [low, high] of a column's numbers, in order; a frequent value is alone in its bin, low = high."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    low: list[float]
    high: list[float]
    counts: list[int]
    """How many of the fitted rows each bin holds."""
    starts: list[int]
    """The first bin of each symbol."""
    means: list[float] = []
    """The mean of the fitted numbers of each symbol; none in files of before it was kept."""

    @model_validator(mode="after")
    def _in_order(self) -> "Bins":
        low, high, starts = np.array(self.low), np.array(self.high), np.array(self.starts)
        if not len(low) == len(high) == len(self.counts) > 0:
            raise ValueError("bins with an end missing")
        if (low > high).any() or (low[1:] < high[:-1]).any() or min(self.counts) < 1:
            raise ValueError("bins that overlap, or hold nothing")
        if not len(starts) or starts[0] != 0 or (np.diff(starts) < 1).any() or starts[-1] >= len(low):
            raise ValueError("symbols without bins")
        if self.means and len(self.means) != len(starts):
            raise ValueError("symbols without a mean")
        return self

    @classmethod
    def fit(cls, numbers: np.ndarray, step: float, scale: Scale, most_symbols: int = MOST_SYMBOLS) -> "Bins":
        """The bins of observed numbers (rows,), which lie `step` apart, or densely where it is 0; their scale says how
        far apart is far."""
        values, counts = np.unique(numbers, return_counts=True)
        symbols = int(np.clip(np.sqrt(len(numbers)), FEWEST_SYMBOLS, most_symbols))
        if len(values) <= min(MOST_VALUES, 2 * symbols):
            ends = values.tolist()
            return cls(low=ends, high=ends, counts=counts.tolist(), starts=list(range(len(ends))), means=ends)
        bins = int(np.clip(len(numbers) // ROWS_IN_BIN, symbols, MOST_BINS))
        apart = _gaps(values, scale)
        first, alone = _evenly(counts, bins, apart)
        last = np.append(first[1:], len(values)) - 1
        low, high, wide = values[first], values[last], ~alone
        # Bins of several values meet, so that values between fitted ones lie in one of them.
        high[:-1] = np.where(wide[:-1] & wide[1:] & ~apart[first[1:]], low[1:] - step, high[:-1])
        held = np.add.reduceat(counts, first)
        starts, _ = _evenly(held, symbols, apart[first])
        # Shares, not sums: sums of the largest numbers there are would overflow.
        share = counts / np.repeat(np.add.reduceat(held, starts), np.diff([*first[starts], len(values)]))
        means = np.add.reduceat(values * share, first[starts])
        return cls(
            low=low.tolist(), high=high.tolist(), counts=held.tolist(), starts=starts.tolist(), means=means.tolist()
        )

    def shares(self) -> np.ndarray:
        """Of each symbol, its share of the fitted rows."""
        counts = np.add.reduceat(np.array(self.counts, np.float64), self.starts)
        return counts / counts.sum()


def _gaps(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Which of different values, in order, lie far from the one before them."""
    scaled = Scaling([scale], [0.0])(torch.from_numpy(values).unsqueeze(-1))[:, 0].numpy()
    gaps = np.diff(scaled, prepend=scaled[0])
    widest = np.sort(gaps)[-MOST_GAPS:][0]
    return gaps >= max(LEAST_GAP, widest)


def _evenly(counts: np.ndarray, groups: int, apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where groups of neighbours start that hold about as much each, and which are of one that holds more alone; those
    that are `apart` from the one before start a group."""
    alone = counts > counts.sum() / groups
    others = np.where(alone, 0, counts)
    room = max(groups - int(alone.sum()), 1)
    group = ((np.cumsum(others) - others) / max(others.sum() / room, 1)).astype(np.int64)
    starts = np.ones(len(counts), bool)
    starts[1:] = (group[1:] != group[:-1]) | alone[1:] | alone[:-1] | apart[1:]
    first = np.flatnonzero(starts)
    return first, alone[first]


class BinnedQuantities(nn.Module):
    """Cells of several columns side by side ↔ their symbols. Within a bin, scaled numbers are equally likely.

    Scaled numbers have long tails drawn in; where there are none, they are the column's own but for a factor.
    """

    start: Tensor  # of bins, in scaled numbers, (columns, most bins), infinite beyond a column's own
    first: Tensor  # where each column's bins start among all columns' bins, one after another
    first_symbol: Tensor  # the same of its symbols
    symbol: Tensor
    end: Tensor
    lower: Tensor  # the ends of what is drawn within each bin, in scaled numbers and in numbers
    upper: Tensor
    low: Tensor
    high: Tensor
    share: Tensor  # of its symbol, of each bin
    log_share: Tensor  # of that, for each unit of scaled numbers
    cumulative_share: Tensor
    mean: Tensor  # of each symbol, in numbers
    centre: Tensor  # the same in scaled numbers
    lowest: Tensor  # the first and the last of those, of each column
    highest: Tensor
    whole: Tensor

    def __init__(self, columns: Sequence[Quantity], bins: Sequence[Bins]):
        super().__init__()
        self.sizes = [len(each.starts) for each in bins]
        self.scaling = Scaling([column.scale for column in columns], [column.step for column in columns])
        low, high = (_padded([getattr(each, end) for each in bins]) for end in ("low", "high"))
        half = self.scaling.step.double().unsqueeze(-1) / 2
        start, end = self._scaled(low, high)
        held = torch.isfinite(low)
        width = (end - start)[held].clamp(min=1e-6)
        lengths = held.sum(-1)
        symbols = torch.tensor(self.sizes, dtype=torch.long)
        counts = np.array([count for each in bins for count in each.counts], np.float64)
        symbol = np.array([number for each in bins for number in _numbered(each)], np.int64)
        place = symbol + np.repeat((symbols.cumsum(0) - symbols).numpy(), lengths.numpy())
        share = counts / np.bincount(place, counts)[place]
        # Within the symbol that stands at place p, shares run from p to p + 1: one search finds any column's draw.
        cumulative = np.cumsum(share)
        last = np.append(place[1:] != place[:-1], True)[: len(place)]
        cumulative[last] = place[last] + 1
        mean, centre = self._means(bins, np.bincount(place, share * ((start + end) / 2)[held].numpy()))
        for name, values in {
            "start": start.where(held, torch.inf).float(),
            "first": lengths.cumsum(0) - lengths,
            "first_symbol": symbols.cumsum(0) - symbols,
            "symbol": torch.from_numpy(symbol),
            "end": (start[held] + width).float(),
            "lower": self.scaling((low - half).T).T[held],
            "upper": self.scaling((high + half).T).T[held],
            "low": low[held],
            "high": high[held],
            "share": torch.from_numpy(share),
            "log_share": torch.from_numpy(np.log(share)).float() - width.log().float(),
            "cumulative_share": torch.from_numpy(cumulative),
            "mean": mean,
            "centre": centre.float(),
            "lowest": centre[symbols.cumsum(0) - symbols].float(),
            "highest": centre[symbols.cumsum(0) - 1].float(),
            "whole": torch.tensor([column.step > 0 for column in columns], dtype=torch.bool),
        }.items():
            self.register_buffer(name, values, persistent=False)

    def _means(self, bins: Sequence[Bins], middle: np.ndarray) -> tuple[Tensor, Tensor]:
        """The mean number of each symbol, and the same as a scaled number, one column's after another's; from the
        middles of bins (symbols,), in scaled numbers, where the fitted numbers' own means are not known."""
        means, centres, place = [torch.zeros(0).double()], [torch.zeros(0).double()], 0
        for column, each in enumerate(bins):
            size = len(each.starts)
            centre = torch.from_numpy(middle[place : place + size])
            mean = self.scaling.restore(centre, column)
            if each.means:
                mean = torch.tensor(each.means, dtype=torch.float64)
                centre = self.scaling(mean, column)
            means.append(mean)
            centres.append(centre)
            place += size
        return torch.cat(means), torch.cat(centres)

    def _scaled(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Ends of bins as scaled numbers: whole ones with half a step on both sides, frequent real ones with what lies
        near them, but not what lies nearer to their neighbours."""
        half = self.scaling.step.double().unsqueeze(-1) / 2
        start, end = (self.scaling(edges.T).T for edges in (low - half, high + half))
        beside = torch.full((len(low), 1), torch.inf, dtype=low.dtype)
        gaps = torch.cat([beside, (start[:, 1:] - end[:, :-1]).nan_to_num(torch.inf), beside], dim=1)
        near = (gaps / 2).clamp(min=0.0, max=LEAST_WIDTH / 2)
        alone = (low == high) & (half == 0)
        return start - near[:, :-1].where(alone, 0.0), end + near[:, 1:].where(alone, 0.0)

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of cells (rows, columns) without NaN: the symbol, or the nearest one; the log of the cell's share of it; and
        the log of what it has beside all bins. Whole numbers have probabilities, scaled real ones densities."""
        middle, cell = self.scaling.cells(cells)
        y = torch.where(self.whole, middle, self.scaling(cells))
        place = torch.searchsorted(self.start, y.movedim(-1, 0).contiguous(), right=True).movedim(0, -1) - 1
        above = place >= 0
        bin = place.clamp(min=0) + self.first
        inside = above & (y <= self.end[bin])
        size = torch.where(self.whole, cell, 1.0).log()
        share = torch.where(inside, size + self.log_share[bin] + math.log1p(-OUTSIDE), NEVER)
        # Laplace's law.
        return self.symbol[bin], share, size - y.abs() + math.log(OUTSIDE / 2)

    def draw(self, symbol: Tensor, randomness: Randomness, column: int | None = None) -> Tensor:
        """Cells (..., columns), or (...) of one column, drawn within their symbols, float64: a frequent value comes
        back bit for bit."""
        first = self.first_symbol if column is None else self.first_symbol[column]
        at = (symbol + first).double() + randomness.uniform(*symbol.shape)
        bin = torch.searchsorted(self.cumulative_share, at, right=True).clamp(max=len(self.low) - 1)
        y = torch.lerp(self.lower[bin], self.upper[bin], randomness.uniform(*symbol.shape).double())
        return torch.minimum(torch.maximum(self.scaling.restore(y, column), self.low[bin]), self.high[bin])

    def within(self, column: int, low: Tensor, high: Tensor) -> "WithinRange":
        """The symbols of a column, given low ≤ number ≤ high."""
        bins = slice(int(self.first[column]), int(self.first[column]) + int(torch.isfinite(self.start[column]).sum()))
        half = self.scaling.step[column].double() / 2

        def scaled(numbers: Tensor) -> Tensor:
            return self.scaling(numbers.unsqueeze(-1).expand(-1, len(self.sizes)))[..., column]

        lowest, highest = self.low[bins], self.high[bins]
        start, end = scaled(lowest - half), scaled(highest + half)
        inside = torch.maximum(lowest, low), torch.minimum(highest, high)
        clipped = scaled(inside[0] - half), scaled(inside[1] + half)
        # A frequent real number is alone in a bin without a width: it is in the range, or is not.
        share = torch.where(end > start, (clipped[1] - clipped[0]) / (end - start), 1.0).clamp(0.0, 1.0)
        share = torch.where(inside[0] <= inside[1], share, 0.0)
        return WithinRange(self, column, self.symbol[bins], (self.share[bins] * share).log(), clipped, inside)

    def centres(self, column: int) -> Tensor:
        """The mean of each symbol of a column, as a scaled number."""
        return self.centre[self.first_symbol[column] :][: self.sizes[column]]

    def means(self, column: int) -> Tensor:
        """The mean number of each symbol of a column, float64."""
        return self.mean[self.first_symbol[column] :][: self.sizes[column]]

    def scaled_within(self, cells: Tensor, column: int | None = None) -> Tensor:
        """Cells (..., columns), or (...) of one column, as scaled numbers, no farther out than the outermost symbols'
        means; NaN if missing."""
        low, high = (ends if column is None else ends[column] for ends in (self.lowest, self.highest))
        return torch.clamp(self.scaling(cells, column), low, high)


class WithinRange:
    """What is left of a column's bins and symbols within a range."""

    def __init__(
        self,
        binned: BinnedQuantities,
        column: int,
        symbol: Tensor,
        log_share: Tensor,
        scaled: tuple[Tensor, Tensor],
        ends: tuple[Tensor, Tensor],
    ):
        """Of each bin: its symbol, the log of its share of that symbol that lies within the range, and the ends of that
        part, in scaled numbers and in numbers."""
        self.binned, self.column, self.scaled, self.ends = binned, column, scaled, ends
        of_symbol = symbol == torch.arange(binned.sizes[column], device=symbol.device).unsqueeze(-1)
        self.log_bins = log_share.masked_fill(~of_symbol, -torch.inf)  # (symbols, bins)
        self.log_share = self.log_bins.logsumexp(-1)
        """The log of each symbol's share within the range, (symbols,)."""

    def draw(self, symbol: Tensor, randomness: Randomness) -> Tensor:
        """Numbers within the range, drawn within their symbols (...), float64."""
        bin = Categorical(self.log_bins[symbol].clamp(min=-1e300)).sample(randomness).long()
        start, end = (ends[bin] for ends in self.scaled)
        y = torch.lerp(start, end, randomness.uniform(*symbol.shape).double())
        numbers = self.binned.scaling.restore(y.unsqueeze(-1).expand(*y.shape, len(self.binned.sizes)))[
            ..., self.column
        ]
        low, high = (ends[bin] for ends in self.ends)
        return torch.minimum(torch.maximum(numbers, low), high)


def _numbered(bins: Bins) -> list[int]:
    """The symbol of each bin."""
    return np.repeat(np.arange(len(bins.starts)), np.diff([*bins.starts, len(bins.low)])).tolist()


def _padded(rows: Sequence[Sequence[float]]) -> Tensor:
    width = max((len(row) for row in rows), default=0)
    filled = [[*row, *[np.nan] * (width - len(row))] for row in rows]
    return torch.tensor(filled, dtype=torch.float64).reshape(len(rows), width)
