"""Codes drawn like those of the fitted rows: a flow from noise to codes, learned after the model.

A VAE's codes, taken over all rows, are not quite spread as its prior says, and rows decoded from the prior are not
quite like real ones; a second model of the codes mends that (Dai & Wipf, 2019, https://arxiv.org/abs/1903.05789; in
tables: Zhang et al., 2024, https://arxiv.org/abs/2310.09656). This one is flow matching (Lipman et al., 2023,
https://arxiv.org/abs/2210.02747): a velocity v(z, t) carries noise at t = 0 along straight lines to codes at t = 1.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.networks import Perceptron, built
from ..training.loop import train
from ..training.run import Plan
from ..variants.base import Variant, VariantOptions

WIDTHS = (128, 128)
# The time is told by sines and cosines of so many frequencies.
FREQUENCIES = 8
BATCH, LEARNING_RATE = 512, 2e-3
STEPS, MOST_EPOCHS = 3_000, 400
# Codes that are learned from, at most, and draws of each row's code.
MOST_CODES, DRAWS = 500_000, 8
# Of the path from noise to a code, taken by the midpoint rule.
PATH_STEPS = 8


class CodeFlow(Variant[VariantOptions]):
    """A variant without latent units, whose rows are codes (rows, latent_dim)."""

    centre: Tensor
    scale: Tensor
    frequencies: Tensor

    def __init__(self, latent_dim: int):
        nn.Module.__init__(self)
        self.opponent = None
        self.latent_dim = latent_dim
        self.register_buffer("epoch", torch.zeros(()), persistent=False)
        self.register_buffer("centre", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        self.register_buffer("frequencies", math.pi * torch.arange(1, FREQUENCIES + 1), persistent=False)
        self.network = Perceptron(latent_dim + 2 * FREQUENCIES, WIDTHS, latent_dim, "silu")

    def posterior(self, x: Tensor):
        raise TypeError("a flow of codes has no latent units")

    prior = posterior  # pyright: ignore[reportAssignmentType]: neither gives anything

    def velocity(self, z: Tensor, time: Tensor) -> Tensor:
        """v(z, t) for z (rows, latent_dim) and t (rows, 1), or (1, 1) for all rows."""
        angle = time * self.frequencies
        told = torch.cat([angle.sin(), angle.cos()], dim=-1).expand(len(z), -1)
        return self.network(torch.cat([z, told], dim=-1))

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        end = (x - self.centre) / self.scale
        start, time = randomness.normal(*end.shape), randomness.uniform(len(end), 1)
        velocity = self.velocity(torch.lerp(start, end, time), time)
        return Terms(velocity=(velocity - (end - start)).square().sum(-1))

    @torch.no_grad()
    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        """Codes (rows, latent_dim)."""
        z = randomness.normal(rows, self.latent_dim)
        for step in range(PATH_STEPS):
            time = z.new_full((1, 1), step / PATH_STEPS)
            half = z + self.velocity(z, time) / (2 * PATH_STEPS)
            z = z + self.velocity(half, time + 1 / (2 * PATH_STEPS)) / PATH_STEPS
        return self.centre + self.scale * z


@torch.no_grad()
def codes_of(model: Variant, x: Iterable[Tensor], rows: int, randomness: Randomness) -> Tensor:
    """Codes of so many rows x, drawn from their posteriors, (draws · rows, latent_dim)."""
    draws = max(1, min(DRAWS, MOST_CODES // max(rows, 1)))
    return torch.cat([model.posterior(batch).sample(randomness, draws).flatten(0, 1) for batch in x])


def fitted_flow(codes: Tensor, seed: int) -> CodeFlow:
    """A flow to codes (rows, latent_dim), on their device."""
    latent_dim = codes.shape[-1]
    flow = built(lambda: CodeFlow(latent_dim), Randomness(seed, "code flow"))
    assert isinstance(flow, CodeFlow)
    flow.centre.copy_(codes.mean(0))
    flow.scale.copy_(codes.std(0, correction=0).clamp(min=1e-6))
    epochs = math.ceil(min(MOST_EPOCHS, STEPS * BATCH / len(codes)))
    plan = Plan(epochs, BATCH, LEARNING_RATE, seed=seed)
    flow = flow.to(codes.device)
    train(flow, codes, None, plan, lambda rows, randomness: rows)
    return flow
