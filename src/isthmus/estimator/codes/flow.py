"""A normalising flow of codes: neural splines (Durkan et al., 2019, https://arxiv.org/abs/1906.04032), by zuko."""

import math
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from ...core.errors import OptionError
from ...core.randomness import Randomness
from ...core.terms import Terms
from .base import CodePrior

# Splines one after another, each given the codes before it (autoregressive), and their networks' hidden layers.
TRANSFORMS = 3
WIDTHS = (64, 64)


class NormalisingFlow(CodePrior):
    """Codes as an invertible map of noise, which has a density; trained by its likelihood."""

    def __init__(self, latent_dim: int):
        super().__init__(latent_dim)
        # The order of codes is turned round from one transformation to the next.
        self.flow = _zuko().flows.NSF(latent_dim, transforms=TRANSFORMS, hidden_features=WIDTHS)

    @classmethod
    def check_available(cls) -> None:
        _zuko()

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        noise, log_volume = self.flow.transform().call_and_ladj(self.standardised(x))
        return Terms(surprise=0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1) - log_volume)

    def log_prob(self, codes: Tensor) -> Tensor:
        """log p(code) in nats, shape (rows,)."""
        return -self.terms(codes, Randomness(0)).per_row - self.scale.log().sum()

    @torch.no_grad()
    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        noise = randomness.normal(rows, self.latent_dim)
        return self.centre + self.scale * self.flow.transform().inv(noise)


def _zuko() -> Any:
    try:
        return import_module("zuko")
    except ImportError:
        raise OptionError("prior='flow' needs zuko; install it with: pip install 'isthmus[flow]'") from None
