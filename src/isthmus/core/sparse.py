"""Rows of few numbers other than 0: held as such, and made dense a batch at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


class SparseRows:
    """Compressed sparse rows, which stand where a tensor (rows, columns) of all rows would.

    Some of the rows, `x[…]`, are sparse rows again; batches of them, by `split` and `index_select`, are dense tensors.
    So whoever goes through rows batch by batch takes either, and all of them are never dense at once.
    `starts` (rows + 1,) says where each row begins in `columns` and `values`, which hold what is not 0.
    """

    def __init__(self, starts: Tensor, columns: Tensor, values: Tensor, width: int):
        self.starts, self.columns, self.values, self.width = starts, columns, values, width

    @classmethod
    def of(cls, dense: Tensor) -> "SparseRows":
        """Dense rows (rows, columns) as sparse ones."""
        row, column = dense.nonzero(as_tuple=True)
        starts = torch.searchsorted(row, torch.arange(len(dense) + 1, device=dense.device))
        return cls(starts, column, dense[row, column], dense.shape[1])

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self), self.width))

    @property
    def device(self) -> torch.device:
        return self.values.device

    def is_floating_point(self) -> bool:
        return self.values.is_floating_point()

    @property
    def lengths(self) -> Tensor:
        """How many numbers of each row are not 0, shape (rows,)."""
        return self.starts.diff()

    @property
    def row_numbers(self) -> Tensor:
        """The row of each value, shape (values,)."""
        return torch.arange(len(self), device=self.device).repeat_interleave(self.lengths)

    def __getitem__(self, chosen: "slice | Tensor") -> "SparseRows":
        """Rows by a slice, by their numbers or by a mask."""
        numbers = torch.arange(len(self), device=self.device)[chosen]
        lengths = self.lengths[numbers]
        starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        moved = (self.starts[numbers] - starts[:-1]).repeat_interleave(lengths)
        places = moved + torch.arange(len(moved), device=self.device)
        return SparseRows(starts, self.columns[places], self.values[places], self.width)

    def dense(self) -> Tensor:
        """All of these rows as one tensor (rows, columns)."""
        rows = self.values.new_zeros(len(self), self.width)
        rows[self.row_numbers, self.columns] = self.values
        return rows

    def index_select(self, dimension: int, numbers: Tensor) -> Tensor:
        """The rows of these numbers, dense."""
        if dimension != 0:
            raise ValueError(f"sparse rows are picked along dimension 0, not {dimension}")
        return self[numbers].dense()

    def split(self, size: int) -> Iterator[Tensor]:
        """All rows in their order, dense, `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size].dense()

    def sum(self, dimension: int) -> Tensor:
        """The sum of each row (dimension 1 or −1) or of each column (0), as torch sums a dense tensor."""
        places, size = (self.columns, self.width) if dimension == 0 else (self.row_numbers, len(self))
        kind = self.values.dtype if self.is_floating_point() else torch.int64
        return torch.zeros(size, dtype=kind, device=self.device).index_add_(0, places, self.values.to(kind))

    def to(self, device: torch.device) -> "SparseRows":
        starts, columns, values = (part.to(device) for part in (self.starts, self.columns, self.values))
        return SparseRows(starts, columns, values, self.width)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, columns and starts: what SciPy makes a matrix of."""
        values, columns, starts = (part.detach().cpu().numpy() for part in (self.values, self.columns, self.starts))
        return values, columns, starts


HeldRows = Tensor | SparseRows
"""All rows of a kind, as a domain's `tensors` gives them."""


def dense(x: HeldRows) -> Tensor:
    """Some rows as one tensor."""
    return x.dense() if isinstance(x, SparseRows) else x


def joined(parts: Sequence[HeldRows]) -> HeldRows:
    """Rows one after another."""
    sparse = [part for part in parts if isinstance(part, SparseRows)]
    if len(sparse) < len(parts):
        return torch.cat([dense(part) for part in parts])
    lengths = torch.cat([part.lengths for part in sparse])
    starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    columns, values = (torch.cat([getattr(part, name) for part in sparse]) for name in ("columns", "values"))
    return SparseRows(starts, columns, values, sparse[0].width)
