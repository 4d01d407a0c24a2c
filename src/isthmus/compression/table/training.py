"""Training of the column network: data and weights together as short as possible.

The loss of a row is its code length and its share of the weights' code length, each weight coded with a Laplace law
whose scale is learned for each array: a minimum description length, which leaves out what does not pay for itself
(Oktay et al., 2020, https://openreview.net/forum?id=HkgxW0EYDS). Weights are rounded as they are used and learned as
if they were not, so that nothing is lost by rounding afterwards.
"""

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.randomness import Randomness
from ...core.terms import Terms
from ...parts.networks import built
from ...training.loop import train
from ...training.run import Plan
from ...training.step import EAGER
from ...variants.base import Variant, VariantOptions
from .network import BIAS_UNIT, LARGEST_HIDDEN, LARGEST_WEIGHT, WEIGHT_UNIT, ColumnNetwork, ColumnShape

LEARNING_RATE = 0.05
MOST_EPOCHS = 400
MOST_STEPS = 6000
BATCH = 512
_BIASES = ("symbol_bias", "place_bias")
# Embeddings begin at random, so that hidden units differ; what reads them begins near 0 and grows where it pays.
_FIRST_SPREAD = {"context": 0.1, "bin": 0.1, "symbol": 0.02, "place": 0.02}


class Learner(Variant[VariantOptions]):
    """The column network as it is learned: a variant without latent units, whose rows are symbols.

    A batch (rows, 3 · columns) has each column's context, symbol and place; a place is −1 where there is none.
    """

    units: Tensor
    array: Tensor

    def __init__(
        self, shapes: list[ColumnShape], allowed: list[np.ndarray], hidden: int, rows: int, first: list[Tensor]
    ):
        nn.Module.__init__(self)
        self.opponent = None
        self.latent_dim = 1
        self.register_buffer("epoch", torch.zeros(()), persistent=False)
        self.shapes, self.hidden, self.rows = shapes, hidden, rows
        self.allowed = [torch.from_numpy(each) for each in allowed]
        # All weights in one vector, so that rounding and weighing them are a few operations, however many arrays.
        self.places: list[dict[str, tuple[slice, tuple[int, ...]]]] = []
        values, units, scales, end = [], [], [], 0
        for shape, bias in zip(shapes, first, strict=True):
            self.places.append({})
            for name, size in shape.weights(hidden).items():
                value = bias.clone() if name == "symbol_bias" else torch.randn(size) * _FIRST_SPREAD.get(name, 0.0)
                values.append(value.flatten())
                units.append(torch.full((value.numel(),), float(_unit(name))))
                scales.append(-1.0 if name not in _BIASES else 1.0)
                self.places[-1][name] = (slice(end, end + value.numel()), size)
                end += value.numel()
        self.weights = nn.Parameter(torch.cat(values))
        self.scales = nn.Parameter(torch.tensor(scales))
        self.register_buffer("units", torch.cat(units), persistent=False)
        lengths = torch.tensor([len(value) for value in values])
        self.register_buffer("array", torch.repeat_interleave(torch.arange(len(values)), lengths), persistent=False)

    def posterior(self, x: Tensor):
        raise TypeError("a column network has no latent units")

    prior = posterior  # pyright: ignore[reportAssignmentType]: neither gives anything

    def rounded(self) -> Tensor:
        """All weights, rounded; the gradient passes as if they were not."""
        limit = LARGEST_WEIGHT / self.units
        nearest = (self.weights * self.units).round().div(self.units)
        return self.weights + (nearest.clamp(-limit, limit) - self.weights).detach()

    def arrays(self, rounded: Tensor) -> list[dict[str, Tensor]]:
        """Each column's weights by name."""
        return [{name: rounded[place].view(size) for name, (place, size) in column.items()} for column in self.places]

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        rounded = self.rounded()
        losses = self.code_lengths(x.long(), self.arrays(rounded))
        return Terms(
            data=torch.stack([loss for column in losses for loss in column]).sum(0),
            weights=(self.weight_nats(rounded) / self.rows).expand(len(x)),
        )

    def code_lengths(self, x: Tensor, weights: list[dict[str, Tensor]]) -> list[list[Tensor]]:
        """Nats (rows,) of each column's symbols, and of its places."""
        total = torch.zeros(len(x), self.hidden)
        largest = LARGEST_HIDDEN / WEIGHT_UNIT
        losses = []
        for column, (shape, held) in enumerate(zip(self.shapes, weights, strict=True)):
            contexts, symbols, places = x[:, 3 * column], x[:, 3 * column + 1], x[:, 3 * column + 2]
            losses.append([])
            if shape.symbols:
                hidden = (total + held["bias"]).clamp(0, largest)
                logits = hidden @ held["symbol"].T + held["symbol_bias"]
                losses[-1].append(functional.cross_entropy(logits, symbols, reduction="none"))
            if shape.places:
                hidden = (total + held["place_bias_hidden"] + held["bin"][symbols]).clamp(0, largest)
                logits = hidden @ held["place"].T + held["place_bias"]
                beyond = torch.arange(shape.places) >= self.allowed[column][symbols][:, None]
                logits = logits.masked_fill(beyond, -1e4)
                loss = functional.cross_entropy(logits, places.clamp(min=0), reduction="none")
                losses[-1].append(torch.where(places >= 0, loss, 0.0))
            if shape.contexts:
                total = total + functional.embedding(contexts, held["context"])
        return losses

    def weight_nats(self, rounded: Tensor) -> Tensor:
        """The code length of all weights in nats: the mass of a Laplace law on each weight's cell of rounding."""
        half = 0.5 / self.units
        scale = self.scales.clamp(-5, 3).exp()[self.array]
        size = rounded.abs()
        centre = -torch.expm1(-half / scale)
        tail = (half - size) / scale + torch.log(-torch.expm1(-2 * half / scale) / 2)
        return -torch.where(size < half, torch.log(centre), tail).sum()

    def integers(self) -> list[dict[str, np.ndarray]]:
        """The weights as the whole numbers that the exact network takes."""
        return [
            {name: array.round().long().numpy() for name, array in column.items()}
            for column in self.arrays((self.rounded() * self.units).detach())
        ]


def _unit(name: str) -> int:
    return BIAS_UNIT if name in _BIASES else WEIGHT_UNIT


def learned(
    symbols: np.ndarray,
    shapes: list[ColumnShape],
    allowed: list[np.ndarray],
    rows: int,
    hidden: int,
    budget_seconds: float,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[ColumnNetwork, np.ndarray]:
    """The network for symbols (sampled rows, 3 · columns) of a table of so many `rows`, and the bits that each column
    then takes per row, (columns,). `allowed[j]` says how many places each symbol of column j has."""
    if not any(shape.weights(hidden) for shape in shapes):  # nothing to foretell
        return ColumnNetwork(shapes, hidden, [{} for _ in shapes]), np.zeros(len(shapes))
    x = torch.from_numpy(symbols.astype(np.float32))
    first = []
    for column, shape in enumerate(shapes):
        counts = np.bincount(symbols[:, 3 * column + 1].clip(0), minlength=max(shape.symbols, 1)) + 0.05
        share = np.log(counts / counts.sum())
        first.append(torch.from_numpy(share - share.max()).float())
    learner = built(lambda: Learner(shapes, allowed, hidden, rows, first), Randomness(seed, "column network"))
    assert isinstance(learner, Learner)
    batch = max(32, min(BATCH, len(x) // 16))
    if not budget_seconds or not len(x):
        return _finished(learner, x)
    per_step = _seconds_per_step(learner, x[:batch])
    steps = min(budget_seconds / per_step, MOST_STEPS)
    most_rows = max(int(steps * batch / 3), batch)
    if len(x) > most_rows:  # so that every row is seen several times
        x = x[torch.from_numpy(np.random.default_rng(seed).permutation(len(x))[:most_rows])]
    epochs = max(1, min(MOST_EPOCHS, int(steps * batch / len(x))))

    def observe(record: dict, plan: Plan) -> None:
        if progress is not None:
            progress((record["epoch"] + 1) / plan.epochs)

    plan = Plan(epochs, batch, LEARNING_RATE, seed=seed)
    train(learner, x, None, plan, lambda rows, randomness: rows, [observe], kind=EAGER)
    return _finished(learner, x)


def _finished(learner: Learner, x: Tensor) -> tuple[ColumnNetwork, np.ndarray]:
    bits = np.zeros(len(learner.shapes))
    with torch.no_grad():
        weights = learner.arrays(learner.rounded())
        for part in x.long().split(8192):
            for column, losses in enumerate(learner.code_lengths(part, weights)):
                bits[column] += sum(float(loss.sum()) for loss in losses) / math.log(2)
    return ColumnNetwork(learner.shapes, learner.hidden, learner.integers()), bits / max(len(x), 1)


def _seconds_per_step(learner: Learner, x: Tensor) -> float:
    """How long a step takes, from a few that teach nothing."""
    times = []
    for _ in range(4):
        began = time.perf_counter()
        loss = learner.terms(x, Randomness(0)).loss
        torch.autograd.grad(loss, list(learner.parameters()), allow_unused=True)
        times.append(time.perf_counter() - began)
    return 1.3 * sorted(times)[1]
