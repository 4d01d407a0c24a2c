"""The random numbers of a step, drawn before it.

A step that is compiled, captured or shared by several models cannot draw numbers itself. So the step is run once on a
`NotedRandomness`, which tells what it asks for; from then on each model's own stream is asked for the same, in the same
order, and the step is given the numbers. They are those that the step would have drawn, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.randomness import Key, Randomness


@dataclass(frozen=True)
class Request:
    """One draw: of which kind ("normal", "uniform" or "permutation"), and its shape, or length."""

    kind: str
    shape: tuple[int, ...]

    def drawn(self, randomness: Randomness) -> Tensor:
        return getattr(randomness, self.kind)(*self.shape)

    def idle(self, device: torch.device) -> Tensor:
        """What is given to those who do not ask: a permutation in order, else zeros."""
        if self.kind == "permutation":
            return torch.arange(*self.shape, device=device)
        return torch.zeros(self.shape, device=device)


class NotedRandomness(Randomness):
    """A stream that keeps a list of what it was asked for."""

    def __init__(self, *key: Key, device: torch.device | str = "cpu"):
        super().__init__(*key, device=device)
        self.requests: list[Request] = []

    def normal(self, *shape: int) -> Tensor:
        self.requests.append(Request("normal", shape))
        return super().normal(*shape)

    def uniform(self, *shape: int) -> Tensor:
        self.requests.append(Request("uniform", shape))
        return super().uniform(*shape)

    def permutation(self, length: int) -> Tensor:
        self.requests.append(Request("permutation", (length,)))
        return super().permutation(length)


class GivenRandomness(Randomness):
    """Gives numbers that were drawn before, in their order."""

    def __init__(self, numbers: Sequence[Tensor]):
        self.numbers = list(numbers)
        self.given = 0

    def _next(self, *shape: int) -> Tensor:
        number = self.numbers[self.given]
        if tuple(number.shape) != shape:
            raise ValueError(f"random numbers of shape {shape} were asked for where {tuple(number.shape)} were drawn")
        self.given += 1
        return number

    def normal(self, *shape: int) -> Tensor:
        return self._next(*shape)

    def uniform(self, *shape: int) -> Tensor:
        return self._next(*shape)

    def permutation(self, length: int) -> Tensor:
        return self._next(length)


def padded(numbers: Tensor, request: Request) -> Tensor:
    """Numbers that a smaller model drew, as large as a larger one asks for: filled up with what idle units get."""
    if tuple(numbers.shape) == request.shape:
        return numbers
    larger = request.idle(numbers.device)
    larger[tuple(slice(size) for size in numbers.shape)] = numbers
    return larger
