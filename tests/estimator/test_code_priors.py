"""Codes drawn from a model that was fitted to the codes of rows."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

import isthmus
from isthmus.core.errors import OptionError
from isthmus.core.randomness import Randomness
from isthmus.estimator import codes
from isthmus.estimator.codes import PRIORS, fitted_prior
from isthmus.estimator.codes.flow import NormalisingFlow
from isthmus.estimator.codes.flow_matching import FlowMatching
from isthmus.parts.networks import built


def available(name: str) -> None:
    if name == "flow":
        pytest.importorskip("zuko", reason="the extra 'flow' is not installed")


def ring(rows: int) -> torch.Tensor:
    """Codes on a circle round (3, 0), which no Gaussian is like."""
    randomness = Randomness(0, "ring")
    angle = 2 * np.pi * randomness.uniform(rows)
    return torch.stack([3 + angle.cos(), angle.sin()], dim=1) + 0.05 * randomness.normal(rows, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIORS)
def test_codes_are_drawn_where_those_of_rows_lie(name, monkeypatch):
    available(name)
    # Fewer than users get, which this ring does not need; those of the flow take longest.
    monkeypatch.setattr(codes, "STEPS", 300 if name == "flow" else 1_000)
    drawn = fitted_prior(name, ring(4000), seed=0).sample(2000, Randomness(1))
    radius = (drawn - torch.tensor([3.0, 0.0])).norm(dim=1)
    # Of a Gaussian of the same mean and covariance, a fifth lie so near to the middle.
    assert (radius < 0.6).float().mean() < 0.05
    assert radius.mean().item() == pytest.approx(1.0, abs=0.07)
    angle = torch.atan2(drawn[:, 1], drawn[:, 0] - 3)
    quarters = torch.histc(angle, 4, -np.pi, np.pi) / len(drawn)
    np.testing.assert_allclose(quarters, 0.25, atol=0.06)


def test_an_untouched_velocity_of_zero_leaves_noise_as_it_is():
    """The path is then a point: codes are the noise in the units of the codes."""
    flow = FlowMatching(3)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.zero_()
    flow.centre.fill_(2.0)
    flow.scale.fill_(0.5)
    torch.testing.assert_close(flow.sample(10, Randomness(4)), 2 + Randomness(4).normal(10, 3) / 2)


def test_the_loss_of_the_true_velocity_is_the_least():
    """Of codes that are all one point, the velocity is known: (end − z) / (1 − t)."""

    class Known(FlowMatching):
        def velocity(self, z, time):
            return (1.0 - z) / (1 - time)

    codes = torch.ones(64, 2)
    assert Known(2).terms(codes, Randomness(0)).loss.item() == pytest.approx(0.0, abs=1e-6)
    assert FlowMatching(2).terms(codes, Randomness(0)).loss.item() > 0.5


def test_a_normalising_flow_is_a_density_and_draws_from_it():
    pytest.importorskip("zuko", reason="the extra 'flow' is not installed")
    flow = built(lambda: NormalisingFlow(1), Randomness(0))
    assert isinstance(flow, NormalisingFlow)
    flow.centre.fill_(2.0)
    flow.scale.fill_(0.5)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.1 * Randomness(1).normal(*parameter.shape)
    grid = torch.linspace(-8, 12, 160_001, dtype=torch.float64)
    density = flow.double().log_prob(grid.unsqueeze(1)).exp().detach()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1.0, abs=1e-3)
    drawn = flow.float().sample(4000, Randomness(2)).squeeze()
    below = torch.cumulative_trapezoid(density, grid)
    for share in (0.1, 0.5, 0.9):
        place = grid[torch.searchsorted(below, share)]
        # Four standard errors of a share of 4,000 draws.
        assert (drawn < place).float().mean().item() == pytest.approx(share, abs=0.032)


def test_a_flow_without_zuko_is_refused_before_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(OptionError, match=r"prior='flow' needs zuko; install it with: pip install 'isthmus\[flow\]'"):
        isthmus.VAE(prior="flow").fit(np.zeros((20, 2)))


@pytest.mark.parametrize("model", ["VAE", "Autoencoder"])
@pytest.mark.parametrize("name", PRIORS)
def test_samples_come_from_it_and_scores_do_not(name, model, monkeypatch, tmp_path):
    available(name)
    monkeypatch.setattr(codes, "STEPS", 20)
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    options = {"latent_dim": 2, "epochs": 2, "device": "cpu", "random_state": 0}
    own = getattr(isthmus, model)(**options).fit(rows)
    other = getattr(isthmus, model)(**options, prior=name).fit(rows)
    assert not own.sample(5).equals(other.sample(5))
    assert other.sample(5).equals(other.sample(5))
    np.testing.assert_array_equal(own.score_samples(rows), other.score_samples(rows))
    other.save(tmp_path / "m.safetensors")
    assert isthmus.load(tmp_path / "m.safetensors").sample(5).equals(other.sample(5))


def test_codes_of_few_values_have_no_flow():
    rows = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(OptionError, match="FSQ") as refused:
        isthmus.FSQ(prior="flow_matching").fit(rows)
    assert "\n" not in str(refused.value)


def test_an_unknown_prior_is_refused_by_name():
    with pytest.raises(OptionError, match=r"prior='diffusion'.*'own', 'flow_matching' or 'flow'"):
        isthmus.VAE(prior="diffusion").fit(np.zeros((20, 2)))
