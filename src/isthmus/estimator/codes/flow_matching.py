"""Flow matching of codes (Lipman et al., 2023, https://arxiv.org/abs/2210.02747): a velocity v(z, t) carries noise at
t = 0 along straight lines to codes at t = 1. In tables: Zhang et al., 2024, https://arxiv.org/abs/2310.09656."""

import math

import torch
from torch import Tensor

from ...core.randomness import Randomness
from ...core.terms import Terms
from ...parts.networks import Perceptron
from .base import CodePrior

WIDTHS = (128, 128)
# The time is told by sines and cosines of so many frequencies.
FREQUENCIES = 8
# Of the path from noise to a code, taken by the midpoint rule.
PATH_STEPS = 8


class FlowMatching(CodePrior):
    """Codes at the end of the path that a learned velocity takes noise along."""

    frequencies: Tensor

    def __init__(self, latent_dim: int):
        super().__init__(latent_dim)
        self.register_buffer("frequencies", math.pi * torch.arange(1, FREQUENCIES + 1), persistent=False)
        self.network = Perceptron(latent_dim + 2 * FREQUENCIES, WIDTHS, latent_dim, "silu")

    def velocity(self, z: Tensor, time: Tensor) -> Tensor:
        """v(z, t) for z (rows, latent_dim) and t (rows, 1), or (1, 1) for all rows."""
        angle = time * self.frequencies
        told = torch.cat([angle.sin(), angle.cos()], dim=-1).expand(len(z), -1)
        return self.network(torch.cat([z, told], dim=-1))

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        end = self.standardised(x)
        start, time = randomness.normal(*end.shape), randomness.uniform(len(end), 1)
        velocity = self.velocity(torch.lerp(start, end, time), time)
        return Terms(velocity=(velocity - (end - start)).square().sum(-1))

    @torch.no_grad()
    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        z = randomness.normal(rows, self.latent_dim)
        for step in range(PATH_STEPS):
            time = z.new_full((1, 1), step / PATH_STEPS)
            half = z + self.velocity(z, time) / (2 * PATH_STEPS)
            z = z + self.velocity(half, time + 1 / (2 * PATH_STEPS)) / PATH_STEPS
        return self.centre + self.scale * z
