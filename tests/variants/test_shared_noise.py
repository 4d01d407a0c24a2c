"""A plain autoencoder minimises squared error: no column may buy likelihood by being copied exactly."""

import numpy as np
import pytest

import isthmus


@pytest.mark.parametrize("model", ["Autoencoder", "FSQ"])
@pytest.mark.slow
def test_the_noise_of_a_point_code_does_not_shrink_to_one_column(model):
    # Two codes for six columns that share two factors: copying two columns would leave the noise of the other four.
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(1000, 6))
    rows /= rows.std(0)
    options = {"levels": 256} if model == "FSQ" else {}
    fitted = getattr(isthmus, model)(2, hidden=(), epochs=60, learning_rate=1e-2, random_state=0, **options).fit(rows)
    lost = ((fitted.reconstruct(rows) - rows) ** 2).mean(0)
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
    best = values[2:].sum() / values.sum()  # what two principal components lose
    assert lost.mean() < 1.15 * best + 0.01
    assert lost.min() > 0.05 * lost.mean()
