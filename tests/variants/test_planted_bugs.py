"""Bugs that real libraries had, planted on purpose: each is caught by the check that is there for it."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.core.options import option
from isthmus.core.randomness import Randomness
from isthmus.core.terms import Terms
from isthmus.parts.posteriors import GaussianPosterior
from isthmus.variants.base import Variant
from isthmus.variants.factor_vae import FactorVAE
from isthmus.variants.fsq import FSQ
from isthmus.variants.iwae import IWAE
from isthmus.variants.vae import VAE, VAEOptions

from . import contract


class BetaIgnored(VAE):
    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        posterior = self.posterior(x)
        z = posterior.sample(randomness)
        kl = self.warmed_up() * self.kl(posterior, z)
        return Terms(reconstruction=-self.likelihood(z).log_prob(x), kl=kl)


class WarmupIgnored(VAE):
    def warmed_up(self) -> float:
        return 1.0


class KLClampedToZero(VAE):
    def kl(self, posterior: GaussianPosterior, z: Tensor) -> Tensor:
        return super().kl(posterior, z).clamp(0.0, 0.0)


class KLAveragedOverUnits(VAE):
    def kl(self, posterior: GaussianPosterior, z: Tensor) -> Tensor:
        return super().kl(posterior, z) / self.latent_dim


class KLWithVarianceForScale(VAE):
    def kl(self, posterior: GaussianPosterior, z: Tensor) -> Tensor:
        mistaken = GaussianPosterior(posterior.mean, 2 * posterior.units.log_scale)
        return super().kl(mistaken, z)


class ReconstructionAveragedOverFeatures(VAE):
    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        terms = super().terms(x, randomness)
        terms["reconstruction"] = terms["reconstruction"] / x[0].numel()
        return terms


class TermsAveragedOverRows(VAE):
    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        return Terms({name: value.mean() for name, value in super().terms(x, randomness).items()})


class DetachedEncoder(VAE):
    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        z = self.posterior(x).sample(randomness).detach()
        return Terms(reconstruction=-self.likelihood(z).log_prob(x))


class CodesDrawn(VAE):
    def posterior(self, x: Tensor) -> GaussianPosterior:
        posterior = super().posterior(x)
        noise = Randomness(int(torch.empty(()).uniform_(0, 2**30))).normal(*posterior.mean.shape)
        return GaussianPosterior(posterior.mean + 0.1 * noise, posterior.units.log_scale)


class CodesDependOnTheBatch(VAE):
    def posterior(self, x: Tensor) -> GaussianPosterior:
        posterior = super().posterior(x)
        return GaussianPosterior(posterior.mean - posterior.mean[:1], posterior.units.log_scale)


class NoiseScaledByVariance(VAE):
    def posterior(self, x: Tensor) -> GaussianPosterior:
        posterior = super().posterior(x)

        class Mistaken(GaussianPosterior):
            def sample(self, randomness: Randomness, draws: int | None = None, shared: bool = False) -> Tensor:
                return self.mean + 1.3 * (super().sample(randomness, draws, shared) - self.mean)

        return Mistaken(posterior.mean, posterior.units.log_scale)


class OpponentTrainedByTheModel(FactorVAE):
    def own_parameters(self) -> list[nn.Parameter]:
        return list(self.parameters())


class BoundSummedOverDraws(IWAE):
    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        return Terms(bound=-self.log_bound(x, randomness, 50) - math.log(50))


class PenaltyWithoutItsWeight(FactorVAE):
    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        terms = super().terms(x, randomness)
        z = self.posterior(x).sample(randomness)
        return Terms(terms | {"total_correlation": self.opponent(z).squeeze(-1)})


class RoundingWithoutGradient(FSQ):
    def posterior(self, x: Tensor) -> Any:
        posterior = super().posterior(x)
        posterior._point = posterior._point.detach()
        return posterior


class UselessOptions(VAEOptions):
    sharpness: float = option(1.0, "an option that nothing reads", low=0)


class OptionNobodyReads(VAE):
    Options = UselessOptions


@pytest.mark.parametrize("domain", ["table", "image"])
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (BetaIgnored, contract.check_every_option_changes_the_loss),
        (WarmupIgnored, contract.check_every_option_changes_the_loss),
        (OptionNobodyReads, contract.check_every_option_changes_the_loss),
        (KLClampedToZero, contract.check_every_option_changes_the_loss),
        (KLClampedToZero, contract.check_kl_is_the_divergence_from_the_prior),
        (KLAveragedOverUnits, contract.check_kl_is_the_divergence_from_the_prior),
        (KLWithVarianceForScale, contract.check_kl_is_the_divergence_from_the_prior),
        (ReconstructionAveragedOverFeatures, contract.check_reconstruction_is_a_sum_over_features),
        (ReconstructionAveragedOverFeatures, contract.check_bound_is_between_the_elbo_and_the_likelihood),
        (TermsAveragedOverRows, contract.check_terms_are_per_row_and_sum_to_the_loss),
        (DetachedEncoder, contract.check_every_parameter_gets_a_gradient),
        (RoundingWithoutGradient, contract.check_every_parameter_gets_a_gradient),
        (CodesDrawn, contract.check_codes_are_the_same_every_time),
        (CodesDependOnTheBatch, contract.check_codes_are_the_same_every_time),
        (NoiseScaledByVariance, contract.check_densities_are_normalised),
        (OpponentTrainedByTheModel, contract.check_each_player_moves_its_own_parameters_only),
        (BoundSummedOverDraws, contract.check_bound_is_between_the_elbo_and_the_likelihood),
        (PenaltyWithoutItsWeight, contract.check_reduction_holds_draw_by_draw),
        (PenaltyWithoutItsWeight, contract.check_every_option_changes_the_loss),
    ],
)
@pytest.mark.slow
def test_planted_bug_is_caught(
    bug: type[Variant], check: Callable[[type[Variant], contract.Toy], None], domain: str
) -> None:
    torch.set_num_threads(1)
    with pytest.raises(AssertionError):
        check(bug, contract.toy(domain))


@pytest.mark.slow
def test_the_variant_without_the_bug_passes() -> None:
    """The checks above fail because of the bugs, not because of the subclassing."""

    class Sound(VAE):
        pass

    for check in contract.CHECKS:
        check(Sound, contract.toy("table"))
