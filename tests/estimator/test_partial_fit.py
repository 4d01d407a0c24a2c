"""Learning from a stream of batches."""

import numpy as np
import pytest

import isthmus
from isthmus.core.errors import OptionError


def batches(count: int, rows: int = 64):
    draws = np.random.default_rng(0)
    loadings = draws.standard_normal((2, 6))
    return [draws.standard_normal((rows, 2)) @ loadings + 0.1 * draws.standard_normal((rows, 6)) for _ in range(count)]


def model(name: str = "VAE", **options):
    return getattr(isthmus, name)(
        **{"latent_dim": 2, "hidden": (32,), "batch_size": 16, "learning_rate": 5e-3, "random_state": 0} | options
    )


@pytest.mark.parametrize("name", ["VAE", "Autoencoder", "FactorVAE"])
def test_a_stream_teaches(name):
    *stream, fresh = batches(31)
    learner = model(name)
    for batch in stream:
        assert learner.partial_fit(batch) is learner
    losses = [record["train"]["loss"] for record in learner.history_]
    assert [record["epoch"] for record in learner.history_] == list(range(1, 31))
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 1.0
    # Rows that were in no batch are reconstructed, not only remembered.
    error = np.mean((learner.reconstruct(fresh) - fresh) ** 2)
    assert error < 0.3 * np.var(fresh)
    assert learner.training_["epochs"] == 30
    assert np.isfinite(learner.sample(5)).all()


def test_the_stream_decides_the_model_and_its_optimiser_goes_on():
    """Adam's moments live on between calls: two calls are not two first calls."""
    first, second = batches(2)
    one, other = (model().partial_fit(first).partial_fit(second) for _ in range(2))
    assert np.array_equal(one.transform(second), other.transform(second))
    forgetful = model().partial_fit(first)
    forgetful._state = None
    forgetful.partial_fit(second)
    assert not np.array_equal(forgetful.transform(second), one.transform(second))


def test_the_first_batch_sets_the_scales():
    first, second = batches(2)
    learner = model().partial_fit(first)
    schema = learner.domain_.schema()
    learner.partial_fit(1000 * second)
    assert learner.domain_.schema() == schema
    assert np.isfinite(learner.score_samples(1000 * second)).all()


def test_saved_and_loaded_between_batches(tmp_path):
    *stream, fresh = batches(5)
    learner = model()
    for batch in stream:
        learner.partial_fit(batch)
    learner.save(tmp_path / "model.safetensors")
    revived = isthmus.load(tmp_path / "model.safetensors")
    assert np.array_equal(revived.transform(fresh), learner.transform(fresh))
    assert np.array_equal(revived.score_samples(fresh), learner.score_samples(fresh))
    assert revived.offset_ == learner.offset_
    before = revived.score(fresh)
    for _ in range(10):
        revived.partial_fit(stream[0])
    assert revived.score(fresh) > before
    assert [record["epoch"] for record in revived.history_] == list(range(1, 15))


def test_fit_forgets_the_stream_and_partial_fit_goes_on_from_fit():
    first, second, fresh = batches(3)
    streamed = model(epochs=20).partial_fit(first)
    assert np.array_equal(streamed.fit(second).transform(first), model(epochs=20).fit(second).transform(first))
    assert len(streamed.history_) == 20
    streamed.partial_fit(first)
    assert len(streamed.history_) == 21
    # Twenty epochs and a pass are worth more than a pass from scratch.
    assert streamed.score(fresh) > model().partial_fit(first).score(fresh) + 1.0


def test_a_batch_may_be_one_row_but_not_the_first():
    first, second = batches(2)
    learner = model().partial_fit(first)
    assert np.isfinite(learner.partial_fit(second[:1]).score_samples(second)).all()
    with pytest.raises(ValueError, match="1 sample"):
        model().partial_fit(first[:1])


def test_the_latent_size_cannot_be_searched_for_in_a_stream():
    with pytest.raises(OptionError, match="latent_dim='auto' needs all rows at once"):
        model(latent_dim="auto").partial_fit(batches(1)[0])
