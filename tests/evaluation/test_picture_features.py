"""Distances between sets of pictures: closed forms, and what is farther must be told to be."""

import numpy as np
import pytest
from scipy import linalg, ndimage
from sklearn.datasets import load_digits

from isthmus.core.errors import DataError
from isthmus.evaluation.picture_features import (
    SIDE,
    feature_distances,
    frechet_distance,
    kernel_distance,
)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """1,797 digits in random order, as squares."""
    images = load_digits().images / 16
    larger = ndimage.zoom(images, (1, SIDE / 8, SIDE / 8), order=1, grid_mode=True, mode="nearest")
    return np.random.default_rng(1).permutation(larger)[:, None].astype(np.float32)


def test_the_frechet_distance_is_that_of_gaussians():
    """Against SciPy's square root of a matrix, and the closed form for numbers one by one."""
    draws = generator()
    first, second = draws.normal(size=(500, 4)), draws.normal(1.0, 2.0, size=(400, 4)) @ draws.normal(size=(4, 4))
    covariances = [np.cov(rows, rowvar=False) for rows in (first, second)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    one, other = first[:, :1], second[:, :1]
    expected = (one.mean() - other.mean()) ** 2 + (one.std(ddof=1) - other.std(ddof=1)) ** 2
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(first, first[::-1]) == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_by_hand_and_unbiased():
    first, second = np.array([[0.0], [1.0]]), np.array([[2.0], [0.0]])
    # Pairs within: k(0, 1) = 1 and k(2, 0) = 1; between: k(0, 2) = 1, k(0, 0) = 1, k(1, 2) = 27, k(1, 0) = 1.
    assert kernel_distance(first, second) == pytest.approx(1 + 1 - 2 * 30 / 4)
    draws = generator()
    values = [kernel_distance(*draws.normal(size=(2, 30, 3))) for _ in range(400)]
    # Five standard errors about 0.
    assert abs(np.mean(values)) < 5 * np.std(values) / np.sqrt(len(values))


def test_sets_of_one_source_are_near(digits):
    halves = feature_distances(digits[:890], digits[890:1780], generator())
    noise = 0.2 * generator().normal(size=(890, 1, SIDE, SIDE))
    noisy = feature_distances(digits[:890] + noise, digits[890:1780], generator())
    for name in halves:
        assert abs(halves[name]) < noisy[name] / 20
    same = feature_distances(digits, digits, generator())
    assert same["frechet_distance"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("harm", ["noise", "blur", "fewer kinds", "shift"])
def test_the_more_harm_the_farther(digits, harm):
    """Each kind of harm, more and more of it: both distances rise at every step."""
    real, other = digits[:890], digits[890:1780]
    noise = generator().normal(size=other.shape)
    brightness = other.mean((1, 2, 3)).argsort()
    harmed = {
        "noise": [other + size * noise for size in (0.05, 0.1, 0.2, 0.4)],
        "blur": [ndimage.gaussian_filter(other, (0, 0, size, size)) for size in (1, 2, 4, 8)],
        "fewer kinds": [other[brightness[: int(share * len(other))]] for share in (0.8, 0.6, 0.4, 0.2)],
        "shift": [np.roll(other, step, 3) for step in (2, 4, 6, 8)],
    }[harm]
    distances = [feature_distances(each, real, generator()) for each in (other, *harmed)]
    for name in ("frechet_distance", "kernel_distance"):
        values = [each[name] for each in distances]
        assert values == sorted(values), (name, values)


def test_the_same_pictures_give_the_same_distances(digits):
    colour = np.repeat(digits[:200], 3, 1)
    first, again = (feature_distances(colour[:100], colour[100:], generator()) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((5, 1, 8, 8), (5, 1, 32, 32)), "shape"),
        (((5, 3, 32, 32), (5, 1, 32, 32)), "shape"),
        (((1, 1, 32, 32),) * 2, "two"),
    ],
)
def test_what_is_wrong_is_named(shapes, words):
    with pytest.raises(DataError, match=words):
        feature_distances(*(np.zeros(shape, np.float32) for shape in shapes), generator())
