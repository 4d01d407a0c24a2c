"""Which cells of a row are missing, as part of the row."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.distributions import Bernoulli
from .columns import Column, EmptyColumn


class MissingCells(nn.Module):
    """A Bernoulli for each column that had missing cells, given the code, which tells what is missing together.

    A missing cell in any other column is no evidence. See HI-VAE (Nazábal et al., 2020,
    https://arxiv.org/abs/1807.03653) for cells missing at random, and Collier et al. (2020,
    https://arxiv.org/abs/2006.05301) for the pattern beside them.
    """

    index: Tensor  # which columns of the table, shape (outputs,)

    def __init__(self, columns: Sequence[Column]):
        super().__init__()
        index = [i for i, column in enumerate(columns) if column.has_missing and not isinstance(column, EmptyColumn)]
        self.outputs = len(index)
        self.register_buffer("index", torch.tensor(index, dtype=torch.long), persistent=False)

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Log-probability of whether each cell of rows (rows, columns) is missing, (..., rows, columns)."""
        missing = x.isnan().to(outputs.dtype)
        log_prob = Bernoulli(outputs).log_prob(missing.index_select(-1, self.index))
        none = log_prob.new_zeros(*log_prob.shape[:-1], x.shape[-1])
        return none.index_copy(-1, self.index, log_prob)

    def log_present(self, outputs: Tensor, required: Tensor) -> Tensor:
        """Log-probability that none of the required cells (rows, columns) is missing, (..., rows)."""
        present = Bernoulli(outputs).log_prob(torch.zeros_like(outputs))
        return present.masked_fill(~required.index_select(-1, self.index), 0.0).sum(-1)

    def emptied(self, outputs: Tensor, rows: Tensor, randomness: Randomness) -> Tensor:
        """Rows (..., columns) without the cells that are drawn to be missing."""
        missing = Bernoulli(outputs).sample(randomness) > 0
        cells = rows.index_select(-1, self.index).masked_fill(missing, torch.nan)
        return rows.index_copy(-1, self.index, cells)
