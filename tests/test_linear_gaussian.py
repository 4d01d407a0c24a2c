"""Where the truth is known: rows made from k factors, x = W z + σ ε, whose likelihood has a closed form.

A VAE with more units than factors should use exactly as many as there are, and its evidence lower bound should come
close to the exact log-likelihood, since the exact posterior is a Gaussian that the encoder can express.
"""

import numpy as np
import pytest
import torch

import isthmus
from isthmus.core.randomness import Randomness
from isthmus.evaluation.latent import active_units

FACTORS, COLUMNS, LATENT_DIM, NOISE = 5, 12, 16, 0.5


def rows(count: int, held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Rows to learn from, held-out rows, and the exact mean log-likelihood of the latter in nats per row."""
    draws = np.random.default_rng(seed)
    loadings = draws.normal(size=(COLUMNS, FACTORS))
    factors = draws.normal(size=(count + held_out, FACTORS))
    x = factors @ loadings.T + NOISE * draws.normal(size=(count + held_out, COLUMNS))
    # x ~ N(0, W Wᵀ + σ² I)
    covariance = loadings @ loadings.T + NOISE**2 * np.eye(COLUMNS)
    test = x[count:]
    distances = np.einsum("ri,ij,rj->r", test, np.linalg.inv(covariance), test)
    log_likelihood = -0.5 * (distances + np.linalg.slogdet(covariance)[1] + COLUMNS * np.log(2 * np.pi))
    return x[:count], test, float(log_likelihood.mean())


@pytest.mark.slow
def test_a_vae_finds_the_factors_and_the_likelihood() -> None:
    """Everything at its default but the number of epochs; the bound was 0.5 to 0.6% off on seeds 0 to 3."""
    x, test, exact = rows(20_000, 4_000, seed=0)
    model = isthmus.VAE(LATENT_DIM, epochs=50, random_state=0).fit(x)
    assert active_units(model.transform(test))["active_units"] == FACTORS
    tensors = model.domain_.tensors(test)
    with torch.no_grad():
        losses = [model.model_.terms(tensors.float(), Randomness(draw)).loss.item() for draw in range(8)]
    bound = -float(np.mean(losses)) + float(model.domain_.log_volume(tensors).mean())
    assert 0 < exact - bound < 0.01 * abs(exact)
    # More draws come closer, but not above it by more than the draws' own noise.
    closer = model.score_samples(test, draws=64).mean()
    assert bound < closer < exact + 0.01 * abs(exact)
