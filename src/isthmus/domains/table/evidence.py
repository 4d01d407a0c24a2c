"""What is known of a table's cells before they are drawn, and what the draws say of those that are not."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .columns import CategoryColumn, Column, Quantity


@dataclass(frozen=True)
class Evidence:
    """Known cells (rows, columns), NaN where one is not, and ranges [low, high] (columns,) of numbers, infinite where
    there is none. A column in a range has no known cell.

    With `filled`, every other cell is drawn as one that is observed; without, it may turn out missing.
    """

    cells: Tensor
    low: Tensor
    high: Tensor
    filled: bool = False

    @classmethod
    def of_rows(cls, x: Tensor) -> "Evidence":
        """The observed cells of rows (rows, columns), to fill in the others."""
        open_end = torch.full((x.shape[-1],), torch.inf, dtype=torch.float64, device=x.device)
        return cls(x, -open_end, open_end, filled=True)

    @property
    def ranged(self) -> list[int]:
        """The columns with a range."""
        return torch.nonzero(self.low.isfinite() | self.high.isfinite()).flatten().tolist()

    @property
    def required(self) -> Tensor:
        """Which cells (rows, columns) cannot be missing: known ones, and those in a range."""
        return ~self.cells.isnan() | self.low.isfinite() | self.high.isfinite()

    def rows(self, count: int) -> "Evidence":
        """The same known cells in so many rows."""
        return Evidence(self.cells.expand(count, -1), self.low, self.high, self.filled)

    def to(self, device: torch.device) -> "Evidence":
        return Evidence(self.cells.to(device), self.low.to(device), self.high.to(device), self.filled)

    def imposed_on(self, cells: Tensor) -> Tensor:
        """Cells (..., rows, columns) with the known ones in their place, and numbers at the nearer end of their range
        where they lie beyond it; float64."""
        known = torch.where(self.cells.isnan(), cells.double(), self.cells.double())
        return torch.minimum(torch.maximum(known, self.low), self.high)


class Expectations:
    """Rows as numbers whose mean over draws says what to guess: quantities and booleans as they are, and a 0 or 1 for
    each category.

    A mean minimises the expected squared error, the commonest category the expected number of mistakes.
    """

    def __init__(self, columns: Sequence[Column]):
        self.columns = columns
        self.widths = [column.modelled if isinstance(column, CategoryColumn) else 1 for column in columns]

    def of_cells(self, cells: Tensor) -> Tensor:
        """Cells (..., columns) without NaN → (..., expectations); rare categories share their column's last place."""
        pieces = []
        for place, width in enumerate(self.widths):
            cell = cells[..., place : place + 1].double()
            if isinstance(self.columns[place], CategoryColumn):
                code = cell.clamp(max=width - 1)
                cell = (code == torch.arange(width, device=cells.device)).double()
            pieces.append(cell)
        return torch.cat(pieces, dim=-1)

    def split(self, means: Tensor) -> list[Tensor]:
        """Means (..., expectations) → those of each column."""
        return list(means.split(self.widths, dim=-1))

    def guess(self, means: Tensor) -> Tensor:
        """Means (..., expectations) → the best guess of each cell (..., columns), float64, whole where cells are."""
        cells = []
        for column, mean in zip(self.columns, self.split(means), strict=True):
            if isinstance(column, CategoryColumn):
                # Rare ones stand in order of frequency: the code that they share is the commonest one's.
                cells.append(mean.argmax(-1).double())
            elif isinstance(column, Quantity):
                step = column.step
                cells.append(torch.round(mean[..., 0] / step) * step if step else mean[..., 0])
            else:
                cells.append((mean[..., 0] >= 0.5).double())
        return torch.stack(cells, dim=-1)
