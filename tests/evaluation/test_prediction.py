"""A target is learned as well as it can be, and by the measure that suits it."""

import numpy as np
import pytest

from isthmus.evaluation.prediction import predictability, prediction_metric

MISSING = np.nan


def generator(seed=0):
    return np.random.default_rng(seed)


def table(rows, seed):
    """A number, a class that follows it for four rows of five, and a number of its own."""
    draws = generator(seed)
    x = draws.normal(size=rows)
    label = np.where(draws.random(rows) < 0.8, x > 0, x <= 0).astype(float)
    return np.stack([x, label, draws.normal(size=rows)], axis=1)


CATEGORICAL = np.array([False, True, False])


def predicted(train, test, target=1, metric="AUROC", categorical=CATEGORICAL):
    return predictability(train, test, categorical, target, metric, generator())


def test_the_metric_is_the_targets():
    assert prediction_metric(np.array([0.0, 1.0, MISSING]), True) == "AUROC"
    assert prediction_metric(np.array([0.0, 1.0, 2.0]), True) == "accuracy"
    # Whole numbers that are few and repeat are classes.
    assert prediction_metric(np.array([0.0, 1.0, 1.0, 0.0]), False) == "AUROC"
    assert prediction_metric(np.array([0.0, 0.5]), False) == "R²"


def test_a_class_is_predicted_as_well_as_it_can_be():
    # The best guess is right for 0.8 of the rows, and its area is 0.8 too: the classes are even.
    for metric in ("AUROC", "accuracy"):
        assert predicted(table(2000, 0), table(2000, 1), metric=metric) == pytest.approx(0.8, abs=0.05)


def test_a_number_has_the_share_of_its_variance_that_is_told():
    # x given its sign has the variance 1 − 2/π, and the sign is told for 0.8 of the rows: R² = (0.6)² · 2/π.
    rows = [table(3000, seed)[:, :2] for seed in (0, 1)]
    assert predicted(*rows, target=0, metric="R²", categorical=CATEGORICAL[:2]) == pytest.approx(0.229, abs=0.05)


def test_rows_blind_to_the_target_teach_nothing_and_turned_ones_mislead():
    train, test = table(1000, 0), table(1000, 1)
    blind = train.copy()
    blind[:, 1] = generator(5).permutation(train[:, 1])
    assert predicted(blind, test) == pytest.approx(0.5, abs=0.08)
    turned = train.copy()
    turned[:, 1] = 1 - train[:, 1]
    assert predicted(turned, test) < 0.3


def test_classes_that_no_test_row_has_are_left_out():
    train, test = table(1000, 0), table(1000, 1)
    odd = np.concatenate([train, train])
    odd[1000:, 1] = 0.4
    assert predicted(odd, test) == predicted(train, test)


def test_one_class_or_no_rows_to_learn_from():
    train, test = table(200, 0), table(200, 1)
    train[:, 1] = 1.0
    assert predicted(train, test) == 0.5
    assert predicted(train, test, metric="accuracy") == np.mean(test[:, 1] == 1)
    train[:, 1] = MISSING
    assert predicted(train, test) is None
    assert predicted(test, train) is None


def test_hundreds_of_categories_and_unseen_ones_are_taken():
    codes = generator().integers(0, 600, 800)
    rows = np.stack([codes, codes % 2], axis=1).astype(float)
    both = np.array([True, True])
    assert predicted(rows[:400], rows[400:], categorical=both) is not None
