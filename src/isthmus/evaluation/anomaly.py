"""Anomalies planted in real rows, and how well scores find anomalies. Scores: higher is more anomalous."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ..core.errors import DataError
from .rows import check_columns

KINDS = ("shuffled cells", "random cells")


def plant(
    rows: np.ndarray,
    categorical: np.ndarray,
    kind: str,
    rng: np.random.Generator,
    event_shape: Sequence[int] | None = None,
) -> np.ndarray:
    """The rows (rows, columns) with an anomaly in each, a new float64 matrix; about a third of a row's cells change.

    "shuffled cells": rows are paired at random and swap a third of their columns (at least one). Every column keeps
    exactly the values it had, so that only the dependence between columns is broken. Images swap one side of a random
    line through the middle. A row may meet a partner that is the same there, and stay as it was.
    "random cells": a third of the cells (at least one) become uniform draws from the range of their column's observed
    values, whole where these are whole, or from its observed categories; a column without observed cells stays as it
    is. Images get a random rectangle, a third of the area, of noise over the range of all images.

    Images are flattened pixels whose `event_shape` is (height, width) or (channels, height, width).
    Raises DataError for another kind, another shape, or fewer than two rows to shuffle.
    """
    check_columns(categorical, given=rows)
    if kind not in KINDS:
        raise DataError(f"no anomaly is called {kind!r}; plant one of {', '.join(map(repr, KINDS))}")
    if event_shape is not None and (len(event_shape) not in (2, 3) or np.prod(event_shape) != len(categorical)):
        raise DataError(f"{len(categorical)} pixels do not make images of shape {tuple(event_shape)}; mend event_shape")
    rows = np.array(rows, np.float64)
    if kind == "shuffled cells":
        return _shuffled(rows, rng, event_shape)
    return _randomised(rows, np.asarray(categorical, bool), rng, event_shape)


def auroc(scores_normal: np.ndarray, scores_anomalous: np.ndarray) -> float | None:
    """The chance that an anomalous row scores above a normal one, ties half: the area under the ROC curve.

    A score that is not a number ranks highest: a row that a model cannot score is unlike those it has learnt.
    None where either set is empty.
    """
    normal, anomalous = len(scores_normal), len(scores_anomalous)
    if not normal or not anomalous:
        return None
    above = _ranks(scores_normal, scores_anomalous)[normal:].sum() - anomalous * (anomalous + 1) / 2
    return float(above / (normal * anomalous))


def detection(scores_normal: np.ndarray, scores_by_kind: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The area under the ROC curve for each kind of anomaly (`by_kind`) and their mean (`auroc`), None without rows."""
    by_kind = {kind: auroc(scores_normal, scores) for kind, scores in scores_by_kind.items()}
    found = [area for area in by_kind.values() if area is not None]
    return {"auroc": float(np.mean(found)) if found else None, "by_kind": by_kind}


def _ranks(scores_normal: np.ndarray, scores_anomalous: np.ndarray) -> np.ndarray:
    scores = np.concatenate([scores_normal, scores_anomalous]).astype(np.float64)
    return rankdata(np.where(np.isnan(scores), np.inf, scores))


def _third(count: int) -> int:
    return max(1, round(count / 3))


def _shuffled(rows: np.ndarray, rng: np.random.Generator, event_shape: Sequence[int] | None) -> np.ndarray:
    count, columns = rows.shape
    if count < 2:
        raise DataError(f"cells of {count} row cannot be shuffled; give at least two rows")
    # Neighbours in a random order are partners; an odd row out makes the last pair three, who swap in a ring.
    order = rng.permutation(count)
    pair = np.minimum(np.arange(count) // 2, count // 2 - 1)
    partner = np.arange(count) ^ 1
    if count % 2:
        partner[-3:] = [count - 2, count - 1, count - 3]
    swapped = _sides(count // 2, event_shape, rng) if event_shape else _random_columns(count // 2, columns, rng)
    planted = rows.copy()
    planted[order] = np.where(swapped[pair], rows[order[partner]], rows[order])
    return planted


def _randomised(
    rows: np.ndarray, categorical: np.ndarray, rng: np.random.Generator, event_shape: Sequence[int] | None
) -> np.ndarray:
    if event_shape:
        where = _rectangles(len(rows), event_shape, rng)
        return np.where(where, _uniform(rows, rows.shape, rng), rows)
    where = _random_columns(rows.shape[0], rows.shape[1], rng)
    for column, is_category in enumerate(categorical):
        changed = where[:, column]
        values = rows[:, column]
        if is_category:
            categories = np.unique(values[~np.isnan(values)])
            if len(categories):
                rows[changed, column] = rng.choice(categories, changed.sum())
        else:
            rows[changed, column] = _uniform(values, (int(changed.sum()),), rng)
    return rows


def _uniform(values: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws from the range of the observed values, whole where they are; NaN where there are none."""
    observed = values[np.isfinite(values)]
    if not len(observed):
        return np.full(shape, np.nan)
    low, high = observed.min(), observed.max()
    if (observed == np.round(observed)).all():
        return np.minimum(np.floor(rng.uniform(low, high + 1, shape)), high)
    return rng.uniform(low, high, shape)


def _random_columns(count: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """For each of `count`, a random third of the columns, boolean, shape (count, columns)."""
    third = _third(columns)
    draws = rng.random((count, columns))
    return draws <= np.partition(draws, third - 1, axis=1)[:, third - 1 : third]


def _sides(count: int, event_shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """For each of `count`, the pixels on one side of a random line through the middle, boolean, (count, pixels)."""
    height, width = event_shape[-2:]
    down, across = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    angle = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    side = np.sin(angle) * down[:, None] + np.cos(angle) * across > 0  # (count, height, width)
    return _every_channel(side, event_shape)


def _rectangles(count: int, event_shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """For each of `count`, a rectangle a third of the area at a random place, boolean, (count, pixels)."""
    height, width = event_shape[-2:]
    tall, wide = (max(1, round(side / np.sqrt(3))) for side in (height, width))
    top, left = rng.integers(0, height - tall + 1, (count, 1)), rng.integers(0, width - wide + 1, (count, 1))
    down = (np.arange(height) >= top) & (np.arange(height) < top + tall)
    across = (np.arange(width) >= left) & (np.arange(width) < left + wide)
    return _every_channel(down[:, :, None] & across[:, None, :], event_shape)


def _every_channel(mask: np.ndarray, event_shape: Sequence[int]) -> np.ndarray:
    channels = event_shape[0] if len(event_shape) == 3 else 1
    return np.tile(mask.reshape(len(mask), -1), (1, channels))
