"""The distribution of something certain."""

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .base import Distribution


class PointMass(Distribution):
    """Always `value`.

    By convention its log density is 0 everywhere. A point mass has none, but with 0 the evidence lower bound of a model
    whose posterior is a point mass is its reconstruction term: a plain autoencoder is then a case of the same bound.
    """

    def __init__(self, value: Tensor):
        self.value = value

    def log_prob(self, x: Tensor) -> Tensor:
        return self.value.new_zeros(torch.broadcast_shapes(x.shape, self.value.shape))

    def sample(self, randomness: Randomness) -> Tensor:
        """The value itself, so gradients pass; nothing is drawn."""
        return self.value

    @property
    def mean(self) -> Tensor:
        return self.value

    @property
    def mode(self) -> Tensor:
        return self.value
