"""How much of a row its reconstruction loses."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import DataError
from .rows import check_columns, column_variances, finite

BLOCK = 4096
"""Rows looked at together: bounds the memory that wide rows take."""


def reconstruction_error(
    original: np.ndarray,
    reconstructed: np.ndarray,
    categorical: np.ndarray,
    scale: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    *,
    pooled: bool = False,
) -> dict[str, Any]:
    """The error of reconstructed rows over the cells that are observed in the original: 0 is perfect.

    A number's error is its squared error divided by the variance of its column in `scale`, shape (columns,), which
    should be `column_variances` of the training rows (default: of the original). So 1 is what the training mean
    would score: the fraction of variance unexplained. A category's error is the share of wrong cells. A number
    reconstructed as missing counts as if the mean had been guessed, a category as wrong.

    Returns `error`, `unit` (in words) and `per_column`, {name: error} where `names` are given, else None. For tables,
    `error` is the mean over columns; columns without variance are left out. With `pooled` (images, numbers only) it
    is the sum of squared errors over the sum of variances, so that pixels count by how much they vary. None where no
    column can be judged, or where a reconstruction is not finite.
    """
    check_columns(categorical, original=original, reconstructed=reconstructed)
    categorical = np.asarray(categorical, bool)
    if original.shape != reconstructed.shape:
        raise DataError(f"{len(original)} original rows but {len(reconstructed)} reconstructed ones; give as many")
    if pooled and categorical.any():
        raise DataError("a pooled reconstruction error is for numbers; leave `pooled` out for rows with categories")
    variance = column_variances(original) if scale is None else np.asarray(scale, np.float64)
    squared, wrong = _cell_errors(original, reconstructed, categorical, variance)
    unit = "squared error / variance" + (", share of wrong categories" if categorical.any() else "")
    if pooled:
        return {"error": _ratio(np.nansum(squared), np.nansum(variance)), "unit": unit, "per_column": None}

    judged = categorical | (variance > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.where(categorical, wrong, np.where(judged, squared / variance, np.nan))
    judged &= ~np.isnan(errors)
    per_column = None if names is None else {name: finite(error) for name, error in zip(names, errors, strict=True)}
    return {"error": finite(errors[judged].mean()) if judged.any() else None, "unit": unit, "per_column": per_column}


def _cell_errors(
    original: np.ndarray, reconstructed: np.ndarray, categorical: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared error and share of wrong cells per column, each (columns,); NaN where no cell is observed."""
    squared, wrong, cells = np.zeros((3, len(categorical)))
    guess = np.where(categorical, 0.0, np.nan_to_num(variance))  # the error of a number reconstructed as missing
    for start in range(0, len(original), BLOCK):
        truth = original[start : start + BLOCK].astype(np.float64)
        answer = reconstructed[start : start + BLOCK].astype(np.float64)
        observed = ~np.isnan(truth)
        with np.errstate(invalid="ignore", over="ignore"):
            loss = np.where(np.isnan(answer), guess, np.square(truth - answer))
        squared += np.where(observed, loss, 0.0).sum(0)
        wrong += (observed & (truth != answer)).sum(0)
        cells += observed.sum(0)
    with np.errstate(invalid="ignore"):
        return squared / cells, wrong / cells


def _ratio(errors: float, variances: float) -> float | None:
    return finite(errors / variances) if variances > 0 else None
