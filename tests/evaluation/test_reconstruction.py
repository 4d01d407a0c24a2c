import numpy as np
import pytest

from isthmus.core.errors import DataError
from isthmus.evaluation.reconstruction import reconstruction_error
from isthmus.evaluation.rows import column_variances

MISSING = np.nan
NUMBERS = np.zeros(3, bool)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(40, 3)) * [1.0, 100.0, 0.01] + [5.0, 0.0, -3.0]


@pytest.mark.parametrize("pooled", [False, True])
def test_zero_is_perfect_and_one_is_the_mean(rows, pooled):
    mean = np.broadcast_to(rows.mean(0), rows.shape)
    assert reconstruction_error(rows, rows, NUMBERS, pooled=pooled)["error"] == 0.0
    assert reconstruction_error(rows, mean, NUMBERS, pooled=pooled)["error"] == pytest.approx(1.0)


def test_columns_count_alike_in_tables_and_by_their_variance_when_pooled(rows):
    guess = rows.copy()
    guess[:, 1] = rows[:, 1].mean()  # the column with nearly all the variance
    assert reconstruction_error(rows, guess, NUMBERS)["error"] == pytest.approx(1 / 3)
    variances = rows.var(0)
    pooled = reconstruction_error(rows, guess, NUMBERS, pooled=True)["error"]
    assert pooled == pytest.approx(variances[1] / variances.sum())


def test_the_scale_is_that_of_the_training_rows(rows):
    once = reconstruction_error(rows, rows + 1.0, NUMBERS, scale=column_variances(rows))
    twice = reconstruction_error(rows, rows + 1.0, NUMBERS, scale=column_variances(rows * 2))
    assert once["error"] == pytest.approx(4 * twice["error"])


def test_rescaling_a_column_changes_nothing(rows):
    noise = np.random.default_rng(1).normal(size=rows.shape)
    plain = reconstruction_error(rows, rows + noise, NUMBERS)["error"]
    factor, offset = np.array([3.0, -0.1, 1e6]), np.array([0.0, 7.0, 1e6])
    moved = reconstruction_error(rows * factor + offset, (rows + noise) * factor + offset, NUMBERS)["error"]
    assert moved == pytest.approx(plain)


def test_categories_count_wrong_cells_whatever_their_codes_and_missing_cells_are_not_asked_for():
    original = np.array([[0.0, 1.0], [2.0, MISSING], [1.0, 3.0], [1.0, MISSING]])
    guess = np.array([[9.0, 1.0], [2.0, 100.0], [1.0, 3.0], [1.0, MISSING]])
    result = reconstruction_error(original, guess, np.array([True, False]), names=["kind", "size"])
    assert result["per_column"] == {"kind": 0.25, "size": 0.0}
    assert result["error"] == pytest.approx(0.125)
    assert "variance" in result["unit"] and "categories" in result["unit"]


def test_a_number_reconstructed_as_missing_counts_as_the_mean(rows):
    lost = np.full_like(rows, MISSING)
    assert reconstruction_error(rows, lost, NUMBERS)["error"] == pytest.approx(1.0)


def test_columns_without_variance_or_cells_are_left_out():
    original = np.array([[0.1, 1.0, MISSING], [0.1, 2.0, MISSING], [0.1, 6.0, MISSING]])
    guess = np.array([[0.2, 3.0, 1.0], [0.2, 3.0, 1.0], [0.2, 3.0, 1.0]])
    result = reconstruction_error(original, guess, NUMBERS, names=["constant", "number", "empty"])
    assert result["error"] == pytest.approx(1.0)
    assert result["per_column"] == {"constant": None, "number": pytest.approx(1.0), "empty": None}


def test_nothing_to_judge_is_none_and_an_infinite_reconstruction_is_not_hidden(rows):
    assert reconstruction_error(np.ones((5, 3)), np.zeros((5, 3)), NUMBERS)["error"] is None
    assert reconstruction_error(np.ones((5, 3)), np.zeros((5, 3)), NUMBERS, pooled=True)["error"] is None
    guess = rows.copy()
    guess[0, 0] = np.inf
    assert reconstruction_error(rows, guess, NUMBERS)["error"] is None


def test_many_rows_give_what_the_formula_gives():
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(9001, 3))  # more than two blocks
    guess = rows + generator.normal(size=rows.shape)
    expected = (np.square(rows - guess).mean(0) / rows.var(0)).mean()
    assert reconstruction_error(rows, guess, NUMBERS)["error"] == pytest.approx(expected)


def test_mismatched_sets_are_refused(rows):
    with pytest.raises(DataError, match="40 original rows but 39"):
        reconstruction_error(rows, rows[:-1], NUMBERS)
    with pytest.raises(DataError, match="pooled"):
        reconstruction_error(rows, rows, np.array([True, False, False]), pooled=True)
