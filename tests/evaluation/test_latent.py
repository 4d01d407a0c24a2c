import numpy as np
import pytest

from isthmus.evaluation.latent import active_units


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
