"""Copies are found out, fresh rows are fair, and what only looks like a copy is none."""

import numpy as np
import pytest

from isthmus.evaluation.privacy import copied_share, exact_copies, membership_auroc

MISSING = np.nan


def generator(seed=0):
    return np.random.default_rng(seed)


def normal(rows, columns, seed):
    return generator(seed).normal(size=(rows, columns))


def test_copies_of_training_rows_are_found_and_new_rows_are_fair():
    train, held_out = normal(1000, 4, 0), normal(1000, 4, 1)
    assert copied_share(train + 1e-6, train, held_out, generator()) == 1.0
    assert copied_share(held_out, train, held_out, generator()) == 0.0
    # 1000 rows, standard error 0.016, somewhat more since neighbours are shared.
    assert copied_share(normal(1000, 4, 2), train, held_out, generator()) == pytest.approx(0.5, abs=0.07)


def test_ties_count_half_and_larger_training_sets_give_no_advantage():
    rows = normal(100, 3, 0) + 1e4
    assert copied_share(rows, rows, rows[::-1].copy(), generator()) == 0.5
    train, held_out = normal(5000, 4, 0), normal(500, 4, 1)
    assert copied_share(normal(1000, 4, 2), train, held_out, generator()) == pytest.approx(0.5, abs=0.08)


# Exact copies


def test_equal_rows_count_whatever_their_zeros_and_gaps_are_made_of():
    train = np.array([[0.0, MISSING], [1.0, 2.0]])
    other_nan = np.array([0xFFF8000000000001], np.uint64).view(float)[0]
    assert exact_copies(np.array([[-0.0, other_nan], [1.0, 2.0], [1.0, MISSING], [2.0, 1.0]]), train) == 0.5
    assert exact_copies(train + 1e-9, train) == 0.0
    assert exact_copies(train, train[:0]) == 0.0
    assert exact_copies(train[:0], train) is None


# Membership


def test_membership_is_told_by_copies_and_by_nothing_else():
    train, held_out = normal(1000, 4, 0), normal(1000, 4, 1)
    assert membership_auroc(train, train, held_out, generator()) == 1.0
    assert membership_auroc(held_out, train, held_out, generator()) == 0.0
    # The standard error of an AUROC of 0.5 with 1000 rows each is 0.013.
    assert membership_auroc(normal(1000, 4, 2), train, held_out, generator()) == pytest.approx(0.5, abs=0.05)


def test_half_the_rows_remembered_give_half_of_the_advantage():
    train, held_out = normal(1000, 4, 0), normal(1000, 4, 1)
    remembered = np.concatenate([train[::2] + 1e-6, normal(500, 4, 2)])
    # Half of the members are certain, the rest even: 0.5 + 0.5 · 0.5.
    assert membership_auroc(remembered, train, held_out, generator()) == pytest.approx(0.75, abs=0.04)


def test_rows_that_both_sets_hold_are_as_near_as_each_other():
    # Far from the origin rounding would rank distances of 0.
    rows = np.repeat(normal(5, 3, 0), 40, axis=0) * 1e3 + 1e5
    assert membership_auroc(rows, rows, rows[::-1].copy(), generator()) == 0.5


def test_without_rows_there_is_nothing_to_tell():
    rows = normal(5, 2, 0)
    for sets in ((rows[:0], rows, rows), (rows, rows[:0], rows), (rows, rows, rows[:0])):
        assert membership_auroc(*sets, generator()) is None and copied_share(*sets, generator()) is None
