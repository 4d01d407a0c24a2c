"""Distributions that are symmetric about a location: the mass of a range, and draws from within one."""

from abc import abstractmethod

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .base import Distribution, open_uniform


class Symmetric(Distribution):
    """location + exp(log_scale) · s, with s and −s alike. Masses are in double precision, and without gradients."""

    location: Tensor
    log_scale: Tensor

    @abstractmethod
    def cumulative(self, standard: Tensor) -> Tensor:
        """P(s ≤ standard), precise where it is small, for float64."""

    @abstractmethod
    def quantile(self, probability: Tensor) -> Tensor:
        """The inverse of `cumulative`."""

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """log P(low ≤ x ≤ high) in nats, −∞ where that is nothing; ends may be infinite, and broadcast."""
        below, within, _ = self._in_lower_half(low, high)
        return (within - below).clamp(min=0.0).log()

    def sample_within(self, low: Tensor, high: Tensor, randomness: Randomness) -> Tensor:
        """Draws given low ≤ x ≤ high, by inverting the cumulative distribution; float64."""
        below, within, mirrored = self._in_lower_half(low, high)
        uniform = open_uniform(randomness, tuple(within.shape)).double()
        standard = self.quantile(torch.lerp(below, within, uniform))
        standard = torch.where(mirrored, -standard, standard)
        x = self.location + standard * self.log_scale.double().exp()
        return torch.minimum(torch.maximum(x, low), high)  # where there is no mass, the nearer end

    def _in_lower_half(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """P below a range and P up to its end, and whether it was mirrored: beyond the location differences of
        probabilities near 1 lose all digits."""
        scale = self.log_scale.double().exp()
        low, high = ((end - self.location.double()) / scale for end in (low.double(), high.double()))
        mirrored = low > 0
        low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
        return self.cumulative(low), self.cumulative(high), mirrored
