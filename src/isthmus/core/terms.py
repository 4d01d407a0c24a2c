"""The parts of a loss, by name."""

import torch
from torch import Tensor


class Terms(dict[str, Tensor]):
    """Loss terms by name, each of shape (rows,) and in nats; training minimises the mean of their sum.

    Terms are per row, so that a validation loss, a weight per row or a score per row needs no second formula.
    """

    @property
    def per_row(self) -> Tensor:
        """The loss of each row, shape (rows,)."""
        return torch.stack(list(self.values())).sum(0)

    @property
    def loss(self) -> Tensor:
        """The loss of the batch, a scalar."""
        return self.per_row.mean()
