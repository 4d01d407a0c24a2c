"""What a learner gains from rows, measured by one column that it predicts of other rows.

Trained on generated rows and tested on real ones, this says how useful the generated rows are (Esteban et al., 2017,
"train on synthetic, test on real", https://arxiv.org/abs/1706.02633).
"""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score

from .probe import target_kind
from .rows import check_columns, subsample

MOST_CLASSES = 50
"""Classes that are learned: trees are grown for each."""

MOST_CATEGORIES = 255
"""The most categories of one column that the trees tell apart; codes from here on share the last place."""


def prediction_metric(target: np.ndarray, is_category: bool) -> str:
    """What a prediction of this column (rows,) is measured by: "AUROC" of two classes, "accuracy" of more, "R²" of
    numbers; few whole numbers are classes, as `probe.target_kind` tells."""
    if not is_category and target_kind(target) == "number":
        return "R²"
    return "AUROC" if len(np.unique(target[~np.isnan(target)])) == 2 else "accuracy"


def predictability(
    train: np.ndarray,
    test: np.ndarray,
    categorical: np.ndarray,
    target: int,
    metric: str,
    rng: np.random.Generator,
    limit: int = 100_000,
) -> float | None:
    """How well boosted trees that have learned column `target` from `train` (rows, columns) predict it in `test`.

    Categories are codes 0, 1, 2, …, the commonest first. `metric` is what `prediction_metric` says of the test rows:
    1 is best; of AUROC 0.5, of R² 0 is no better than a constant. Rows without a target are left out, and so are those
    to learn from whose class is none of the 50 commonest of the test rows; at most `limit` random rows are learned
    from. A training set with one class predicts that class. None where nothing is left to learn from or to test on.
    """
    check_columns(categorical, training=train, test=test)
    train, test = (rows[~np.isnan(rows[:, target])] for rows in (train, test))
    truth, others = test[:, target], np.arange(len(categorical)) != target
    if metric != "R²":
        train = train[np.isin(train[:, target], _commonest(truth))]
    (train,) = subsample(rng, limit, train)
    if not len(train) or len(np.unique(truth)) < 2 or not others.any():
        return None
    is_category = np.asarray(categorical, bool)[others]
    settings: dict[str, Any] = {"categorical_features": is_category, "random_state": int(rng.integers(2**31))}
    settings["early_stopping"] = False  # the trees' own split to stop by has no place for a class of one row
    known, asked = (_inputs(rows[:, others], is_category) for rows in (train, test))
    learned = train[:, target]
    if len(np.unique(learned)) == 1:
        guesses = np.full(len(truth), learned[0])
        return 0.5 if metric == "AUROC" else _score(truth, guesses, metric)
    if metric == "R²":
        return _score(truth, HistGradientBoostingRegressor(**settings).fit(known, learned).predict(asked), metric)
    trees = HistGradientBoostingClassifier(**settings).fit(known, learned)
    if metric == "accuracy":
        return _score(truth, trees.predict(asked), metric)
    return _score(truth, trees.predict_proba(asked)[:, 1], metric)


def _inputs(rows: np.ndarray, is_category: np.ndarray) -> np.ndarray:
    return np.where(is_category, np.minimum(rows, MOST_CATEGORIES - 1), np.where(np.isfinite(rows), rows, np.nan))


def _commonest(truth: np.ndarray) -> np.ndarray:
    classes, counts = np.unique(truth, return_counts=True)
    return classes[np.argsort(-counts, kind="stable")[:MOST_CLASSES]]


def _score(truth: np.ndarray, guesses: np.ndarray, metric: str) -> float:
    if metric == "AUROC":
        return float(roc_auc_score(truth == truth.max(), guesses))
    return float((truth == guesses).mean()) if metric == "accuracy" else float(r2_score(truth, guesses))
