"""The loss on rows that are held out."""

import torch
from torch import Tensor

from ..core.randomness import Randomness
from ..variants.base import Variant
from .members import Members
from .step import Draw

BATCH = 1024


@torch.no_grad()
def validate(members: Members, x: Tensor, draw: Draw, seeds: list[int]) -> list[dict[str, float]]:
    """Each term's mean over held-out rows, and "loss", their sum, of every member; the same noise at each call."""

    def terms(variant: Variant, rows: Tensor, randomness: Randomness) -> dict[str, Tensor]:
        return variant.terms(draw(rows, randomness), randomness)

    members.template.eval()
    streams = [Randomness(seed, "validation", device=x.device) for seed in seeds]
    sums: dict[str, Tensor] = {}
    for rows in x.split(BATCH):
        if members.single:
            values = terms(members.template, rows, streams[0])
        else:
            noise = members.drawn(members.requests(terms, rows, shared=True), streams)
            values = members.evaluate(terms, members.tensors, rows, noise, shared=True)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value.sum(-1)
    means = {name: (value / len(x)).view(-1).tolist() for name, value in sums.items()}
    return [with_losses({name: each[place] for name, each in means.items()}) for place in range(len(members))]


def with_losses(means: dict[str, float]) -> dict[str, float]:
    """The means of terms, with their sum as "loss"; those of an opponent, with theirs as "opponent loss"."""
    opponent = {name: mean for name, mean in means.items() if name.startswith("opponent ")}
    loss = sum(mean for name, mean in means.items() if name not in opponent)
    return means | {"loss": loss} | ({"opponent loss": sum(opponent.values())} if opponent else {})
