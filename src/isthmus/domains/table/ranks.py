"""Ordered categories: what is told of each of them adds up along their order."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .columns import CategoryColumn


class Ranks(nn.Module):
    """The places of ordered columns' codes among all places, one for each code of each column, rank after rank."""

    place: Tensor  # (ordered columns, most ranks), 0 where there is none
    held: Tensor  # of the same shape

    def __init__(self, columns: Sequence[CategoryColumn], falling: bool = False):
        """`columns` are all that have places, one column's after another's. Ranks rise, or fall."""
        super().__init__()
        rows, start = [], 0
        for column in columns:
            if column.in_order:
                codes = column.by_rank
                rows.append([start + code for code in (reversed(codes) if falling else codes)])
            start += column.modelled
        width = max(map(len, rows), default=0)
        filled = [[*row, *[-1] * (width - len(row))] for row in rows]
        place = torch.tensor(filled, dtype=torch.long).reshape(len(rows), width)
        self.register_buffer("place", place.clamp(min=0), persistent=False)
        self.register_buffer("held", place >= 0, persistent=False)
        self.any = bool(rows)

    def sums(self, values: Tensor) -> Tensor:
        """Values (..., places); those of ordered columns summed up from their first rank on."""
        return self._replaced(values, lambda ranked: ranked.cumsum(-1)) if self.any else values

    def differences(self, values: Tensor) -> Tensor:
        """The inverse of `sums`."""
        return self._replaced(values, lambda ranked: ranked.diff(prepend=ranked[..., :1] * 0)) if self.any else values

    def _replaced(self, values: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        ranked = change(values[..., self.place])
        return values.index_copy(-1, self.place[self.held], ranked[..., self.held])
