"""What every variant is: the contract between a model's few lines and everything that trains and uses it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ..core.options import Options
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.likelihood import Likelihood
from ..parts.networks import Encoder
from ..parts.posteriors import GaussianPosterior, Posterior
from ..parts.priors import Prior, StandardNormal
from ..parts.schedules import linear_warmup


class VariantOptions(Options):
    """Options of one variant; each is declared once, in the variant's own file."""


class Networks(Protocol):
    """Makes the networks that suit the data; the variant says only how many numbers go in and out."""

    @property
    def free_bits(self) -> float:
        """Nats that each unit may carry for nothing, where decoders of such data could do without codes; else 0."""
        ...

    def encoder(self, outputs: int, hides_cells: bool = False) -> Encoder: ...

    def decoder(self, inputs: int, shared_noise: bool = False) -> nn.Module: ...


@dataclass(frozen=True)
class Reduction:
    """At options `when`, a variant's loss equals that of the simpler `variant` at `options`, draw by draw."""

    variant: str
    when: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)


OptionsType = TypeVar("OptionsType", bound=VariantOptions)


class Variant(nn.Module, ABC, Generic[OptionsType]):
    """A model: a posterior, a prior, a likelihood, and the terms of a loss made from them.

    A variant never sees what rows are: its encoder takes them in, its decoder says how likely they are.
    """

    title: ClassVar[str]  # the name in the literature
    paper: ClassVar[str]  # where it was published
    Options: ClassVar[type[VariantOptions]] = VariantOptions
    reduces_to: ClassVar[Reduction | None] = None
    least_latent_dim: ClassVar[int] = 1

    # How many numbers the encoder gives for each latent unit.
    outputs_per_unit: ClassVar[int] = 2
    # Whether a row's code is a point, which has no density: its bound is the reconstruction alone. Real-valued columns
    # then share one learned noise scale. A point could copy one column exactly, whose own scale would shrink and its
    # density grow without limit; with one scale for all, the loss is the squared error.
    point_codes: ClassVar[bool] = False
    # Whether codes take a few values only, so that no density of codes can be fitted.
    discrete_codes: ClassVar[bool] = False
    # A second network with a loss of its own (adversarial models); its parameters are the opponent's, not the model's.
    opponent: nn.Module | None

    # Epochs over which the variant's own options still change its loss; training does not lose patience before.
    warmup_epochs: float = 0.0
    # Training writes here how many epochs have passed, as a fraction, and how many there are to be.
    epoch: Tensor
    epochs: float = math.inf

    def __init__(self, networks: Networks, latent_dim: int, options: OptionsType):
        super().__init__()
        self.opponent = None
        self.latent_dim = latent_dim
        self.options = options
        self.encoder = self.build_encoder(networks)
        self.decoder = self.build_decoder(networks)
        self.register_buffer("epoch", torch.zeros(()), persistent=False)

    def build_encoder(self, networks: Networks) -> Encoder:
        """The network from rows to what a posterior is made of."""
        return networks.encoder(self.latent_dim * self.outputs_per_unit)

    def build_decoder(self, networks: Networks) -> nn.Module:
        """The network from codes to a likelihood."""
        return networks.decoder(self.latent_dim, shared_noise=self.point_codes)

    @abstractmethod
    def posterior(self, x: Tensor) -> Posterior:
        """q(z|x) for each row."""

    @abstractmethod
    def prior(self) -> Prior:
        """p(z)."""

    def likelihood(self, z: Tensor) -> Likelihood:
        """p(x|z) for codes of shape (..., latent_dim)."""
        return self.decoder(z)

    @abstractmethod
    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        """The parts of the loss, per row, in nats."""

    def opponent_terms(self, x: Tensor, randomness: Randomness) -> Terms:
        """The parts of the opponent's loss, per row; only variants with an opponent have any."""
        raise TypeError(f"{self.title} has no opponent")

    def fit_prior(self, x: Iterator[Tensor], randomness: Randomness) -> None:
        """Called once after training with batches of the training rows; most priors need no fitting."""

    def log_bound(self, x: Tensor, randomness: Randomness, draws: int, shared: bool = False) -> Tensor:
        """The importance-weighted bound log 1/K Σ p(x, z)/q(z|x) with K draws, in nats, shape (rows,).

        One draw estimates the evidence lower bound; more draws come closer to log p(x) from below (Burda et al., 2016,
        Eq. 8, https://arxiv.org/abs/1509.00519). For a point posterior it is the log-likelihood of the reconstruction.
        """
        posterior = self.posterior(x)
        z = posterior.sample(randomness, draws, shared)
        log_weights = self.likelihood(z).log_prob(x) + posterior.log_ratio(self.prior(), z)  # (draws, rows)
        return log_weights.logsumexp(0) - math.log(draws)

    @property
    def idle_units_change_nothing(self) -> bool:
        """Whether a unit whose weights and noise are all 0 leaves every term as it would be without that unit.

        Models of several sizes are then trained in one step, the smaller ones as larger ones with idle units.
        """
        return True

    @property
    def warmup_length(self) -> float:
        """Epochs until the warm-up is over: at most half of the training, so that the rest sees the whole loss."""
        return min(self.warmup_epochs, self.epochs / 2)

    def warmed_up(self) -> Tensor | float:
        """The share of its weight that a term under warm-up has by now; outside training always 1."""
        if not self.training or self.warmup_epochs == 0:
            return 1.0
        return linear_warmup(self.epoch, self.warmup_length)

    def own_parameters(self) -> list[nn.Parameter]:
        """Parameters that `terms` trains."""
        rivals = set(self.opponent.parameters()) if self.opponent is not None else set()
        return [parameter for parameter in self.parameters() if parameter not in rivals]


class GaussianVariant(Variant[OptionsType]):
    """The common case: q(z|x) = N(μ, σ²) with independent units, p(z) = N(0, 1)."""

    def posterior(self, x: Tensor) -> GaussianPosterior:
        return GaussianPosterior(*self.encoder(x).chunk(2, dim=-1))

    def prior(self) -> StandardNormal:
        return StandardNormal(self.latent_dim)
