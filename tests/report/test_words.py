"""Numbers in writing."""

import math

import pytest

from isthmus.report.words import MEASURES, NOTHING, counted, listed, number, with_spread


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.123"),
        (0.00012345, "0.000123"),
        (12.345, "12.3"),
        (1234567.8, "1,234,568"),
        (5, "5"),
        (-3.25, "−3.25"),
        (-0.0, "0"),
        (0, "0"),
        (None, NOTHING),
        (math.nan, NOTHING),
        (math.inf, NOTHING),
        (True, NOTHING),
    ],
)
def test_numbers_have_three_digits_and_a_true_minus(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "spread", "seeds", "shown"),
    [
        (0.9123, 0.0042, 3, "0.912 ± 0.004"),
        (193.2, 1.9, 3, "193 ± 2"),
        (0.9123, 0.0003, 3, "0.9123 ± 0.0003"),
        (0.9123, 0.00004, 3, "0.912"),
        (0.9123, 0.0042, 1, "0.912"),
        (0.9123, 0.0, 3, "0.912"),
        (0.9123, None, 3, "0.912"),
        (None, 0.1, 3, NOTHING),
    ],
)
def test_a_spread_never_reads_as_zero(value, spread, seeds, shown):
    assert with_spread(value, spread, seeds) == shown


def test_counts_and_lists():
    assert (counted(1, "row"), counted(1797, "row")) == ("1 row", "1,797 rows")
    assert (listed([]), listed(["a"]), listed(["a", "b"]), listed([1, 2, 3], "or")) == ("", "a", "a and b", "1, 2 or 3")


def test_every_measure_is_explained_in_whole_sentences():
    assert all(measure.gloss.endswith(".") and measure.gloss[0].isupper() for measure in MEASURES)
    assert len({measure.path for measure in MEASURES}) == len(MEASURES)
