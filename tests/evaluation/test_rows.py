import numpy as np
import pytest

from isthmus.core.errors import DataError
from isthmus.evaluation.rows import FARTHEST, check_columns, column_variances, equal_sizes, features, subsample

MISSING = np.nan


def generator(seed=0):
    return np.random.default_rng(seed)


def test_variances_are_those_of_observed_cells_and_exactly_zero_for_a_constant_column():
    matrix = np.array([[0.1, 1.0, MISSING, 3.0], [0.1, MISSING, MISSING, 5.0], [0.1, 4.0, MISSING, 10.0]])
    variances = column_variances(matrix)
    assert variances[0] == 0.0
    np.testing.assert_allclose(variances[[1, 3]], [2.25, np.var([3.0, 5.0, 10.0])])
    assert np.isnan(variances[2])


def test_numbers_are_standardised_by_the_reference():
    reference = np.array([[0.0], [10.0]])
    np.testing.assert_allclose(features(np.array([[5.0], [20.0]]), np.array([False]), reference), [[0.0], [3.0]])


def test_pooled_features_keep_the_proportions_of_columns():
    matrix = generator().normal(size=(50, 3)) * [1.0, 10.0, 0.001]
    points = features(matrix, np.zeros(3, bool), matrix, pooled=True)
    np.testing.assert_allclose(points.var(0) / points.var(0)[0], matrix.var(0) / matrix.var(0)[0])
    np.testing.assert_allclose(points.var(0).mean(), 1.0)


def test_two_rows_that_differ_in_a_category_are_at_squared_distance_two():
    reference = np.array([[0.0], [1.0], [2.0]])
    points = features(reference, np.array([True]), reference)
    np.testing.assert_array_equal(np.square(points[0] - points).sum(1), [0.0, 2.0, 2.0])


def test_unseen_categories_are_nowhere_and_missing_cells_are_marked_where_the_reference_has_them():
    reference = np.array([[0.0, 1.0], [1.0, MISSING], [1.0, 3.0]])
    points = features(np.array([[7.0, MISSING], [0.0, 3.0]]), np.array([True, False]), reference)
    # the number (mean where missing), the categories 1 and 0 by frequency, missing
    np.testing.assert_allclose(points, [[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]])


def test_features_are_finite_for_constant_empty_and_infinite_columns():
    reference = np.array([[0.1, MISSING, 1.0], [0.1, MISSING, 2.0]])
    points = features(np.array([[0.1, 3.0, np.inf], [0.3, MISSING, -np.inf]]), np.zeros(3, bool), reference)
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(points[:, 2], [FARTHEST, -FARTHEST])


def test_subsamples_keep_arrays_aligned_and_repeat_no_row():
    rows, target = subsample(generator(), 10, np.arange(100), np.arange(100) * 2)
    assert len(np.unique(rows)) == 10
    np.testing.assert_array_equal(target, rows * 2)


def test_equal_sizes_are_those_of_the_smallest_set_or_the_limit():
    assert [len(rows) for rows in equal_sizes(generator(), 50, np.zeros(7), np.zeros(100))] == [7, 7]
    assert [len(rows) for rows in equal_sizes(generator(), 5, np.zeros(7), np.zeros(100))] == [5, 5]


def test_a_set_with_other_columns_is_refused_in_one_line():
    with pytest.raises(DataError, match=r"held out rows have shape \(4, 2\).*3 columns") as failure:
        check_columns(np.zeros(3, bool), held_out=np.zeros((4, 2)))
    assert "\n" not in str(failure.value)
