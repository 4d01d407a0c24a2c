"""Means and spreads over seeds keep the shape of what was measured."""

import pytest

from isthmus.comparison.averaging import means, spreads

RUNS = [
    {
        "a": 1.0,
        "count": 3,
        "word": "nats",
        "inner": {"b": 2.0, "none": None},
        "list": [1.0, 3.0],
        "objects": [{"x": 1}],
    },
    {
        "a": 3.0,
        "count": 3,
        "word": "nats",
        "inner": {"b": 6.0, "none": None},
        "list": [3.0, 5.0],
        "objects": [{"x": 9}],
    },
]


def test_means():
    averaged = means(RUNS)
    assert averaged["a"] == 2.0 and averaged["inner"] == {"b": 4.0, "none": None}
    assert averaged["count"] == 3 and isinstance(averaged["count"], int)
    assert averaged["word"] == "nats"


def test_lists_by_latent_unit_are_those_of_the_model_that_is_kept():
    """Unit 0 of one training is not unit 0 of another: their mean would show units that no model has."""
    averaged = means(RUNS)
    assert averaged["list"] == [1.0, 3.0] and averaged["objects"] == [{"x": 1}]


def test_spreads_are_standard_deviations_of_numbers_only():
    deviations = spreads(RUNS)
    assert deviations["a"] == pytest.approx(2**0.5) and deviations["inner"] == {"b": pytest.approx(8**0.5)}
    assert deviations["count"] == 0 and "word" not in deviations and "list" not in deviations


def test_a_measure_that_one_seed_lacks_is_averaged_over_the_others():
    assert means([{"a": None}, {"a": 4.0}])["a"] == 4.0
    assert spreads([{"a": 1.0}])["a"] == 0.0
