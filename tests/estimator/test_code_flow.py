"""Codes drawn from a flow that was fitted to the codes of rows."""

import numpy as np
import pandas as pd
import pytest
import torch

import isthmus
from isthmus.core.errors import OptionError
from isthmus.core.randomness import Randomness
from isthmus.estimator.code_flow import CodeFlow, fitted_flow


def ring(rows: int) -> torch.Tensor:
    """Codes on a circle round (3, 0), which no Gaussian is like."""
    randomness = Randomness(0, "ring")
    angle = 2 * np.pi * randomness.uniform(rows)
    return torch.stack([3 + angle.cos(), angle.sin()], dim=1) + 0.05 * randomness.normal(rows, 2)


@pytest.mark.slow
def test_codes_are_drawn_where_those_of_rows_lie():
    codes = fitted_flow(ring(4000), seed=0).sample(2000, Randomness(1))
    radius = (codes - torch.tensor([3.0, 0.0])).norm(dim=1)
    # Of a Gaussian of the same mean and covariance, a fifth lie so near to the middle.
    assert (radius < 0.6).float().mean() < 0.05
    assert radius.mean().item() == pytest.approx(1.0, abs=0.07)
    angle = torch.atan2(codes[:, 1], codes[:, 0] - 3)
    quarters = torch.histc(angle, 4, -np.pi, np.pi) / len(codes)
    np.testing.assert_allclose(quarters, 0.25, atol=0.06)


def test_an_untouched_velocity_of_zero_leaves_noise_as_it_is():
    """The path is then a point: codes are the noise in the units of the codes."""
    flow = CodeFlow(3)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.zero_()
    flow.centre.fill_(2.0)
    flow.scale.fill_(0.5)
    torch.testing.assert_close(flow.sample(10, Randomness(4)), 2 + Randomness(4).normal(10, 3) / 2)


def test_the_loss_of_the_true_velocity_is_the_least():
    """Of codes that are all one point, the velocity is known: (end − z) / (1 − t)."""

    class Known(CodeFlow):
        def velocity(self, z, time):
            return (1.0 - z) / (1 - time)

    codes = torch.ones(64, 2)
    assert Known(2).terms(codes, Randomness(0)).loss.item() == pytest.approx(0.0, abs=1e-6)
    assert CodeFlow(2).terms(codes, Randomness(0)).loss.item() > 0.5


@pytest.mark.parametrize("model", ["VAE", "Autoencoder"])
def test_samples_come_from_the_flow_and_scores_do_not(model):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    options = {"latent_dim": 2, "epochs": 2, "device": "cpu", "random_state": 0}
    own = getattr(isthmus, model)(**options).fit(rows)
    other = getattr(isthmus, model)(**options, prior="flow_matching").fit(rows)
    assert not own.sample(5).equals(other.sample(5))
    assert other.sample(5).equals(other.sample(5))
    np.testing.assert_array_equal(own.score_samples(rows), other.score_samples(rows))


def test_codes_of_few_values_have_no_flow():
    rows = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(OptionError, match="FSQ") as refused:
        isthmus.FSQ(prior="flow_matching").fit(rows)
    assert "\n" not in str(refused.value)


def test_an_unknown_prior_is_refused_by_name():
    with pytest.raises(OptionError, match=r"prior='diffusion'.*'own' or 'flow_matching'"):
        isthmus.VAE(prior="diffusion").fit(np.zeros((20, 2)))
