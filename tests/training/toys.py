"""A small model and data that trains in a fraction of a second, and variants that misbehave on purpose."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from isthmus import variants
from isthmus.core.randomness import Randomness
from isthmus.core.terms import Terms
from isthmus.parts.distributions import Gaussian
from isthmus.parts.likelihood import Likelihood
from isthmus.parts.networks import Decoder, Encoder, Perceptron, built
from isthmus.training.members import Members
from isthmus.training.step import Draw
from isthmus.training.validation import Validation
from isthmus.variants.base import Variant
from isthmus.variants.vae import VAE, VAEOptions

FEATURES = 5


class Numbers(Likelihood):
    """Standard normal noise around each feature."""

    def __init__(self, mean: Tensor):
        self.units = Gaussian(mean, torch.zeros(()))

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        return self.units.log_prob(x)

    def sample(self, randomness: Randomness) -> Tensor:
        return self.units.sample(randomness)

    def mode(self) -> Tensor:
        return self.units.mode


class Head(nn.Module):
    def forward(self, outputs: Tensor) -> Numbers:
        return Numbers(outputs)


class Networks:
    free_bits = 0.0

    def encoder(self, outputs: int, hides_cells: bool = False) -> Encoder:
        return Encoder(nn.Identity(), Perceptron(FEATURES, (8,), outputs))

    def decoder(self, inputs: int, shared_noise: bool = False) -> nn.Module:
        return Decoder(Perceptron(inputs, (8,), FEATURES), Head())


def rows(count: int = 70, seed: int = 0) -> Tensor:
    """Rows of one factor and noise, shape (count, FEATURES)."""
    randomness = Randomness(seed, "rows")
    return randomness.normal(count, 1) * torch.linspace(-2, 2, FEATURES) + 0.3 * randomness.normal(count, FEATURES)


def model(kind: type[Variant] | str = "vae", seed: int = 0) -> Variant:
    variant = variants.find(kind) if isinstance(kind, str) else kind
    made = built(lambda: variant(Networks(), 3, variant.Options()), Randomness(seed, "model"))
    assert isinstance(made, Variant)
    return made


def as_is(x: Tensor, randomness: Randomness) -> Tensor:
    return x


def validated(variant: Variant, x: Tensor, draw: Draw, seed: int) -> dict[str, float]:
    """The means of the terms on rows that are held out."""
    return Validation(x, draw).means(Members([variant]), [seed])[0]


class Fragile(VAE):
    """Its training loss is not a number at the last step of epoch `breaks_at`, the first `bearable` times."""

    breaks_at: ClassVar[float] = 3.0
    bearable: ClassVar[int] = 1
    damage: ClassVar[float] = float("nan")

    def __init__(self, networks: Networks, latent_dim: int, options: VAEOptions):
        super().__init__(networks, latent_dim, options)
        self.breaks = 0

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        terms = super().terms(x, randomness)
        return Terms(terms | {"kl": terms["kl"] + self.damage}) if self.breaks_now() else terms

    def breaks_now(self) -> bool:
        at_last_step = self.training and self.breaks_at + 0.75 < self.epoch < self.breaks_at + 1
        self.breaks += at_last_step
        return bool(at_last_step and self.breaks <= self.bearable)


class Hopeless(Fragile):
    bearable: ClassVar[int] = 10**9


class BrokenGradient(Fragile):
    """A finite loss whose gradient is not: √0."""

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        terms = super(Fragile, self).terms(x, randomness)
        if not self.breaks_now():
            return terms
        return Terms(terms | {"kl": terms["kl"] + (0.0 * self.posterior(x).mean.sum(-1)).sqrt()})
