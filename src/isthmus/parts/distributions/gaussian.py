"""The normal distribution."""

import math

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .base import Distribution

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Gaussian(Distribution):
    """N(mean, exp(log_scale)²). Samples are differentiable in both parameters (Kingma & Welling 2014)."""

    def __init__(self, mean: Tensor, log_scale: Tensor):
        self._mean = mean
        self.log_scale = log_scale

    def log_prob(self, x: Tensor) -> Tensor:
        standardised = (x - self._mean) * torch.exp(-self.log_scale)
        return -0.5 * standardised.square() - self.log_scale - HALF_LOG_2PI

    def sample(self, randomness: Randomness) -> Tensor:
        shape = torch.broadcast_shapes(self._mean.shape, self.log_scale.shape)
        return self._mean + torch.exp(self.log_scale) * randomness.normal(*shape)

    @property
    def mean(self) -> Tensor:
        return self._mean

    @property
    def mode(self) -> Tensor:
        return self._mean

    @property
    def entropy(self) -> Tensor:
        """Differential entropy of each element in nats: log scale + ½ log(2πe)."""
        shape = torch.broadcast_shapes(self._mean.shape, self.log_scale.shape)
        return (self.log_scale + HALF_LOG_2PI + 0.5).expand(shape)
