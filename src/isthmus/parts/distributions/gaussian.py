"""The normal distribution."""

import math

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .symmetric import Symmetric

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Gaussian(Symmetric):
    """N(mean, exp(log_scale)²). Samples are differentiable in both parameters (Kingma & Welling 2014)."""

    def __init__(self, mean: Tensor, log_scale: Tensor):
        self.location = mean
        self.log_scale = log_scale

    def log_prob(self, x: Tensor) -> Tensor:
        standardised = (x - self.location) * torch.exp(-self.log_scale)
        return -0.5 * standardised.square() - self.log_scale - HALF_LOG_2PI

    def sample(self, randomness: Randomness) -> Tensor:
        shape = torch.broadcast_shapes(self.location.shape, self.log_scale.shape)
        return self.location + torch.exp(self.log_scale) * randomness.normal(*shape)

    def cumulative(self, standard: Tensor) -> Tensor:
        return torch.special.ndtr(standard)

    def quantile(self, probability: Tensor) -> Tensor:
        return torch.special.ndtri(probability)

    @property
    def mean(self) -> Tensor:
        return self.location

    @property
    def mode(self) -> Tensor:
        return self.location

    @property
    def entropy(self) -> Tensor:
        """Differential entropy of each element in nats: log scale + ½ log(2πe)."""
        shape = torch.broadcast_shapes(self.location.shape, self.log_scale.shape)
        return (self.log_scale + HALF_LOG_2PI + 0.5).expand(shape)
