"""What simple predictors can read from codes: a test of codes that the codes were not trained for."""

import warnings
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from ..core.errors import DataError
from .rows import features, subsample

MOST_CLASSES = 20
"""Whole numbers with more distinct values than this are quantities, not labels."""

RARE = 0.2
"""A share of rows below which a two-valued target may mark outliers."""

OUTLIER = {"1", "1.0", "true", "outlier", "anomaly"}
PAIRS = ({"0", "1"}, {"0.0", "1.0"}, {"false", "true"}, {"inlier", "outlier"}, {"normal", "anomaly"})

TargetKind = Literal["classes", "number", "outlier"]


def target_kind(values: np.ndarray) -> TargetKind:
    """What a target column is; `values` (rows,) of any dtype, missing ones (None, NaN) are ignored.

    "outlier": exactly two values, one of the pairs 0/1, False/True, inlier/outlier, normal/anomaly (any case), and
    the second of the pair in less than 20% of the rows. Where 1 is common, 0/1 are two classes.
    "number": numbers with a fraction, or more than 20 distinct whole ones, or whole ones most of which occur once.
    "classes": everything else.
    """
    present = _present(values)
    distinct = {str(value).lower() for value in np.unique(present)} if len(present) else set()
    if distinct in PAIRS and outliers(values).sum() < RARE * len(present):
        return "outlier"
    if not all(_is_number(value) for value in present):
        return "classes"
    numbers = present.astype(np.float64)
    whole = bool((numbers == np.round(numbers)).all())
    few = len(distinct) <= MOST_CLASSES and 2 * len(distinct) <= max(len(numbers), 4)
    return "classes" if whole and few else "number"


def outliers(values: np.ndarray) -> np.ndarray:
    """Which rows an "outlier" target marks (1, True, "outlier" or "anomaly"), boolean, shape (rows,)."""
    return np.array([str(value).lower() in OUTLIER for value in np.asarray(values, object)], bool)


def probe(
    train_codes: np.ndarray,
    train_target: np.ndarray,
    test_codes: np.ndarray,
    test_target: np.ndarray,
    kind: Literal["classes", "number"],
    rng: np.random.Generator,
    limit: int = 10_000,
) -> dict[str, Any]:
    """How well the five nearest neighbours and a linear model predict a target from codes (rows, units) without NaN.

    "classes": accuracy of the neighbours' vote and of logistic regression. "number": R² of the neighbours' mean and
    of ridge regression; below 0 is worse than the mean. Returns `knn`, `linear` and `metric` ("accuracy" or "R²").
    The neighbours are found in the codes as they are, because how far a model spreads its units is part of what it
    learnt: standardised, the noise of unused units would count as much as what the used ones say. The linear model
    gets standardised codes, because its penalty has a scale. To probe the rows of a table, give `rows.features`.
    At most `limit` random rows of each set are used; rows without a target are left out. Both scores are None where
    nothing can be learnt or tested: no rows, or a target with one value.
    """
    if kind not in ("classes", "number"):
        raise DataError(f"a probe predicts 'classes' or a 'number', not {kind!r}")
    train_codes, train_target = subsample(rng, limit, *_labelled(train_codes, train_target))
    test_codes, test_target = subsample(rng, limit, *_labelled(test_codes, test_target))
    metric = "accuracy" if kind == "classes" else "R²"
    if all(_is_number(value) for target in (train_target, test_target) for value in target.tolist()):
        # The same label may be an int in one set and, because a cell is missing, a float in the other.
        train_target, test_target = train_target.astype(np.float64), test_target.astype(np.float64)
    else:
        train_target, test_target = train_target.astype(str), test_target.astype(str)
    if not _testable(train_target, test_target, kind):
        return {"knn": None, "linear": None, "metric": metric}
    numbers = np.zeros(train_codes.shape[1], bool)
    neighbours = min(5, len(train_codes))
    nearest: Any = KNeighborsClassifier(neighbours) if kind == "classes" else KNeighborsRegressor(neighbours)
    linear: Any = LogisticRegression(max_iter=300) if kind == "classes" else Ridge()
    with warnings.catch_warnings():
        # 300 iterations are as close as a probe needs; codes that diverged would otherwise take forever.
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = {}
        for name, model, pooled in (("knn", nearest, True), ("linear", linear, False)):
            train, test = (features(codes, numbers, train_codes, pooled=pooled) for codes in (train_codes, test_codes))
            scores[name] = float(model.fit(train, train_target).score(test, test_target))
    return {**scores, "metric": metric}


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _present(values: np.ndarray) -> np.ndarray:
    cells: Iterable[Any] = np.asarray(values, object)
    present = np.array([value for value in cells if not _is_missing(value)], object)
    # Labels of several types cannot be sorted; as text they can.
    return present if all(map(_is_number, present)) else present.astype(str)


def _labelled(codes: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    if len(codes) != len(target):
        raise DataError(f"{len(codes)} rows of codes but {len(target)} target values; give as many")
    labelled = np.array([not _is_missing(value) for value in np.asarray(target, object)], bool)
    return [codes[labelled], np.asarray(target)[labelled]]


def _testable(train_target: np.ndarray, test_target: np.ndarray, kind: str) -> bool:
    if kind == "classes":
        return len(np.unique(train_target)) > 1 and len(test_target) > 0
    return len(train_target) > 0 and len(np.unique(test_target)) > 1
