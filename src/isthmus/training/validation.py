"""The loss on rows that are held out."""

import math

import torch
from torch import Tensor

from ..core.randomness import Randomness
from ..core.sparse import HeldRows
from ..variants.base import Variant
from .members import Members
from .noise import Request
from .step import Draw

BATCH = 1024
# Wide rows come in smaller batches: about so many numbers in each.
BATCH_NUMBERS = 2**22


class Validation:
    """Rows that are held out, and the loss of members on them; the same noise each time."""

    def __init__(self, x: HeldRows, draw: Draw):
        self.x, self.draw = x, draw
        self.size = max(16, min(BATCH, BATCH_NUMBERS // max(1, math.prod(x.shape[1:]))))
        self.members: Members | None = None
        self.requests: dict[int, list[list[Request]]] = {}  # by the rows of a batch

    @torch.no_grad()
    def means(self, members: Members, seeds: list[int]) -> list[dict[str, float]]:
        """Each term's mean over the rows, and "loss", their sum, of every member."""
        if members is not self.members:
            self.members, self.requests = members, {}
        members.template.eval()
        streams = [Randomness(seed, "validation", device=self.x.device) for seed in seeds]
        sums: dict[str, Tensor] = {}
        for rows in self.x.split(self.size):
            for name, value in self._terms(members, rows, streams).items():
                sums[name] = sums.get(name, 0.0) + value.sum(-1)
        means = {name: (value / len(self.x)).view(-1).tolist() for name, value in sums.items()}
        return [with_losses({name: each[place] for name, each in means.items()}) for place in range(len(members))]

    def _terms(self, members: Members, rows: Tensor, streams: list[Randomness]) -> dict[str, Tensor]:
        if members.single:
            return self._of_one(members.template, rows, streams[0])
        if len(rows) not in self.requests:
            self.requests[len(rows)] = members.requests(self._of_one, rows, shared=True)
        noise = members.drawn(self.requests[len(rows)], streams)
        return members.evaluate(self._of_one, members.tensors, rows, noise, shared=True)

    def _of_one(self, variant: Variant, rows: Tensor, randomness: Randomness) -> dict[str, Tensor]:
        return variant.terms(self.draw(rows, randomness), randomness)


def with_losses(means: dict[str, float]) -> dict[str, float]:
    """The means of terms, with their sum as "loss"; those of an opponent, with theirs as "opponent loss"."""
    opponent = {name: mean for name, mean in means.items() if name.startswith("opponent ")}
    loss = sum(mean for name, mean in means.items() if name not in opponent)
    return means | {"loss": loss} | ({"opponent loss": sum(opponent.values())} if opponent else {})
