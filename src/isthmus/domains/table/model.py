"""What networks see of a table, and what a decoder says about it: a likelihood for each kind of column.

Columns of one family are handled side by side as one block, so that a wide table costs few operations.
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
    Distribution,
    Gaussian,
    Mixture,
    StudentT,
)
from ...parts.likelihood import Likelihood
from .columns import BooleanColumn, CategoryColumn, Column, DateColumn, IntegerColumn, NumberColumn, Quantity

# Bounds of a learned log scale, in units of the column's own spread: no density grows without limit on a column that can
# be reproduced exactly, and exp() of it is finite.
LOG_SCALE_BOUNDS = (-6.0, 4.0)
MIXTURE_COMPONENTS = 4


class TableFeatures(nn.Module):
    """Tensors (rows, columns) → features: quantities with 0 where missing, marks of missing cells, one-hot categories."""

    quantity_index: Tensor
    marked_index: Tensor
    slot_column: Tensor
    slot_code: Tensor
    slot_last: Tensor

    def __init__(self, columns: Sequence[Column]):
        super().__init__()
        quantities = [i for i, column in enumerate(columns) if isinstance(column, Quantity | BooleanColumn)]
        marked = [i for i in quantities if columns[i].has_missing]
        # A slot is one place in the one-hot code: the column it belongs to, its code, and the last code of that column.
        slots = [
            (i, code, column.modelled - 1)
            for i, column in enumerate(columns)
            if isinstance(column, CategoryColumn)
            for code in range(column.modelled)
        ]
        for name, values in {
            "quantity_index": quantities,
            "marked_index": marked,
            "slot_column": [slot[0] for slot in slots],
            "slot_code": [slot[1] for slot in slots],
            "slot_last": [slot[2] for slot in slots],
        }.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.long), persistent=False)
        self.count = len(quantities) + len(marked) + len(slots)
        self.column_count = len(columns)

    def forward(self, x: Tensor) -> Tensor:
        quantities = x[:, self.quantity_index].nan_to_num(0.0)
        marks = x[:, self.marked_index].isnan().to(x.dtype)
        # Rare categories share the last slot. NaN equals nothing: a missing category is all zeros.
        codes = torch.minimum(x[:, self.slot_column], self.slot_last.to(x.dtype))
        return torch.cat([quantities, marks, (codes == self.slot_code).to(x.dtype)], dim=1)

    def inverse(self, features: Tensor) -> Tensor:
        """Features → the nearest row without missing cells, shape (rows, columns)."""
        x = features.new_zeros(len(features), self.column_count)
        x[:, self.quantity_index] = features[:, : len(self.quantity_index)]
        one_hot = features[:, len(self.quantity_index) + len(self.marked_index) :]
        for column in self.slot_column.unique():
            x[:, column] = one_hot[:, self.slot_column == column].argmax(1).to(x.dtype)
        return x


class Block(nn.Module, ABC):
    """Columns of one family: how many decoder outputs they take, and the distributions those outputs mean."""

    index: Tensor  # which columns of the table, shape (columns,)
    outputs: int

    def __init__(self, index: Sequence[int]):
        super().__init__()
        self.register_buffer("index", torch.tensor(index, dtype=torch.long), persistent=False)
        self.columns = len(index)

    @abstractmethod
    def distribution(self, outputs: Tensor) -> Distribution:
        """The distributions of the block's columns, batch shape (..., columns)."""

    def log_prob(self, distribution: Distribution, x: Tensor) -> Tensor:
        """Log-probability of observed cells (rows, columns)."""
        return distribution.log_prob(x)

    def sample(self, distribution: Distribution, randomness: Randomness) -> Tensor:
        return distribution.sample(randomness)

    def mode(self, distribution: Distribution) -> Tensor:
        return distribution.mode


class QuantityBlock(Block):
    """Real numbers. The noise scale of each column is learned and shared by all rows (σ-VAE, Rybkin et al., 2021,
    https://arxiv.org/abs/2006.13202), which balances reconstruction against KL by itself. Draws stay in the range seen."""

    low: Tensor
    high: Tensor

    def __init__(self, index: Sequence[int], columns: Sequence[NumberColumn], family: str):
        super().__init__(index)
        self.family = family
        bounds = [column.standardise(torch.tensor([column.low, column.high]).double().numpy()) for column in columns]
        self.register_buffer("low", torch.tensor([b[0] for b in bounds]).float(), persistent=False)
        self.register_buffer("high", torch.tensor([b[1] for b in bounds]).float(), persistent=False)
        self.outputs = self.columns * (3 * MIXTURE_COMPONENTS if family == "mixture" else 1)
        if family != "mixture":
            self.log_scale = nn.Parameter(torch.full((self.columns,), -0.5))
        if family == "student_t":
            self.log_degrees = nn.Parameter(torch.full((self.columns,), math.log(5.0)))

    def distribution(self, outputs: Tensor) -> Distribution:
        if self.family == "mixture":
            logits, mean, log_scale = _mixture_outputs(outputs, self.columns)
            # A density per row must not sharpen without limit on values that repeat: a tenth of e⁻³ spread at least.
            return Mixture(logits, Gaussian(mean, log_scale.clamp(-4.0, LOG_SCALE_BOUNDS[1])))
        log_scale = self.log_scale.clamp(*LOG_SCALE_BOUNDS)
        if self.family == "student_t":
            # Above two degrees of freedom the variance is finite.
            return StudentT(2.0 + self.log_degrees.clamp(-4, 4).exp(), outputs, log_scale)
        return Gaussian(outputs, log_scale)

    def sample(self, distribution: Distribution, randomness: Randomness) -> Tensor:
        return torch.minimum(torch.maximum(distribution.sample(randomness), self.low), self.high)

    def mode(self, distribution: Distribution) -> Tensor:
        return distribution.mean


class WholeBlock(Block):
    """Whole numbers and dates: a discretised logistic whose place and width depend on the row."""

    step: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, index: Sequence[int], columns: Sequence[Quantity], family: str):
        super().__init__(index)
        self.family = family
        for name, values in {
            "step": [1.0 / column.scale for column in columns],
            "low": [(column.low - column.location) / column.scale for column in columns],
            "high": [(column.high - column.location) / column.scale for column in columns],
        }.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)
        self.outputs = self.columns * (3 * MIXTURE_COMPONENTS if family == "mixture" else 2)

    def distribution(self, outputs: Tensor) -> Distribution:
        if self.family == "mixture":
            logits, location, log_scale = _mixture_outputs(outputs, self.columns)
            step, low, high = (edge.unsqueeze(-1) for edge in (self.step, self.low, self.high))
            return Mixture(logits, self._logistic(location, log_scale, step, low, high))
        location, log_scale = outputs.unflatten(-1, (self.columns, 2)).unbind(-1)
        return self._logistic(location, log_scale, self.step, self.low, self.high)

    def _logistic(self, location: Tensor, log_scale: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Distribution:
        # Much narrower than a step, all mass is in one cell already.
        floor = (step.log() - 3.0).clamp(max=LOG_SCALE_BOUNDS[0] + 3.0)
        log_scale = torch.maximum(log_scale - 1.0, floor).clamp(max=LOG_SCALE_BOUNDS[1])
        return DiscretisedLogistic(location, log_scale, step, low, high)

    def log_prob(self, distribution: Distribution, x: Tensor) -> Tensor:
        # A value outside the range that was fitted counts as the nearest edge: a mass has nothing beyond.
        return distribution.log_prob(torch.minimum(torch.maximum(x, self.low), self.high))

    def mode(self, distribution: Distribution) -> Tensor:
        return distribution.mean


class BooleanBlock(Block):
    """True or false."""

    def __init__(self, index: Sequence[int]):
        super().__init__(index)
        self.outputs = self.columns

    def distribution(self, outputs: Tensor) -> Distribution:
        return Bernoulli(outputs)


class CategoryBlock(Block):
    """One of several categories; rare ones share a code, and within it their frequencies decide."""

    slot: Tensor
    last: Tensor
    log_share: Tensor
    cumulative_share: Tensor

    def __init__(self, index: Sequence[int], columns: Sequence[CategoryColumn]):
        super().__init__(index)
        sizes = [column.modelled for column in columns]
        self.outputs = sum(sizes)
        # Padding: logits of column c stand at (c, 0 … size − 1) of a rectangle, −∞ beyond.
        slots = [c * max(sizes) + code for c, size in enumerate(sizes) for code in range(size)]
        self.register_buffer("slot", torch.tensor(slots), persistent=False)
        self.width = max(sizes)
        self.register_buffer("last", torch.tensor([size - 1.0 for size in sizes]), persistent=False)
        longest = max(len(column.counts) for column in columns)
        log_share = torch.zeros(self.columns, longest)
        share = torch.zeros(self.columns, longest)
        for c, column in enumerate(columns):
            rare = torch.tensor(column.counts[column.modelled - 1 :], dtype=torch.float64)
            log_share[c, column.modelled - 1 : len(column.counts)] = (rare / rare.sum()).log()
            share[c, column.modelled - 1 : len(column.counts)] = rare / rare.sum()
        self.register_buffer("log_share", log_share, persistent=False)
        self.register_buffer("cumulative_share", share.cumsum(-1), persistent=False)

    def distribution(self, outputs: Tensor) -> Distribution:
        padded = outputs.new_full((*outputs.shape[:-1], self.columns * self.width), -torch.inf)
        padded = padded.index_copy(-1, self.slot, outputs)
        return Categorical(padded.unflatten(-1, (self.columns, self.width)))

    def log_prob(self, distribution: Distribution, x: Tensor) -> Tensor:
        within = self.log_share.gather(1, x.T.long()).T  # (rows, columns); 0 for categories with a code of their own
        return distribution.log_prob(torch.minimum(x, self.last)) + within

    def sample(self, distribution: Distribution, randomness: Randomness) -> Tensor:
        codes = distribution.sample(randomness).to(self.log_share.dtype)
        draws = randomness.uniform(*codes.shape)
        rare = torch.searchsorted(self.cumulative_share, draws.reshape(-1, self.columns).T.contiguous(), right=True)
        rare = rare.T.reshape(codes.shape).clamp(max=self.log_share.shape[-1] - 1).to(codes.dtype)
        return torch.where(codes == self.last, rare, codes)

    def mode(self, distribution: Distribution) -> Tensor:
        # Rare categories stand in order of frequency: the shared code is the code of the commonest of them.
        return distribution.mode.to(self.log_share.dtype)


def _mixture_outputs(outputs: Tensor, columns: int) -> tuple[Tensor, ...]:
    """Logits, locations and log scales of each column's components, (..., columns, components) each.

    Components start spread over the column's range: started alike, they would stay alike.
    """
    logits, location, log_scale = outputs.unflatten(-1, (columns, 3, MIXTURE_COMPONENTS)).unbind(-2)
    spread = torch.linspace(-1.5, 1.5, MIXTURE_COMPONENTS, device=outputs.device, dtype=outputs.dtype)
    return logits, location + spread, log_scale - 0.5


class TableHead(nn.Module):
    """Decoder outputs (..., outputs) → the likelihood of tables."""

    order: Tensor

    def __init__(self, columns: Sequence[Column], family: str):
        super().__init__()

        def chosen(*kinds: type[Column]) -> tuple[list[int], list]:
            index = [i for i, column in enumerate(columns) if isinstance(column, kinds)]
            return index, [columns[i] for i in index]

        numbers, wholes = chosen(NumberColumn), chosen(IntegerColumn, DateColumn)
        booleans, categories = chosen(BooleanColumn), chosen(CategoryColumn)
        blocks: list[Block] = []
        if numbers[0]:
            blocks.append(QuantityBlock(*numbers, family))
        if wholes[0]:
            blocks.append(WholeBlock(*wholes, family))
        if booleans[0]:
            blocks.append(BooleanBlock(booleans[0]))
        if categories[0]:
            blocks.append(CategoryBlock(*categories))
        self.blocks = nn.ModuleList(blocks)
        self.outputs = max(1, sum(block.outputs for block in blocks))
        covered = [int(i) for block in blocks for i in block.index]
        empty = [i for i in range(len(columns)) if i not in covered]
        self.empty = len(empty)
        position = {column: place for place, column in enumerate(covered + empty)}
        order = torch.tensor([position[i] for i in range(len(columns))])
        self.register_buffer("order", order, persistent=False)

    def forward(self, outputs: Tensor) -> "TableLikelihood":
        return TableLikelihood(self, outputs)


class TableLikelihood(Likelihood):
    """Columns independent given the codes, each with the distribution of its kind."""

    def __init__(self, head: TableHead, outputs: Tensor):
        self.head = head
        self.leading = outputs.shape[:-1]
        self.like = outputs
        pieces = outputs[..., : sum(block.outputs for block in head.blocks)].split(
            [block.outputs for block in head.blocks], dim=-1
        )
        self.parts = [(block, block.distribution(piece)) for block, piece in zip(head.blocks, pieces, strict=True)]

    def _gathered(self, pieces: list[Tensor], empty: float) -> Tensor:
        """Blocks' results (..., columns of the block) → (..., columns) in the table's order."""
        leading = pieces[0].shape[:-1] if pieces else self.leading
        filler = self.like.new_full((*leading, self.head.empty), empty)
        return torch.cat([*pieces, filler], dim=-1).index_select(-1, self.head.order)

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        pieces = []
        for block, distribution in self.parts:
            cells = x.index_select(-1, block.index)
            missing = cells.isnan()
            # Filled before the formula and masked after it: a gradient through NaN is NaN even where it is not used.
            log_prob = block.log_prob(distribution, cells.masked_fill(missing, 0.0))
            pieces.append(log_prob.masked_fill(missing, 0.0))
        return self._gathered(pieces, 0.0)

    def sample(self, randomness: Randomness) -> Tensor:
        return self._gathered([block.sample(part, randomness) for block, part in self.parts], torch.nan)

    def mode(self) -> Tensor:
        return self._gathered([block.mode(part).to(self.like.dtype) for block, part in self.parts], torch.nan)
