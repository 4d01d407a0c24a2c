"""The plain autoencoder, and its denoising, sparse and contractive forms."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..core.options import option
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.networks import ACTIVATIONS
from ..parts.posteriors import PointPosterior
from ..parts.priors import GaussianMixture
from .base import Networks, Variant, VariantOptions


class AutoencoderOptions(VariantOptions):
    noise: float = option(0.0, "standard deviation of noise on the input (denoising)", low=0, weight=True)
    sparsity: float = option(0.0, "weight on the sum of absolute codes (sparse)", low=0, weight=True)
    contraction: float = option(0.0, "weight on the squared slope of the codes (contractive)", low=0, weight=True)
    code_activation: Literal["identity", "relu", "tanh"] = option(
        "identity", "the f that gives the codes h = f(Wx + b)"
    )


class Autoencoder(Variant[AutoencoderOptions]):
    """Codes are points: h = f(x); the loss is the reconstruction's negative log-likelihood."""

    title: ClassVar[str] = "Autoencoder"
    paper: ClassVar[str] = (
        "Hinton & Salakhutdinov (2006), https://doi.org/10.1126/science.1127647; denoising: Vincent et al. (2008); "
        "contractive: Rifai et al. (2011)"
    )
    Options = AutoencoderOptions
    outputs_per_unit: ClassVar[int] = 1
    point_codes: ClassVar[bool] = True

    def __init__(self, networks: Networks, latent_dim: int, options: AutoencoderOptions):
        super().__init__(networks, latent_dim, options)
        if options.code_activation != "identity":
            self.encoder.network = nn.Sequential(self.encoder.network, ACTIVATIONS[options.code_activation]())
        self.density = GaussianMixture(latent_dim)

    def posterior(self, x: Tensor) -> PointPosterior:
        return PointPosterior(self.encoder(x))

    def prior(self) -> GaussianMixture:
        return self.density

    def fit_prior(self, x: Iterator[Tensor], randomness: Randomness) -> None:
        self.density.fit(torch.cat([self.posterior(batch).mean for batch in x]), randomness)

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        options = self.options
        features = self.encoder.features(x)
        if options.noise > 0:
            features = features + options.noise * randomness.normal(*features.shape)
        codes = self.encoder.network(features)
        terms = Terms(reconstruction=-self.likelihood(codes).objective(x))
        if options.sparsity > 0:
            terms["sparsity"] = options.sparsity * codes.abs().sum(-1)
        if options.contraction > 0:
            # ‖J‖² of the encoder's Jacobian J is the mean of ‖J v‖² over directions v ~ N(0, 1): one direction a step.
            direction = randomness.normal(*features.shape)
            slope = torch.func.jvp(self.encoder.network, (features,), (direction,))[1]
            terms["contraction"] = options.contraction * slope.square().sum(-1)
        return terms
