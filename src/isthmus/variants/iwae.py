"""The importance-weighted autoencoder: several draws per row, a tighter bound."""

from typing import ClassVar

from torch import Tensor

from ..core.options import option
from ..core.randomness import Randomness
from ..core.terms import Terms
from .base import GaussianVariant, Reduction, VariantOptions


class IWAEOptions(VariantOptions):
    draws: int = option(5, "draws per row; 1 gives the VAE, more come closer to the likelihood", low=1, high=10_000)


class IWAE(GaussianVariant[IWAEOptions]):
    """Maximises log 1/K Σ p(x, z_k) / q(z_k|x) over K draws."""

    title: ClassVar[str] = "IWAE"
    paper: ClassVar[str] = "Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519, Eq. 8"
    Options = IWAEOptions
    reduces_to = Reduction("vae", when={"draws": 1}, options={"kl": "sampled"})

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        return Terms(bound=-self.log_bound(x, randomness, self.options.draws))
