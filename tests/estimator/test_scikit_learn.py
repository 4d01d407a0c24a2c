"""Every public class is a scikit-learn estimator: its own checks, and the tools that people use around them."""

import inspect
import pickle
from copy import deepcopy

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import isthmus
from isthmus import variants
from isthmus.core.errors import OptionError

MODELS = [variants.find(name).__name__ for name in variants.names()]
# scikit-learn leaves these out of `check_estimator`; they are about DataFrames.
FRAME_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
]


def quick(name: str = "VAE", **options):
    """An estimator that trains in a moment; its latent size is the default."""
    return getattr(isthmus, name)(**{"epochs": 2, "hidden": (8,)} | options)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((60, 5)) * [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.slow
def test_every_check_of_scikit_learn_passes(name, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it one check is skipped
    results = estimator_checks.check_estimator(quick(name, epochs=1), on_skip=None, on_fail=None)
    assert {result["check_name"]: result["exception"] for result in results if result["status"] != "passed"} == {}
    assert len(results) >= 53


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")  # the checks provoke them
@pytest.mark.parametrize("check", FRAME_CHECKS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.slow
def test_checks_for_data_frames_pass(name, check):
    getattr(estimator_checks, check)(name, quick(name, latent_dim=3, epochs=1))


@pytest.mark.parametrize("name", MODELS)
def test_signature_is_explicit_and_the_latent_size_may_come_first(name):
    parameters = inspect.signature(getattr(isthmus, name)).parameters
    assert next(iter(parameters)) == "latent_dim"
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values())
    assert {"hidden", "epochs", "random_state", "contamination"} <= set(parameters)
    assert getattr(isthmus, name)(5).latent_dim == 5


def test_options_of_the_variant_stand_in_the_signature():
    vae = isthmus.VAE(8, beta=2.0)
    assert (vae.latent_dim, vae.beta) == (8, 2.0)
    assert inspect.signature(isthmus.VAE).parameters["beta"].default == 1.0
    assert "gamma" in inspect.signature(isthmus.FactorVAE).parameters
    assert "gamma" not in inspect.signature(isthmus.VAE).parameters


def test_unknown_option_is_a_type_error_that_names_class_and_option():
    with pytest.raises(TypeError, match=r"VAE\(\).*'gamma'"):
        isthmus.VAE(gamma=1.0)


@pytest.mark.parametrize("name", MODELS)
def test_clone_and_parameters_go_round(name):
    model = quick(name, latent_dim=3, learning_rate=0.01)
    again = clone(model)
    assert again is not model and again.get_params() == model.get_params()
    again.set_params(latent_dim=4)
    assert (again.latent_dim, model.latent_dim) == (4, 3)
    with pytest.raises(ValueError, match="nonsense"):
        again.set_params(nonsense=1)


@pytest.mark.parametrize("name", MODELS)
def test_copies_of_a_fitted_model_give_the_same_bits(name, rows, tmp_path):
    model = quick(name, latent_dim=3, random_state=0).fit(rows)
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(model)), deepcopy(model), joblib.load(tmp_path / "model.joblib")):
        assert np.array_equal(copy.transform(rows), model.transform(rows))
        assert np.array_equal(copy.score_samples(rows), model.score_samples(rows))
        assert np.array_equal(copy.sample(7), model.sample(7))


@pytest.mark.slow
def test_grid_search_finds_the_options_of_the_best_score(rows):
    # β = 1000 leaves no information in the codes, and says so in the held-out bound.
    x = rows @ np.random.default_rng(1).standard_normal((5, 5))
    grid = {"latent_dim": [1, 4], "beta": [1.0, 1000.0]}
    model = isthmus.VAE(hidden=(), epochs=30, batch_size=10, learning_rate=0.03, random_state=0)
    found = GridSearchCV(model, grid, cv=2).fit(x)
    assert found.best_params_ == {"latent_dim": 4, "beta": 1.0}
    assert found.best_score_ == np.max(found.cv_results_["mean_test_score"])


def test_pipeline_scales_encodes_and_decodes(rows):
    pipeline = make_pipeline(StandardScaler(), quick(latent_dim=3, random_state=0)).fit(rows)
    codes = pipeline.transform(rows)
    assert codes.shape == (60, 3)
    by_hand = pipeline[1].transform(pipeline[0].transform(rows))
    assert np.array_equal(codes, by_hand)
    assert pipeline.inverse_transform(codes).shape == rows.shape
    assert list(pipeline.get_feature_names_out()) == ["vae0", "vae1", "vae2"]
    assert set(pipeline.predict(rows)) <= {-1, 1}


# random_state


def codes_of(random_state, rows):
    return quick(latent_dim=3, random_state=random_state).fit(rows).transform(rows)


def test_the_same_seed_gives_the_same_model_and_another_does_not(rows):
    assert np.array_equal(codes_of(3, rows), codes_of(3, rows))
    assert np.array_equal(codes_of(np.int64(3), rows), codes_of(3, rows))
    assert not np.array_equal(codes_of(3, rows), codes_of(4, rows))


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_a_generator_is_a_seed_and_moves_on(make, rows):
    assert np.array_equal(codes_of(make(3), rows), codes_of(make(3), rows))
    moving = make(3)
    assert not np.array_equal(codes_of(moving, rows), codes_of(moving, rows))


def test_without_a_seed_every_fit_differs(rows):
    assert not np.array_equal(codes_of(None, rows), codes_of(None, rows))


@pytest.mark.parametrize("wrong", ["zero", 1.5])
def test_what_is_no_seed_is_refused(wrong, rows):
    with pytest.raises(OptionError, match=r"random_state=.*an integer, a NumPy generator or None$"):
        codes_of(wrong, rows)


@pytest.mark.parametrize("name", MODELS)
def test_no_global_generator_is_touched(name, rows):
    np.random.seed(5)
    torch.manual_seed(5)
    expected = np.random.random(), float(torch.rand(()))
    np.random.seed(5)
    torch.manual_seed(5)
    model = quick(name, latent_dim=3).fit(rows)
    model.sample(3), model.score_samples(rows), model.transform(rows)
    assert (np.random.random(), float(torch.rand(()))) == expected


# Progress


def test_progress_is_for_terminals(rows, capfd):
    quick(verbose=1).fit(rows)
    assert capfd.readouterr() == ("", "")


def test_observers_see_every_epoch(rows):
    seen = []
    model = quick(epochs=4).fit(rows, observers=(lambda record, plan: seen.append((record["epoch"], plan.epochs)),))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4]


# Outliers


@pytest.mark.parametrize("contamination", [0.02, 0.2, 0.5])
def test_the_share_of_outliers_is_what_was_asked_for(contamination):
    x = np.random.default_rng(0).standard_normal((200, 4))
    model = quick(contamination=contamination, random_state=0)
    flags = model.fit_predict(x)
    assert np.mean(flags == -1) == pytest.approx(contamination, abs=1 / 200)
    assert np.array_equal(flags == -1, model.decision_function(x) < 0)
    assert np.array_equal(model.decision_function(x), model.score_samples(x) - model.offset_)
    assert np.array_equal(model.fit_predict(x), model.predict(x))


@pytest.mark.parametrize("name", MODELS)
def test_rows_far_out_are_outliers_with_finite_scores(name):
    x = np.random.default_rng(0).standard_normal((200, 4))
    model = quick(name, random_state=0).fit(x)
    far = np.array([[1e4, 0, 0, 0], [1e30, -1e30, 0, 0], [1e300, 1e300, -1e300, 1e300]])
    assert np.isfinite(model.score_samples(far)).all()
    assert np.isfinite(model.transform(far)).all()
    assert (model.predict(far) == -1).all()
