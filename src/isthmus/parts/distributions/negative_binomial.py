"""The negative binomial distribution."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from ...core.randomness import Randomness
from .base import Distribution, drawn_by_numpy


class NegativeBinomial(Distribution):
    """Counts with mean μ = exp(log_mean) and variance μ + μ² / r, r = exp(log_inverse_dispersion).

    A Poisson distribution whose rate is drawn from a gamma distribution of shape r and mean μ; as r grows, a Poisson
    distribution. Of single cells' genes (Lopez et al. 2018, https://doi.org/10.1038/s41592-018-0229-2) r is one number
    for each gene.
    """

    def __init__(self, log_mean: Tensor, log_inverse_dispersion: Tensor):
        self.log_mean = log_mean
        self.log_inverse_dispersion = log_inverse_dispersion

    def log_prob(self, x: Tensor) -> Tensor:
        # Γ(x + r) / (Γ(r) x!) · (r / (r + μ))ʳ (μ / (r + μ))ˣ, the shares by the logarithm of their odds μ / r.
        r = self.log_inverse_dispersion.exp()
        log_odds = self.log_mean - self.log_inverse_dispersion
        ways = torch.lgamma(x + r) - torch.lgamma(r) - torch.lgamma(x + 1)
        return ways - r * softplus(log_odds) - x * softplus(-log_odds)

    def sample(self, randomness: Randomness) -> Tensor:
        """Draws without a gradient."""

        def draw(generator: np.random.Generator, mean: np.ndarray, r: np.ndarray) -> np.ndarray:
            return generator.poisson(generator.gamma(r) * (mean / r))

        return drawn_by_numpy(draw, randomness, self.mean, self.log_inverse_dispersion.exp())

    @property
    def mean(self) -> Tensor:
        shape = torch.broadcast_shapes(self.log_mean.shape, self.log_inverse_dispersion.shape)
        return self.log_mean.exp().expand(shape)

    @property
    def mode(self) -> Tensor:
        """The likeliest count: ⌊μ (r − 1) / r⌋, and 0 where r is below 1."""
        return (self.mean * (1 - (-self.log_inverse_dispersion).exp()).clamp_min(0.0)).floor()
