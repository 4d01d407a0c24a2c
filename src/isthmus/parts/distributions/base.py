"""What every distribution offers."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...core.randomness import Randomness


class Distribution(ABC):
    """Independent univariate distributions, one per element of the parameters' broadcast shape.

    Everything is plain tensor arithmetic: no argument is checked and no value is read back to the host, so that a
    training step can be compiled, batched over models or captured as one graph. Bounding the scales is the job of
    whoever makes the parameters.
    """

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log density, or log mass, of each element of `x` in nats; `x` and the parameters broadcast.

        `x` must not be NaN: put any possible value in the place of a missing one and drop the result, since a NaN that
        is dropped afterwards still reaches the gradients.
        """

    @abstractmethod
    def sample(self, randomness: Randomness) -> Tensor:
        """One draw per element, of the parameters' broadcast shape."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The expectation of each element."""

    @property
    @abstractmethod
    def mode(self) -> Tensor:
        """The best single guess for each element."""


def tensor_like(value: float | Tensor, like: Tensor) -> Tensor:
    """`value` as a tensor: a number becomes a scalar like `like`, with no copy from the host."""
    return value if isinstance(value, Tensor) else like.new_full((), value)


def open_uniform(randomness: Randomness, shape: tuple[int, ...]) -> Tensor:
    """Draws from the open interval (0, 1), so that their logarithms are finite."""
    # The generator gives multiples of 2⁻²⁴ from 0 on; 0 stands for the interval [0, 2⁻²⁴) and is moved to its middle.
    return randomness.uniform(*shape).clamp_min(2.0**-25)


def drawn_by_numpy(draw: Callable[..., np.ndarray], randomness: Randomness, *parameters: Tensor) -> Tensor:
    """What NumPy draws with these parameters, which it broadcasts: torch lacks some distributions on some devices.

    The generator's seed comes from the stream itself, so that the next draws are others.
    """
    seed = (randomness.uniform(2).double() * 2**24).long().tolist()
    values = draw(np.random.default_rng(seed), *(each.detach().cpu().double().numpy() for each in parameters))
    return torch.from_numpy(np.asarray(values)).to(parameters[0])
