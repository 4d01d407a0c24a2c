"""How well scores rank what a row holds besides what was shown: held-out items of users, for instance.

Scores and relevance are matrices (rows, items). Items that were shown to the model are no candidates: `seen` marks
them, and they rank below all others. Ties are broken by the items' order. Each measure is one number per row, shape
(rows,), between 0 and 1; NaN where a row has nothing relevant that was not seen.
"""

import numpy as np
import scipy.sparse

from ..core.errors import DataError

Matrix = np.ndarray | scipy.sparse.csr_matrix | scipy.sparse.csr_array


def recall(scores: np.ndarray, relevant: Matrix, seen: Matrix | None = None, *, first: int = 20) -> np.ndarray:
    """The share of a row's relevant items among its `first` highest, of those that could be there.

    The hits over the smaller of `first` and the number of relevant items (Liang et al. 2018,
    https://arxiv.org/abs/1802.05814, section 4.2), so that a perfect ranking has 1.
    """
    hits, count = _hits(scores, relevant, seen, first)
    return _shares(hits.sum(1), np.minimum(first, count))


def ndcg(scores: np.ndarray, relevant: Matrix, seen: Matrix | None = None, *, first: int = 100) -> np.ndarray:
    """The normalised discounted cumulative gain: hits count 1 / log₂(1 + rank), ranks from 1 to `first`.

    Divided by what the best ranking of the row has (Järvelin & Kekäläinen 2002). An item is relevant or not.
    """
    hits, count = _hits(scores, relevant, seen, first)
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.concatenate([[0.0], discounts.cumsum()])
    return _shares(hits @ discounts, best[np.minimum(hits.shape[1], count)])


def _hits(scores: np.ndarray, relevant: Matrix, seen: Matrix | None, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each of the highest items is relevant (rows, first), and how many of the row are (rows,)."""
    scores, wanted = np.asarray(scores, np.float64), _mask(relevant)
    if scores.ndim != 2 or scores.shape != wanted.shape:
        raise DataError(f"scores have shape {scores.shape} and relevant items {wanted.shape}; give one score each")
    if first < 1:
        raise DataError(f"first={first}: at least one item is looked at")
    if np.isnan(scores).any():
        raise DataError("some scores are NaN, which has no rank; mend them")
    known = np.zeros_like(wanted) if seen is None else _mask(seen)
    if known.shape != wanted.shape:
        raise DataError(f"seen items have shape {known.shape} and relevant ones {wanted.shape}; give equal ones")
    wanted = wanted & ~known
    order = np.argsort(np.where(known, np.inf, -scores), axis=1, kind="stable")[:, :first]
    return np.take_along_axis(wanted, order, axis=1), wanted.sum(1)


def _mask(items: Matrix) -> np.ndarray:
    return (items if isinstance(items, np.ndarray) else items.toarray()) > 0


def _shares(found: np.ndarray, possible: np.ndarray) -> np.ndarray:
    return np.divide(found, possible, out=np.full(len(found), np.nan), where=possible > 0)
