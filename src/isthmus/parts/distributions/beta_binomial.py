"""The beta-binomial distribution."""

import math

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .base import Distribution

# Beyond exp(±30) a concentration means the limit (a binomial; all or nothing) to float32's precision.
_LARGEST_LOG_CONCENTRATION = 30.0

# Lanczos' approximation of the gamma function with γ = 5 and six terms, relative error below 2e-10 (Lanczos 1964):
# Γ(a) = √(2π) (a + 5.5)^(a + ½) exp(-(a + 5.5)) S(a) / a,  S(a) = c₀ + Σ cᵢ / (a + i)
_LANCZOS_SHIFT = 5.5
_LANCZOS_CONSTANT = 1.000000000190015
_LANCZOS_COEFFICIENTS = (
    76.18009172947146,
    -86.50532032941677,
    24.01409824083091,
    -1.231739572450155,
    0.1208650973866179e-2,
    -0.5395239384953e-5,
)


class BetaBinomial(Distribution):
    """Successes among `count` trials whose common probability is drawn from Beta(exp(log_alpha), exp(log_beta)).

    Values are 0 … count: grey levels, for instance. `log_prob` keeps float32's precision for large concentrations too,
    where differences of log-gamma functions lose it.
    """

    def __init__(self, count: int, log_alpha: Tensor, log_beta: Tensor):
        self.count = count
        self.log_alpha = log_alpha.clamp(-_LARGEST_LOG_CONCENTRATION, _LARGEST_LOG_CONCENTRATION)
        self.log_beta = log_beta.clamp(-_LARGEST_LOG_CONCENTRATION, _LARGEST_LOG_CONCENTRATION)

    def log_prob(self, x: Tensor) -> Tensor:
        # log C(n, x) + log B(α + x, β + n - x) - log B(α, β). Beta(1, 1) makes all n + 1 values equally likely,
        # which gives the binomial coefficient: log C(n, x) = -log(n + 1) - log [B(1 + x, 1 + n - x) / B(1, 1)].
        alpha, beta = self.log_alpha.exp(), self.log_beta.exp()
        one = torch.ones_like(x)
        coefficient = -math.log(self.count + 1) - _log_beta_ratio(one, one, x, self.count)
        return coefficient + _log_beta_ratio(alpha, beta, x, self.count)

    def sample(self, randomness: Randomness) -> Tensor:
        """Draws by Pólya's urn, in `count` passes: every success makes the next one likelier; no gradient."""
        alpha, beta = self.log_alpha.exp(), self.log_beta.exp()
        shape = torch.broadcast_shapes(alpha.shape, beta.shape)
        successes = alpha.new_zeros(shape)
        for trial in range(self.count):
            successes = successes + (randomness.uniform(*shape) * (alpha + beta + trial) < alpha + successes)
        return successes

    @property
    def mean(self) -> Tensor:
        return self.count * torch.sigmoid(self.log_alpha - self.log_beta)

    @property
    def mode(self) -> Tensor:
        """The likeliest value; the likelier end where the distribution is flat or has its least mass inside."""
        alpha, beta = self.log_alpha.exp(), self.log_beta.exp()
        excess = alpha + beta - 2
        peak = torch.floor((self.count + 1) * (alpha - 1) / torch.where(excess > 0, excess, 1.0))
        end = (alpha > beta).to(alpha.dtype) * self.count
        return torch.where(excess > 0, peak.clamp(0, self.count), end)


def _log_beta_ratio(alpha: Tensor, beta: Tensor, x: Tensor, count: int) -> Tensor:
    """log B(α + x, β + n - x) - log B(α, β), with no difference of large numbers."""
    # Γ(a + k)/Γ(a) = [t(a + k)/t(a)]^(a + ½) · t(a + k)^k · e⁻ᵏ · [S(a + k)/(a + k)] / [S(a)/a],  t(a) = a + 5.5.
    # Over the three ratios the factors e⁻ᵏ cancel, and the powers t^k are taken relative to t(α + β + n).
    failures, total = count - x, alpha + beta
    base = total + count + _LANCZOS_SHIFT
    powers = x * torch.log((alpha + x + _LANCZOS_SHIFT) / base)
    powers = powers + failures * torch.log((beta + failures + _LANCZOS_SHIFT) / base)
    successes_part = _log_gamma_ratio_remainder(alpha, x)
    failures_part = _log_gamma_ratio_remainder(beta, failures)
    return powers + successes_part + failures_part - _log_gamma_ratio_remainder(total, torch.full_like(x, count))


def _log_gamma_ratio_remainder(a: Tensor, k: Tensor) -> Tensor:
    """log Γ(a + k) - log Γ(a) - k log t(a + k) + k, which is of the order of k for every a."""
    growth = (a + 0.5) * torch.log1p(k / (a + _LANCZOS_SHIFT))
    return growth + _log_lanczos_sum(a + k) - _log_lanczos_sum(a) - torch.log(a + k) + torch.log(a)


def _log_lanczos_sum(a: Tensor) -> Tensor:
    total = torch.full_like(a, _LANCZOS_CONSTANT)
    for index, coefficient in enumerate(_LANCZOS_COEFFICIENTS, start=1):
        total = total + coefficient / (a + index)
    return torch.log(total)
