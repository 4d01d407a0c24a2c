"""q(z|x): what an encoder says about the codes of a row."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..core.randomness import Randomness
from .distributions import Gaussian
from .distributions.gaussian import HALF_LOG_2PI
from .divergences import standard_normal_kl
from .priors import Prior


class Posterior(ABC):
    """The distribution of a row's codes."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The codes that inference uses, shape (rows, latent_dim)."""

    @abstractmethod
    def sample(self, randomness: Randomness, draws: int | None = None, shared: bool = False) -> Tensor:
        """Codes drawn with gradients, shape (rows, latent_dim), or (draws, rows, latent_dim) if `draws` is given.

        With `shared`, every row uses the same noise, so that a row's result does not depend on its neighbours.
        """

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats, shape (..., rows)."""

    def log_ratio(self, prior: Prior, z: Tensor) -> Tensor:
        """log p(z) − log q(z|x) in nats, shape (..., rows): what z adds to the evidence lower bound."""
        return prior.log_prob(z) - self.log_prob(z)

    def kl_per_unit(self) -> Tensor | None:
        """KL(q(z|x) ‖ N(0, 1)) in nats, shape (rows, latent_dim); None where a unit has no divergence of its own."""
        return None


def noise_like(codes: Tensor, randomness: Randomness, draws: int | None, shared: bool) -> Tensor:
    """Standard normal noise for codes (rows, units): (rows, units), or (draws, rows, units) if `draws` is given."""
    rows, units = codes.shape[-2:]
    leading = () if draws is None else (draws,)
    return randomness.normal(*leading, 1 if shared else rows, units).to(codes.dtype)


class GaussianPosterior(Posterior):
    """N(μ, σ²) with independent units (Kingma & Welling, 2014)."""

    # Wide enough for any code that training finds, narrow enough that exp() of it is finite in every precision.
    LOG_SCALE_BOUNDS = (-9.0, 4.0)

    def __init__(self, mean: Tensor, log_scale: Tensor):
        self.units = Gaussian(mean, log_scale.clamp(*self.LOG_SCALE_BOUNDS))

    @property
    def mean(self) -> Tensor:
        return self.units.mean

    def sample(self, randomness: Randomness, draws: int | None = None, shared: bool = False) -> Tensor:
        noise = noise_like(self.mean, randomness, draws, shared)
        return self.mean + self.units.log_scale.exp() * noise

    def log_prob(self, z: Tensor) -> Tensor:
        return self.units.log_prob(z).sum(-1)

    def kl_per_unit(self) -> Tensor:
        return standard_normal_kl(self.units)

    def sampled_kl_per_unit(self, z: Tensor) -> Tensor:
        """log q(z|x) − log N(z; 0, 1) of each unit: for z drawn from q its expectation is `kl_per_unit`."""
        return self.units.log_prob(z) + 0.5 * z.square() + HALF_LOG_2PI


class PointPosterior(Posterior):
    """All mass on one point: the posterior of a deterministic encoder.

    It has no density, so its codes cost nothing in the bound (`log_ratio` is 0): what remains is the reconstruction.
    """

    def __init__(self, point: Tensor):
        self._point = point

    @property
    def mean(self) -> Tensor:
        return self._point

    def sample(self, randomness: Randomness, draws: int | None = None, shared: bool = False) -> Tensor:
        return self._point if draws is None else self._point.expand(draws, *self._point.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        return torch.zeros(z.shape[:-1], dtype=z.dtype, device=z.device)

    def log_ratio(self, prior: Prior, z: Tensor) -> Tensor:
        return self.log_prob(z)
