"""Which latent units a model uses."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.sparse import HeldRows, dense
from ..estimator.base import Estimator
from ..estimator.inference import as_input
from ..evaluation.latent import active_units
from .dictionary import is_dictionary
from .readout import short
from .turning import moving

LEAST_VARIANCE = 0.01
# Rows that the mean divergence of a unit is taken over.
MOST_ROWS = 2_000


def used_units(estimator: Estimator, codes: np.ndarray, effect: np.ndarray, x: HeldRows | None) -> list[dict[str, Any]]:
    """One entry for each unit: {unit, used, active, moves, strength, variance, kl, lit}.

    `active`: its code varies with the rows, the variance of its posterior mean being above 0.01 (Burda et al., 2016,
    §5.3, https://arxiv.org/abs/1509.00519), or for point codes above 0.01 of the largest unit's; in a sparse code,
    whose features may be rare, a feature is active if any row lights it. `moves`: turning it
    changes what is decoded, by a twentieth of what the strongest unit does or more; `strength` is the sum of its
    effects over columns. A used unit does both. `kl` is its mean divergence from N(0, 1) in nats, None where it has
    none; `lit` the share of rows whose code is not 0. Without rows, `moves` decides, and what needs rows is None.
    """
    moves, strength = set(moving(effect)), effect.sum(1)
    entries: list[dict[str, Any]] = [
        {"unit": unit, "used": unit in moves, "active": None, "moves": unit in moves, "strength": short(strength[unit])}
        | {"variance": None, "kl": None, "lit": None}
        for unit in range(codes.shape[1])
    ]
    if x is None:
        return entries
    divergence = _divergence(estimator, dense(x[:MOST_ROWS]))
    variances = np.array(active_units(codes)["variances"], float)
    unit_of_variance = np.nanmax(variances) if divergence is None else 1.0
    active = (codes != 0).any(0) if is_dictionary(codes) else np.greater(variances, LEAST_VARIANCE * unit_of_variance)
    for unit, entry in enumerate(entries):
        entry["active"] = bool(active[unit])
        entry["used"] = entry["active"] and entry["moves"]
        entry["variance"] = short(variances[unit]) if np.isfinite(variances[unit]) else None
        entry["kl"] = None if divergence is None else short(divergence[unit])
        entry["lit"] = short(np.mean(codes[:, unit] != 0))
    return entries


@torch.no_grad()
def _divergence(estimator: Estimator, x: Tensor) -> np.ndarray | None:
    """KL(q(z|x) ‖ N(0, 1)) of each unit in nats, averaged over rows; None for models whose units have none."""
    per_unit = estimator.model_.posterior(as_input(x).to(estimator._device)).kl_per_unit()
    return None if per_unit is None else per_unit.mean(0).cpu().double().numpy()
