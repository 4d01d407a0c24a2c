"""The Poisson distribution."""

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .base import Distribution, drawn_by_numpy


class Poisson(Distribution):
    """Counts 0, 1, 2 … with expectation exp(log_rate)."""

    def __init__(self, log_rate: Tensor):
        self.log_rate = log_rate

    def log_prob(self, x: Tensor) -> Tensor:
        return x * self.log_rate - self.mean - torch.lgamma(x + 1)

    def sample(self, randomness: Randomness) -> Tensor:
        """Draws without a gradient."""
        return drawn_by_numpy(lambda generator, rate: generator.poisson(rate), randomness, self.mean)

    @property
    def mean(self) -> Tensor:
        return self.log_rate.exp()

    @property
    def mode(self) -> Tensor:
        """The likeliest count; the larger one where two are."""
        return self.mean.floor()
