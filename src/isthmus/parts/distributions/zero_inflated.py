"""A distribution of counts with more zeros than it would have."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ...core.randomness import Randomness
from .base import Distribution


class ZeroInflated(Distribution):
    """0 with probability sigmoid(zero_logits), else a draw from `counts` (Lambert 1992; of single cells Lopez et al.
    2018)."""

    def __init__(self, counts: Distribution, zero_logits: Tensor):
        self.counts = counts
        self.zero_logits = zero_logits

    def log_prob(self, x: Tensor) -> Tensor:
        counted = logsigmoid(-self.zero_logits) + self.counts.log_prob(x)
        either = torch.logaddexp(logsigmoid(self.zero_logits), counted)
        return torch.where(x == 0, either, counted)

    def sample(self, randomness: Randomness) -> Tensor:
        """Draws without a gradient."""
        counts = self.counts.sample(randomness)
        return counts.masked_fill(randomness.uniform(*counts.shape) < torch.sigmoid(self.zero_logits), 0.0)

    @property
    def mean(self) -> Tensor:
        return self.counts.mean * torch.sigmoid(-self.zero_logits)

    @property
    def mode(self) -> Tensor:
        """The likelier of 0 and the likeliest of the counts."""
        counted = self.counts.mode
        return torch.where(self.log_prob(torch.zeros_like(counted)) < self.log_prob(counted), counted, 0.0)
