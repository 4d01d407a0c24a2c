"""Priors: their densities against references and against their own samples; fitting; saving."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from isthmus.core.randomness import Randomness
from isthmus.parts.priors import CategoricalMixture, GaussianMixture, StandardNormal


def two_clouds(rows: int = 3000) -> Tensor:
    """Codes in three units: two clouds far apart, the third unit idle."""
    randomness = Randomness(0)
    side = (randomness.uniform(rows, 1) < 0.3).float()
    codes = side * torch.tensor([4.0, -4.0, 0.0]) + randomness.normal(rows, 3) * torch.tensor([1.0, 0.5, 0.0])
    codes[:, 1] += 0.8 * codes[:, 0]
    return codes


def fitted(components: int = 2) -> GaussianMixture:
    mixture = GaussianMixture(3)
    assert not mixture.fitted
    mixture.fit(two_clouds(), Randomness(1), components)
    assert mixture.fitted
    return mixture


def test_standard_normal_is_that_of_scipy() -> None:
    z = Randomness(0).normal(5, 7, 3)
    expected = multivariate_normal(np.zeros(3), np.eye(3)).logpdf(z.numpy())
    np.testing.assert_allclose(StandardNormal(3).log_prob(z), expected, rtol=1e-5)


def test_gaussian_mixture_density_is_that_of_scipy() -> None:
    mixture = fitted()
    z = Randomness(2).normal(4, 6, 3) * torch.tensor([2.0, 2.0, 1e-3])
    density = np.zeros((4, 6))
    for weight, mean, factor in zip(mixture.weights, mixture.means, mixture.factors.double(), strict=True):
        component = multivariate_normal(mean.numpy(), (factor @ factor.T).numpy())
        density += float(weight) * component.pdf(z.numpy())
    np.testing.assert_allclose(mixture.log_prob(z), np.log(density), rtol=1e-3)


def test_gaussian_mixture_finds_the_clouds_and_draws_from_them() -> None:
    mixture = fitted()
    assert sorted(mixture.weights.tolist()) == pytest.approx([0.3, 0.7], abs=0.03)
    codes, drawn = two_clouds(), mixture.sample(20_000, Randomness(3))
    assert drawn.isfinite().all()
    # 20,000 draws: the standard error of a mean is a 140th of a spread of about 2.
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(drawn.T.cov(), codes.T.cov(), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_gaussian_mixture_of_few_or_equal_rows_is_finite(rows: int) -> None:
    for codes in (two_clouds(rows), torch.ones(rows, 3), 1e6 * two_clouds(rows)):
        mixture = GaussianMixture(3)
        mixture.fit(codes, Randomness(0))
        drawn = mixture.sample(100, Randomness(1))
        assert drawn.isfinite().all() and mixture.log_prob(drawn).isfinite().all()


def test_fitting_depends_on_the_seed_alone() -> None:
    assert torch.equal(fitted().sample(9, Randomness(0)), fitted().sample(9, Randomness(0)))


def levels(rows: int = 4000) -> Tensor:
    """Level numbers in two units of three levels: the second is the first, or, one time in ten, anything."""
    randomness = Randomness(0)
    first = (randomness.uniform(rows) * 3).floor()
    anything = (randomness.uniform(rows) * 3).floor()
    second = torch.where(randomness.uniform(rows) < 0.1, anything, first)
    return torch.stack([first, second], dim=1)


def test_categorical_mixture_learns_how_units_hang_together() -> None:
    mixture = CategoricalMixture(2, 3)
    mixture.fit(levels(), Randomness(1))
    codes = torch.tensor(list(itertools.product(range(3), repeat=2))).float()
    probabilities = mixture.log_prob(codes).exp()
    assert probabilities.sum().item() == pytest.approx(1.0, abs=1e-5)
    expected = torch.where(codes[:, 0] == codes[:, 1], (0.9 + 0.1 / 3) / 3, 0.1 / 9)
    # A share p of 4,000 rows has a standard error of at most 0.008.
    torch.testing.assert_close(probabilities, expected, rtol=0, atol=0.03)
    drawn = mixture.sample(50_000, Randomness(2))
    shares = torch.stack([(drawn == code).all(1).double().mean() for code in codes])
    torch.testing.assert_close(shares.float(), probabilities, rtol=0, atol=5 * math.sqrt(0.25 / 50_000))


def test_categorical_mixture_density_is_its_formula() -> None:
    mixture = CategoricalMixture(2, 3)
    mixture.fit(levels(), Randomness(1))
    z = levels(50)
    first, second = (mixture.tables[:, unit, z[:, unit].long()] for unit in range(2))  # (components, rows)
    torch.testing.assert_close(mixture.log_prob(z).exp(), mixture.weights @ (first * second))
    torch.testing.assert_close(mixture.log_prob(z.expand(4, 50, 2))[2], mixture.log_prob(z))


def test_as_many_levels_as_there_may_be_are_fitted_in_little_memory() -> None:
    """A one-hot code of these rows would take 13 GB."""
    many = (Randomness(0).uniform(50_000, 32) * 1024).floor()
    mixture = CategoricalMixture(32, 1024)
    mixture.fit(many, Randomness(1), iterations=1)
    assert mixture.log_prob(many[:100]).isfinite().all()


def test_unseen_levels_stay_possible() -> None:
    mixture = CategoricalMixture(2, 3)
    mixture.fit(torch.zeros(30, 2), Randomness(0))
    assert mixture.log_prob(torch.tensor([[2.0, 1.0]])).isfinite().all()


@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_a_fitted_prior_is_saved_with_its_module(kind: str) -> None:
    """Its buffers have no shape before it is fitted; loading gives them one."""
    prior: GaussianMixture | CategoricalMixture
    if kind == "gaussian":
        prior, empty = fitted(), GaussianMixture(3)
    else:
        prior, empty = CategoricalMixture(2, 3), CategoricalMixture(2, 3)
        prior.fit(levels(), Randomness(1))
    empty.load_state_dict(prior.state_dict())
    assert empty.fitted
    assert torch.equal(empty.sample(9, Randomness(0)), prior.sample(9, Randomness(0)))
