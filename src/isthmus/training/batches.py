"""Where the rows of a training step come from: all of them on the device, or a few of many at a time."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..core.randomness import Randomness
from ..core.sparse import HeldRows


class Batches(ABC):
    """Rows to learn from, in another random order each epoch.

    An epoch's order depends on its `randomness` alone, so that a resumed run sees the rows that the uninterrupted one
    would have seen. All batches of an epoch have one size; the last one is filled up with rows of that epoch.
    """

    rows: int
    device: torch.device

    @abstractmethod
    def epoch(self, size: int, randomness: Randomness) -> Iterator[Tensor]:
        """The batches of one epoch, `steps(size)` tensors of `size` rows each, on the device."""

    def epochs(self, size: int, streams: Sequence[Randomness]) -> Iterator[Tensor]:
        """Batches (streams, size, …) for models that train side by side, in the order of the first one's stream."""
        for rows in self.epoch(size, streams[0]):
            yield rows.expand(len(streams), *rows.shape)

    def size(self, asked: int) -> int:
        """The batch size: what was asked for, or all rows where there are fewer."""
        return min(asked, self.rows)

    def steps(self, size: int) -> int:
        """How many batches an epoch has."""
        return math.ceil(self.rows / size)


class ResidentBatches(Batches):
    """Rows that lie on the device whole, in their own type; a batch is picked by its row numbers.

    Sparse rows stay sparse there: only the batch that is picked is a dense tensor.
    """

    def __init__(self, x: HeldRows):
        self.x = x
        self.rows, self.device = len(x), x.device

    def order(self, size: int, randomness: Randomness) -> Tensor:
        """The row numbers of an epoch, shape (steps, size): a permutation, filled up from its own start."""
        steps = self.steps(size)
        order = randomness.permutation(self.rows)
        return torch.cat([order, order[: steps * size - self.rows]]).view(steps, size)

    def epochs(self, size: int, streams: Sequence[Randomness]) -> Iterator[Tensor]:
        """As above, but each model sees the rows in its own stream's order, as it would alone."""
        orders = torch.stack([self.order(size, stream) for stream in streams], dim=1)  # (steps, streams, size)
        for numbers in orders:
            yield self.x.index_select(0, numbers.flatten()).unflatten(0, numbers.shape)

    def epoch(self, size: int, randomness: Randomness) -> Iterator[Tensor]:
        for numbers in self.order(size, randomness):
            yield self.x.index_select(0, numbers)
