"""The TopK autoencoder: a dictionary of many features, of which a row lights only its few strongest."""

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import elu

from ..core.options import option
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.posteriors import PointPosterior
from ..parts.priors import GaussianMixture, Prior
from .base import Networks, Variant, VariantOptions

# Rows start by lighting so many times as many features (Makhzani & Frey, §4.2.1).
WIDE = 4
# The weight on what the unlit features are to learn (Gao et al., §A.2).
AUXILIARY_WEIGHT = 1 / 32


class TopKAutoencoderOptions(VariantOptions):
    active: int = option(4, "features that a row lights, at most; latent_dim is how many there are", low=1)


class SparsePrior(Prior):
    """A density of codes, whose draws keep their strongest units alone."""

    def __init__(self, density: Prior, active: int):
        self.density, self.active = density, active

    def log_prob(self, z: Tensor) -> Tensor:
        return self.density.log_prob(z)

    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        return strongest(self.density.sample(rows, randomness).relu(), self.active)


class TopKAutoencoder(Variant[TopKAutoencoderOptions]):
    """A plain autoencoder whose codes keep their k largest positive numbers, the rest 0.

    There may be more features than columns. With hidden=() both maps are linear: each feature adds a fixed direction.
    """

    title: ClassVar[str] = "TopK autoencoder"
    paper: ClassVar[str] = (
        "Makhzani & Frey (2013), https://arxiv.org/abs/1312.5663; with an auxiliary loss against features that "
        "nothing lights: Gao et al. (2024), https://arxiv.org/abs/2406.04093"
    )
    Options = TopKAutoencoderOptions
    outputs_per_unit: ClassVar[int] = 1
    point_codes: ClassVar[bool] = True

    def __init__(self, networks: Networks, latent_dim: int, options: TopKAutoencoderOptions):
        super().__init__(networks, latent_dim, options)
        self.active = min(options.active, latent_dim)
        self.warmup_epochs = math.inf  # half of the training, however long
        self.density = GaussianMixture(latent_dim)

    def posterior(self, x: Tensor) -> PointPosterior:
        return PointPosterior(strongest(self.encoder(x).relu(), self.active))

    def prior(self) -> SparsePrior:
        return SparsePrior(self.density, self.active)

    def fit_prior(self, x: Iterator[Tensor], randomness: Randomness) -> None:
        self.density.fit(torch.cat([self.posterior(batch).mean for batch in x]), randomness)

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        before = self.encoder(x)  # (rows, latent_dim)
        codes = self.warming(before.relu())
        # A feature that no row of the batch lights would learn nothing from the reconstruction. It is asked to mend
        # what the lit ones leave wrong, which they are not to answer for: their codes are held. Unlike the rectifier,
        # elu has a slope below 0, from where such features must return, and like it gives 0 for 0: idle units stay so.
        dark = ~(codes > 0).any(0)
        candidates = strongest(elu(before) * dark, self.active)
        mended = -self.likelihood(codes.detach() + candidates).objective(x)
        return Terms(
            reconstruction=-self.likelihood(codes).objective(x),
            auxiliary=AUXILIARY_WEIGHT * mended * (candidates != 0).any(-1),
        )

    def warming(self, codes: Tensor) -> Tensor:
        """Codes (rows, latent_dim) cut to `active` units, or while training warms up to more, ever fewer of them.

        Features that are cut off from the start never learn; where all compete, they become unlike first.
        """
        if not self.training:
            return strongest(codes, self.active)
        # Not from how many features there are: a model with idle ones goes the same way.
        factor = WIDE - (WIDE - 1) * torch.as_tensor(self.warmed_up())
        count = (factor * self.options.active).round().long().clamp(max=self.latent_dim)
        ordered = codes.topk(min(WIDE * self.options.active, self.latent_dim), dim=-1).values
        least = ordered.gather(-1, (count - 1).expand(len(codes), 1))
        return codes * (codes >= least)


def strongest(codes: Tensor, count: int) -> Tensor:
    """The codes (rows, units) with all but the `count` of largest size in each row made 0."""
    places = codes.abs().topk(count, dim=-1).indices
    return torch.zeros_like(codes).scatter(-1, places, codes.gather(-1, places))
