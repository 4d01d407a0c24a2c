"""Scores are log-densities in the user's own units, in nats."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import isthmus


def gaussian_rows(covariance, rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).multivariate_normal(np.zeros(len(covariance)), covariance, rows)


@pytest.mark.parametrize(
    "scales,correlation",
    [([100.0], 0.0), ([0.01, 50.0], 0.8), ([1.0, 1e-3, 1e3], 0.6)],
    ids=["one column", "two columns", "three columns"],
)
@pytest.mark.slow
def test_score_of_gaussian_rows_is_their_exact_log_density(scales, correlation):
    """One factor explains such rows exactly, so the bound can reach log p(x); what is left is how well it was trained.

    A wrong unit for any column would be off by the logarithm of its scale, several nats.
    """
    correlations = np.full((len(scales), len(scales)), correlation) + (1 - correlation) * np.eye(len(scales))
    covariance = correlations * np.outer(scales, scales)
    model = isthmus.VAE(
        latent_dim=1, hidden=(), epochs=30, learning_rate=0.02, batch_size=64, patience=None, random_state=0
    ).fit(gaussian_rows(covariance, 2000, seed=0))
    test = gaussian_rows(covariance, 2000, seed=1)
    exact = multivariate_normal(np.zeros(len(scales)), correlations).logpdf(test / scales) - np.log(scales).sum()
    scores = model.score_samples(test, draws=64)
    assert scores.mean() == pytest.approx(exact.mean(), abs=0.03 * len(scales))
    # A bound lies below the density but for the error of its draws; row by row the two must agree, not only on average.
    assert np.corrcoef(scores, exact)[0, 1] > 0.98


def test_rescaling_a_column_shifts_the_score_by_its_logarithm():
    rows = gaussian_rows(np.eye(3), 300, seed=0)
    options = {"latent_dim": 2, "hidden": (8,), "epochs": 3, "random_state": 0}
    model = isthmus.VAE(**options).fit(rows)
    # A power of two changes no digit, so the fit is the same to the last bit.
    doubled = isthmus.VAE(**options).fit(rows * [1024, 1, 1])
    shift = doubled.score_samples(rows * [1024, 1, 1]) - model.score_samples(rows)
    assert shift == pytest.approx(np.full(300, -math.log(1024)), abs=1e-9)
    # A power of ten rounds the rows: the fit is the same up to float32's rounding.
    grown = isthmus.VAE(**options).fit(rows * [1000, 1, 1])
    shift = grown.score_samples(rows * [1000, 1, 1]) - model.score_samples(rows)
    assert shift == pytest.approx(np.full(300, -math.log(1000)), abs=1e-3)


def test_more_draws_bring_each_score_nearer_its_limit():
    rows = gaussian_rows([[1, 0.9], [0.9, 1]], 300, seed=0)
    model = isthmus.VAE(latent_dim=2, hidden=(16,), epochs=5, random_state=0).fit(rows)
    limit = model.score_samples(rows, draws=4000)
    one, few, many = (np.abs(model.score_samples(rows, draws=draws) - limit).mean() for draws in (1, 16, 400))
    # The error of a mean of draws falls with their root: to a quarter, then to a fifth; half as much is asked for.
    assert few < one / 2 and many < few / 2


def test_score_is_the_mean_and_does_not_change_between_calls():
    rows = gaussian_rows(np.eye(3), 100, seed=0)
    model = isthmus.VAE(latent_dim=2, hidden=(8,), epochs=2, random_state=0).fit(rows)
    assert model.score(rows) == model.score_samples(rows).mean()
    assert np.array_equal(model.score_samples(rows), model.score_samples(rows))


def test_score_of_a_plain_autoencoder_is_the_likelihood_of_its_reconstruction():
    rows = gaussian_rows(np.eye(3) * [1, 4, 9], 200, seed=0)
    model = isthmus.Autoencoder(latent_dim=2, hidden=(8,), epochs=2, random_state=0).fit(rows)
    x = model.domain_.tensors(rows)
    likelihood = model.model_.likelihood(model.encode_tensors(x))
    by_hand = likelihood.log_prob(x.float()).double() + model.domain_.log_volume(x)
    assert model.score_samples(rows) == pytest.approx(by_hand.detach().numpy(), abs=1e-4)
    assert np.array_equal(model.score_samples(rows, draws=1), model.score_samples(rows, draws=1))


# Missing cells


def table_with_gaps(rows: int = 1500) -> tuple[pd.DataFrame, pd.DataFrame]:
    """y follows from x; a quarter of its cells are missing. The whole table, and the one with gaps."""
    draws = np.random.default_rng(0)
    x = draws.standard_normal(rows)
    whole = pd.DataFrame(
        {"x": x, "y": 3 * x + 0.1 * draws.standard_normal(rows), "kind": np.where(x > 0, "up", "down")}
    )
    gaps = whole.copy()
    gaps.loc[draws.random(rows) < 0.25, "y"] = np.nan
    gaps.loc[draws.random(rows) < 0.1, "kind"] = None
    return whole, gaps


@pytest.fixture(scope="module")
def imputer():
    _, gaps = table_with_gaps()
    return isthmus.VAE(latent_dim=2, hidden=(32,), epochs=60, learning_rate=5e-3, random_state=0).fit(gaps)


@pytest.mark.slow
def test_imputed_cells_beat_the_column_mean_and_observed_ones_stay(imputer):
    whole, gaps = table_with_gaps()
    filled = imputer.impute(gaps)
    assert not filled.isna().any().any()
    assert filled.dtypes.equals(gaps.dtypes)
    missing = gaps["y"].isna()
    pd.testing.assert_series_equal(filled["y"][~missing], gaps["y"][~missing], rtol=1e-12)
    error = np.sqrt(np.mean((filled["y"] - whole["y"])[missing] ** 2))
    of_the_mean = np.sqrt(np.mean((gaps["y"].mean() - whole["y"])[missing] ** 2))
    assert error < of_the_mean / 3
    unnamed = gaps["kind"].isna()
    assert (filled["kind"] == whole["kind"])[unnamed].mean() > 0.9
    assert (filled["kind"] == gaps["kind"])[~unnamed].all()


def test_reconstruct_fills_missing_cells_and_moves_observed_ones(imputer):
    _, gaps = table_with_gaps(50)
    back = imputer.reconstruct(gaps)
    assert not back.isna().any().any()
    assert not back["x"].equals(gaps["x"])


def test_a_missing_cell_adds_nothing_to_the_likelihood_and_takes_nothing_from_the_others(imputer):
    """Given the same codes, the row's log-likelihood with a gap is that of its other cells."""
    whole, _ = table_with_gaps()
    gap = whole.assign(y=np.nan)
    x, with_gap = (imputer.domain_.tensors(rows) for rows in (whole, gap))
    likelihood = imputer.model_.likelihood(imputer.encode_tensors(x))
    full, partial = (likelihood.log_prob_per_feature(tensor.float()) for tensor in (x, with_gap))
    assert (partial[:, 1] == 0).all() and (full[:, 1] != 0).all()
    assert (partial[:, [0, 2]] == full[:, [0, 2]]).all()
    # Only the cells that are there have a unit: of the two quantities, x alone.
    spread = -np.log(whole[["x", "y"]].std(ddof=0))
    assert imputer.domain_.log_volume(with_gap).numpy() == pytest.approx(np.full(len(gap), spread["x"]), abs=0.05)
    assert imputer.domain_.log_volume(x).numpy() == pytest.approx(np.full(len(gap), spread.sum()), abs=0.05)


def test_a_row_without_any_cell_scores_nothing(imputer):
    empty = pd.DataFrame({"x": [np.nan], "y": [np.nan], "kind": [None]}).astype({"kind": "str"})
    # log p(nothing) = 0; the bound stays a little below it, as far as q(z|nothing) is from p(z).
    assert imputer.score_samples(empty, draws=500)[0] == pytest.approx(0.0, abs=0.7)
