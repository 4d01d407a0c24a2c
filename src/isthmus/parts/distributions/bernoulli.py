"""The Bernoulli distribution."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ...core.randomness import Randomness
from .base import Distribution


class Bernoulli(Distribution):
    """1 with probability sigmoid(logits), else 0.

    `log_prob` also takes fractions between 0 and 1, and is then the expectation over 0s and 1s drawn with that
    probability (the cross-entropy); it is not the logarithm of a density on [0, 1].
    """

    def __init__(self, logits: Tensor):
        self.logits = logits

    def log_prob(self, x: Tensor) -> Tensor:
        # x log σ(l) + (1 - x) log σ(-l), with log σ(l) = l + log σ(-l)
        return x * self.logits + logsigmoid(-self.logits)

    def sample(self, randomness: Randomness) -> Tensor:
        return (randomness.uniform(*self.logits.shape) < self.mean).to(self.logits.dtype)

    @property
    def mean(self) -> Tensor:
        """The probability of a 1."""
        return torch.sigmoid(self.logits)

    @property
    def mode(self) -> Tensor:
        """The likelier of 0 and 1."""
        return (self.logits > 0).to(self.logits.dtype)
