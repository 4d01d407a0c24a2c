"""What every model of codes is."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...variants.base import Variant, VariantOptions


class CodePrior(Variant[VariantOptions]):
    """A variant without latent units, whose rows are codes (rows, latent_dim); trained by the one loop."""

    centre: Tensor
    scale: Tensor

    def __init__(self, latent_dim: int):
        nn.Module.__init__(self)
        self.opponent = None
        self.latent_dim = latent_dim
        self.register_buffer("epoch", torch.zeros(()), persistent=False)
        self.register_buffer("centre", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))

    @classmethod
    def check_available(cls) -> None:
        """Raises OptionError where a package is lacking; asked before anything is trained."""

    @abstractmethod
    def sample(self, rows: int, randomness: Randomness) -> Tensor:
        """Codes (rows, latent_dim)."""

    def posterior(self, x: Tensor):
        raise TypeError("a model of codes has no latent units")

    prior = posterior  # pyright: ignore[reportAssignmentType]: neither gives anything

    def standardised(self, codes: Tensor) -> Tensor:
        """Codes of zero mean and unit variance."""
        return (codes - self.centre) / self.scale
