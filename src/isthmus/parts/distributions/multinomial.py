"""The multinomial distribution, column by column."""

import torch
from torch import Tensor

from ...core.randomness import Randomness


class Multinomial:
    """How `totals` (..., 1) things fall into columns of probability softmax(logits), given the totals.

    Columns are not independent, so this is no `Distribution`; but a row's log-probability
    log N! + Σⱼ (xⱼ log pⱼ − log xⱼ!) is told as a sum over columns, where each of the N things carries its share
    of log N!. A column of no things has 0.
    """

    def __init__(self, totals: Tensor, logits: Tensor):
        self.totals = totals
        self.logits = logits

    def log_prob(self, x: Tensor) -> Tensor:
        """The part of each column in a row's log-probability, in nats, shape (..., columns)."""
        things = self.totals.clamp_min(1.0)
        log_share = torch.log_softmax(self.logits, -1)
        return x * (log_share + torch.lgamma(things + 1) / things) - torch.lgamma(x + 1)

    def sample(self, randomness: Randomness) -> Tensor:
        """Draws without a gradient, thing by thing, by inverting the cumulative distribution."""
        # In double precision, or columns after the 10 millionth part of the sum would never come up.
        cumulative = torch.softmax(self.logits.double(), -1).cumsum(-1)
        rows = cumulative.reshape(-1, cumulative.shape[-1])
        totals = self.totals.expand(*self.logits.shape[:-1], 1).reshape(-1)
        drawn = torch.zeros_like(rows, dtype=self.logits.dtype)
        for row, edges, total in zip(drawn, rows, totals.tolist(), strict=True):
            places = torch.searchsorted(edges, randomness.uniform(int(total)).double() * edges[-1], right=True)
            row += torch.bincount(places.clamp_max(len(edges) - 1), minlength=len(edges))
        return drawn.view_as(self.logits)

    @property
    def mean(self) -> Tensor:
        """The expectation of each column."""
        return self.totals * torch.softmax(self.logits, -1)
