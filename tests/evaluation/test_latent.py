import numpy as np
import pytest

from isthmus.evaluation.latent import active_units, effective_dimension


def planted(*standard_deviations):
    """Codes with exactly these standard deviations and no correlation."""
    signs = np.array([[(row >> unit) & 1 for unit in range(len(standard_deviations))] for row in range(32)]) * 2 - 1
    return signs * np.array(standard_deviations)


def test_a_unit_is_active_where_its_mean_varies_by_more_than_a_hundredth():
    result = active_units(planted(1.0, 0.11, 0.09, 0.0) + 5.0)
    assert (result["active_units"], result["units"]) == (2, 4)
    assert result["variances"] == pytest.approx([1.0, 0.0121, 0.0081, 0.0])


def test_relative_activity_does_not_depend_on_the_scale_of_the_codes():
    codes = planted(1.0, 0.11, 0.09)
    for scale in (1e-6, 1.0, 1e6):
        assert active_units(codes * scale, relative=True)["active_units"] == 2
    assert active_units(codes * 1e-6)["active_units"] == 0
    assert active_units(np.ones((5, 3)), relative=True)["active_units"] == 0


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_participation_ratio_counts_equal_units(scale):
    assert effective_dimension(planted(1.0, 1.0, 1.0) * scale) == pytest.approx(3.0)
    assert effective_dimension(planted(2.0, 1.0) * scale) == pytest.approx((4 + 1) ** 2 / (16 + 1))


def test_the_participation_ratio_sees_through_correlation_and_turning():
    line = planted(1.0)
    assert effective_dimension(np.hstack([line, -line, 3 * line])) == pytest.approx(1.0)
    codes = planted(1.0, 1.0, 0.5)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    assert effective_dimension(codes @ turn) == pytest.approx(effective_dimension(codes))


def test_codes_that_do_not_vary_have_no_dimension():
    assert effective_dimension(np.full((5, 2), 0.1)) == 0.0
    assert effective_dimension(np.ones((1, 1))) == 0.0
