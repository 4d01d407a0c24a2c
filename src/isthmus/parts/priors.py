"""p(z): where codes come from when nothing is known about the row. Some priors are fitted to codes after training."""

import math
import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as ExpectationMaximisation
from torch import Tensor, nn

from ..core.randomness import Randomness


class Prior(ABC):
    """A distribution over codes."""

    # Whether `log_prob` is a probability of one of finitely many codes, and not a density.
    discrete: ClassVar[bool] = False

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, shape (...,) for codes (..., latent_dim)."""

    @abstractmethod
    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        """Codes drawn from the prior, shape (rows, latent_dim)."""


class StandardNormal(Prior):
    """N(0, 1) in each unit."""

    def __init__(self, latent_dim: int):
        self.latent_dim = latent_dim

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        return randomness.normal(rows, self.latent_dim)


class FittedPrior(nn.Module, Prior):
    """A prior whose numbers are buffers, so that they are saved with the model; their shapes are known after `fit`."""

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            stored = state_dict.get(prefix + name)
            if stored is not None:
                setattr(self, name, torch.empty_like(stored, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def fitted(self) -> bool:
        """Whether `fit` has run."""
        return any(buffer.numel() > 0 for buffer in self.buffers())


class GaussianMixture(FittedPrior):
    """A mixture of full-covariance Gaussians, fitted by expectation-maximisation to the codes of a plain autoencoder.

    Ghosh et al. (2020), "From variational to deterministic autoencoders", https://arxiv.org/abs/1903.12436, found
    that ten components give a plain autoencoder samples as good as a VAE's.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, latent_dim: int):
        super().__init__()
        self.latent_dim = latent_dim
        self.register_buffer("weights", torch.empty(0))  # (components,)
        self.register_buffer("means", torch.empty(0, latent_dim))  # (components, latent_dim)
        self.register_buffer("factors", torch.empty(0, latent_dim, latent_dim))  # lower Cholesky factors of covariances

    def fit(self, codes: Tensor, randomness: Randomness, components: int = 10, limit: int = 20_000) -> None:
        """Fit to codes (rows, latent_dim); fewer components where there are few rows, at most `limit` rows used."""
        draws = randomness.numpy()
        sample = codes.detach().cpu().double().numpy()
        if len(sample) > limit:
            sample = sample[draws.choice(len(sample), limit, replace=False)]
        # A full covariance has latent_dim²/2 numbers to learn: ask for several rows per number.
        affordable = len(sample) // max(1, 5 * self.latent_dim)
        scale = sample.std(0)
        scale = np.where(scale > 0, scale, 1.0)
        centre = sample.mean(0)
        fitter = ExpectationMaximisation(
            max(1, min(components, affordable)),
            # In units of each code's own variance: it keeps idle units from making a singular covariance.
            reg_covar=1e-4,
            random_state=int(draws.integers(2**31)),
            max_iter=100,
            tol=1e-2,
        )
        if len(np.unique(sample, axis=0)) == 1:
            sample = np.vstack([sample, sample + 1e-3, sample - 1e-3])  # a single point has no spread to fit
        with warnings.catch_warnings():
            # Stopping after max_iter leaves a valid, slightly less likely density.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitter.fit((sample - centre) / scale)
        like = {"dtype": codes.dtype, "device": codes.device}
        self.weights = torch.tensor(fitter.weights_, **like)
        self.means = torch.tensor(fitter.means_ * scale + centre, **like)
        factors = np.linalg.cholesky(np.asarray(fitter.covariances_)) * scale[:, None]
        self.factors = torch.tensor(factors, **like)

    def log_prob(self, z: Tensor) -> Tensor:
        centred = (z.unsqueeze(-2) - self.means).unsqueeze(-1)  # (..., components, latent_dim, 1)
        whitened = torch.linalg.solve_triangular(self.factors, centred, upper=False).squeeze(-1)
        log_volume = self.factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_density = -0.5 * (whitened.square() + math.log(2 * math.pi)).sum(-1) - log_volume
        return (self.weights.log() + log_density).logsumexp(-1)

    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        component = torch.searchsorted(self.weights.cumsum(0), randomness.uniform(rows)).clamp(
            max=len(self.weights) - 1
        )
        noise = randomness.normal(rows, self.latent_dim)
        return self.means[component] + (self.factors[component] @ noise.unsqueeze(-1)).squeeze(-1)


class CategoricalMixture(FittedPrior):
    """A mixture of products of categoricals (latent class model), fitted by expectation-maximisation to discrete codes.

    Codes are level numbers 0 … levels − 1 in each unit. Each component makes units independent; the mixture ties them.
    """

    weights: Tensor
    tables: Tensor

    def __init__(self, latent_dim: int, levels: int):
        super().__init__()
        self.latent_dim, self.levels = latent_dim, levels
        self.register_buffer("weights", torch.empty(0))  # (components,)
        self.register_buffer("tables", torch.empty(0, latent_dim, levels))  # (components, latent_dim, levels)

    def fit(self, levels: Tensor, randomness: Randomness, components: int = 50, iterations: int = 60) -> None:
        """Fit to level numbers (rows, latent_dim)."""
        components = max(1, min(components, len(levels) // 20))
        levels = levels.long()
        # (units, levels): how common each level is.
        marginal = torch.stack([unit.bincount(minlength=self.levels) for unit in levels.unbind(1)]).double()
        marginal = marginal / len(levels)
        # Each component starts at a random row, softened towards the marginal distribution of each unit.
        start = nn.functional.one_hot(levels[randomness.permutation(len(levels))[:components]], self.levels).double()
        self.weights = torch.full((components,), 1.0 / components, dtype=torch.float64, device=levels.device)
        self.tables = 0.5 * start + 0.4 * marginal + 0.1 / self.levels
        # One pseudo-count per unit, shared in the marginal's proportions, keeps unseen levels possible.
        smoothing = 0.9 * marginal + 0.1 / self.levels
        for _ in range(iterations):
            responsibility = self._log_joint(levels).softmax(-1)  # (rows, components)
            mass = responsibility.sum(0)
            # Summed level by level: a one-hot code of all rows would not fit into memory where levels are many.
            counts = torch.stack(
                [
                    responsibility.new_zeros(self.levels, components).index_add(0, unit, responsibility).T
                    for unit in levels.unbind(1)
                ],
                dim=1,
            )
            self.tables = (counts + smoothing) / (mass.view(-1, 1, 1) + 1.0)
            self.weights = (mass + 1.0) / (len(levels) + components)
        self.weights, self.tables = self.weights.float(), self.tables.float()

    def log_prob(self, z: Tensor) -> Tensor:
        return self._log_joint(z.long()).logsumexp(-1)

    def _log_joint(self, levels: Tensor) -> Tensor:
        """log p(component) p(levels | component), shape (..., components)."""
        log_tables = self.tables.log().permute(1, 2, 0)  # (units, levels, components)
        per_unit = (table[unit] for table, unit in zip(log_tables, levels.unbind(-1), strict=True))
        return sum(per_unit, self.weights.log())

    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        component = torch.searchsorted(self.weights.cumsum(0), randomness.uniform(rows)).clamp(
            max=len(self.weights) - 1
        )
        cumulative = self.tables[component].cumsum(-1)  # (rows, units, levels)
        draw = randomness.uniform(rows, self.latent_dim, 1)
        return torch.searchsorted(cumulative, draw).squeeze(-1).clamp(max=self.levels - 1)
