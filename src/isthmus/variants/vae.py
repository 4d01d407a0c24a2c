"""The variational autoencoder."""

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from ..core.options import option
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.networks import Encoder
from ..parts.posteriors import GaussianPosterior
from ..parts.schedules import free_bits
from .base import GaussianVariant, Networks, VariantOptions


class VAEOptions(VariantOptions):
    beta: float = option(1.0, "weight on the KL term; 1 gives the evidence lower bound", low=0, weight=True)
    free_bits: NonNegativeFloat | Literal["auto"] = option(
        "auto", "nats each latent unit may carry before its KL is charged; 'auto': 0.2 for texts, else 0"
    )
    warmup: float = option(0.0, "epochs over which the KL term's weight rises from 0, at most half of all", low=0)
    mask_fraction: float = option(
        0.0, "share of cells hidden from the encoder in training (tables, counts, series)", low=0, high=0.9
    )
    kl: Literal["closed form", "sampled"] = option("closed form", "how the KL term is found")


class VAE(GaussianVariant[VAEOptions]):
    """q(z|x) = N(μ, σ²), p(z) = N(0, 1); maximises E[log p(x|z)] − β KL(q(z|x) ‖ p(z))."""

    title: ClassVar[str] = "VAE"
    paper: ClassVar[str] = (
        "Kingma & Welling (2014), https://arxiv.org/abs/1312.6114; β: Higgins et al. (2017); "
        "free bits: Kingma et al. (2016), https://arxiv.org/abs/1606.04934; "
        "hidden cells: Ivanov et al. (2019), https://arxiv.org/abs/1806.02382; "
        "of counts: Liang et al. (2018), https://arxiv.org/abs/1802.05814"
    )
    Options = VAEOptions

    def __init__(self, networks: Networks, latent_dim: int, options: VAEOptions):
        super().__init__(networks, latent_dim, options)
        self.warmup_epochs = options.warmup
        self.free_bits = networks.free_bits if options.free_bits == "auto" else options.free_bits

    @property
    def idle_units_change_nothing(self) -> bool:
        return self.free_bits == 0  # else a unit at its floor counts, though it carries nothing

    def build_encoder(self, networks: Networks) -> Encoder:
        return networks.encoder(2 * self.latent_dim, hides_cells=self.options.mask_fraction > 0)

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        seen = self.seen(x, randomness)
        posterior = self.posterior(seen)
        z = posterior.sample(randomness)
        return Terms(
            reconstruction=-self.likelihood(z).objective(x, seen),
            kl=self.options.beta * self.warmed_up() * self.kl(posterior, z),
        )

    def seen(self, x: Tensor, randomness: Randomness) -> Tensor:
        """Rows as the encoder sees them: the decoder is asked for the hidden cells, too."""
        share = self.options.mask_fraction
        if share == 0:
            return x
        numbers = x if x.is_floating_point() else x.float()
        return numbers.masked_fill(randomness.uniform(*x.shape) < share, torch.nan)

    def kl(self, posterior: GaussianPosterior, z: Tensor) -> Tensor:
        """KL(q(z|x) ‖ p(z)) in nats, shape (rows,)."""
        sampled = self.options.kl == "sampled"
        per_unit = posterior.sampled_kl_per_unit(z) if sampled else posterior.kl_per_unit()
        return free_bits(per_unit, self.free_bits).sum(-1)
