"""A gated recurrent unit over sequences that each have a length of their own."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Sequences that go through a network together where a row's result must not depend on its neighbours: products with as
# many rows each time round every row alike, and sequences of about one length waste no steps on one another.
STEADY_ROWS = 32


class Recurrence(nn.Module):
    """h' = (1 − u) n + u h with n = tanh(x + r (W h + b)), r and u gates (Cho et al., 2014,
    https://arxiv.org/abs/1406.1078).

    What is given to each step, (rows, 3 width), is that part of the gates which does not come from the state: whoever
    looks it up in a table, as of symbols, spares a product.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.of_state = nn.Linear(width, 3 * width)
        # Orthogonal, so that what is remembered neither grows nor fades at first.
        for part in self.of_state.weight.data.split(width):
            nn.init.orthogonal_(part)

    def forward(self, given: Tensor, state: Tensor) -> Tensor:
        """One step: (rows, 3 width) and states (rows, width) → states."""
        own = self.of_state(state)
        size = 2 * self.width
        reset, update = torch.sigmoid(given[..., :size] + own[..., :size]).chunk(2, -1)
        new = torch.tanh(given[..., size:] + reset * own[..., size:])
        return torch.lerp(new, state, update)

    def states(self, given: Tensor, state: Tensor, part: "Part") -> Tensor:
        """The states (steps of all sequences, width) after each step of sequences that start from `state` (rows,
        width), one step after another as `part.rows` and `part.steps` say, which is also the order of `given`."""
        states = []
        # Split once: slices would each have a gradient as large as the whole.
        for own in given.split(part.going):
            state = self(own, state[: len(own)])
            states.append(state)
        return torch.cat(states) if states else state[:0]


@dataclass(frozen=True)
class Part:
    """Sequences that go through a network together, the longest first."""

    numbers: Tensor  # of the sequences among all, (sequences,)
    going: list[int]  # how many of them, the first ones, take each step

    @property
    def rows(self) -> Tensor:
        """The sequence, counted within the part, of each state of `Recurrence.states`."""
        device = self.numbers.device
        counted = torch.arange(len(self.numbers), device=device)
        return torch.cat([counted[:going] for going in self.going]) if self.going else counted[:0]

    @property
    def steps(self) -> Tensor:
        """The step of each state."""
        going = torch.tensor(self.going, dtype=torch.long, device=self.numbers.device)
        return torch.arange(len(self.going), device=going.device).repeat_interleave(going)

    def places(self, steps: Tensor) -> Tensor:
        """Where the state of each sequence after such a step lies, (sequences,)."""
        going = torch.tensor([0, *self.going], dtype=torch.long, device=steps.device)
        return going.cumsum(0)[steps] + torch.arange(len(steps), device=steps.device)


def in_parts(lengths: Tensor, steady: bool) -> Iterator[Part]:
    """Sequences of these lengths in parts.

    Where they are to be `steady`, a part has exactly STEADY_ROWS sequences, which all go on until the longest ends; the
    last part is filled up with its last sequence. Else all are one part, and each ends in its own time.
    """
    order = lengths.argsort(descending=True, stable=True)
    if not len(order):
        return
    if not steady:
        longest_first = lengths[order]
        steps = torch.arange(int(longest_first[0]), device=lengths.device)
        # Those that are longer than the number of steps taken so far.
        yield Part(order, torch.searchsorted(-longest_first, -steps).tolist())
        return
    filled = torch.cat([order, order[-1:].expand(-len(order) % STEADY_ROWS)])
    for numbers in filled.split(STEADY_ROWS):
        yield Part(numbers, [STEADY_ROWS] * int(lengths[numbers[0]]))
