import json

import numpy as np
import pytest
from scipy.stats import ks_2samp

from isthmus.core.errors import DataError
from isthmus.evaluation import generation
from isthmus.evaluation.generation import (
    column_shape_error,
    density_coverage,
    generation_quality,
    pair_trend_error,
    two_sample_auroc,
)

pytestmark = pytest.mark.slow

MISSING = np.nan
MEASURES = (two_sample_auroc, column_shape_error, pair_trend_error)


def generator(seed=0):
    return np.random.default_rng(seed)


def normal(rows, columns, seed):
    return generator(seed).normal(size=(rows, columns))


def mask(*flags):
    return np.array(flags, bool)


def mixed(rows, seed):
    """Two correlated numbers, one with missing cells, and a category that follows the first."""
    source = generator(seed)
    first = source.normal(size=rows)
    second = np.where(source.random(rows) < 0.2, MISSING, first + source.normal(size=rows))
    category = np.digitize(first + 0.3 * source.normal(size=rows), [-1.0, 0.0, 1.0]).astype(float)
    return np.stack([first, second, category], axis=1), mask(0, 0, 1)


def independent_columns(rows):
    """The same columns, each in a random order of its own."""
    return generator(9).permuted(rows, axis=0)


# Two-sample classifier


def test_samples_of_one_distribution_cannot_be_told_apart():
    (real, categorical), (synthetic, _) = mixed(1500, 0), mixed(1500, 1)
    # The standard error of an AUROC of 0.5 with 1500 rows each is 0.011.
    assert two_sample_auroc(real, synthetic, categorical, generator()) == pytest.approx(0.5, abs=0.04)


def test_a_shift_scores_the_best_possible_classifier():
    auroc = two_sample_auroc(normal(2000, 1, 0), normal(2000, 1, 1) + 1.0, mask(0), generator())
    # Φ(1/√2) = 0.760 for two unit normals one apart; boosted trees lose a little.
    assert auroc == pytest.approx(0.76, abs=0.03)


def test_only_dependence_gives_independent_columns_away():
    real = normal(2000, 1, 0) + 0.3 * normal(2000, 2, 1)
    shuffled = independent_columns(real)
    assert column_shape_error(real, shuffled, mask(0, 0), generator()) == 0.0
    assert two_sample_auroc(real, shuffled, mask(0, 0), generator()) > 0.75


def test_copies_score_below_a_half_and_are_not_folded_up():
    real = normal(600, 3, 0)
    assert two_sample_auroc(real, real.copy(), mask(0, 0, 0), generator()) < 0.45


def test_categories_are_told_apart_whether_common_or_rare():
    sampler = generator()
    even, odd = (sampler.integers(0, 100, (1000, 1)) * 2.0 + offset for offset in (0, 1))
    # About ten rows each. Splits by sets of categories alone score 0.63, splits by rank alone 0.997.
    assert two_sample_auroc(even, odd, mask(1), generator()) > 0.999
    # Sixty common ones, each with odds of 2 to 1 one way or the other: the ideal area is 2/3.
    leaning = sampler.permutation(60) % 2
    codes = sampler.integers(0, 60, 4000)
    is_synthetic = sampler.random(4000) < np.where(leaning[codes], 2 / 3, 1 / 3)
    real, synthetic = codes[~is_synthetic, None] * 1.0, codes[is_synthetic, None] * 1.0
    assert two_sample_auroc(real, synthetic, mask(1), generator()) == pytest.approx(2 / 3, abs=0.04)


def test_missing_cells_give_generated_rows_away():
    real, synthetic = normal(1000, 2, 0), normal(1000, 2, 1)
    real[::2, 0] = MISSING
    # Half of the real rows are certain, the rest are even: 0.5 + 0.5 · 0.5.
    assert two_sample_auroc(real, synthetic, mask(0, 0), generator()) == pytest.approx(0.75, abs=0.05)


def test_hundreds_of_categories_and_unseen_ones_are_taken():
    real, synthetic = (generator(seed).integers(0, 1000, (800, 1)) * 7.0 for seed in (0, 1))
    assert two_sample_auroc(real, synthetic, mask(1), generator()) == pytest.approx(0.5, abs=0.06)
    few, others = real // 7 % 20, synthetic // 7 % 20 + 100
    assert two_sample_auroc(few, others, mask(1), generator()) > 0.99


# Column shapes


def test_numbers_have_the_kolmogorov_smirnov_statistic():
    real, synthetic = normal(300, 1, 0), np.round(normal(200, 1, 1), 1) + 0.5
    real[:50] = np.round(real[:50], 1)  # ties within and between
    expected = ks_2samp(real[:, 0], synthetic[:, 0]).statistic
    assert column_shape_error(real, synthetic, mask(0), generator()) == pytest.approx(expected)


def test_shifted_uniform_numbers_differ_by_the_shift():
    grid = np.arange(1000.0)[:, None]
    assert column_shape_error(grid, grid + 250, mask(0), generator()) == pytest.approx(0.25)
    assert column_shape_error(grid, grid + 5000, mask(0), generator()) == 1.0


def test_categories_have_the_total_variation_distance():
    real, synthetic = (
        np.repeat([0.0, 1.0, 2.0], [50, 30, 20])[:, None],
        np.repeat([0.0, 2.0, 3.0], [60, 20, 20])[:, None],
    )
    # ½(|.5-.6| + |.3-0| + |.2-.2| + |0-.2|)
    assert column_shape_error(real, synthetic, mask(1), generator()) == pytest.approx(0.3)
    # As numbers the same codes differ by 0.2 (below 2): whoever ignores the mask is caught.
    assert column_shape_error(real, synthetic, mask(0), generator()) == pytest.approx(0.2)


def test_category_codes_are_names():
    real, synthetic = (generator(seed).integers(0, 4, (200, 1)).astype(float) for seed in (0, 1))
    renamed = np.array([30.0, 2.0, 11.0, 0.0])
    assert column_shape_error(real, synthetic, mask(1), generator()) == pytest.approx(
        column_shape_error(renamed[real.astype(int)], renamed[synthetic.astype(int)], mask(1), generator())
    )


@pytest.mark.parametrize("is_category", [True, False])
def test_missing_shares_count(is_category):
    real = np.repeat([1.0, MISSING], [70, 30])[:, None]
    synthetic = np.repeat([1.0, MISSING], [50, 50])[:, None]
    assert column_shape_error(real, synthetic, mask(is_category), generator()) == pytest.approx(0.2)
    assert column_shape_error(real, real, mask(is_category), generator()) == 0.0
    gone = np.full_like(real, MISSING)
    assert column_shape_error(np.ones((5, 1)), gone, mask(is_category), generator()) == 1.0
    assert column_shape_error(gone, gone, mask(is_category), generator()) == 0.0


def test_turning_a_column_round_changes_nothing_even_with_missing_cells():
    (real, _), (synthetic, _) = mixed(200, 0), mixed(150, 1)
    synthetic[:40, 1] = MISSING
    numbers = mask(0, 0, 0)
    assert column_shape_error(-3 * real, -3 * synthetic, numbers, generator()) == pytest.approx(
        column_shape_error(real, synthetic, numbers, generator())
    )


# Pair trends


def test_lost_correlation_is_half_the_correlation():
    first = normal(5000, 1, 0)
    real = np.hstack([first, 0.8 * first + 0.6 * normal(5000, 1, 1)])  # correlation 0.8
    independent = normal(5000, 2, 2)
    # The standard error of a correlation of 5000 rows is at most 0.014, halved.
    assert pair_trend_error(real, independent, mask(0, 0), generator()) == pytest.approx(0.4, abs=0.02)
    opposite = real * [1.0, -1.0]
    assert pair_trend_error(real, opposite, mask(0, 0), generator()) == pytest.approx(0.8, abs=0.02)


def test_two_way_tables_of_categories_and_of_bins():
    category = np.tile([0.0, 1.0], 50)
    number = np.where(category == 1, 10.0, 0.0)
    real = np.stack([category, number], axis=1)
    # Independent: all four cells hold a quarter where the real rows fill two with halves.
    independent = np.stack([category, np.repeat([0.0, 10.0], 50)], axis=1)
    for categorical in (mask(1, 1), mask(1, 0), mask(0, 1)):
        assert pair_trend_error(real, independent, categorical, generator()) == pytest.approx(0.5)
    # The correlation falls from 1 to 0, which as numbers is 0.5 too; codes under another name are not.
    renamed = np.where(real == 1, 7.0, real)
    assert pair_trend_error(real, renamed, mask(1, 0), generator()) == pytest.approx(0.5)
    assert pair_trend_error(real, renamed, mask(0, 0), generator()) == pytest.approx(0.0)


def test_bins_are_the_real_columns_ten():
    number = np.arange(100.0)
    real = np.stack([np.zeros(100), number], axis=1)
    real[0, 0] = 1.0
    within = np.stack([real[:, 0], np.repeat(np.arange(10) * 10.0 + 4, 10)], axis=1)  # the same bins, other values
    assert pair_trend_error(real, within, mask(1, 0), generator()) == 0.0
    beyond = np.stack([real[:, 0], np.where(number >= 90, 1e9, number)], axis=1)
    assert pair_trend_error(real, beyond, mask(1, 0), generator()) == 0.0
    next_bin = np.stack([real[:, 0], np.where(number >= 90, 85.0, number)], axis=1)
    assert pair_trend_error(real, next_bin, mask(1, 0), generator()) == pytest.approx(0.1)


def test_columns_that_do_not_vary_have_no_trend_but_collapsed_ones_lose_theirs():
    real = np.hstack([np.repeat([[0.0], [1.0]], 20, axis=0)] * 2 + [np.full((40, 1), 0.1)])
    collapsed = np.full((40, 3), 0.1)
    # One pair counts, with correlation 1 against none.
    assert pair_trend_error(real, collapsed, mask(0, 0, 0), generator()) == pytest.approx(0.5)
    assert pair_trend_error(collapsed, real, mask(0, 0, 0), generator()) is None


def test_a_sample_of_pairs_estimates_all_of_them():
    source = normal(400, 5, 0) @ normal(5, 30, 1)
    real, synthetic = source + normal(400, 30, 2), normal(400, 30, 3)
    every = pair_trend_error(real, synthetic, np.zeros(30, bool), generator(), pairs=435)
    correlations = np.abs(np.corrcoef(real.T) - np.corrcoef(synthetic.T))[np.triu_indices(30, 1)] / 2
    assert every == pytest.approx(correlations.mean())
    some = [pair_trend_error(real, synthetic, np.zeros(30, bool), generator(seed), pairs=100) for seed in range(5)]
    assert len(set(some)) == 5
    # Five times 100 pairs: the standard error is σ/√500.
    assert np.mean(some) == pytest.approx(every, abs=4 * correlations.std() / np.sqrt(500))


# Density and coverage


def test_density_and_coverage_of_one_distribution():
    result = density_coverage(normal(2000, 3, 0), normal(2000, 3, 1), generator())
    assert result["density"] == pytest.approx(1.0, abs=0.06)
    assert result["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)


def test_a_dropped_mode_halves_coverage_and_keeps_density():
    real, synthetic = normal(1000, 2, 0), normal(1000, 2, 1)
    real[::2] += 100.0
    result = density_coverage(real, synthetic, generator())
    assert result["coverage"] == pytest.approx(0.5, abs=0.02)
    # All generated points meet half the real ones: twice as many per ball, half as many balls.
    assert result["density"] == pytest.approx(1.0, abs=0.08)


def test_density_and_coverage_by_hand():
    real, synthetic = np.array([[0.0], [1.0], [3.0], [7.0]]), np.array([[0.5], [1.0], [3.5], [20.0]])
    # k = 1: balls 0±1, 1±1, 3±2, 7±4 hold 2, 2, 2 and 1 of the points (surfaces included).
    assert density_coverage(real, synthetic, generator(), k=1) == {"density": 7 / 4, "coverage": 1.0}
    assert density_coverage(real, synthetic[::-1] + 50, generator(), k=1) == {"density": 0.0, "coverage": 0.0}


def test_repeated_rows_are_covered_by_rows_like_them():
    rows = np.repeat(normal(20, 5, 0), 10, axis=0) + 1e3  # every ball has radius 0
    assert density_coverage(rows, rows[::-1], generator())["coverage"] == 1.0
    assert density_coverage(rows, rows + 1e-2, generator())["coverage"] == 0.0


# All of them


def test_a_fresh_sample_is_good_and_the_training_rows_are_caught():
    (train, categorical), (held_out, _), (fresh, _) = (mixed(800, seed) for seed in range(3))
    good = generation_quality(fresh, train, held_out, categorical, generator())
    assert set(good) == {
        "c2st_auroc",
        "column_shape",
        "pair_trend",
        "density",
        "coverage",
        "copied_share",
        "membership_auroc",
        "exact_copies",
    }
    assert good["c2st_auroc"] == pytest.approx(0.5, abs=0.06)
    assert good["column_shape"] < 0.06 and good["pair_trend"] < 0.12
    assert good["density"] == pytest.approx(1.0, abs=0.12) and good["coverage"] > 0.9
    assert good["copied_share"] == pytest.approx(0.5, abs=0.08)
    # 800 rows each, standard error 0.015.
    assert good["membership_auroc"] == pytest.approx(0.5, abs=0.06) and good["exact_copies"] == 0.0
    copied = generation_quality(train, train, held_out, categorical, generator())
    assert copied["copied_share"] > 0.95 and copied["membership_auroc"] > 0.95 and copied["exact_copies"] == 1.0


def test_independent_columns_keep_shapes_and_lose_trends():
    (train, categorical), (held_out, _), (rows, _) = (mixed(800, seed) for seed in range(3))
    shuffled = independent_columns(rows)
    fresh = generation_quality(rows, train, held_out, categorical, generator())
    broken = generation_quality(shuffled, train, held_out, categorical, generator())
    assert broken["column_shape"] == pytest.approx(fresh["column_shape"])
    for measure, worse in (("c2st_auroc", 0.15), ("pair_trend", 0.15)):
        assert broken[measure] > fresh[measure] + worse
    assert broken["density"] < 0.75


@pytest.mark.parametrize("measure", [column_shape_error, pair_trend_error])
def test_order_of_rows_and_columns_and_scales_of_numbers_do_not_matter(measure):
    (real, categorical), (synthetic, _) = mixed(300, 0), mixed(200, 1)
    expected = measure(real, synthetic, categorical, generator())
    order = [2, 0, 1]
    assert measure(real[:, order], synthetic[:, order], categorical[order], generator()) == pytest.approx(expected)
    assert measure(real[::-1], synthetic[::-1], categorical, generator()) == pytest.approx(expected)
    factor, offset = np.array([1024.0, 0.5, 1.0]), np.array([0.0, 0.0, 5.0])
    rescaled = measure(real * factor + offset, synthetic * factor + offset, categorical, generator())
    assert rescaled == pytest.approx(expected)


def test_the_same_generator_gives_the_same_numbers():
    (real, categorical), (synthetic, _) = mixed(300, 0), mixed(300, 1)
    for measure in MEASURES:
        first, again = (measure(real, synthetic, categorical, generator(5), limit=100) for _ in range(2))
        assert first == again


def hard_sets():
    ones = np.ones((5, 3))
    empty_column = np.where([True, False, False], MISSING, np.arange(15.0).reshape(5, 3))
    yield "constant", ones, ones
    yield "constant against varied", ones, np.arange(15.0).reshape(5, 3)
    yield "column missing in real", empty_column, np.arange(15.0).reshape(5, 3)
    yield "column missing in synthetic", np.arange(15.0).reshape(5, 3), empty_column
    yield "all missing", np.full((5, 3), MISSING), np.full((5, 3), MISSING)
    yield "all missing in synthetic", np.arange(15.0).reshape(5, 3), np.full((5, 3), MISSING)
    yield "one row", ones[:1], ones[:1]
    yield "no generated rows", ones, ones[:0]
    yield "no held-out rows", ones[:0], ones
    yield "infinite and huge", np.arange(15.0).reshape(5, 3), np.array([[np.inf, -np.inf, 1e300]] * 5)
    yield "one column", np.arange(40.0)[:, None], np.arange(40.0)[::-1, None]
    yield "repeats", np.zeros((60, 2)), np.repeat([[0.0, 1.0], [2.0, 0.0]], 30, axis=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("is_category", [False, True])
@pytest.mark.parametrize(("real", "synthetic"), [pytest.param(*sets[1:], id=sets[0]) for sets in hard_sets()])
@pytest.mark.slow
def test_hard_sets_give_numbers_or_none(real, synthetic, is_category):
    if is_category:
        synthetic = np.where(np.isinf(synthetic), MISSING, synthetic)  # codes are finite
    categorical = np.full(real.shape[1], is_category)
    for pooled in (False, True):
        quality = generation_quality(synthetic, real, real, categorical, generator(), pooled=pooled)
        json.dumps(quality, allow_nan=False)
        assert all(value is None or type(value) is float for value in quality.values())


def test_sets_with_other_columns_are_refused():
    with pytest.raises(DataError, match="synthetic rows have shape"):
        generation_quality(np.ones((5, 2)), np.ones((5, 3)), np.ones((5, 3)), mask(0, 0, 0), generator())


def test_correlations_at_once_are_those_of_each_pair() -> None:
    """Columns with gaps, constants, copies, and spreads that no square holds among them."""
    rows = generator().normal(size=(300, 10))
    rows[:, 2], rows[5, 3], rows[:, 5] = 0.1, np.nan, -2 * rows[:, 4]
    rows[:, 6] *= 1e300
    rows[:, 7] *= 1e-300
    pairs = np.array([(first, second) for first in range(10) for second in range(first)])
    expected = [generation._correlation(rows[:, first], rows[:, second]) for first, second in pairs]
    assert generation._correlations(rows, pairs) == pytest.approx(expected, abs=1e-12)
    assert 0.0 in expected and pytest.approx(min(expected)) == -1.0
