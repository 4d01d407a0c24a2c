"""latent_dim="auto": the fewest units that do as well on held-out rows as the best."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import isthmus
from isthmus.core.errors import DataError
from isthmus.estimator.fitting import Fitting
from isthmus.estimator.size_search import Trial, tried
from isthmus.training.checkpoint import Checkpoint


def factor_rows(factors: int, columns: int, rows: int = 1500) -> np.ndarray:
    draws = np.random.default_rng(0)
    noise = 0.5 * draws.standard_normal((rows, columns))
    return draws.standard_normal((rows, factors)) @ draws.standard_normal((factors, columns)) + noise


@pytest.mark.slow
def test_linear_factors_are_found():
    """Of the powers of two, 8 is the fewest that holds five factors; 4 cannot."""
    x = factor_rows(factors=5, columns=12)
    model = isthmus.VAE("auto", hidden=(), epochs=60, learning_rate=0.01, random_state=0).fit(x)
    assert model.latent_dim_ == 8
    assert model.transform(x).shape == (1500, 8)
    sizes = [row["latent_dim"] for row in model.size_search_]
    assert (
        sizes == sorted(sizes) and {4, 8} <= set(sizes) and len(sizes) <= 5
    )  # powers of two up to 12 columns, no more
    assert [row["latent_dim"] for row in model.size_search_ if row["chosen"]] == [8]
    four = next(row for row in model.size_search_ if row["latent_dim"] == 4)
    assert four["excess"] > 3 * four["standard_error"]


@pytest.mark.slow
def test_digits_get_a_size_between_a_point_and_the_pixels():
    images = (load_digits().images * 15).astype(np.uint8)[:1000]
    model = isthmus.VAE("auto", epochs=25, hidden=(128,), learning_rate=3e-3, random_state=0).fit(images)
    assert 4 <= model.latent_dim_ <= 32
    assert [row["latent_dim"] for row in model.size_search_] == [1, 2, 4, 8, 16, 32, 64]
    smallest = model.size_search_[0]
    assert smallest["latent_dim"] < model.latent_dim_ and smallest["excess"] > 1.0


def test_the_chosen_model_is_the_one_kept_and_saved(tmp_path):
    x = factor_rows(factors=2, columns=6, rows=400)
    options: dict[str, Any] = {"hidden": (8,), "epochs": 10, "random_state": 0}
    model = isthmus.VAE("auto", **options).fit(x)
    fixed = isthmus.VAE(model.latent_dim_, **options).fit(x)
    # The sizes were trained in one step, whose sums are added in another order.
    np.testing.assert_allclose(model.transform(x), fixed.transform(x), rtol=1e-3, atol=1e-3)
    assert model.history_[-1]["train"] == pytest.approx(fixed.history_[-1]["train"], rel=1e-4)
    model.save(tmp_path / "model.safetensors")
    revived = isthmus.load(tmp_path / "model.safetensors")
    assert revived.size_search_ == model.size_search_ and revived.latent_dim_ == model.latent_dim_
    assert not hasattr(model.set_params(latent_dim=2).fit(x), "size_search_")


def test_every_training_is_observed():
    ended = []

    def observe(record, plan):
        if record["epoch"] == plan.epochs:
            ended.append(record)

    model = isthmus.VAE("auto", hidden=(4,), epochs=3, random_state=0)
    model.fit(factor_rows(1, 3, rows=200), observers=(observe,))
    assert len(ended) == len(model.size_search_)


def test_no_rows_to_hold_out_are_refused():
    with pytest.raises(DataError, match="latent_dim='auto' needs rows to hold out"):
        isthmus.VAE("auto", validation_fraction=0.0).fit(factor_rows(1, 3, rows=100))


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("after", [2, 7])
def test_an_interrupted_search_goes_on_bit_for_bit(together, after, tmp_path, monkeypatch):
    """In one step, or size after size: those that had ended are not trained again."""
    monkeypatch.setattr("isthmus.training.run.Plan.checkpoint_seconds", 0.0)
    monkeypatch.setattr(Fitting, "gains_from_company", lambda *_: together)
    x, records = factor_rows(2, 6, rows=200), []

    def observe(record, plan):
        records.append(record)
        if len(records) == after:
            raise KeyboardInterrupt

    def fitted(*observers, checkpoint=None):
        model = isthmus.VAE("auto", hidden=(4,), epochs=4, patience=None, random_state=0)
        return model.fit(x, observers=observers, checkpoint=checkpoint)

    whole = fitted()
    assert fitted(observe, checkpoint=tmp_path / "c").training_["interrupted"]
    seen = len(records)
    resumed = fitted(observe, checkpoint=tmp_path / "c")
    assert resumed.size_search_ == whole.size_search_
    theirs = whole.model_.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in resumed.model_.state_dict().items())
    assert 0 < len(records) - seen < 4 * len(whole.size_search_)
    Checkpoint(tmp_path / "c", {}).remove()
    assert not list(tmp_path.iterdir())


# The plan of the search, on losses made up for the purpose.


def sizes_tried(loss_of, least: int = 1, most: int = 1000, interrupted_at: int = 0) -> list[int]:
    noise = np.random.default_rng(0).standard_normal(200)

    def attempt(size: int) -> Trial:
        trained: Any = SimpleNamespace(outcome=SimpleNamespace(interrupted=size == interrupted_at))
        return Trial(size, trained, loss_of(size) + noise)

    return [trial.latent_dim for trial in tried(attempt, least, most)]


@pytest.mark.parametrize(
    "needed,most,expected",
    [
        (1, 1000, [1, 2, 8]),
        (5, 1000, [2, 4, 8, 32]),
        (30, 1000, [2, 8, 16, 32, 128]),
        (1000, 1000, [2, 8, 32, 64, 128]),
        (1000, 20, [2, 8, 16]),
        (5, 20, [2, 4, 8, 16]),
        (1, 1, [1]),
    ],
)
def test_few_sizes_are_tried(needed, most, expected):
    assert sizes_tried(lambda size: 100 - 10 * min(size, needed), most=most) == expected


def test_a_variant_that_needs_two_units_is_never_given_one():
    assert sizes_tried(lambda size: float(size), least=2) == [2, 8]
    assert sizes_tried(lambda size: float(size), least=2, most=1) == [2]


def test_gains_within_the_noise_of_training_do_not_count():
    assert sizes_tried(lambda size: {2: 100.0, 4: 60.0, 8: 10.0}.get(size, 8.0)) == [2, 4, 8, 32]


def test_an_interruption_ends_the_search():
    assert sizes_tried(lambda size: -float(size), interrupted_at=8) == [2, 8]
