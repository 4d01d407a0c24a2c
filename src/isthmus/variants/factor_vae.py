"""FactorVAE: an opponent measures how far the latent units are from independent, and the model is charged for it."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..core.options import option
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.networks import Perceptron
from .base import GaussianVariant, Networks, Reduction, VariantOptions


class FactorVAEOptions(VariantOptions):
    gamma: float = option(10.0, "weight on the total correlation of the codes; 0 gives the VAE", low=0, weight=True)


class FactorVAE(GaussianVariant[FactorVAEOptions]):
    """The VAE's loss plus γ · TC(z), the opponent's estimate of KL(q(z) ‖ Π q(z_j))."""

    title: ClassVar[str] = "FactorVAE"
    paper: ClassVar[str] = "Kim & Mnih (2018), https://arxiv.org/abs/1802.05983, Eq. 2 and 3"
    Options = FactorVAEOptions
    reduces_to = Reduction("vae", when={"gamma": 0.0})

    opponent: Perceptron

    def __init__(self, networks: Networks, latent_dim: int, options: FactorVAEOptions):
        super().__init__(networks, latent_dim, options)
        self.opponent = Perceptron(latent_dim, (128, 128), 1)

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        posterior = self.posterior(x)
        z = posterior.sample(randomness)
        return Terms(
            reconstruction=-self.likelihood(z).objective(x),
            kl=posterior.kl_per_unit().sum(-1),
            # The opponent's logit is log q(z) − log Π q(z_j): the density-ratio trick.
            total_correlation=self.options.gamma * self.opponent(z).squeeze(-1),
        )

    def opponent_terms(self, x: Tensor, randomness: Randomness) -> Terms:
        with torch.no_grad():
            z = self.posterior(x).sample(randomness)
        # Shuffling each unit among the rows gives draws from Π q(z_j).
        shuffled = torch.stack([unit[randomness.permutation(len(z))] for unit in z.unbind(-1)], dim=-1)
        return Terms(
            joint=softplus(-self.opponent(z)).squeeze(-1),
            shuffled=softplus(self.opponent(shuffled)).squeeze(-1),
        )
