"""What every measure needs of rows: checks, samples of them, their spread, and a space in which they have distances."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import DataError

COMMONEST = 64
"""The most categories of one column that get a feature of their own; rarer ones share having none."""

FARTHEST = 1e6
"""Standardised numbers stop here, so that a generated infinity is far away, not undefined."""


def check_columns(categorical: np.ndarray, **matrices: np.ndarray) -> None:
    """Raises DataError unless every matrix is (rows, columns) with as many columns as the mask `categorical`."""
    for name, matrix in matrices.items():
        if matrix.ndim != 2 or matrix.shape[1] != len(categorical):
            raise DataError(
                f"the {name.replace('_', ' ')} rows have shape {matrix.shape}; "
                f"give a matrix of (rows, {len(categorical)} columns), as the mask of categorical columns says"
            )


def subsample(rng: np.random.Generator, limit: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """At most `limit` random rows, without repeats and in their order: the same rows of every array."""
    rows = len(arrays[0])
    if rows <= limit:
        return list(arrays)
    chosen = np.sort(rng.choice(rows, limit, replace=False))
    return [array[chosen] for array in arrays]


def equal_sizes(rng: np.random.Generator, limit: int, *sets: np.ndarray) -> list[np.ndarray]:
    """Random rows of every set, drawn apart: as many of each as the smallest has, at most `limit`."""
    size = min(limit, *(len(rows) for rows in sets))
    return [subsample(rng, size, rows)[0] for rows in sets]


def finite(value: float) -> float | None:
    """The number for JSON: None where it is not finite."""
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each column over its observed cells, shape (columns,); NaN for a column with none."""

    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> "Moments":
        observed = np.isfinite(matrix)
        cells = np.where(observed, matrix, 0.0)
        with np.errstate(invalid="ignore"):  # 0 / 0 where no cell is observed
            mean = cells.sum(0) / observed.sum(0)
            variance = np.where(observed, cells - mean, 0.0)
            variance = np.square(variance, out=variance).sum(0) / observed.sum(0)
        low = np.where(observed, matrix, np.inf).min(0, initial=np.inf)
        high = np.where(observed, matrix, -np.inf).max(0, initial=-np.inf)
        # Rounding gives a constant column a variance near 1e-33; whoever divides by it needs the exact 0.
        constant = low == high
        return cls(np.where(constant, low, mean), np.where(constant, 0.0, variance))


def column_variances(matrix: np.ndarray) -> np.ndarray:
    """Variance of each column over its observed cells, in squared units of the column, shape (columns,).

    Exactly 0 for a constant column, NaN for a column without observed cells. Of training rows, it is the `scale` of
    `reconstruction_error`.
    """
    return Moments.of(np.asarray(matrix, np.float64)).variance


def features(matrix: np.ndarray, categorical: np.ndarray, reference: np.ndarray, *, pooled: bool = False) -> np.ndarray:
    """Rows as points, shape (rows, features), finite, so that Euclidean distances mean something.

    Numbers are standardised with the mean and standard deviation of `reference`; with `pooled` (images) every column
    is divided by the same number, the root of the mean variance, so that a pixel that hardly varies stays faint.
    Categories of the reference, at most the 64 commonest of a column, become indicators: two rows that differ in
    a category are as far apart (squared distance 2) as two random rows are in one standardised number. Unseen
    categories have no indicator. A missing number becomes the mean. A column with missing cells in the reference gets
    one more indicator for them; what is missing only in `matrix` is for `column_shape_error` to see.
    """
    matrix, reference = np.asarray(matrix, np.float64), np.asarray(reference, np.float64)
    check_columns(categorical, given=matrix, reference=reference)
    numbers = ~np.asarray(categorical, bool)
    standardised = _standardised(matrix[:, numbers], reference[:, numbers], pooled)
    indicators = [matrix[:, [column]] == _commonest(reference[:, column]) for column in np.flatnonzero(~numbers)]
    missing = np.isnan(matrix[:, np.isnan(reference).any(0)])
    return np.concatenate([standardised, *indicators, missing], axis=1, dtype=np.float64)


def _standardised(numbers: np.ndarray, reference: np.ndarray, pooled: bool) -> np.ndarray:
    moments = Moments.of(reference)
    variance = np.nan_to_num(moments.variance)
    if pooled and variance.size:
        variance = np.full_like(variance, variance.mean())
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    return np.clip(
        np.nan_to_num((numbers - moments.mean) / scale, posinf=FARTHEST, neginf=-FARTHEST), -FARTHEST, FARTHEST
    )


def _commonest(values: np.ndarray) -> np.ndarray:
    categories, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    return categories[np.argsort(-counts, kind="stable")[:COMMONEST]]
