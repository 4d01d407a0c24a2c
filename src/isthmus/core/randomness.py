"""Seeded randomness that never touches global state.

A stream is named by a key, such as (seed, "noise", epoch). The same key gives the same numbers on every run, so nothing
needs to be stored for a training run to be resumed exactly, and two streams never share numbers by accident.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor

Key = int | str


def _digest(key: tuple[Key, ...]) -> int:
    """63 bits that depend on every part of the key and on the order of the parts."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Randomness:
    """A stream of random tensors on one device, set by its key."""

    def __init__(self, *key: Key, device: torch.device | str = "cpu"):
        self.key = key
        self.device = torch.device(device)
        self._generator = torch.Generator(device=self.device).manual_seed(self.seed)

    @property
    def seed(self) -> int:
        """The 63-bit number that the key stands for, for generators that want one."""
        return _digest(self.key)

    def child(self, *key: Key) -> "Randomness":
        """Another stream, independent of how much of this one has been drawn."""
        return Randomness(*self.key, *key, device=self.device)

    def normal(self, *shape: int) -> Tensor:
        """Draws from N(0, 1)."""
        return torch.randn(*shape, generator=self._generator, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Draws from the half-open interval [0, 1)."""
        return torch.rand(*shape, generator=self._generator, device=self.device)

    def permutation(self, length: int) -> Tensor:
        """A random order of 0 … length - 1, shape (length,)."""
        return torch.randperm(length, generator=self._generator, device=self.device)

    def numpy(self) -> np.random.Generator:
        """A NumPy generator of the same key, for libraries that take one."""
        return np.random.default_rng(_digest((*self.key, "numpy")))


class EvenRandomness(Randomness):
    """Numbers for means over draws: shapes are (draws, rows, …), and along the rows every number is the same.

    Over the draws they are spread evenly, one in each of as many equal parts of the distribution, in an order of its
    own for each place (Latin hypercube sampling; McKay, Beckman & Conover, 1979, https://doi.org/10.2307/1268522):
    means are far less noisy than those of independent draws.
    """

    def normal(self, *shape: int) -> Tensor:
        return torch.special.ndtri(self.uniform(*shape).double().clamp(min=2.0**-25)).float()

    def uniform(self, *shape: int) -> Tensor:
        draws, _, *rest = shape
        part = super().uniform(draws, 1, *rest).argsort(0)
        evenly = (part + super().uniform(draws, 1, *rest)) / draws
        return evenly.clamp(max=1 - 2.0**-24).expand(shape)


def seed_from(random_state: "int | np.integer | np.random.RandomState | np.random.Generator | None") -> int:
    """The seed that scikit-learn's `random_state` stands for; None means a fresh one from the operating system."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    return int(random_state)
