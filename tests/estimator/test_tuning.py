"""The wider search: hidden layers and learning rate as well."""

import builtins
import sys

import numpy as np
import pytest

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.estimator.tuning import WIDTH_POWERS


def curved_rows(rows: int = 300) -> np.ndarray:
    """A circle, which one linear map cannot unroll."""
    draws = np.random.default_rng(0)
    angle = draws.uniform(0, 2 * np.pi, rows)
    return np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], 1) + 0.05 * draws.standard_normal((rows, 3))


@pytest.mark.slow
def test_the_best_trial_is_fitted_and_all_are_told() -> None:
    pytest.importorskip("optuna", reason="the extra 'tune' is not installed")
    given = isthmus.VAE(2, epochs=6, random_state=0)
    tuned = isthmus.tune(given, curved_rows(), trials=4)
    assert len(tuned.tuning_) == 4
    best = max(tuned.tuning_, key=lambda trial: trial["score"])
    assert tuned.get_params()["hidden"] == best["hidden"]
    assert tuned.get_params()["learning_rate"] == best["learning_rate"]
    widths = {width for trial in tuned.tuning_ for width in trial["hidden"]}
    assert all(2 ** WIDTH_POWERS[0] <= width <= 2 ** WIDTH_POWERS[1] for width in widths)
    assert tuned.transform(curved_rows()).shape == (300, 2)
    assert given.get_params()["hidden"] == "auto" and not hasattr(given, "offset_")
    again = isthmus.tune(given, curved_rows(), trials=4)
    assert again.tuning_ == tuned.tuning_


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r"isthmus\[tune\]"):
        isthmus.tune(isthmus.VAE(2), curved_rows())


def test_it_needs_rows_to_hold_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", builtins)  # anything: it is not asked
    with pytest.raises(DataError, match="hold out"):
        isthmus.tune(isthmus.VAE(2, validation_fraction=0.0), curved_rows())
    with pytest.raises(OptionError, match="trials=0"):
        isthmus.tune(isthmus.VAE(2), curved_rows(), trials=0)
    with pytest.raises(OptionError, match="trials='5'"):
        isthmus.tune(isthmus.VAE(2), curved_rows(), trials="5")  # pyright: ignore[reportArgumentType]
