"""Student's t distribution."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import stdtr, stdtrit
from torch import Tensor

from ...core.randomness import Randomness
from .base import open_uniform, tensor_like
from .symmetric import Symmetric

HALF_LOG_PI = 0.5 * math.log(math.pi)


class StudentT(Symmetric):
    """location + exp(log_scale) · t, where t has `degrees` (> 0) degrees of freedom: a Gaussian with heavy tails.

    Samples are differentiable in all three parameters.
    """

    def __init__(self, degrees: float | Tensor, location: Tensor, log_scale: Tensor):
        self.degrees = tensor_like(degrees, location)
        self.location = location
        self.log_scale = log_scale

    def log_prob(self, x: Tensor) -> Tensor:
        # log Γ((ν+1)/2) - log Γ(ν/2) - ½ log(πν) - log s - (ν+1)/2 · log(1 + t²/ν)
        ratio = (x - self.location) * torch.exp(-self.log_scale) * self.degrees.rsqrt()
        normaliser = _log_gamma_half_step(self.degrees / 2) - 0.5 * self.degrees.log() - HALF_LOG_PI - self.log_scale
        return normaliser - (self.degrees + 1) / 2 * _log_one_plus_square(ratio)

    def sample(self, randomness: Randomness) -> Tensor:
        """Draws by the polar method, which is exact: √(ν (u^(-2/ν) - 1)) cos 2πv (Bailey 1994)."""
        shape = torch.broadcast_shapes(self.degrees.shape, self.location.shape, self.log_scale.shape)
        log_uniform = open_uniform(randomness, shape).log()
        radius = torch.sqrt(self.degrees * torch.expm1(-2 / self.degrees * log_uniform))
        standard = radius * torch.cos(2 * math.pi * randomness.uniform(*shape))
        return self.location + torch.exp(self.log_scale) * standard

    def cumulative(self, standard: Tensor) -> Tensor:
        return self._by_scipy(stdtr, standard)

    def quantile(self, probability: Tensor) -> Tensor:
        return self._by_scipy(stdtrit, probability)

    def _by_scipy(self, function: Callable[..., Any], values: Tensor) -> Tensor:
        """torch has no incomplete beta function."""
        degrees = self.degrees.detach().double().cpu().numpy()
        return torch.from_numpy(np.asarray(function(degrees, values.detach().cpu().numpy()))).to(values.device)

    @property
    def mean(self) -> Tensor:
        """The location: the expectation where degrees > 1, the centre of symmetry everywhere."""
        return self.location

    @property
    def mode(self) -> Tensor:
        return self.location


def _log_gamma_half_step(a: Tensor) -> Tensor:
    """log Γ(a + ½) - log Γ(a), without the cancellation of two large log-gammas."""
    large = a > 8.0
    safe = torch.where(large, a, 8.0)
    inverse = 1 / safe
    # The next term, 17 a⁻⁷/14336, is below 6e-10.
    series = 0.5 * safe.log() - inverse / 8 + inverse**3 / 192 - inverse**5 / 640
    small = torch.where(large, 1.0, a)
    return torch.where(large, series, torch.lgamma(small + 0.5) - torch.lgamma(small))


def _log_one_plus_square(ratio: Tensor) -> Tensor:
    """log(1 + ratio²), also where the square overflows."""
    outer = ratio.abs() > 1.0
    inside = torch.where(outer, 0.0, ratio)
    outside = torch.where(outer, ratio.abs(), 1.0)
    return torch.where(outer, 2 * outside.log() + torch.log1p(outside.reciprocal().square()), inside.square().log1p())
