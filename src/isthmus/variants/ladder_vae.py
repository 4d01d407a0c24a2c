"""The ladder VAE: two layers of latents, the upper one telling the lower one what to expect."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..core.options import option
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.distributions import Gaussian
from ..parts.divergences import gaussian_kl
from ..parts.likelihood import Likelihood
from ..parts.networks import Perceptron
from ..parts.posteriors import GaussianPosterior, Posterior, noise_like
from ..parts.priors import Prior, StandardNormal
from .base import Networks, Variant, VariantOptions


class LadderVAEOptions(VariantOptions):
    beta: float = option(1.0, "weight on the KL term; 1 gives the evidence lower bound", low=0, weight=True)
    warmup: float = option(100.0, "epochs over which the KL term's weight rises from 0, at most half of all", low=0)
    width: int = option(64, "hidden units between the two layers of latents", low=1)


class LadderVAE(Variant[LadderVAEOptions]):
    """p(x|z₁) p(z₁|z₂) p(z₂), with q(z₁|x, z₂) the precision-weighted meeting of what x and z₂ say of z₁.

    Codes are (z₁, z₂) side by side: the first two thirds of `latent_dim` are the lower layer.
    """

    title: ClassVar[str] = "LadderVAE"
    paper: ClassVar[str] = "Sønderby et al. (2016), https://arxiv.org/abs/1602.02282, Eq. 17 to 19"
    Options = LadderVAEOptions
    least_latent_dim: ClassVar[int] = 2

    def __init__(self, networks: Networks, latent_dim: int, options: LadderVAEOptions):
        self.upper = max(1, latent_dim // 3)
        self.lower = latent_dim - self.upper
        super().__init__(networks, latent_dim, options)
        # Without a warm-up the upper layer, and often part of the lower, falls silent and stays so.
        self.warmup_epochs = options.warmup
        self.climb = Perceptron(2 * latent_dim, (options.width,), 2 * self.upper)
        self.descend = Perceptron(self.upper, (options.width,), 2 * self.lower)

    @property
    def idle_units_change_nothing(self) -> bool:
        return False  # the two layers share one row of units, so that a smaller ladder is no corner of a larger one

    def build_decoder(self, networks: Networks) -> nn.Module:
        return networks.decoder(self.lower)

    def posterior(self, x: Tensor) -> "LadderPosterior":
        bottom = self.encoder(x)
        upper = GaussianPosterior(*self.climb(bottom).chunk(2, dim=-1))
        return LadderPosterior(self, Gaussian(*_bounded(bottom[..., : 2 * self.lower])), upper)

    def prior(self) -> "LadderPrior":
        return LadderPrior(self)

    def expected_lower(self, upper: Tensor) -> Gaussian:
        """p(z₁|z₂)."""
        return Gaussian(*_bounded(self.descend(upper)))

    def likelihood(self, z: Tensor) -> Likelihood:
        return self.decoder(z[..., : self.lower])

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        posterior = self.posterior(x)
        z = posterior.sample(randomness)
        return Terms(
            reconstruction=-self.likelihood(z).objective(x),
            kl=self.options.beta * self.warmed_up() * posterior.kl(z),
        )


class LadderPrior(Prior):
    """p(z₁|z₂) p(z₂), with z₂ ~ N(0, 1)."""

    def __init__(self, ladder: LadderVAE):
        self.ladder = ladder
        self.top = StandardNormal(ladder.upper)

    def log_prob(self, z: Tensor) -> Tensor:
        lower, upper = z.split([self.ladder.lower, self.ladder.upper], dim=-1)
        return self.ladder.expected_lower(upper).log_prob(lower).sum(-1) + self.top.log_prob(upper)

    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        upper = self.top.sample(rows, randomness)
        return torch.cat([self.ladder.expected_lower(upper).sample(randomness), upper], dim=-1)


class LadderPosterior(Posterior):
    """q(z₂|x) q(z₁|x, z₂)."""

    def __init__(self, ladder: LadderVAE, evidence: Gaussian, upper: GaussianPosterior):
        self.ladder, self.evidence, self.upper = ladder, evidence, upper

    def lower(self, upper: Tensor) -> Gaussian:
        """q(z₁|x, z₂): the product of the two Gaussians, means weighted by precision 1/σ²."""
        expected = self.ladder.expected_lower(upper)
        ours, theirs = (-2 * self.evidence.log_scale).exp(), (-2 * expected.log_scale).exp()
        mean = (ours * self.evidence.mean + theirs * expected.mean) / (ours + theirs)
        return Gaussian(mean, -0.5 * (ours + theirs).log())

    @property
    def mean(self) -> Tensor:
        return torch.cat([self.lower(self.upper.mean).mean, self.upper.mean], dim=-1)

    def sample(self, randomness: Randomness, draws: int | None = None, shared: bool = False) -> Tensor:
        upper = self.upper.sample(randomness, draws, shared)
        lower = self.lower(upper)
        noise = noise_like(self.evidence.mean, randomness, draws, shared)
        return torch.cat([lower.mean + lower.log_scale.exp() * noise, upper], dim=-1)

    def kl(self, z: Tensor) -> Tensor:
        """KL(q ‖ p) in nats, shape (rows,): the upper layer's plus the lower's given the drawn z₂, in closed form."""
        upper = z[..., self.ladder.lower :]
        lower = gaussian_kl(self.lower(upper), self.ladder.expected_lower(upper))
        return lower.sum(-1) + self.upper.kl_per_unit().sum(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        lower, upper = z.split([self.ladder.lower, self.ladder.upper], dim=-1)
        return self.lower(upper).log_prob(lower).sum(-1) + self.upper.log_prob(upper)


def _bounded(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Halves of the last dimension as mean and log scale, the latter within the bounds that posteriors keep."""
    mean, log_scale = numbers.chunk(2, dim=-1)
    return mean, log_scale.clamp(*GaussianPosterior.LOG_SCALE_BOUNDS)
