"""Walks through the code: one unit goes from low to high while the others stay put."""

from typing import Any

import numpy as np
import torch

from ..domains.table import Table
from ..domains.table.columns import EmptyColumn
from ..estimator.base import Estimator
from .readout import all_short, read, short, told, values_of
from .turning import Turned, is_sparse, moving, spread_evenly, turned

# A walk goes from the lower to the upper of these quantiles of a unit's codes: as far as real rows go, outliers apart.
WALKED = (0.02, 0.98)
# Rows that walk at the same time; what is told of a table is their mean.
MOST_WALKERS = 64


def traversals(
    estimator: Estimator,
    codes: np.ndarray,
    *,
    steps: int = 9,
    most_units: int = 12,
    turn: Turned | None = None,
) -> dict[str, Any]:
    """How rows change along each unit, all other units as they are in real rows.

    Units that change most come first; those that change nothing are left out. The result is
    {kind "image", units [{unit, label, positions, frames}]} with frames as PNG in base64, or
    {kind "table", units [{unit, label, positions, columns [{name, values, of, in}]}]}. Images walk through the row
    whose code is nearest to the middle of `codes`, and so do texts, whose frames are texts (kind "text"). Of a table,
    many rows walk, and `values` are their means: for numbers in the column's own units, or in those that `in` names
    (dates in years, durations and times in seconds); for other columns the probability of the value `of`, the one that
    gains or loses most when the unit is turned.
    `turn` is that of `turned`, if it is known already.
    """
    codes = np.asarray(codes, np.float32)
    turn = turn or turned(estimator, codes)
    walkers = spread_evenly(codes, MOST_WALKERS) if isinstance(estimator.domain_, Table) else central(codes)[None]
    units = []
    for unit in moving(turn.effects())[:most_units]:
        positions = _positions(codes[:, unit], steps)
        walk = np.repeat(walkers[None], len(positions), axis=0)  # (positions, walkers, units)
        walk[:, :, unit] = positions[:, None]
        units.append(
            {
                "unit": unit,
                "label": f"unit {unit}",
                "positions": [short(position) for position in positions],
                **_decoded(estimator, walk, turn.most_changed(unit)),
            }
        )
    return {"kind": estimator.domain_.picture_kind, "units": units}


def central(codes: np.ndarray) -> np.ndarray:
    """The code nearest to the mean, each unit measured by its own spread; shape (latent_dim,)."""
    spread = codes.std(0)
    distances = np.square((codes - codes.mean(0)) / np.where(spread > 0, spread, 1)).sum(1)
    return codes[distances.argmin()]


def _positions(codes: np.ndarray, steps: int) -> np.ndarray:
    """Where one unit stops on its way: evenly, or at the values that it can take if these are few (discrete codes)."""
    values = np.unique(codes)
    if len(values) <= steps:
        return values
    low, high = (0.0, np.quantile(codes[codes > 0], WALKED[1])) if is_sparse(codes) else np.quantile(codes, WALKED)
    return np.linspace(low, high, steps)


def _decoded(estimator: Estimator, walk: np.ndarray, told_of: np.ndarray) -> dict[str, Any]:
    """The rows of one walk, as facts; `told_of` is the value of each column whose probability is told."""
    steps, walkers, units = walk.shape
    domain, codes = estimator.domain_, walk.reshape(-1, units)
    if not isinstance(domain, Table):
        return {"frames": domain.pictures(estimator.decode_tensors(torch.from_numpy(codes)))}
    readout = read(estimator, codes)
    numbers, told_in = readout.numbers()
    means = np.nanmean(_filled(numbers).reshape(steps, walkers, -1), axis=1)
    columns = []
    for place, column in enumerate(domain.columns):
        if isinstance(column, EmptyColumn) or (domain.categorical[place] and not values_of(column)):
            continue  # nothing can be told of it
        if domain.categorical[place]:
            assert readout.chances is not None
            chances = readout.chances[:, place, told_of[place]].reshape(steps, walkers).mean(1)
            of = values_of(column)[told_of[place]]
            columns.append({"name": column.name, "values": all_short(chances), "of": of})
        else:
            columns.append({"name": column.name, "values": all_short(means[:, place]), **told(column, told_in[place])})
    return {"columns": columns}


def _filled(numbers: np.ndarray) -> np.ndarray:
    """With 0 in columns that have no number at all, which nobody is told, so that their mean is no mean of nothing."""
    return np.where(np.isnan(numbers).all(0), 0.0, numbers)
