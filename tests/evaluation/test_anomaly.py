import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from isthmus.core.errors import DataError
from isthmus.evaluation.anomaly import KINDS, auroc, detection, plant

MISSING = np.nan


def generator(seed=0):
    return np.random.default_rng(seed)


def numbered(rows, columns):
    """Every cell has a value of its own, so that moves can be followed."""
    return np.arange(float(rows * columns)).reshape(rows, columns)


@pytest.mark.parametrize("rows", [2, 3, 5, 100, 101])
@pytest.mark.parametrize(("columns", "changed"), [(2, 1), (3, 1), (7, 2), (9, 3)])
def test_shuffled_cells_keep_every_column_and_change_a_third_of_every_row(rows, columns, changed):
    table = numbered(rows, columns)
    planted = plant(table, np.zeros(columns, bool), "shuffled cells", generator())
    np.testing.assert_array_equal(np.sort(planted, axis=0), table)
    np.testing.assert_array_equal((planted != table).sum(1), changed)
    # What a row got, it got from one other row.
    donors = (planted // columns)[planted != table].reshape(rows, changed)
    assert (donors == donors[:, :1]).all()


def test_shuffled_cells_break_dependence():
    first = generator().normal(size=(4000, 1))
    table = np.hstack([first, first, first])
    planted = plant(table, np.zeros(3, bool), "shuffled cells", generator(1))
    # A third of the cells of each column are from elsewhere; two columns still agree in a third of the rows.
    correlation = np.corrcoef(planted.T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(correlation, 1 / 3, atol=0.06)


@pytest.mark.parametrize("event_shape", [(8, 6), (3, 8, 6)])
def test_images_swap_one_side_of_a_line(event_shape):
    pixels = int(np.prod(event_shape))
    images = numbered(400, pixels)
    planted = plant(images, np.zeros(pixels, bool), "shuffled cells", generator(), event_shape)
    np.testing.assert_array_equal(np.sort(planted, axis=0), images)
    changed = (planted != images).reshape(400, -1, 8, 6)
    assert (changed == changed[:, :1]).all()  # the same in every channel
    np.testing.assert_array_equal(changed[:, 0].sum((1, 2)), 24)  # a line through the middle halves an even grid
    # One side of a line: the point opposite to a changed pixel is unchanged.
    assert (changed[:, 0] != changed[:, 0, ::-1, ::-1]).all()
    # Along any row or column of pixels, the line is crossed at most once.
    for axis in (1, 2):
        assert (np.diff(changed[:, 0].astype(int), axis=axis) != 0).sum(axis).max() == 1
    assert len(np.unique(changed[:, 0].reshape(400, -1), axis=0)) > 20


def test_random_cells_stay_in_the_range_and_keep_whole_numbers_and_categories():
    source = generator()
    table = np.stack(
        [
            source.normal(size=5000),
            source.integers(3, 7, 5000),
            source.choice([0.0, 5.0], 5000),
            np.full(5000, MISSING),
            np.full(5000, 0.1),
            source.random(5000),
        ],
        axis=1,
    )
    planted = plant(table, np.array([False, False, True, False, False, False]), "random cells", generator(1))
    changed = planted != table
    assert planted[:, 0].min() >= table[:, 0].min() and planted[:, 0].max() <= table[:, 0].max()
    assert set(planted[changed[:, 1], 1]) == {3.0, 4.0, 5.0, 6.0}
    assert set(planted[:, 2]) == {0.0, 5.0}
    assert np.isnan(planted[:, 3]).all()
    assert (planted[:, 4] == 0.1).all()
    # Two of the six columns change in every row: each column in a third of the rows (standard error 0.007).
    assert changed[:, 0].mean() == pytest.approx(1 / 3, abs=0.03)
    # Uniform over the range: the replaced cells have the mean and spread of a uniform distribution.
    drawn = planted[changed[:, 0], 0]
    low, high = table[:, 0].min(), table[:, 0].max()
    assert drawn.mean() == pytest.approx((low + high) / 2, abs=0.3)
    assert drawn.std() == pytest.approx((high - low) / np.sqrt(12), abs=0.2)


def test_random_cells_draw_every_category_alike():
    table = np.repeat([0.0, 1.0], [3900, 100])[:, None]
    planted = plant(table, np.array([True]), "random cells", generator())
    assert planted.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("event_shape", [(9, 12), (2, 9, 12)])
def test_images_get_a_rectangle_of_noise(event_shape):
    pixels = int(np.prod(event_shape))
    images = np.full((300, pixels), 0.5)
    images[0, :2] = [0.0, 255.5]
    planted = plant(images, np.zeros(pixels, bool), "random cells", generator(), event_shape)
    changed = (planted != images).reshape(300, -1, 9, 12).any(1)
    tall, wide = changed.any(2).sum(1), changed.any(1).sum(1)
    assert (tall == 5).all() and (wide == 7).all() and (changed.sum((1, 2)) == 35).all()
    assert changed.any(0).all()  # anywhere
    assert planted.min() >= 0.0 and planted.max() <= 255.5


def test_the_rows_given_are_left_alone_and_the_generator_decides():
    table = numbered(20, 4)
    for kind in KINDS:
        planted = [plant(table, np.zeros(4, bool), kind, generator(seed)) for seed in (1, 1, 2)]
        np.testing.assert_array_equal(table, numbered(20, 4))
        np.testing.assert_array_equal(planted[0], planted[1])
        assert (planted[0] != planted[2]).any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_category", [False, True])
def test_hard_tables_are_taken(kind, is_category):
    for table in (np.ones((5, 1)), np.full((5, 2), MISSING), np.zeros((2, 3))):
        planted = plant(table, np.full(table.shape[1], is_category), kind, generator())
        np.testing.assert_array_equal(planted, table)


def test_what_cannot_be_planted_is_refused():
    with pytest.raises(DataError, match="no anomaly is called 'noise'"):
        plant(numbered(5, 2), np.zeros(2, bool), "noise", generator())
    with pytest.raises(DataError, match="at least two rows"):
        plant(numbered(1, 2), np.zeros(2, bool), "shuffled cells", generator())
    with pytest.raises(DataError, match="6 pixels"):
        plant(numbered(5, 6), np.zeros(6, bool), "random cells", generator(), (2, 2))


def test_areas_equal_the_references_with_ties():
    normal, anomalous = np.round(generator().normal(size=300), 1), np.round(generator(1).normal(size=70) + 1, 1)
    labels, scores = np.repeat([0, 1], [300, 70]), np.concatenate([normal, anomalous])
    assert auroc(normal, anomalous) == pytest.approx(roc_auc_score(labels, scores))
    assert auroc(normal, anomalous) == pytest.approx(mannwhitneyu(anomalous, normal).statistic / (300 * 70))


def test_higher_is_more_anomalous():
    assert auroc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert auroc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0.0
    assert auroc(np.ones(3), np.ones(4)) == 0.5


def test_infinite_scores_rank_and_undefined_ones_rank_highest():
    assert auroc(np.array([-np.inf, 0.0]), np.array([np.inf, np.nan])) == 1.0
    assert auroc(np.array([np.nan]), np.array([5.0])) == 0.0


def test_detection_averages_over_kinds_and_leaves_out_empty_ones():
    normal = np.array([0.0, 1.0])
    result = detection(normal, {"all": np.array([2.0]), "half": np.array([0.5]), "none": np.array([])})
    assert result == {"auroc": 0.75, "by_kind": {"all": 1.0, "half": 0.5, "none": None}}
    assert detection(normal, {}) == {"auroc": None, "by_kind": {}}
