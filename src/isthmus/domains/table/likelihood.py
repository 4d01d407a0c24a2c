"""p(row | code) of a table."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.likelihood import Likelihood
from .blocks import Block, BooleanBlock, CategoryBlock, NumberBlock, QuantityBlock, WholeBlock
from .columns import BooleanColumn, CategoryColumn, Column, NumberColumn, WholeColumn
from .evidence import Evidence
from .missing import MissingCells

Kind = TypeVar("Kind", bound=Column)


class TableHead(nn.Module):
    """Decoder outputs (..., rows, outputs) → the likelihood of tables."""

    place: Tensor  # where each column of the table stands among the blocks' columns and the empty ones, (columns,)

    def __init__(
        self, columns: Sequence[Column], family: str, shared_noise: bool = False, missing_modelled: bool = False
    ):
        """With `missing_modelled`, whether a cell is missing has a probability; else a missing cell is no evidence."""
        super().__init__()
        self.blocks = _blocks(columns, family, shared_noise)
        self.missing = MissingCells(columns) if missing_modelled else None
        self.sizes = [*(block.outputs for block in self.blocks), self.missing.outputs if self.missing else 0]
        self.outputs = max(1, sum(self.sizes))
        covered = [int(i) for block in self.blocks for i in block.index]
        empty = [i for i in range(len(columns)) if i not in set(covered)]
        self.empty = len(empty)
        place = torch.tensor([*covered, *empty]).argsort()
        self.register_buffer("place", place, persistent=False)
        self.layers = nn.ModuleList(self.blocks)

    def forward(self, outputs: Tensor) -> "TableLikelihood":
        return TableLikelihood(self, outputs)


def _blocks(columns: Sequence[Column], family: str, shared_noise: bool) -> list[Block]:
    """One block for each kind of column there is."""
    numbers, wholes = _chosen(columns, NumberColumn), _chosen(columns, WholeColumn)
    booleans, categories = _chosen(columns, BooleanColumn), _chosen(columns, CategoryColumn)
    blocks: list[Block] = []
    if numbers:
        blocks.append(NumberBlock(list(numbers), list(numbers.values()), family, shared_noise))
    if wholes:
        blocks.append(WholeBlock(list(wholes), list(wholes.values()), family))
    if booleans:
        blocks.append(BooleanBlock(list(booleans)))
    if categories:
        blocks.append(CategoryBlock(list(categories), list(categories.values())))
    return blocks


def _chosen(columns: Sequence[Column], kind: type[Kind]) -> dict[int, Kind]:
    """The columns of a kind, by their place in the table."""
    return {i: column for i, column in enumerate(columns) if isinstance(column, kind)}


class TableLikelihood(Likelihood):
    """Columns independent given the codes, each with the distribution of its kind."""

    def __init__(self, head: TableHead, outputs: Tensor):
        self.head = head
        self.leading = outputs.shape[:-1]
        self.like = outputs
        pieces = outputs[..., : sum(head.sizes)].split(head.sizes, dim=-1)
        *of_blocks, self.of_missing = pieces
        self.parts = list(zip(head.blocks, of_blocks, strict=True))

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        cells = self.log_prob_of_cells(x)
        return cells if self.head.missing is None else cells + self.head.missing.log_prob(self.of_missing, x)

    def log_prob_of_cells(self, x: Tensor) -> Tensor:
        """`log_prob_per_feature`, with a missing cell no evidence."""
        return self._in_order([self._log_prob(block, outputs, x) for block, outputs in self.parts], 0.0)

    def sample(self, randomness: Randomness) -> Tensor:
        rows = self._in_order([block.sample(outputs, randomness) for block, outputs in self.parts], torch.nan)
        return rows if self.head.missing is None else self.head.missing.emptied(self.of_missing, rows, randomness)

    def completed(self, evidence: Evidence, randomness: Randomness) -> tuple[Tensor, Tensor]:
        """Rows (..., rows, columns), float64, with the unknown cells drawn, and the log-probability (..., rows) that
        the evidence had. As columns are independent given the codes, the draws are from p(row | codes, evidence)."""
        log_weight = self.log_prob_of_cells(evidence.cells.to(self.like.dtype)).double().sum(-1)
        pieces, ranged = [], set(evidence.ranged)
        for block, outputs in self.parts:
            if isinstance(block, QuantityBlock) and not ranged.isdisjoint(block.index.tolist()):
                low, high = (end.index_select(0, block.index) for end in (evidence.low, evidence.high))
                cells, log_mass = block.sample_within(outputs, low, high, randomness)
                # A column without a range has all its mass within; one with a known cell has no range.
                log_weight = log_weight + log_mass.sum(-1)
            else:
                cells = block.sample(outputs, randomness)
            pieces.append(cells.double())
        rows = self._in_order(pieces, torch.nan)
        if self.head.missing is not None and not evidence.filled:
            required = evidence.required
            log_weight = log_weight + self.head.missing.log_present(self.of_missing, required).double()
            rows = torch.where(required, rows, self.head.missing.emptied(self.of_missing, rows, randomness))
        return evidence.imposed_on(rows), log_weight

    def expected(self, evidence: Evidence, log_ratio: Tensor, randomness: Randomness) -> Tensor:
        """What `Expectations` averages, (rows, expectations), NaN of empty columns, over draws of codes (draws, rows)
        that are weighted by exp(log_ratio) and by the known cells."""
        log_weights = log_ratio + self.log_prob_of_cells(evidence.cells.to(self.like.dtype)).sum(-1)
        weights = log_weights.double().softmax(0)
        pieces = {}
        for block, outputs in self.parts:
            widths = block.rare.sizes if isinstance(block, CategoryBlock) else [1] * block.columns
            columns = block.expectations(outputs).double().split(widths, dim=-1)
            pieces |= dict(zip(block.index.tolist(), columns, strict=True))
        empty = self.like.new_full((*self.leading, 1), torch.nan, dtype=torch.float64)
        expected = torch.cat([pieces.get(place, empty) for place in range(len(self.head.place))], dim=-1)
        return (weights.unsqueeze(-1) * expected).sum(0)

    def mode(self) -> Tensor:
        """No cell is missing."""
        return self._in_order([block.mode(outputs) for block, outputs in self.parts], torch.nan)

    def _log_prob(self, block: Block, outputs: Tensor, x: Tensor) -> Tensor:
        cells = x.index_select(-1, block.index)
        missing = cells.isnan()
        # Filled before the formula and masked after it: a gradient through NaN is NaN even where it is not used.
        return block.log_prob(outputs, cells.masked_fill(missing, 0.0)).masked_fill(missing, 0.0)

    def _in_order(self, pieces: list[Tensor], empty: float) -> Tensor:
        """Blocks' results (..., columns of the block) → (..., columns) in the table's order."""
        if self.head.empty:
            leading = pieces[0].shape[:-1] if pieces else self.leading
            pieces = [*pieces, self.like.new_full((*leading, self.head.empty), empty)]
        return torch.cat(pieces, dim=-1).index_select(-1, self.head.place)
