"""Which columns a model treats alike: those that its units move together."""

from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from .readout import short
from .turning import Turned

# A column that no unit moves by more than this (in its spread, or in probability) has no direction worth comparing.
LEAST_MOVED = 0.05
# Columns that are compared, those that move most.
MOST_COLUMNS = 200
# Columns this alike, on average, are one group: half of what they do is shared, 0.7² ≈ 0.5.
ALIKE = 0.7
PARTNERS = 3


def similarity(turn: Turned) -> dict[str, Any] | None:
    """How alike columns change when units are turned, from 0 (never together) to 1 (always in proportion).

    For two columns of numbers it is the cosine of their changes over all units and rows, its sign left out; for
    categories, whose change is one of several probabilities, the square root of Escoufier's RV coefficient (Robert &
    Escoufier, 1976, https://doi.org/10.2307/2347233), which for numbers is the same. It does not depend on how the
    latent space is turned, as long as units vary alike.

    {columns, values (as many rows as columns, in the order of `columns`, where similar ones are neighbours), groups
    [[name]], partners [{name, partners [{name, similarity}]}], left_alone [name], more}: `left_alone` are columns that
    no unit moves, `more` how many others were too many to compare. None where fewer than two columns are moved.
    """
    names, strongest = turn.before.domain.column_names, turn.effects().max(0)
    order = np.argsort(-strongest, kind="stable")
    compared = [int(place) for place in order if strongest[place] >= LEAST_MOVED]
    chosen = compared[:MOST_COLUMNS]
    if len(chosen) < 2:
        return None
    changes = turn.changes()
    alike = escoufier([changes[place] for place in chosen])
    tree = _tree(alike)
    place = leaves_list(tree)
    alike, columns = alike[np.ix_(place, place)], [names[chosen[i]] for i in place]
    labels = fcluster(tree, 1 - ALIKE, criterion="distance")[place]
    groups = [
        [name for name, label in zip(columns, labels, strict=True) if label == each] for each in _in_order(labels)
    ]
    return {
        "columns": columns,
        "values": [[round(float(value), 3) for value in row] for row in alike],
        "groups": [group for group in groups if len(group) > 1],
        "partners": [{"name": columns[i], "partners": _partners(columns, alike[i], i)} for i in range(len(columns))],
        "left_alone": [names[place] for place in np.flatnonzero(strongest < LEAST_MOVED)],
        "more": len(compared) - len(chosen),
    }


def escoufier(changes: list[np.ndarray]) -> np.ndarray:
    """√RV of every two of several matrices (rows, width), not centred: ‖AᵀB‖² / (‖AᵀA‖ ‖BᵀB‖), shape (count, count)."""
    count = len(changes)
    starts = np.cumsum([0, *(change.shape[1] for change in changes)])
    together = np.hstack(changes)
    products = np.square(together.T @ together)
    sums = np.add.reduceat(np.add.reduceat(products, starts[:-1], axis=0), starts[:-1], axis=1)
    lengths = np.sqrt(sums.diagonal())
    alike = np.sqrt(sums / np.maximum(np.outer(lengths, lengths), 1e-300)).clip(0, 1)
    alike[range(count), range(count)] = 1.0
    return alike


def _tree(alike: np.ndarray) -> np.ndarray:
    """Average linkage, with its leaves in the order that puts similar ones side by side."""
    distances = squareform(1 - alike, checks=False)
    return optimal_leaf_ordering(linkage(distances, "average"), distances)


def _in_order(labels: np.ndarray) -> list[int]:
    return list(dict.fromkeys(labels.tolist()))


def _partners(columns: list[str], row: np.ndarray, own: int) -> list[dict[str, Any]]:
    nearest = [place for place in np.argsort(-row, kind="stable") if place != own][:PARTNERS]
    return [{"name": columns[place], "similarity": short(row[place])} for place in nearest]
