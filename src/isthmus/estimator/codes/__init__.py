"""Codes drawn like those of the fitted rows: a model of codes, learned after the model of rows.

A VAE's codes, taken over all rows, are not quite spread as its prior says, and rows decoded from the prior are not
quite like real ones; a second model of the codes mends that (Dai & Wipf, 2019, https://arxiv.org/abs/1903.05789).
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ...core.randomness import Randomness
from ...parts.networks import built
from ...training.loop import train
from ...training.run import Plan
from ...variants.base import Variant
from .base import CodePrior
from .flow import NormalisingFlow
from .flow_matching import FlowMatching

PRIORS: dict[str, type[CodePrior]] = {"flow_matching": FlowMatching, "flow": NormalisingFlow}
BATCH, LEARNING_RATE = 512, 2e-3
STEPS, MOST_EPOCHS = 3_000, 400
# Codes that are learned from, at most, and draws of each row's code.
MOST_CODES, DRAWS = 500_000, 8


@torch.no_grad()
def codes_of(model: Variant, x: Iterable[Tensor], rows: int, randomness: Randomness) -> Tensor:
    """Codes of so many rows x, drawn from their posteriors, (draws · rows, latent_dim)."""
    draws = max(1, min(DRAWS, MOST_CODES // max(rows, 1)))
    return torch.cat([model.posterior(batch).sample(randomness, draws).flatten(0, 1) for batch in x])


def fitted_prior(name: str, codes: Tensor, seed: int) -> CodePrior:
    """The model of this name, fitted to codes (rows, latent_dim), on their device."""
    latent_dim = codes.shape[-1]
    prior = built(lambda: PRIORS[name](latent_dim), Randomness(seed, "code flow"))
    assert isinstance(prior, CodePrior)
    prior.centre.copy_(codes.mean(0))
    prior.scale.copy_(codes.std(0, correction=0).clamp(min=1e-6))
    epochs = math.ceil(min(MOST_EPOCHS, STEPS * BATCH / len(codes)))
    plan = Plan(epochs, BATCH, LEARNING_RATE, seed=seed)
    prior = prior.to(codes.device)
    train(prior, codes, None, plan, lambda rows, randomness: rows)
    return prior
