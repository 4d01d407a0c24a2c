"""Categories ↔ the codes that a model tells apart: rare ones share the last, and within it their frequencies decide."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from .columns import CategoryColumn, Column


class RareCategories(nn.Module):
    """Several columns side by side; booleans are categories of which none is rare. `sizes` counts each one's codes."""

    last: Tensor
    start: Tensor
    log_share: Tensor
    cumulative_share: Tensor

    def __init__(self, columns: Sequence[Column]):
        super().__init__()
        self.sizes = [column.modelled if isinstance(column, CategoryColumn) else 2 for column in columns]
        shares = [_shares(column) for column in columns]
        lengths = torch.tensor([len(share) for share in shares], dtype=torch.long)
        none = torch.zeros(0, dtype=torch.float64)
        for name, values in {
            "last": torch.tensor([size - 1.0 for size in self.sizes]),
            # All columns' categories one after another: those of column c start at start[c].
            "start": lengths.cumsum(0) - lengths,
            "log_share": torch.cat([none, *(share.where(share > 0, 1.0).log() for share in shares)]).float(),
            # Column c's shares run from c to c + 1, so that one search finds a draw of any column.
            "cumulative_share": torch.cat(
                [none, *(c + each.cumsum(0).clamp(max=1.0) for c, each in enumerate(shares))]
            ),
        }.items():
            self.register_buffer(name, values, persistent=False)

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (rows, columns) without NaN → codes, and the log of each cell's share of its code, both of that shape;
        0 where a code is one category."""
        within = self.log_share[self.start + cells.long()]
        return torch.minimum(cells, self.last).long(), within

    def draw(self, codes: Tensor, randomness: Randomness) -> Tensor:
        """Codes (..., columns) → cells, rare ones by their frequency, in the codes' own type."""
        column = torch.arange(len(self.sizes), device=codes.device)
        draws = column + randomness.uniform(*codes.shape).double()
        rare = torch.searchsorted(self.cumulative_share, draws, right=True) - self.start
        return torch.where(codes == self.last, rare.to(codes.dtype), codes)


def _shares(column: Column) -> Tensor:
    """The share of each category in the last code of its column: 0 for those with a code of their own, float64."""
    if not isinstance(column, CategoryColumn):
        return torch.tensor([0.0, 1.0], dtype=torch.float64)
    counts = torch.tensor(column.counts, dtype=torch.float64)
    counts[: column.modelled - 1] = 0.0
    return counts / counts.sum()
