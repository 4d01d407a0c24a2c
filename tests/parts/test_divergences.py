"""Divergences against closed forms, torch.distributions and Monte Carlo."""

import math

import pytest
import torch

from isthmus.core.randomness import Randomness
from isthmus.parts.distributions import Gaussian, PointMass
from isthmus.parts.divergences import (
    categorical_kl,
    gaussian_kl,
    maximum_mean_discrepancy,
    sampled_kl,
    standard_normal_kl,
)


def gaussians(rows: int = 40) -> tuple[Gaussian, Gaussian]:
    posterior_mean, posterior_scale, prior_mean, prior_scale = Randomness(0, "parameters").normal(4, rows)
    return Gaussian(posterior_mean, posterior_scale), Gaussian(prior_mean, prior_scale)


def test_gaussian_kl_agrees_with_torch() -> None:
    posterior, prior = gaussians()
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior.mean, posterior.log_scale.exp()),
        torch.distributions.Normal(prior.mean, prior.log_scale.exp()),
    )
    torch.testing.assert_close(gaussian_kl(posterior, prior), expected, atol=1e-5, rtol=1e-5)


def test_standard_normal_kl_is_the_gaussian_kl_to_the_standard_normal() -> None:
    posterior, _ = gaussians()
    standard = Gaussian(torch.zeros(()), torch.zeros(()))
    torch.testing.assert_close(standard_normal_kl(posterior), gaussian_kl(posterior, standard))


def test_gaussian_kl_is_zero_for_equals_and_keeps_its_digits_beside_zero() -> None:
    posterior, _ = gaussians()
    assert not gaussian_kl(posterior, posterior).any()
    narrow = Gaussian(torch.zeros(1), torch.full((1,), 1e-3))
    # KL = (e^{2s} - 1)/2 - s = s² + 2s³/3 + …; float32 without expm1 is wrong in the first digits
    assert standard_normal_kl(narrow).item() == pytest.approx(1e-6 + 2e-9 / 3, rel=2e-4)


def test_sampled_kl_averages_to_the_closed_form() -> None:
    posterior, prior = gaussians(rows=5)
    draws = Gaussian(posterior.mean.expand(200_000, 5), posterior.log_scale).sample(Randomness(0, "draws"))
    estimates = sampled_kl(posterior, prior, draws)
    standard_errors = estimates.std(0) / math.sqrt(len(estimates))
    assert ((estimates.mean(0) - gaussian_kl(posterior, prior)).abs() < 5 * standard_errors).all()


def test_sampled_kl_of_a_point_mass_is_the_cost_of_its_code() -> None:
    z = torch.linspace(-2, 2, 5)
    prior = Gaussian(torch.zeros(5), torch.zeros(5))
    torch.testing.assert_close(sampled_kl(PointMass(z), prior, z), 0.5 * z.square() + 0.5 * math.log(2 * math.pi))


@pytest.mark.parametrize("log_scale", [-20.0, 20.0])
def test_gaussian_kl_has_finite_gradients_at_extreme_scales(log_scale: float) -> None:
    mean, scale = torch.full((1,), 1e3).requires_grad_(), torch.full((1,), log_scale).requires_grad_()
    value = standard_normal_kl(Gaussian(mean, scale)).sum()
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(value, (mean, scale)))


def test_categorical_kl_agrees_with_torch_and_ignores_a_shift_of_the_logits() -> None:
    posterior, prior = Randomness(1, "logits").normal(2, 30, 6) * 4
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=posterior), torch.distributions.Categorical(logits=prior)
    )
    torch.testing.assert_close(categorical_kl(posterior, prior), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(categorical_kl(posterior + 3, prior - 2), expected, atol=1e-5, rtol=1e-5)


def test_categorical_kl_to_the_uniform_is_at_most_log_k() -> None:
    certain = torch.tensor([1e4, 0.0, 0.0, 0.0])
    assert categorical_kl(certain, torch.zeros(4)).item() == pytest.approx(math.log(4))


def test_discrepancy_is_unbiased_and_grows_with_the_distance_of_the_samples() -> None:
    """Between samples of one distribution the estimates average to 0; a shift by half a scale stands out of them."""
    randomness = Randomness(2, "mmd")
    same = torch.stack([maximum_mean_discrepancy(*randomness.normal(2, 50, 3)) for _ in range(300)])
    assert same.min() < 0 < same.max()
    assert abs(same.mean()) < 5 * same.std() / math.sqrt(300)
    near, far = (maximum_mean_discrepancy(randomness.normal(500, 3) + by, randomness.normal(500, 3)) for by in (0.5, 2))
    assert far > near > 5 * same.std() * 50 / 500  # the spread falls as 1 / rows


def test_discrepancy_agrees_with_its_definition_by_loops() -> None:
    a, b = Randomness(3, "rows").normal(2, 4, 2)
    b = b[:3]

    def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
        squared = (x - y).square().sum().item()
        return sum(scale * 4 / (scale * 4 + squared) for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))

    within_a = [kernel(a[i], a[j]) for i in range(4) for j in range(4) if i != j]
    within_b = [kernel(b[i], b[j]) for i in range(3) for j in range(3) if i != j]
    between = [kernel(x, y) for x in a for y in b]
    expected = sum(within_a) / 12 + sum(within_b) / 6 - 2 * sum(between) / 12
    assert maximum_mean_discrepancy(a, b).item() == pytest.approx(expected, abs=1e-5)


def test_discrepancy_has_finite_gradients_for_equal_rows() -> None:
    a = torch.zeros(4, 2, requires_grad=True)
    maximum_mean_discrepancy(a, torch.ones(4, 2)).backward()
    assert a.grad is not None and a.grad.isfinite().all() and a.grad.abs().sum() > 0
