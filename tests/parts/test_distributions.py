"""Distributions against closed forms, SciPy and torch.distributions."""

import math
import random

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from isthmus.core.randomness import Randomness
from isthmus.parts.distributions import (
    Bernoulli,
    BetaBinomial,
    Categorical,
    DiscretisedLogistic,
    Distribution,
    Gaussian,
    Mixture,
    Multinomial,
    NegativeBinomial,
    PointMass,
    Poisson,
    StudentT,
    ZeroInflated,
)

DRAWS = 100_000
# A mean of independent draws is further than 5 standard errors from the expectation once in two million.
STANDARD_ERRORS = 5.0


def tensor(*values: float) -> Tensor:
    return torch.tensor(values)


def example(name: str, shape: tuple[int, ...] = ()) -> Distribution:
    """One distribution of each kind, its parameters repeated to a batch shape."""

    def full(value: float) -> Tensor:
        return torch.full(shape, value)

    def last(*values: float) -> Tensor:
        return torch.tensor(values).expand(*shape, len(values))

    return {
        "gaussian": lambda: Gaussian(full(1.5), full(-0.4)),
        "bernoulli": lambda: Bernoulli(full(0.7)),
        "categorical": lambda: Categorical(last(0.3, -1.0, 2.0, 0.0)),
        "discretised_logistic": lambda: DiscretisedLogistic(full(3.2), full(0.5), 1.0, 0.0, 10.0),
        "beta_binomial": lambda: BetaBinomial(12, full(0.4), full(1.1)),
        "student_t": lambda: StudentT(6.0, full(-2.0), full(0.3)),
        "mixture": lambda: Mixture(last(0.0, 1.0), Gaussian(last(-2.0, 3.0), last(0.1, -0.5))),
        "poisson": lambda: Poisson(full(0.8)),
        "negative_binomial": lambda: NegativeBinomial(full(0.5), full(-0.3)),
        "zero_inflated": lambda: ZeroInflated(Poisson(full(1.1)), full(-0.6)),
        "point_mass": lambda: PointMass(full(2.5)),
    }[name]()


NAMES = (
    "gaussian",
    "bernoulli",
    "categorical",
    "discretised_logistic",
    "beta_binomial",
    "student_t",
    "mixture",
    "poisson",
    "negative_binomial",
    "zero_inflated",
    "point_mass",
)
VALUES = {
    "bernoulli": torch.arange(2.0),
    "categorical": torch.arange(4.0),
    "discretised_logistic": torch.arange(11.0),
    "beta_binomial": torch.arange(13.0),
    # Beyond this count lies less than a thousandth of a millionth.
    "poisson": torch.arange(60.0),
    "negative_binomial": torch.arange(120.0),
    "zero_inflated": torch.arange(60.0),
}


@pytest.mark.parametrize("name", VALUES)
def test_masses_sum_to_one(name: str) -> None:
    assert example(name).log_prob(VALUES[name]).exp().sum().item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", ["gaussian", "student_t", "mixture"])
@pytest.mark.slow
def test_densities_integrate_to_one(name: str) -> None:
    x = torch.linspace(-2000, 2000, 4_000_001, dtype=torch.float64)  # t₆ leaves under 1e-15 outside
    assert torch.trapezoid(example(name).log_prob(x).exp(), x).item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_samples_have_the_distribution_they_are_scored_by(name: str) -> None:
    """The mean log probability and the mean of the draws agree with those of the masses or of the density."""
    distribution = example(name, (DRAWS,))
    draws = distribution.sample(Randomness(0, name))
    if name == "point_mass":
        assert torch.equal(draws, distribution.mean) and not distribution.log_prob(draws).any()
        return
    single = example(name)
    if name in VALUES:
        x, weights = VALUES[name], single.log_prob(VALUES[name]).exp()
    else:
        x = torch.linspace(-200, 200, 400_001, dtype=torch.float64)
        weights = single.log_prob(x).exp() * (x[1] - x[0])
    for statistic in (lambda v: v, lambda v: v.square(), single.log_prob):
        observed, expected = statistic(draws).double(), (weights * statistic(x)).sum().item()
        margin = STANDARD_ERRORS * observed.std().item() / math.sqrt(DRAWS)
        assert observed.mean().item() == pytest.approx(expected, abs=margin)


@pytest.mark.parametrize("name", VALUES)
def test_draws_are_values_in_the_frequencies_of_their_masses(name: str) -> None:
    draws = example(name, (DRAWS,)).sample(Randomness(1, name))
    expected = example(name).log_prob(VALUES[name]).exp()
    observed = (draws.unsqueeze(-1) == VALUES[name]).float().mean(0)
    assert observed.sum().item() == pytest.approx(1.0, abs=1e-6)  # nothing off the grid
    margin = STANDARD_ERRORS * (expected * (1 - expected) / DRAWS).sqrt() + 1 / DRAWS
    assert ((observed - expected).abs() < margin).all()


@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "categorical", "beta_binomial", "mixture"])
def test_mean_is_the_expectation_exactly(name: str) -> None:
    distribution = example(name)
    if name in VALUES:
        expected = (distribution.log_prob(VALUES[name]).exp() * VALUES[name]).sum()
    else:
        x = torch.linspace(-50, 50, 200_001, dtype=torch.float64)
        expected = torch.trapezoid(distribution.log_prob(x).exp() * x, x)
    assert distribution.mean.item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "beta_binomial"])
def test_mode_is_the_likeliest_value(name: str) -> None:
    distribution = example(name)
    assert distribution.mode.item() == distribution.log_prob(VALUES[name]).argmax().item()


@pytest.mark.parametrize("name", NAMES)
def test_same_key_same_draws_and_another_key_others(name: str) -> None:
    distribution = example(name, (200,))
    first, again, other = (distribution.sample(Randomness(seed, "draws")) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name == "point_mass")


@pytest.mark.parametrize("name", NAMES)
def test_sampling_leaves_the_global_generators_alone(name: str) -> None:
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    example(name, (50,)).sample(Randomness(0))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (str(np.random.get_state()), random.getstate())


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_values_broadcast(name: str) -> None:
    """Rows (5, 1) against parameters (3,) and leading draws (2, 1, 1) give every pair's own value."""
    x = torch.arange(2.0).repeat(5)[:5].reshape(5, 1)
    together = example(name, (2, 1, 3)).log_prob(x)
    assert together.shape == (2, 5, 3)
    for row in range(5):
        torch.testing.assert_close(together[1, row, 2], example(name).log_prob(x[row, 0]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_log_prob_can_be_batched_and_compiled_whole(name: str) -> None:
    """`fullgraph` refuses anything that reads a value back to the host."""
    distribution = example(name, (3,))
    x = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    expected = distribution.log_prob(x)
    torch.testing.assert_close(torch.vmap(distribution.log_prob)(x), expected)
    torch._dynamo.reset()  # it gives up on a function that it has compiled for eight distributions
    compiled = torch.compile(lambda v: example(name, (3,)).log_prob(v), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


class TestGaussian:
    def test_agrees_with_torch(self) -> None:
        mean, log_scale = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
        reference = torch.distributions.Normal(mean, log_scale.exp())
        x = mean.flip(0) * 3
        torch.testing.assert_close(Gaussian(mean, log_scale).log_prob(x), reference.log_prob(x))
        torch.testing.assert_close(Gaussian(mean, log_scale).entropy, reference.entropy())

    def test_samples_are_differentiable(self) -> None:
        mean, log_scale = (torch.zeros(4, requires_grad=True) for _ in range(2))
        draws = Gaussian(mean, log_scale).sample(Randomness(0))
        mean_gradient, scale_gradient = torch.autograd.grad(draws.sum(), (mean, log_scale))
        torch.testing.assert_close(mean_gradient, torch.ones(4))
        torch.testing.assert_close(scale_gradient, draws.detach())  # d(μ + e^s ε)/ds = e^s ε


class TestBernoulli:
    def test_agrees_with_torch(self) -> None:
        logits = torch.linspace(-30, 30, 13)
        for x in (torch.zeros(13), torch.ones(13)):
            expected = torch.distributions.Bernoulli(logits=logits).log_prob(x)
            torch.testing.assert_close(Bernoulli(logits).log_prob(x), expected, atol=2e-6, rtol=1e-6)

    def test_a_fraction_is_the_expectation_over_its_draws(self) -> None:
        distribution = Bernoulli(tensor(-2.0, 0.5))
        expected = 0.3 * distribution.log_prob(torch.ones(2)) + 0.7 * distribution.log_prob(torch.zeros(2))
        torch.testing.assert_close(distribution.log_prob(torch.full((2,), 0.3)), expected)

    def test_is_finite_at_extreme_logits(self) -> None:
        logits = tensor(-1e30, -1e4, 1e4, 1e30).requires_grad_()
        for x in (0.0, 1.0):
            value = Bernoulli(logits).log_prob(torch.full((4,), x))
            assert value.isfinite().all()
            assert torch.autograd.grad(value.sum(), logits)[0].isfinite().all()


class TestCategorical:
    def test_agrees_with_torch_for_codes_of_any_dtype(self) -> None:
        logits = torch.randn(20, 7, generator=torch.Generator().manual_seed(1)) * 5
        codes = torch.arange(20) % 7
        expected = torch.distributions.Categorical(logits=logits).log_prob(codes)
        for dtype in (torch.int64, torch.uint8, torch.float32, torch.float64):
            torch.testing.assert_close(Categorical(logits).log_prob(codes.to(dtype)), expected)

    def test_impossible_categories_are_never_drawn(self) -> None:
        logits = tensor(-math.inf, 0.0, -math.inf, 1.0, -math.inf).expand(DRAWS, 5)
        assert set(Categorical(logits).sample(Randomness(0)).tolist()) == {1.0, 3.0}

    def test_a_uniform_draw_of_exactly_zero_skips_an_impossible_first_category(self) -> None:
        class Zero(Randomness):
            def uniform(self, *shape: int) -> Tensor:
                return torch.zeros(shape)

        assert Categorical(tensor(-math.inf, 0.0, 1.0)).sample(Zero(0)).item() == 1.0

    def test_one_category_is_certain(self) -> None:
        distribution = Categorical(torch.full((3, 1), 4.0))
        assert not distribution.log_prob(torch.zeros(3)).any() and not distribution.sample(Randomness(0)).any()


def logistic_masses(location: float, scale: float, step: float, grid: np.ndarray) -> np.ndarray:
    """Log masses in double precision, each difference taken in the tail where it keeps its digits."""
    upper, lower = (grid + step / 2 - location) / scale, (grid - step / 2 - location) / scale
    logistic = scipy.stats.logistic
    mass = np.where(lower > 0, logistic.sf(lower) - logistic.sf(upper), logistic.cdf(upper) - logistic.cdf(lower))
    mass[0], mass[-1] = logistic.cdf(upper[0]), logistic.sf(lower[-1])
    return np.log(mass)


class TestDiscretisedLogistic:
    @pytest.mark.parametrize("log_scale", [-30.0, -5.0, -1.0, 0.0, 2.0, 6.0, 20.0, 100.0])
    @pytest.mark.parametrize("location", [-40.0, 0.0, 100.3, 127.5, 400.0])
    def test_masses_sum_to_one(self, location: float, log_scale: float) -> None:
        distribution = DiscretisedLogistic(tensor(location), tensor(log_scale), 1.0, 0.0, 255.0)
        assert distribution.log_prob(torch.arange(256.0)).exp().sum().item() == pytest.approx(1.0, abs=2e-5)

    @pytest.mark.parametrize("log_scale", [-1.5, 0.0, 2.0, 6.0])
    @pytest.mark.parametrize("step", [0.25, 2.0])
    def test_agrees_with_the_difference_of_cumulative_distributions(self, step: float, log_scale: float) -> None:
        grid = -3.0 + step * np.arange(12)
        distribution = DiscretisedLogistic(tensor(-1.2), tensor(log_scale), step, grid[0], grid[-1])
        expected = logistic_masses(-1.2, math.exp(log_scale), step, grid)
        np.testing.assert_allclose(distribution.log_prob(torch.tensor(grid)).numpy(), expected, rtol=2e-6, atol=2e-6)

    def test_a_tiny_step_gives_the_density_times_the_step(self) -> None:
        x = torch.linspace(-30, 30, 61)
        density = torch.from_numpy(scipy.stats.logistic.logpdf(x.numpy(), 0.5, math.exp(0.7))).float()
        for step in (1e-4, 1e-12, 1e-30):
            masses = DiscretisedLogistic(tensor(0.5), tensor(0.7), step).log_prob(x)
            torch.testing.assert_close(masses - math.log(step), density, atol=1e-4, rtol=1e-5)

    def test_no_jump_between_the_series_and_the_direct_form(self) -> None:
        log_scale = torch.linspace(1.9, 2.1, 2001, dtype=torch.float64, requires_grad=True)  # width = exp(-2) inside
        value = DiscretisedLogistic(torch.zeros(()).double(), log_scale, 1.0).log_prob(torch.zeros(()).double())
        slope = torch.autograd.grad(value.sum(), log_scale)[0].detach()
        value = value.detach()
        torch.testing.assert_close(value.diff() / 1e-4, (slope[1:] + slope[:-1]) / 2, atol=1e-4, rtol=0)

    def test_a_tiny_scale_puts_everything_in_the_cell_of_the_location(self) -> None:
        distribution = DiscretisedLogistic(tensor(2.3), tensor(-50.0), 1.0, 0.0, 5.0)
        masses = distribution.log_prob(torch.arange(6.0)).exp()
        torch.testing.assert_close(masses, tensor(0.0, 0.0, 1.0, 0.0, 0.0, 0.0))

    @pytest.mark.parametrize("edges", [(None, None), (-4.0, 4.0)])
    def test_values_and_gradients_are_finite_everywhere(self, edges: tuple[float | None, float | None]) -> None:
        location = torch.tensor([-1e6, -3.3, 0.0, 0.5, 1e6]).reshape(-1, 1, 1, 1).requires_grad_()
        log_scale = torch.tensor([-1e3, -60.0, -8.0, 0.0, 8.0, 60.0, 1e3]).reshape(-1, 1, 1).requires_grad_()
        step = torch.tensor([1e-6, 1.0, 8.0]).reshape(-1, 1)
        value = DiscretisedLogistic(location, log_scale, step, *edges).log_prob(tensor(-4.0, 0.0, 4.0))
        assert value.shape == (5, 7, 3, 3) and value.isfinite().all() and (value <= 0).all()
        for gradient in torch.autograd.grad(value.sum(), (location, log_scale)):
            assert gradient.isfinite().all()

    def test_a_row_far_off_still_pulls(self) -> None:
        """The gradient at the location is -1/scale out in the tail; a mass rounded to 0 would give none."""
        location = torch.zeros((), requires_grad=True)
        DiscretisedLogistic(location, tensor(0.0), 1.0).log_prob(tensor(500.0)).sum().backward()
        assert location.grad is not None and location.grad.item() == pytest.approx(1.0, abs=1e-6)

    def test_edges_can_differ_by_column_and_be_absent(self) -> None:
        low, high = tensor(-math.inf, 0.0), tensor(math.inf, 3.0)
        together = DiscretisedLogistic(torch.ones(2), torch.zeros(2), 1.0, low, high).log_prob(tensor(3.0, 3.0))
        free = DiscretisedLogistic(tensor(1.0), tensor(0.0), 1.0).log_prob(tensor(3.0))
        edged = DiscretisedLogistic(tensor(1.0), tensor(0.0), 1.0, 0.0, 3.0).log_prob(tensor(3.0))
        torch.testing.assert_close(together, torch.cat([free, edged]))
        assert edged > free

    def test_draws_mode_and_mean_keep_to_the_grid_and_its_edges(self) -> None:
        location = torch.linspace(-3, 6, 1000)
        distribution = DiscretisedLogistic(location, tensor(0.0), 0.5, 0.25, 4.25)
        steps = (distribution.sample(Randomness(0)) - 0.25) / 0.5
        assert torch.equal(steps, steps.round()) and steps.min() == 0 and steps.max() == 8
        assert (distribution.mode - location.clamp(0.25, 4.25)).abs().max() <= 0.25 + 1e-6
        torch.testing.assert_close(distribution.mean, location.clamp(0.25, 4.25))
        free = DiscretisedLogistic(location, tensor(0.0), 0.5)
        assert torch.equal(free.mode, (location * 2).round() / 2)

    def test_mode_is_the_likeliest_value_where_no_tail_is_heavier(self) -> None:
        location = torch.linspace(-3, 13, 161) + 0.003  # off the ties half-way between grid points
        distribution = DiscretisedLogistic(location, tensor(-3.0), 1.0, 0.0, 10.0)
        likeliest = distribution.log_prob(torch.arange(11.0).reshape(11, 1)).argmax(0)
        assert torch.equal(distribution.mode, likeliest.float())


class TestBetaBinomial:
    @pytest.mark.parametrize("log_alpha", [-8.0, -1.0, 0.0, 3.0, 9.0, 14.0])
    @pytest.mark.parametrize("log_beta", [-3.0, 0.5, 13.0])
    def test_agrees_with_scipy(self, log_alpha: float, log_beta: float) -> None:
        x = torch.arange(256.0)
        distribution = BetaBinomial(255, tensor(log_alpha), tensor(log_beta))
        expected = scipy.stats.betabinom.logpmf(x.numpy(), 255, math.exp(log_alpha), math.exp(log_beta))
        # Plain log-gammas in float32 are off by 0.4 to 1.4 at the larger concentrations.
        np.testing.assert_allclose(distribution.log_prob(x).numpy(), expected, rtol=1e-6, atol=1e-4)
        assert distribution.log_prob(x).exp().sum().item() == pytest.approx(1.0, abs=1e-4)

    def test_keeps_to_the_error_of_its_approximation_in_float64(self) -> None:
        x = torch.arange(41.0, dtype=torch.float64)
        ours = BetaBinomial(40, tensor(0.7).double(), tensor(-1.2).double()).log_prob(x)
        alpha, beta = tensor(0.7, -1.2).double().exp().tolist()
        np.testing.assert_allclose(ours.numpy(), scipy.stats.betabinom.logpmf(x.numpy(), 40, alpha, beta), atol=2e-9)

    def test_equal_concentrations_of_one_are_uniform(self) -> None:
        values = BetaBinomial(255, tensor(0.0), tensor(0.0)).log_prob(torch.arange(256.0))
        torch.testing.assert_close(values, torch.full((256,), -math.log(256)))

    def test_large_concentrations_are_a_binomial(self) -> None:
        x = torch.arange(21.0)
        expected = torch.distributions.Binomial(20, torch.tensor(0.5)).log_prob(x)
        torch.testing.assert_close(BetaBinomial(20, tensor(60.0), tensor(60.0)).log_prob(x), expected)

    def test_gradients_agree_with_the_digamma_form(self) -> None:
        log_alpha, log_beta = torch.tensor([[-2.0, 0.3, 4.0], [1.0, -0.5, 5.0]]).double()
        x = tensor(0.0, 7.0, 30.0).double()
        parameters = (log_alpha.requires_grad_(), log_beta.requires_grad_())
        ours = torch.autograd.grad(BetaBinomial(30, *parameters).log_prob(x).sum(), parameters)
        alpha, beta, psi = log_alpha.exp(), log_beta.exp(), torch.digamma
        shared = psi(alpha + beta) - psi(alpha + beta + 30)
        torch.testing.assert_close(ours[0], alpha * (psi(alpha + x) - psi(alpha) + shared), atol=1e-7, rtol=1e-7)
        torch.testing.assert_close(ours[1], beta * (psi(beta + 30 - x) - psi(beta) + shared), atol=1e-7, rtol=1e-7)

    def test_values_and_gradients_are_finite_everywhere(self) -> None:
        log_alpha = tensor(-1e3, -20.0, 0.0, 20.0, 1e3).reshape(-1, 1, 1).requires_grad_()
        log_beta = log_alpha.detach().reshape(-1, 1).clone().requires_grad_()
        value = BetaBinomial(255, log_alpha, log_beta).log_prob(tensor(0.0, 1.0, 128.0, 255.0))
        assert value.isfinite().all()
        for gradient in torch.autograd.grad(value.sum(), (log_alpha, log_beta)):
            assert gradient.isfinite().all()

    def test_mode_is_the_likeliest_value_over_many_shapes(self) -> None:
        log_alpha, log_beta = torch.meshgrid(torch.linspace(-3, 3.1, 15), torch.linspace(-2.9, 3, 15), indexing="ij")
        distribution = BetaBinomial(9, log_alpha, log_beta)
        table = distribution.log_prob(torch.arange(10.0).reshape(10, 1, 1))
        likeliest = distribution.log_prob(distribution.mode)
        torch.testing.assert_close(likeliest, table.max(0).values, atol=1e-5, rtol=0)  # ties go either way


class TestStudentT:
    @pytest.mark.parametrize("degrees", [0.5, 1.0, 3.0, 15.9, 16.1, 100.0, 1e5])
    def test_agrees_with_scipy(self, degrees: float) -> None:
        x = torch.linspace(-60, 60, 121)
        expected = scipy.stats.t.logpdf(x.double().numpy(), degrees, 1.0, math.exp(0.3))
        ours = StudentT(degrees, tensor(1.0), tensor(0.3)).log_prob(x)
        np.testing.assert_allclose(ours.numpy(), expected, rtol=2e-6, atol=2e-6)

    @pytest.mark.parametrize("degrees", [1.0, 2.5, 40.0])
    def test_draws_follow_the_distribution(self, degrees: float) -> None:
        draws = StudentT(degrees, torch.full((20_000,), 2.0), tensor(0.5)).sample(Randomness(3))
        reference = scipy.stats.t(degrees, 2.0, math.exp(0.5))
        assert scipy.stats.kstest(draws.numpy(), reference.cdf).pvalue > 1e-4

    def test_values_and_gradients_are_finite_everywhere(self) -> None:
        degrees = tensor(0.01, 1.0, 1e6).reshape(-1, 1, 1).requires_grad_()
        log_scale = tensor(-20.0, 0.0, 20.0).reshape(-1, 1).requires_grad_()
        location = tensor(0.0).requires_grad_()
        value = StudentT(degrees, location, log_scale).log_prob(tensor(-1e25, -1.0, 0.0, 1.0, 1e25))
        assert value.isfinite().all()
        for gradient in torch.autograd.grad(value.sum(), (degrees, location, log_scale)):
            assert gradient.isfinite().all()

    def test_gradient_at_one_scale_times_root_degrees_is_right(self) -> None:
        """There the two forms of log(1 + r²) meet."""
        x = tensor(2.0).requires_grad_()
        StudentT(4.0, tensor(0.0), tensor(0.0)).log_prob(x).sum().backward()
        torch.testing.assert_close(x.grad, tensor(-(4 + 1) * 2.0 / (4 + 2.0**2)))


class TestMixture:
    def test_agrees_with_torch(self) -> None:
        generator = torch.Generator().manual_seed(2)
        logits, mean, log_scale = torch.randn(3, 6, 4, generator=generator)
        reference = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(logits=logits), torch.distributions.Normal(mean, log_scale.exp())
        )
        mixture, x = Mixture(logits, Gaussian(mean, log_scale)), torch.randn(5, 6, generator=generator) * 3
        torch.testing.assert_close(mixture.log_prob(x), reference.log_prob(x))
        torch.testing.assert_close(mixture.mean, reference.mean)

    def test_one_component_changes_nothing(self) -> None:
        component = DiscretisedLogistic(torch.ones(3, 1), torch.zeros(1), 1.0, 0.0, 7.0)
        mixture = Mixture(torch.full((1,), 9.0), component)
        x = torch.arange(3.0)
        torch.testing.assert_close(mixture.log_prob(x), component.log_prob(x.unsqueeze(-1)).squeeze(-1))
        assert torch.equal(mixture.mode, torch.ones(3))

    def test_of_grids_sums_to_one(self) -> None:
        component = DiscretisedLogistic(tensor(1.0, 6.0, 2.5), tensor(-2.0, 0.0, 3.0), 1.0, 0.0, 7.0)
        mixture = Mixture(tensor(0.0, 1.0, -1.0), component)
        assert mixture.log_prob(torch.arange(8.0)).exp().sum().item() == pytest.approx(1.0, abs=1e-5)

    def test_mode_lies_under_the_highest_peak_and_not_at_the_heaviest_component(self) -> None:
        logits, mean, log_scale = tensor(1.0, 0.0), tensor(-5.0, 5.0), tensor(2.0, -2.0)
        mixture = Mixture(logits.expand(3, 2), Gaussian(mean, log_scale))
        assert torch.equal(mixture.mode, torch.full((3,), 5.0))

    def test_gradients_reach_the_weights_and_the_components(self) -> None:
        parameters = [torch.zeros(2).requires_grad_(), tensor(-1.0, 1.0).requires_grad_()]
        value = Mixture(parameters[0], Gaussian(parameters[1], torch.zeros(2))).log_prob(tensor(60.0))
        gradients = torch.autograd.grad(value.sum(), parameters)
        torch.testing.assert_close(gradients[0], tensor(-0.5, 0.5))  # responsibility - weight
        torch.testing.assert_close(gradients[1], tensor(0.0, 59.0))


class TestPointMass:
    def test_passes_gradients_and_scores_nothing(self) -> None:
        value = torch.ones(3, requires_grad=True)
        distribution = PointMass(value)
        distribution.sample(Randomness(0)).sum().backward()
        assert value.grad is not None and torch.equal(value.grad, torch.ones(3))
        assert not distribution.log_prob(torch.randn(5, 3, generator=torch.Generator().manual_seed(0))).any()


class TestCounts:
    """Against SciPy's closed forms, in double precision."""

    X = torch.arange(0.0, 40.0).double()

    @pytest.mark.parametrize("log_rate", [-12.0, -1.0, 0.0, 3.5])
    def test_poisson(self, log_rate: float) -> None:
        ours = Poisson(tensor(log_rate).double()).log_prob(self.X)
        np.testing.assert_allclose(ours, scipy.stats.poisson.logpmf(self.X, math.exp(log_rate)), rtol=1e-9)

    @pytest.mark.parametrize("log_mean", [-9.0, 0.0, 4.0])
    @pytest.mark.parametrize("log_r", [-4.0, 0.0, 6.0])
    def test_negative_binomial(self, log_mean: float, log_r: float) -> None:
        mean, r = math.exp(log_mean), math.exp(log_r)
        distribution = NegativeBinomial(tensor(log_mean).double(), tensor(log_r).double())
        np.testing.assert_allclose(
            distribution.log_prob(self.X), scipy.stats.nbinom.logpmf(self.X, r, r / (r + mean)), rtol=1e-7, atol=1e-12
        )
        masses = distribution.log_prob(torch.arange(5000.0).double())
        assert distribution.mode.item() in (masses.argmax().item(), masses.argmax().item() + 1)

    def test_a_negative_binomial_of_no_dispersion_is_a_poisson(self) -> None:
        log_mean = tensor(1.2).double()
        ours = NegativeBinomial(log_mean, tensor(17.0).double()).log_prob(self.X[:20])
        torch.testing.assert_close(ours, Poisson(log_mean).log_prob(self.X[:20]), atol=1e-4, rtol=1e-4)

    def test_a_negative_binomial_in_single_precision(self) -> None:
        """Where dispersions end that domains use, differences of log-gamma functions lose 1e-7 · r log r = 0.003."""
        x, log_r = self.X[:30].float(), tensor(8.0)
        exact = NegativeBinomial(tensor(2.0).double(), log_r.double()).log_prob(x.double())
        ours = NegativeBinomial(tensor(2.0), log_r).log_prob(x)
        torch.testing.assert_close(ours.double(), exact, atol=5e-3, rtol=0)

    def test_zeros_that_are_too_many(self) -> None:
        base, logits = NegativeBinomial(tensor(0.7), tensor(0.2)), tensor(-0.4)
        share = torch.sigmoid(logits)
        masses = (1 - share) * base.log_prob(self.X.float()).exp()
        masses[0] += share[0]
        torch.testing.assert_close(ZeroInflated(base, logits).log_prob(self.X.float()).exp(), masses)
        torch.testing.assert_close(ZeroInflated(base, logits).mean, (1 - share) * base.mean)

    @pytest.mark.parametrize("distribution", [Poisson, NegativeBinomial, ZeroInflated])
    def test_gradients_are_finite_at_the_ends(self, distribution: type) -> None:
        x = tensor(0.0, 1.0, 1e4, 0.0, 1.0, 1e4)
        log_rate = tensor(-40.0, -40.0, -40.0, 12.0, 12.0, 12.0).requires_grad_()
        second = torch.full((6,), 8.0).requires_grad_()
        made = {
            Poisson: lambda: Poisson(log_rate),
            NegativeBinomial: lambda: NegativeBinomial(log_rate, second),
            ZeroInflated: lambda: ZeroInflated(NegativeBinomial(log_rate, second), second),
        }[distribution]()
        value = made.log_prob(x)
        value.sum().backward()
        assert value.isfinite().all() and log_rate.grad is not None and log_rate.grad.isfinite().all()

    def test_multinomial(self) -> None:
        rng = np.random.default_rng(0)
        logits = torch.from_numpy(rng.normal(size=(20, 7)))
        shares = torch.softmax(logits, -1).numpy()
        x = np.stack([rng.multinomial(total, row) for total, row in enumerate(shares)])
        x = torch.from_numpy(x).double()  # totals 0 … 19
        ours = Multinomial(x.sum(-1, keepdim=True), logits).log_prob(x)
        expected = [
            scipy.stats.multinomial.logpmf(row, row.sum(), share)
            for row, share in zip(x.int().numpy(), shares, strict=True)
        ]
        np.testing.assert_allclose(ours.sum(-1), expected, rtol=1e-6, atol=1e-9)
        assert (ours[x == 0] == 0).all()

    def test_a_multinomial_draws_its_totals_in_its_shares(self) -> None:
        logits = tensor(0.0, 1.0, -2.0, 0.5).expand(3000, 4)
        totals = torch.arange(3000.0).remainder(9).unsqueeze(-1)
        draws = Multinomial(totals, logits).sample(Randomness(2))
        assert torch.equal(draws.sum(-1, keepdim=True), totals)
        share = torch.softmax(logits[0], -1)
        count = totals.sum()
        margin = STANDARD_ERRORS * (share * (1 - share) / count).sqrt()
        assert ((draws.sum(0) / count - share).abs() < margin).all()
