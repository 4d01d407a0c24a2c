"""How many latent units the data need: the fewest that do about as well on held-out rows as the best."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..core.errors import DataError
from ..core.randomness import Randomness
from ..core.sparse import HeldRows, dense
from ..training.run import Observer
from ..variants.base import Variant
from .fitting import Fitting, Trained
from .inference import as_input, in_batches, scoring_rows

# Where sizes are trained one after another, they are four times as large as the one before while that helps, then
# half the last that helped: at most five trainings, where all eight powers of two would cost eight.
COARSE_SIZES = (2, 8, 32, 128)
# Training the same size from another start differs by this share of what the search gains, more than the rows' standard
# error knows of.
NEGLIGIBLE_SHARE = 0.03
DRAWS = 8


@dataclass(frozen=True)
class Trial:
    """One size, what was trained at it, and the loss of each held-out row in nats, shape (rows,)."""

    latent_dim: int
    trained: Trained
    losses: np.ndarray

    def excess_over(self, other: "Trial") -> tuple[float, float]:
        """The mean difference in loss from another trial, and its standard error, paired row by row."""
        difference = self.losses - other.losses
        return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))

    def is_as_good_as(self, best: "Trial", smallest: "Trial") -> bool:
        """Whether the excess over the best is noise, of the rows or of training, given what the smallest size lost."""
        excess, error = self.excess_over(best)
        return excess <= max(error, NEGLIGIBLE_SHARE * smallest.excess_over(best)[0])


def search(
    fitting: Fitting,
    x: HeldRows,
    validation: HeldRows | None,
    observers: tuple[Observer, ...] = (),
    checkpoint: str | Path | None = None,
) -> tuple[Trained, list[dict[str, Any]]]:
    """The model of the fewest units that does as well on held-out rows as the best, and the evidence.

    As well: its loss exceeds the best by no more than one standard error of the difference, row by row (the rule of
    Breiman et al., 1984, on paired differences), or by 3% of what the smallest size loses. The loss is −log p(x) or its
    bound; for a model without a distribution over codes it is that of the reconstruction alone, which more units than
    the data's own may go on lowering.
    The evidence is one dict per size, in order: `latent_dim`, `loss` and its `excess` over the best in nats per row,
    `standard_error` of the excess, `chosen`. With `checkpoint`, an interrupted search goes on from the files beside
    it. Raises DataError where no rows are held out.
    """
    if validation is None or len(validation) < 2:
        raise DataError("latent_dim='auto' needs rows to hold out: give more rows or a larger validation_fraction")

    def attempt(latent_dim: int) -> Trial:
        (trained,) = fitting.train_sizes([latent_dim], x, validation, observers, checkpoint)
        return Trial(latent_dim, trained, _losses(trained.model, validation, fitting))

    features = fitting.domain.features()(as_input(dense(x[:1]))).shape[1]
    least, most = fitting.variant.least_latent_dim, min(features, len(x))
    if fitting.gains_from_company(least, len(x)):
        together = fitting.train_sizes(all_sizes(least, most), x, validation, observers, checkpoint)
        trials = [
            Trial(trained.model.latent_dim, trained, _losses(trained.model, validation, fitting))
            for trained in together
        ]
    else:
        trials = tried(attempt, least, most)
    best = min(trials, key=lambda trial: trial.losses.mean())
    excesses = [trial.excess_over(best) for trial in trials]
    chosen = next(index for index, trial in enumerate(trials) if trial.is_as_good_as(best, trials[0]))
    evidence = [
        {
            "latent_dim": trial.latent_dim,
            "loss": float(trial.losses.mean()),
            "excess": excess,
            "standard_error": error,
            "chosen": index == chosen,
        }
        for index, (trial, (excess, error)) in enumerate(zip(trials, excesses, strict=True))
    ]
    trained = trials[chosen].trained
    if any(trial.trained.outcome.interrupted for trial in trials):  # also where that was of another size
        trained = Trained(trained.model, replace(trained.outcome, interrupted=True))
    return trained, evidence


def tried(attempt: Callable[[int], Trial], least: int, most: int) -> list[Trial]:
    """Trials at sizes between `least` and `most`, smallest first; Ctrl-C during one ends the search with it."""
    trials: dict[int, Trial] = {}
    helped = None
    for size in _coarse_sizes(least, max(least, most)):
        trial = trials[size] = attempt(size)
        if trial.trained.outcome.interrupted:
            return list(trials.values())
        if helped is not None and helped.is_as_good_as(trial, next(iter(trials.values()))):
            break
        helped = trial
    assert helped is not None
    half = helped.latent_dim // 2
    if half >= least and half not in trials:
        trials[half] = attempt(half)
    return [trials[size] for size in sorted(trials)]


def all_sizes(least: int, most: int) -> list[int]:
    """Every power of two that may be the answer: trained in one step, they cost little more than the largest."""
    return [2**power for power in range(8) if least <= 2**power <= most] or [least]


def _coarse_sizes(least: int, most: int) -> list[int]:
    sizes = [size for size in COARSE_SIZES if least <= size <= most] or [least]
    if sizes[-1] < COARSE_SIZES[-1] and 2 * sizes[-1] <= most:
        sizes.append(2 * sizes[-1])
    return sizes


def _losses(model: Variant, validation: HeldRows, fitting: Fitting) -> np.ndarray:
    """−log p(x) or its bound for each held-out row, in nats."""
    model.eval()

    def loss(batch: Tensor) -> Tensor:
        randomness = Randomness(fitting.seed, "size search", device=fitting.device)
        return -model.log_bound(batch, randomness, DRAWS, shared=True)

    size = scoring_rows(math.prod(validation.shape[1:]) * fitting.domain.numbers_per_cell, DRAWS)
    return in_batches(loss, as_input(validation), size, fitting.device).double().numpy()
