"""Picks rows out of whatever holds them."""

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
