"""New rows come in the container, names and types that were fitted, and follow from a seed."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import isthmus

DRAWS = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "height": DRAWS.standard_normal(80),
        "weight": DRAWS.standard_normal(80).astype(np.float32),
        "count": DRAWS.integers(0, 9, 80).astype(np.int16),
        "flag": DRAWS.random(80) > 0.5,
        "kind": pd.Categorical(DRAWS.choice(["a", "b"], 80), categories=["b", "a", "never"]),
        "name": DRAWS.choice(["x", "y", "z"], 80),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(DRAWS.integers(0, 99, 80), unit="D"),
    }
)
CONTAINERS = {
    "pandas": FRAME,
    "polars": pl.from_pandas(FRAME),
    "arrow": pa.table(FRAME),
    "array": FRAME[["height", "weight"]].to_numpy(),
    "single array": FRAME[["height", "weight"]].to_numpy(np.float32),
    "images": DRAWS.integers(0, 255, (80, 5, 6)).astype(np.uint8),
    "colour images": DRAWS.integers(0, 255, (80, 5, 6, 3)).astype(np.uint8),
}


def fitted(rows, name: str = "VAE", **options):
    return getattr(isthmus, name)(**{"latent_dim": 2, "hidden": (8,), "epochs": 2, "random_state": 0} | options).fit(
        rows
    )


def schema_of(rows):
    if isinstance(rows, pd.DataFrame):
        return dict(rows.dtypes)
    if isinstance(rows, np.ndarray):
        return rows.dtype, rows.shape[1:]
    return rows.schema


def same(first, second) -> bool:
    return np.array_equal(first, second) if isinstance(first, np.ndarray) else first.equals(second)


@pytest.mark.parametrize("container", CONTAINERS)
def test_rows_come_as_they_were_fitted(container):
    rows = CONTAINERS[container]
    model = fitted(rows)
    back = model.inverse_transform(model.transform(rows))
    for made, count in ((model.sample(9), 9), (model.sample(9, noise=False), 9), (back, 80)):
        assert type(made) is type(rows)
        assert schema_of(made) == schema_of(rows)
        assert len(made) == count
    assert same(back, model.reconstruct(rows))


@pytest.mark.parametrize("name", ["Autoencoder", "VAE", "FSQ", "LadderVAE"])
def test_a_seed_decides_the_rows(name):
    model = fitted(CONTAINERS["array"], name)
    assert same(model.sample(20), model.sample(20))
    assert same(model.sample(20, random_state=5), model.sample(20, random_state=5))
    assert not same(model.sample(20, random_state=5), model.sample(20, random_state=6))
    assert not same(model.sample(20, random_state=5), model.sample(20))
    moving = np.random.RandomState(5)
    assert not same(model.sample(20, random_state=moving), model.sample(20, random_state=moving))


@pytest.mark.slow
def test_samples_follow_the_data():
    """Two correlated columns of different scales: means, spreads and correlation come back."""
    rows = np.random.default_rng(0).multivariate_normal([10, -300], [[4, 30], [30, 400]], 2000)
    model = fitted(rows, hidden=(), epochs=30, batch_size=64, learning_rate=0.02, patience=None)
    new = model.sample(4000)
    # In units of each column's spread the mean's standard error is 0.016; the rest is for training.
    assert (new.mean(0) - rows.mean(0)) / rows.std(0) == pytest.approx([0, 0], abs=0.1)
    assert new.std(0) == pytest.approx(rows.std(0), rel=0.1)
    assert np.corrcoef(new.T)[0, 1] == pytest.approx(0.75, abs=0.08)
    # Without noise only what the codes say is left: less spread, never more.
    assert (model.sample(4000, noise=False).std(0) < new.std(0)).all()
