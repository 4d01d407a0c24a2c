"""How many latent units the data need: the fewest that do as well on held-out rows as the best."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..core.errors import DataError
from ..core.randomness import Randomness
from ..training.loop import Observer
from ..variants.base import Variant
from .fitting import Fitting, Trained
from .inference import SCORING_BATCH, as_input, in_batches

# Sizes are tried four times as large as the one before while that helps, then the ones beside the best: at most six
# trainings, fewer on most data, where all eight powers of two would cost eight.
COARSE_SIZES = (2, 8, 32, 128)
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


def search(
    fitting: Fitting, x: Tensor, validation: Tensor | None, observers: tuple[Observer, ...] = ()
) -> tuple[Trained, list[dict[str, Any]]]:
    """The model of the fewest units whose held-out loss is within one standard error of the best, and the evidence.

    The error is that of the difference to the best, row by row (the one-standard-error rule of Breiman et al., 1984, on
    paired differences). The loss is −log p(x) or its bound; for a model without a distribution over codes it is that of
    the reconstruction alone, which more units than the data's own may go on lowering.
    The evidence is one dict per size, in order: `latent_dim`, `loss` and its `excess` over the best in nats per row,
    `standard_error` of the excess, `chosen`. Raises DataError where no rows are held out.
    """
    if validation is None or len(validation) < 2:
        raise DataError("latent_dim='auto' needs rows to hold out: give more rows or a larger validation_fraction")

    def attempt(latent_dim: int) -> Trial:
        trained = fitting.train(latent_dim, x, validation, observers)
        return Trial(latent_dim, trained, _losses(trained.model, validation, fitting))

    features = fitting.domain.features()(as_input(x[:1])).shape[1]
    trials = tried(attempt, fitting.variant.least_latent_dim, min(features, len(x)))
    best = min(trials, key=lambda trial: trial.losses.mean())
    excesses = [trial.excess_over(best) for trial in trials]
    chosen = next(index for index, (excess, error) in enumerate(excesses) if excess <= error)
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
    return trials[chosen].trained, evidence


def tried(attempt: Callable[[int], Trial], least: int, most: int) -> list[Trial]:
    """Trials at sizes between `least` and `most`, smallest first."""
    most = max(least, most)
    best: Trial | None = None
    trials: dict[int, Trial] = {}
    for size in [size for size in COARSE_SIZES if least <= size <= most] or [least]:
        trial = trials[size] = attempt(size)
        if trial.trained.outcome.interrupted:
            return list(trials.values())
        if best is not None and not _improves(trial, best):
            break
        best = trial
    assert best is not None
    for size in (best.latent_dim // 2, best.latent_dim * 2):
        if least <= size <= most:
            trials[size] = attempt(size)
    return [trials[size] for size in sorted(trials)]


def _improves(trial: Trial, best: Trial) -> bool:
    excess, error = trial.excess_over(best)
    return excess < -error


def _losses(model: Variant, validation: Tensor, fitting: Fitting) -> np.ndarray:
    """−log p(x) or its bound for each held-out row, in nats."""
    model.eval()

    def loss(batch: Tensor) -> Tensor:
        randomness = Randomness(fitting.seed, "size search", device=fitting.device)
        return -model.log_bound(batch, randomness, DRAWS, shared=True)

    return in_batches(loss, as_input(validation), SCORING_BATCH, fitting.device).double().numpy()
