"""Finite scalar quantisation: each latent unit takes one of a few levels; a prior over levels is fitted afterwards."""

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from ..core.options import option
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.posteriors import PointPosterior
from ..parts.priors import CategoricalMixture, Prior
from .base import Networks, Variant, VariantOptions


class FSQOptions(VariantOptions):
    levels: int = option(8, "values that each latent unit can take", low=2, high=1024)


class LevelPrior(Prior):
    """A prior over level numbers, seen as one over codes in [−1, 1]."""

    discrete: ClassVar[bool] = True

    def __init__(self, classes: CategoricalMixture):
        self.classes = classes

    def log_prob(self, z: Tensor) -> Tensor:
        return self.classes.log_prob(codes_to_levels(z, self.classes.levels))

    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        return levels_to_codes(self.classes.sample(rows, randomness), self.classes.levels)


class FSQ(Variant[FSQOptions]):
    """A discrete code without a codebook to learn or to collapse; rounding passes gradients straight through."""

    title: ClassVar[str] = "FSQ"
    paper: ClassVar[str] = (
        "Mentzer et al. (2024), https://arxiv.org/abs/2309.15505; it stands in for VQ-VAE, "
        "van den Oord et al. (2017), https://arxiv.org/abs/1711.00937"
    )
    Options = FSQOptions
    outputs_per_unit: ClassVar[int] = 1
    point_codes: ClassVar[bool] = True
    discrete_codes: ClassVar[bool] = True

    def __init__(self, networks: Networks, latent_dim: int, options: FSQOptions):
        super().__init__(networks, latent_dim, options)
        self.classes = CategoricalMixture(latent_dim, options.levels)

    def posterior(self, x: Tensor) -> PointPosterior:
        continuous = torch.tanh(self.encoder(x))
        levels = self.options.levels
        nearest = levels_to_codes(codes_to_levels(continuous, levels), levels)
        # Forward: the nearest level. Backward: as if there were no rounding.
        return PointPosterior(continuous + (nearest - continuous).detach())

    def prior(self) -> LevelPrior:
        return LevelPrior(self.classes)

    def fit_prior(self, x: Iterator[Tensor], randomness: Randomness) -> None:
        codes = torch.cat([self.posterior(batch).mean for batch in x])
        self.classes.fit(codes_to_levels(codes, self.options.levels), randomness)

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        return Terms(reconstruction=-self.likelihood(self.posterior(x).mean).objective(x))


def codes_to_levels(codes: Tensor, levels: int) -> Tensor:
    """Codes in [−1, 1] → level numbers 0 … levels − 1."""
    return ((codes + 1) * ((levels - 1) / 2)).round().clamp(0, levels - 1)


def levels_to_codes(levels: Tensor, count: int) -> Tensor:
    """Level numbers 0 … count − 1 → evenly spaced codes in [−1, 1]."""
    return levels * (2 / (count - 1)) - 1
