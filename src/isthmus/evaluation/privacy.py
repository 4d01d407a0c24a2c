"""What generated rows give away of the rows that a model was trained on: three attacks, weaker to stronger.

Rows that the model has not seen, the hold-out, are the yardstick: what is as true of them is no leak. A fair figure is
no proof: attackers may know more than these.
"""

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import roc_auc_score

from .distances import BLOCK, centred, nearest
from .rows import equal_sizes, subsample


def exact_copies(synthetic: np.ndarray, train: np.ndarray) -> float | None:
    """The share of generated rows (rows, columns) that equal a training row in every cell, missing ones too.

    Where columns are few and coarse, fresh rows repeat old ones by chance: compare with the share among held-out rows.
    None without generated rows.
    """
    if not len(synthetic):
        return None
    known = set(_fingerprints(train))
    return float(np.mean([row in known for row in _fingerprints(synthetic)]))


def copied_share(
    synthetic: np.ndarray, train: np.ndarray, held_out: np.ndarray, rng: np.random.Generator, limit: int = 10_000
) -> float | None:
    """The share of generated points nearer to a training point than to any held-out point; ties count half.

    All sets are points (rows, features), see `rows.features`; as many training as held-out points are drawn, so 0.5 is
    fair: generated rows owe no more to the rows that were trained on than to rows that were not. 1 is copying; copies
    of training rows that were not drawn pull it towards 0.5, so hold out many rows where copying matters.
    None where a set is empty.
    """
    train, held_out = equal_sizes(rng, limit, train, held_out)
    # The share's own sampling error is small long before the nearest neighbours are worth cutting down.
    (synthetic,) = subsample(rng, max(1, limit // 4), synthetic)
    if not len(train) or not len(synthetic):
        return None
    train, held_out, synthetic = centred(train, held_out, synthetic)
    (to_train, near_train), (to_held_out, near_held_out) = (nearest(synthetic, others) for others in (train, held_out))
    tied = np.abs(to_train - to_held_out) <= np.maximum(near_train, near_held_out)
    return float(np.where(tied, 0.5, to_train < to_held_out).mean())


def membership_auroc(
    synthetic: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    rng: np.random.Generator,
    limit: int = 2_000,
    most_synthetic: int = 50_000,
) -> float | None:
    """How well an attacker who sees only generated points tells training points from held-out ones.

    The attack of Chen et al. (2020, "GAN-Leaks", https://arxiv.org/abs/1909.03935, full black box): the nearer the
    closest generated point, the likelier a point was trained on. The area under its ROC curve over at most `limit`
    training and as many held-out points: 0.5 where membership stays hidden, 1 where every training point was copied.
    All sets are points (rows, features), see `rows.features`. None where a set is empty.
    """
    train, held_out = equal_sizes(rng, limit, train, held_out)
    (synthetic,) = subsample(rng, most_synthetic, synthetic)
    if not len(train) or not len(synthetic):
        return None
    synthetic, *asked = centred(synthetic, train, held_out)
    distances, rounding = nearest(np.concatenate(asked), synthetic)
    # Copies are all as near: what rounding left of their distances must not rank them.
    distances[distances <= rounding] = 0.0
    is_member = np.repeat([1, 0], len(train))
    return float(roc_auc_score(is_member, -distances))


def _fingerprints(rows: np.ndarray) -> Iterator[int]:
    """A number of 64 bits for each row, which equal rows share: one NaN for all, and no minus zero."""
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        yield from (hash(row.tobytes()) for row in np.where(np.isnan(block), np.nan, block) + 0.0)
