"""Ideal code lengths: right units, and never below what the data's entropy allows."""

import math

import numpy as np
import pytest

import isthmus
from isthmus.comparison.coding import negative_bound, precision
from isthmus.domains import find

TABLE = find("table")


def bits(estimator: isthmus.VAE, train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> float:
    domain = estimator.domain_
    x = domain.tensors(test)
    grid = precision(domain, domain.tensors(train))
    nats = negative_bound(estimator, domain.tensors(validation), x)
    return float((nats - domain.log_volume(x).numpy() - grid.log_volume(domain.values(x))).mean() / math.log(2))


def test_steps_are_the_coarsest_decimals():
    rows = np.array([[0.5, 0.25, 3.0, math.pi], [1.5, 1.75, 7.0, math.e], [2.0, 4.125, 5.0, math.sqrt(2)]])
    domain = TABLE.fit(rows)
    steps = precision(domain, domain.tensors(rows)).steps
    assert steps[:2] == pytest.approx([0.1, 0.001])
    assert steps[2] == 1.0  # whole numbers have a probability each: no step
    assert steps[3] == pytest.approx((math.pi - math.sqrt(2)) / 2**24)


def test_small_units_are_not_rounded_away():
    """Numbers of 10⁻⁸ all round to 0: taken for whole, each would cost some 26 bits less than nothing."""
    numbers = np.random.default_rng(0).normal(size=(100, 1))
    steps = [
        precision(domain, domain.tensors(rows)).steps[0] / rows.std()
        for rows in (numbers, numbers * 1e-8)
        for domain in [TABLE.fit(rows)]
    ]
    assert steps[0] == pytest.approx(steps[1])


def test_pixels_share_one_step():
    """Of images in sixteenths, a pixel that is always black has the precision of the others."""
    images = np.random.default_rng(0).integers(0, 17, size=(50, 3, 3)) / 16.0
    images[:, 0, 0] = 0.0
    domain = find("image").fit(images)
    assert precision(domain, domain.tensors(images)).steps == pytest.approx(np.full(9, 1e-4))


def test_fixed_width_bits_count_levels():
    rows = np.array([[0.0, 10.0], [7.0, 11.0], [3.0, 13.0]])  # 8 levels and 4 levels
    domain = TABLE.fit(rows)
    assert precision(domain, domain.tensors(rows)).fixed_width_bits == pytest.approx(3 + 2)


@pytest.fixture(scope="module")
def linear() -> dict[str, np.ndarray]:
    """Rows x = W z + noise, to two decimals, and the entropy of a row at that precision."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, 6)) * 3
    rows = np.round(rng.normal(size=(3000, 2)) @ weights + 0.5 * rng.normal(size=(3000, 6)), 2)
    covariance = weights.T @ weights + 0.25 * np.eye(6)
    entropy = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * covariance)[1] - 6 * math.log(0.01)
    return {"rows": rows, "entropy": np.array(entropy / math.log(2))}


@pytest.mark.parametrize("model", ["VAE", "Autoencoder", "FSQ"])
@pytest.mark.slow
def test_no_model_codes_below_the_entropy_and_a_fitting_one_comes_near(linear, model):
    rows = linear["rows"]
    fitted = getattr(isthmus, model)(2, hidden=(32,), epochs=100, learning_rate=5e-3, random_state=0).fit(rows[:2000])
    length = bits(fitted, rows[:2000], rows[2000:2300], rows[2300:])
    # 700 rows: −log p of six Gaussian columns deviates by √3 nats, its mean by 0.1 bits; four times that is the margin.
    assert length > linear["entropy"] - 0.4
    # The VAE holds the true model; a plain autoencoder pays for codes that training did not make cheap.
    assert length < linear["entropy"] + {"VAE": 0.4, "Autoencoder": 5.0, "FSQ": 4.0}[model]


def test_rescaling_a_column_with_its_precision_changes_no_bit(linear):
    rows = linear["rows"][:600]
    stretched = np.round(rows * np.array([1, 10, 1, 1, 1, 1]), 2)
    lengths = []
    for table in (rows, stretched):
        fitted = isthmus.VAE(2, hidden=(16,), epochs=5, random_state=0).fit(table[:400])
        lengths.append(bits(fitted, table[:400], table[400:450], table[450:]))
    # Ten times the numbers at a tenth of the relative step: the same grid, the same bits.
    assert lengths[0] == pytest.approx(lengths[1], abs=0.02)
