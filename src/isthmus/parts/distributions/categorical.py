"""The categorical distribution."""

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .base import Distribution


class Categorical(Distribution):
    """One of K categories; the last dimension of `logits` holds the categories and is not part of the batch shape.

    Values are the codes 0 … K - 1. They are read from, and given as, numbers of any dtype, so that categories travel in
    one tensor with numeric columns. Codes must lie in range: replace missing ones before asking for `log_prob`.
    """

    def __init__(self, logits: Tensor):
        self.logits = logits

    def log_prob(self, x: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(x.shape, self.logits.shape[:-1])
        log_probabilities = torch.log_softmax(self.logits, dim=-1).expand(*shape, self.logits.shape[-1])
        return log_probabilities.gather(-1, x.long().expand(shape).unsqueeze(-1)).squeeze(-1)

    def sample(self, randomness: Randomness) -> Tensor:
        """One code per element, in the dtype of the logits, by inverting the cumulative distribution."""
        # The last cumulative probability is 1 up to rounding and is left out, so a code never exceeds K - 1.
        cumulative = self.probabilities.cumsum(-1)[..., :-1]
        uniform = randomness.uniform(*self.logits.shape[:-1]).unsqueeze(-1)
        return (cumulative <= uniform).sum(-1).to(self.logits.dtype)

    @property
    def probabilities(self) -> Tensor:
        """The probability of each category, shape (..., K)."""
        return torch.softmax(self.logits, dim=-1)

    @property
    def mean(self) -> Tensor:
        """The expected code, which has a meaning for ordered categories only."""
        codes = torch.arange(self.logits.shape[-1], dtype=self.logits.dtype, device=self.logits.device)
        return (self.probabilities * codes).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The code of the likeliest category."""
        return self.logits.argmax(-1).to(self.logits.dtype)
