"""How good generated rows are: like real ones, as varied as real ones, and not copies of the training rows.

Every measure compares sets of rows (rows, columns), NaN for a missing cell, with a boolean mask `categorical` of the
columns that hold category codes. Each looks at no more than `limit` random rows of a set.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from .distances import BLOCK, centred, squared_distances
from .privacy import copied_share, exact_copies, membership_auroc
from .rows import check_columns, equal_sizes, features, subsample

FOLDS = 3
SPLIT_COLUMNS = 64
"""Columns the classifier looks at per split; more only make it slower, since it splits many times."""

FEWEST_OBSERVED = 30
"""Observed cells with which every fold holds some of them, but for one chance in 3²⁸."""

MOST_CATEGORIES = 255
"""The most categories of one column that the classifier tells apart; rarer ones share the last."""

BINS = 10
CELLS = 2_000_000
"""Cells of a set that its marginals are measured on: narrow tables afford more rows than `limit`'s default."""


def generation_quality(
    synthetic: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    categorical: np.ndarray,
    rng: np.random.Generator,
    *,
    pooled: bool = False,
) -> dict[str, float | None]:
    """All measures of generated rows, against real rows that no model has seen.

    `pooled`: distances between rows use one scale for all columns (images), see `rows.features`. Returns
    `c2st_auroc` (0.5 is best), `column_shape` and `pair_trend` (errors, 0 is best), `density` and `coverage`
    (1 is best), `copied_share` and `membership_auroc` (0.5 is fair) and `exact_copies` (a share); None where a measure
    does not apply.
    """
    check_columns(categorical, synthetic=synthetic, training=train, held_out=held_out)
    # Features can be wider than rows: none are made of rows that no measure will look at.
    some = [subsample(rng, 10_000, rows)[0] for rows in (held_out, synthetic, train)]
    real_points, synthetic_points, train_points = (
        features(rows, categorical, some[-1], pooled=pooled) for rows in some
    )
    limit = max(10_000, CELLS // max(1, len(categorical)))
    return {
        "c2st_auroc": two_sample_auroc(held_out, synthetic, categorical, rng),
        "column_shape": column_shape_error(held_out, synthetic, categorical, rng, limit),
        "pair_trend": pair_trend_error(held_out, synthetic, categorical, rng, limit),
        **density_coverage(real_points, synthetic_points, rng),
        "copied_share": copied_share(synthetic_points, train_points, real_points, rng),
        "membership_auroc": membership_auroc(synthetic_points, train_points, real_points, rng),
        "exact_copies": exact_copies(synthetic, train),
    }


def two_sample_auroc(
    real: np.ndarray, synthetic: np.ndarray, categorical: np.ndarray, rng: np.random.Generator, limit: int = 2000
) -> float | None:
    """How well boosted trees tell real rows from generated ones: a classifier two-sample test (Lopez-Paz & Oquab 2017).

    The mean area under the ROC curve over three held-out folds: 0.5 where they cannot, 1 where they always can. Below
    0.5 is possible and telling: rows that occur in both sets mislead a classifier that meets them with the other
    label. Sets of equal size are drawn; None with fewer than 3 rows each. Sets of under about 30 rows are too small to
    split on and score 0.5.
    """
    check_columns(categorical, real=real, synthetic=synthetic)
    real, synthetic = equal_sizes(rng, limit, real, synthetic)
    if len(real) < FOLDS:
        return None
    rows = np.concatenate([real, synthetic]).astype(np.float64)
    is_synthetic = np.repeat([0, 1], len(real))
    varies = np.array([_distinct(column) > 1 for column in rows.T], bool)
    if not varies.any():
        return 0.5
    rows, categorical = rows[:, varies], np.asarray(categorical, bool)[varies]
    numbers, categories = rows[:, ~categorical], rows[:, categorical]
    ranks = np.apply_along_axis(_frequency_ranks, 0, categories) if categorical.any() else categories
    # Scikit-learn's splits by sets of categories pass over those in fewer than ten rows; splits by rank reach them.
    numbers = np.apply_along_axis(_without_rare_cells, 0, numbers) if numbers.size else numbers
    rows = np.concatenate([numbers, ranks, np.minimum(ranks, MOST_CATEGORIES - 1)], axis=1)
    settings: dict[str, Any] = {
        "categorical_features": np.arange(rows.shape[1]) >= len(categorical),
        "max_features": min(1.0, SPLIT_COLUMNS / rows.shape[1]),
        "early_stopping": False,
        "random_state": int(rng.integers(2**31)),
    }
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    scores = cross_val_predict(
        HistGradientBoostingClassifier(**settings), rows, is_synthetic, cv=folds, method="decision_function"
    )
    areas = [roc_auc_score(is_synthetic[fold], scores[fold]) for _, fold in folds.split(rows, is_synthetic)]
    return float(np.mean(areas))


def _without_rare_cells(column: np.ndarray) -> np.ndarray:
    """A column of numbers in which hardly any is observed with one more value, below all, for what is missing: a fold
    could hold no other, and scikit-learn's trees need one that is observed."""
    observed = np.isfinite(column)
    if not 0 < observed.sum() < FEWEST_OBSERVED:
        return column
    return np.where(observed, column, column[observed].min() - 1.0)


def column_shape_error(
    real: np.ndarray, synthetic: np.ndarray, categorical: np.ndarray, rng: np.random.Generator, limit: int = 10_000
) -> float | None:
    """The mean of `column_shape_errors` over columns, 0 (equal) to 1 (apart); None without rows or columns."""
    errors = column_shape_errors(real, synthetic, categorical, rng, limit)
    return float(errors.mean()) if len(errors) and np.isfinite(errors).all() else None


def column_shape_errors(
    real: np.ndarray, synthetic: np.ndarray, categorical: np.ndarray, rng: np.random.Generator, limit: int = 10_000
) -> np.ndarray:
    """A distance between the two distributions of each column, 0 (equal) to 1 (apart), shape (columns,).

    Numbers: the Kolmogorov–Smirnov statistic. Categories: the total variation distance, with missing as one more
    category. Missing numbers count too: as one more value beyond all others, on whichever side tells more, so that
    the error is never below the difference between the shares of missing cells. NaN without rows.
    """
    check_columns(categorical, real=real, synthetic=synthetic)
    if not len(real) or not len(synthetic):
        return np.full(len(categorical), np.nan)
    real, synthetic = subsample(rng, limit, real)[0], subsample(rng, limit, synthetic)[0]
    errors = [
        _total_variation(*_category_codes(real[:, column], synthetic[:, column]))
        if is_category
        else _kolmogorov_smirnov(real[:, column], synthetic[:, column])
        for column, is_category in enumerate(categorical)
    ]
    return np.array(errors, np.float64)


def pair_trend_error(
    real: np.ndarray,
    synthetic: np.ndarray,
    categorical: np.ndarray,
    rng: np.random.Generator,
    limit: int = 10_000,
    pairs: int = 500,
) -> float | None:
    """The mean of `pair_trend_errors` over pairs of columns, 0 (equal) to 1 (opposite); None where there is no pair."""
    errors = pair_trend_errors(real, synthetic, categorical, rng, limit, pairs)[1]
    return float(errors.mean()) if len(errors) else None


def pair_trend_errors(
    real: np.ndarray,
    synthetic: np.ndarray,
    categorical: np.ndarray,
    rng: np.random.Generator,
    limit: int = 10_000,
    pairs: int = 500,
) -> tuple[np.ndarray, np.ndarray]:
    """How much the dependence of two columns differs: pairs (pairs, 2), and an error (pairs,), 0 (equal) to 1
    (opposite).

    Two numbers: half the absolute difference of their Pearson correlations, over rows that have both; a correlation
    with a constant is 0. A pair with a category: the total variation distance between the two-way tables of shares,
    where numbers are cut into ten bins of equal width over the real column's range, values beyond it join the end
    bins, and missing is one more category. All pairs of columns that vary in the real rows count; beyond `pairs` of
    them, that many random ones do.
    """
    check_columns(categorical, real=real, synthetic=synthetic)
    if not len(real) or not len(synthetic):
        return np.empty((0, 2), int), np.empty(0)
    real, synthetic = subsample(rng, limit, real)[0], subsample(rng, limit, synthetic)[0]
    varying = np.flatnonzero([_distinct(column) > 1 for column in real.T])
    chosen = _pairs(len(varying), pairs, rng)
    codes = {}
    if len(chosen) and np.any(categorical):
        codes = {
            column: (_category_codes if categorical[column] else _bin_codes)(real[:, column], synthetic[:, column])
            for column in varying[np.unique(chosen)]
        }
    with_category = np.asarray(categorical, bool)[varying[chosen]].any(1)
    errors = np.empty(len(chosen))
    errors[with_category] = [
        _total_variation(*map(_joint_codes, codes[first], codes[second]))
        for first, second in varying[chosen[with_category]]
    ]
    numbers = varying[chosen[~with_category]]
    correlations = [_correlations(rows, numbers) for rows in (real, synthetic)]
    errors[~with_category] = np.abs(correlations[0] - correlations[1]) / 2
    return varying[chosen], errors


def density_coverage(
    real: np.ndarray, synthetic: np.ndarray, rng: np.random.Generator, k: int = 5, limit: int = 5000
) -> dict[str, float | None]:
    """Density and coverage of generated points among real ones (Naeem et al. 2020, eq. 2 and 3).

    Both sets are points (rows, features), see `rows.features`; as many of each are compared. Around each real
    point lies a ball that reaches its k-th nearest real neighbour. Density: the mean number of balls that a generated
    point lies in, over k; above 1 where generated points crowd where real ones do. Coverage: the share of balls with a
    generated point in them; two samples of one distribution reach about 1 - 2⁻ᵏ. Balls include their surface, so that
    rows that repeat are covered by rows like them. None with fewer than two rows each.
    """
    real, synthetic = equal_sizes(rng, limit, real, synthetic)
    rows = len(real)
    if rows < 2:
        return {"density": None, "coverage": None}
    k = min(k, rows - 1)
    real, synthetic = centred(real, synthetic)
    inside, covered = 0, 0
    for start in range(0, rows, BLOCK):
        centres = real[start : start + BLOCK]
        among_real, _ = squared_distances(centres, real)
        among_real[np.arange(len(centres)), start + np.arange(len(centres))] = np.inf
        radius = np.partition(among_real, k - 1, axis=1)[:, k - 1 : k]
        to_synthetic, rounding = squared_distances(centres, synthetic)
        in_ball = to_synthetic <= radius + rounding
        inside += int(in_ball.sum())
        covered += int(in_ball.any(1).sum())
    return {"density": inside / (k * rows), "coverage": covered / rows}


def _distinct(column: np.ndarray) -> int:
    """How many values a column has, missing being one; counts no further than two."""
    missing = np.isnan(column)
    present = column[~missing]
    return int(missing.any()) + (0 if not len(present) else 1 + int(present.min() < present.max()))


def _frequency_ranks(column: np.ndarray) -> np.ndarray:
    """Categories numbered 0, 1, … by falling frequency; missing stays missing."""
    present = ~np.isnan(column)
    _, inverse, counts = np.unique(column[present], return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), int)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    ranks = np.full(len(column), np.nan)
    ranks[present] = rank[inverse]
    return ranks


def _kolmogorov_smirnov(real: np.ndarray, synthetic: np.ndarray) -> float:
    """The largest gap between the distribution functions, missing cells lying below or above all values."""
    present = [np.sort(values[~np.isnan(values)]) for values in (real, synthetic)]
    at = np.concatenate(present)
    gaps = np.searchsorted(present[0], at, side="right") / len(real)
    gaps -= np.searchsorted(present[1], at, side="right") / len(synthetic)
    missing = len(present[1]) / len(synthetic) - len(present[0]) / len(real)
    return float(max(np.abs(gaps).max(initial=0.0), np.abs(gaps + missing).max(initial=0.0), abs(missing)))


def _category_codes(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes 0, 1, … that both columns share; missing is a category."""
    values = np.concatenate([real, synthetic]).astype(np.float64)
    codes = np.unique(np.where(np.isnan(values), -np.inf, values), return_inverse=True)[1]
    return codes[: len(real)], codes[len(real) :]


def _bin_codes(real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as bins 0 … 9 of equal width over the range of the real column; missing is 10."""
    present = real[~np.isnan(real)]
    low, high = (present.min(), present.max()) if len(present) else (0.0, 0.0)
    inner_edges = np.linspace(low, high, BINS + 1)[1:-1]
    real_codes, synthetic_codes = (
        np.where(np.isnan(values), BINS, np.searchsorted(inner_edges, values, side="right"))
        for values in (real, synthetic)
    )
    return real_codes, synthetic_codes


def _joint_codes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One code for each pair of codes below 2³¹."""
    return first.astype(np.int64) * 2**31 + second


def _total_variation(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Half the summed absolute difference between the shares of each code."""
    _, codes = np.unique(np.concatenate([real, synthetic]), return_inverse=True)
    shares = [np.bincount(part, minlength=codes.max() + 1) / len(part) for part in np.split(codes, [len(real)])]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _correlations(rows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each pair of columns, shape (pairs,), as `_correlation` gives it.

    Those between columns without a gap come from one product.
    """
    columns = np.unique(pairs)
    columns = columns[np.isfinite(rows[:, columns]).all(0)]
    place = np.full(rows.shape[1], -1)
    place[columns] = np.arange(len(columns))
    if len(rows) < 2:
        return np.zeros(len(pairs))  # one row does not vary
    at = place[pairs]  # (pairs, 2), -1 for a column with gaps
    whole = (at >= 0).all(1)
    correlations = np.empty(len(pairs))
    if whole.any():
        values = rows[:, columns]
        with np.errstate(all="ignore"):
            matrix = np.nan_to_num(np.corrcoef(values, rowvar=False)).reshape(len(columns), len(columns))
        varies = np.ptp(values, axis=0) > 0
        correlations[whole] = (matrix * np.outer(varies, varies))[at[whole, 0], at[whole, 1]]
    for pair in np.flatnonzero(~whole):
        correlations[pair] = _correlation(rows[:, pairs[pair, 0]], rows[:, pairs[pair, 1]])
    return correlations


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation over rows that have both; 0 where either does not vary."""
    both = np.isfinite(first) & np.isfinite(second)
    if not both.any() or np.ptp(first[both]) == 0 or np.ptp(second[both]) == 0:
        return 0.0
    with np.errstate(all="ignore"):  # spreads too small or too large to square count as not varying
        return float(np.nan_to_num(np.corrcoef(first[both], second[both])[0, 1]))


def _pairs(columns: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """All pairs of columns, or `most` random ones, shape (pairs, 2)."""
    total = columns * (columns - 1) // 2
    index = np.arange(total) if total <= most else rng.choice(total, most, replace=False)
    # Pair number i: a column, and the column that lies 1 + i // columns further round the circle. It meets each once.
    first = index % max(columns, 1)
    return np.stack([first, (first + 1 + index // max(columns, 1)) % max(columns, 1)], axis=1)
