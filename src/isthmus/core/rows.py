"""Picks rows out of whatever holds them."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse


def taken(rows: Any, index: np.ndarray) -> Any:
    """The rows at these places, in a container of the same kind: an array, a sparse matrix, a frame or an Arrow table,
    or anything that has a `taken` of its own."""
    if isinstance(rows, np.ndarray) or scipy.sparse.issparse(rows):
        return rows[index]
    if hasattr(rows, "taken"):
        return rows.taken(index)
    return nw.from_native(rows, eager_only=True)[index.tolist()].to_native()


def one_by_one(rows: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Rows that come one by one, arrays of any shapes or texts, as an array of them, (rows,), of which some can be
    picked."""
    held = np.empty(len(rows), dtype=object)
    for place, each in enumerate(rows):
        held[place] = each
    return held
