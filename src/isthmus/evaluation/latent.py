"""How many of its latent units a model uses."""

from typing import Any

import numpy as np

from .rows import column_variances, finite


def active_units(posterior_means: np.ndarray, threshold: float = 1e-2, *, relative: bool = False) -> dict[str, Any]:
    """Units u whose posterior mean varies over the data: Var_x(E_q(u|x)[u]) > threshold (Burda et al. 2016, §5.3).

    `posterior_means` has shape (rows, units). The threshold is in units of the prior's variance, 1; the codes of a
    plain autoencoder have no such unit, so `relative` compares with the largest unit's variance instead.
    Returns `active_units`, `units` (counts) and `variances`, one per unit in squared units of the code.
    """
    variances = column_variances(posterior_means)
    bound = threshold * np.nanmax(variances, initial=0.0) if relative else threshold
    return {
        "active_units": int((variances > bound).sum()),
        "units": posterior_means.shape[1],
        "variances": [finite(variance) for variance in variances],
    }
