"""How many latent units the data need: the smallest number that does as well on held-out rows as the best."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.options import Options
from ..core.randomness import Randomness
from ..training.loop import Observer
from .inference import as_input, in_batches
from .options import SharedOptions

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
DRAWS = 8
# When this many sizes in a row have not improved on the best, larger ones are not tried.
MOST_WITHOUT_GAIN = 2


def search(
    estimator: Any,
    x: Tensor,
    validation: Tensor | None,
    shared: SharedOptions,
    own: Options,
    observers: tuple[Observer, ...],
) -> list[dict[str, Any]]:
    """Train each size, keep in the estimator the smallest whose held-out loss is within one standard error of the best.

    The error is that of the difference to the best, row by row (the one-standard-error rule of Breiman et al., 1984, on
    paired differences). Returns one dict per size: latent_dim, loss and its excess over the best in nats per row, standard
    error of the excess, chosen.
    """
    if validation is None:
        raise DataError("latent_dim='auto' needs rows to hold out: raise validation_fraction, or give a number")
    features = int(np.prod(x.shape[1:]))
    least = estimator.variant().least_latent_dim
    sizes = [size for size in SIZES if least <= size <= max(least, features) and size <= len(x)]
    tried: list[dict[str, Any]] = []
    for size in sizes:
        estimator._begin(estimator.domain_, shared, size, own)
        outcome = estimator._train(x, validation, estimator._plan(len(x), shared), observers, None)
        losses = _held_out_losses(estimator, validation)
        tried.append({"latent_dim": size, "losses": losses, "outcome": outcome, "model": estimator.model_})
        best = min(range(len(tried)), key=lambda index: tried[index]["losses"].mean())
        if len(tried) - 1 - best >= MOST_WITHOUT_GAIN or outcome.interrupted:
            break
    best_losses = min((entry["losses"] for entry in tried), key=lambda losses: losses.mean())
    evidence = []
    for entry in tried:
        excess = entry["losses"] - best_losses
        error = float(excess.std(ddof=1) / np.sqrt(len(excess)))
        evidence.append(
            {
                "latent_dim": entry["latent_dim"],
                "loss": float(entry["losses"].mean()),
                "excess": float(excess.mean()),
                "standard_error": error,
            }
        )
    chosen = next(index for index, row in enumerate(evidence) if row["excess"] <= row["standard_error"])
    estimator.model_ = tried[chosen]["model"]
    estimator.latent_dim_ = tried[chosen]["latent_dim"]
    estimator._size_search_outcome = tried[chosen]["outcome"]
    return [row | {"chosen": index == chosen} for index, row in enumerate(evidence)]


def _held_out_losses(estimator: Any, validation: Tensor) -> np.ndarray:
    """−log p(x) or its bound for each held-out row, in nats."""
    randomness = Randomness(estimator._seed, "size search", device=estimator._device)

    def loss(batch: Tensor) -> Tensor:
        return -estimator.model_.log_bound(batch, randomness, DRAWS)

    return in_batches(loss, as_input(validation), 128, torch.device(estimator._device)).double().numpy()
