"""What a decoder says about the columns of a table: a family of distributions for each kind of column.

Columns of one kind are handled side by side as one block, so that a wide table costs few operations.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.distributions import (
    Bernoulli,
    Categorical,
    DiscretisedLogistic,
    Gaussian,
    Mixture,
    StudentT,
    Symmetric,
)
from .columns import CategoryColumn, NumberColumn, Quantity, WholeColumn
from .ranks import Ranks
from .rare import RareCategories
from .scaling import Scaling

# Bounds of a learned log scale, in units of the column's own spread: no density grows without limit on a column that
# can be reproduced exactly, and its exponential is finite.
LOG_SCALE_BOUNDS = (-6.0, 4.0)
# A scale for each row could sharpen on every value that repeats: it stops earlier.
LEAST_LOG_SCALE_PER_ROW = -4.0
# Above two degrees of freedom the variance is finite.
LEAST_DEGREES = 2.0
MIXTURE_COMPONENTS = 4


class Block(nn.Module, ABC):
    """Columns of one kind: how many decoder outputs they take, and what those outputs (..., rows, outputs) mean."""

    index: Tensor  # which columns of the table, shape (columns,)
    outputs: int

    def __init__(self, index: Sequence[int]):
        super().__init__()
        self.register_buffer("index", torch.tensor(index, dtype=torch.long), persistent=False)
        self.columns = len(index)

    @abstractmethod
    def log_prob(self, outputs: Tensor, cells: Tensor) -> Tensor:
        """Log-probability of cells (rows, columns) without NaN, shape (..., rows, columns)."""

    @abstractmethod
    def sample(self, outputs: Tensor, randomness: Randomness) -> Tensor:
        """Cells drawn from the distributions, shape (..., rows, columns)."""

    @abstractmethod
    def mode(self, outputs: Tensor) -> Tensor:
        """The best single guess of each cell."""

    def expectations(self, outputs: Tensor) -> Tensor:
        """The expected cells, or the probability of each category, one column's after another's (..., rows, all)."""
        return self.mode(outputs)


class QuantityBlock(Block):
    """Columns whose cells have a scale, and a range that samples stay in."""

    low: Tensor
    high: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, index: Sequence[int], columns: Sequence[Quantity]):
        super().__init__(index)
        self.scaling = Scaling([column.scale for column in columns], [column.step for column in columns])
        low = torch.tensor([column.low for column in columns], dtype=torch.float64)
        high = torch.tensor([column.high for column in columns], dtype=torch.float64)
        for name, end in {
            "low": _single(low, up=True),
            "high": _single(high, up=False),
            "lowest": self.scaling(low).float(),
            "highest": self.scaling(high).float(),
        }.items():
            self.register_buffer(name, end, persistent=False)

    @abstractmethod
    def sample_within(
        self, outputs: Tensor, low: Tensor, high: Tensor, randomness: Randomness
    ) -> tuple[Tensor, Tensor]:
        """Cells drawn given low ≤ cell ≤ high, float64, and the log of each one's probability of that, (..., rows,
        columns) both. Ends (columns,) are numbers, infinite where there is none."""

    def _truncated(
        self,
        distribution: Symmetric | Mixture,
        edges: tuple[Tensor, Tensor],
        ends: tuple[Tensor, Tensor],
        randomness: Randomness,
    ) -> tuple[Tensor, Tensor]:
        """`sample_within`, given the edges of the range in scaled numbers."""
        # Draws beyond the fitted range count as its ends: a range that holds an end holds what lies beyond it.
        (low, high), infinite = ends, torch.full_like(edges[0], torch.inf)
        start = torch.where(low <= self.low, -infinite, edges[0])
        end = torch.where(high >= self.high, infinite, edges[1])
        cells = self._restored_in_range(distribution.sample_within(start, end, randomness))
        return torch.minimum(torch.maximum(cells, low), high), distribution.log_mass(start, end)

    def _restored_in_range(self, y: Tensor) -> Tensor:
        cells = self.scaling.restore(torch.minimum(torch.maximum(y, self.lowest), self.highest))
        return torch.minimum(torch.maximum(cells, self.low), self.high)

    def _component_outputs(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """Logits, locations and log scales of each column's components, (..., columns, components) each.

        Components start spread over the column's range: started alike, they would stay alike.
        """
        logits, location, log_scale = outputs.unflatten(-1, (self.columns, 3, MIXTURE_COMPONENTS)).unbind(-2)
        spread = torch.linspace(-1.5, 1.5, MIXTURE_COMPONENTS, device=outputs.device, dtype=outputs.dtype)
        return logits, location + spread, log_scale - 0.5


def _single(ends: Tensor, up: bool) -> Tensor:
    """The nearest numbers of single precision that do not lie below (`up`), or above, the given ones."""
    nearest = ends.float()
    beyond = nearest.double() < ends if up else nearest.double() > ends
    inward = torch.nextafter(nearest, torch.full_like(nearest, torch.inf if up else -torch.inf))
    return torch.where(beyond, inward, nearest)


class NumberBlock(QuantityBlock):
    """Real numbers: densities of scaled numbers.

    The noise scale of each column is learned and the same for all rows (σ-VAE, Rybkin et al., 2021,
    https://arxiv.org/abs/2006.13202), which balances reconstruction against KL by itself; a mixture's depend on the
    row.
    """

    def __init__(self, index: Sequence[int], columns: Sequence[NumberColumn], family: str, shared_noise: bool = False):
        super().__init__(index, columns)
        self.family = family
        self.outputs = self.columns * (3 * MIXTURE_COMPONENTS if family == "mixture" else 1)
        if family != "mixture":
            self.log_scale = nn.Parameter(torch.full((1 if shared_noise else self.columns,), -0.5))
        if family == "student_t":
            self.log_degrees = nn.Parameter(torch.full((self.columns,), math.log(5.0)))

    def _distribution(self, outputs: Tensor) -> Symmetric | Mixture:
        if self.family == "mixture":
            logits, mean, log_scale = self._component_outputs(outputs)
            return Mixture(logits, Gaussian(mean, log_scale.clamp(LEAST_LOG_SCALE_PER_ROW, LOG_SCALE_BOUNDS[1])))
        log_scale = self.log_scale.clamp(*LOG_SCALE_BOUNDS)
        if self.family == "student_t":
            return StudentT(LEAST_DEGREES + self.log_degrees.clamp(-4.0, 4.0).exp(), outputs, log_scale)
        return Gaussian(outputs, log_scale)

    def log_prob(self, outputs: Tensor, cells: Tensor) -> Tensor:
        return self._distribution(outputs).log_prob(self.scaling(cells))

    def sample(self, outputs: Tensor, randomness: Randomness) -> Tensor:
        return self._restored_in_range(self._distribution(outputs).sample(randomness))

    def sample_within(
        self, outputs: Tensor, low: Tensor, high: Tensor, randomness: Randomness
    ) -> tuple[Tensor, Tensor]:
        edges = self.scaling(low), self.scaling(high)
        return self._truncated(self._distribution(outputs), edges, (low, high), randomness)

    def mode(self, outputs: Tensor) -> Tensor:
        return self._restored_in_range(self._distribution(outputs).mean)


class WholeBlock(QuantityBlock):
    """Whole numbers and dates: a logistic of the scaled number, whose place and width depend on the row, gives each
    whole number the mass between its halfway points. The ends of the fitted range take the tails."""

    narrowest: Tensor
    first: Tensor
    last: Tensor

    def __init__(self, index: Sequence[int], columns: Sequence[WholeColumn], family: str):
        super().__init__(index, columns)
        self.family = family
        self.outputs = self.columns * (3 * MIXTURE_COMPONENTS if family == "mixture" else 2)
        (first, low_width), (last, high_width) = (self.scaling.cells(end) for end in (self.low, self.high))
        # asinh is steepest at the centre: the narrowest cell is at one of the ends.
        for name, values in {"first": first, "last": last, "narrowest": torch.minimum(low_width, high_width)}.items():
            self.register_buffer(name, values, persistent=False)

    def _distribution(self, outputs: Tensor, width: Tensor) -> Symmetric | Mixture:
        """Of scaled numbers, in cells of this width."""
        # Much narrower than a cell, all mass is in one cell already.
        least = (self.narrowest.log() - 3.0).clamp(max=LOG_SCALE_BOUNDS[0] + 3.0)
        if self.family == "mixture":
            logits, location, log_scale = self._component_outputs(outputs)
            log_scale = torch.maximum(log_scale - 1.0, least.unsqueeze(-1)).clamp(max=LOG_SCALE_BOUNDS[1])
            cells = (edge.unsqueeze(-1) for edge in (width, self.first, self.last))
            return Mixture(logits, DiscretisedLogistic(location, log_scale, *cells))
        location, log_scale = outputs.unflatten(-1, (self.columns, 2)).unbind(-1)
        log_scale = torch.maximum(log_scale - 1.0, least).clamp(max=LOG_SCALE_BOUNDS[1])
        return DiscretisedLogistic(location, log_scale, width, self.first, self.last)

    def log_prob(self, outputs: Tensor, cells: Tensor) -> Tensor:
        middle, width = self.scaling.cells(cells)
        return self._distribution(outputs, width).log_prob(middle)

    def sample(self, outputs: Tensor, randomness: Randomness) -> Tensor:
        return self._restored_in_range(self._distribution(outputs, self.narrowest).sample(randomness))

    def sample_within(
        self, outputs: Tensor, low: Tensor, high: Tensor, randomness: Randomness
    ) -> tuple[Tensor, Tensor]:
        (first, low_width), (last, high_width) = self.scaling.cells(low), self.scaling.cells(high)
        edges = first - low_width / 2, last + high_width / 2
        return self._truncated(self._distribution(outputs, self.narrowest), edges, (low, high), randomness)

    def mode(self, outputs: Tensor) -> Tensor:
        return self._restored_in_range(self._distribution(outputs, self.narrowest).mean)


class BooleanBlock(Block):
    """True or false."""

    def __init__(self, index: Sequence[int]):
        super().__init__(index)
        self.outputs = self.columns

    def log_prob(self, outputs: Tensor, cells: Tensor) -> Tensor:
        return Bernoulli(outputs).log_prob(cells)

    def sample(self, outputs: Tensor, randomness: Randomness) -> Tensor:
        return Bernoulli(outputs).sample(randomness)

    def mode(self, outputs: Tensor) -> Tensor:
        return Bernoulli(outputs).mode

    def expectations(self, outputs: Tensor) -> Tensor:
        return Bernoulli(outputs).mean


class CategoryBlock(Block):
    """One of several categories; rare ones share the last code, and within it their frequencies decide.

    Of ordered ones each output is the log-odds of a category against the one below it (adjacent-category logits;
    Agresti, 2010, Analysis of Ordinal Categorical Data, §4.1): what raises one raises all above.
    """

    slot: Tensor

    def __init__(self, index: Sequence[int], columns: Sequence[CategoryColumn]):
        super().__init__(index)
        self.rare = RareCategories(columns)
        sizes = self.rare.sizes
        self.outputs = sum(sizes)
        # Padding: logits of column c stand at (c, 0 … size − 1) of a rectangle, −∞ beyond.
        self.width = max(sizes)
        slots = [c * self.width + code for c, size in enumerate(sizes) for code in range(size)]
        self.register_buffer("slot", torch.tensor(slots), persistent=False)
        self.ranks = Ranks(columns)

    def _distribution(self, outputs: Tensor) -> Categorical:
        """Of the codes that the model tells apart."""
        padded = outputs.new_full((*outputs.shape[:-1], self.columns * self.width), -torch.inf)
        padded = padded.index_copy(-1, self.slot, self.ranks.sums(outputs))
        return Categorical(padded.unflatten(-1, (self.columns, self.width)))

    def log_prob(self, outputs: Tensor, cells: Tensor) -> Tensor:
        codes, within = self.rare(cells)
        return self._distribution(outputs).log_prob(codes) + within

    def sample(self, outputs: Tensor, randomness: Randomness) -> Tensor:
        return self.rare.draw(self._distribution(outputs).sample(randomness), randomness)

    def mode(self, outputs: Tensor) -> Tensor:
        # Rare categories stand in order of frequency: the shared code is the code of the commonest of them.
        return self._distribution(outputs).mode

    def expectations(self, outputs: Tensor) -> Tensor:
        return self._distribution(outputs).probabilities.flatten(-2).index_select(-1, self.slot)
