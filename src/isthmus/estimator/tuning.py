"""A wider search than that for the latent size: hidden layers and learning rate as well, with Optuna (extra `tune`)."""

from importlib import import_module
from typing import Any

import numpy as np

from ..core.errors import DataError, DivergenceError, OptionError
from ..core.randomness import seed_from
from ..domains.base import Rows
from .base import Estimator
from .checking import checked_rows, fitted_domain
from .fitting import split

# Powers of two between which the width of hidden layers is sought, how many of them, and learning rates.
WIDTH_POWERS = (5, 9)
DEPTHS = (1, 3)
LEARNING_RATES = (3e-4, 1e-2)


def tune(estimator: Estimator, X: Rows, *, trials: int = 20) -> Estimator:
    """A new estimator like this one, fitted with the hidden layers and the learning rate that do best on held-out rows.

    Best is the greatest mean of `score_samples`, in nats per row; with latent_dim="auto" every trial also searches for
    its latent size, in one step where that is faster. The trials are found by a tree-structured Parzen estimator
    (Bergstra et al., 2011, "Algorithms for hyper-parameter optimization"). `tuning_` of the result holds one dict per
    trial: `hidden`, `learning_rate`, `latent_dim`, `score`, None where training diverged.
    Raises OptionError without Optuna, DataError where no rows are held out.
    """
    optuna = _optuna()
    if not isinstance(trials, int) or trials < 1:
        raise OptionError(f"trials={trials!r}: give a whole number of at least 1")
    shared, _ = estimator._options()
    seed = seed_from(estimator.random_state)
    checker = _like(estimator, random_state=seed)
    rows = checked_rows(checker, X, reset=True)
    domain = fitted_domain(rows, shared)
    learned, held_out = split(domain.tensors(rows), shared.validation_fraction, seed)
    if held_out is None:
        raise DataError("tuning needs rows to hold out: give more rows or a larger validation_fraction")
    tried: list[dict[str, Any]] = []

    def objective(trial: Any) -> float:
        width = 2 ** trial.suggest_int("width_power", *WIDTH_POWERS)
        settings: dict[str, Any] = {
            "hidden": (width,) * trial.suggest_int("depth", *DEPTHS),
            "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
        }
        candidate = _like(checker, **settings)
        candidate.n_features_in_ = checker.n_features_in_
        try:
            candidate.fit_tensors(domain, learned, validation=held_out)
        except DivergenceError:
            tried.append(settings | {"latent_dim": None, "score": None})
            raise optuna.TrialPruned from None
        if candidate.training_["interrupted"]:
            raise KeyboardInterrupt
        score = float(np.mean(candidate.score_tensors(held_out)))
        tried.append(settings | {"latent_dim": candidate.latent_dim_, "score": score})
        return score

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
    study.optimize(objective, n_trials=trials)
    scored = [trial for trial in tried if trial["score"] is not None]
    if not scored:
        raise DivergenceError("training diverged in every trial; look for extreme values in the data")
    best = max(scored, key=lambda trial: trial["score"])
    chosen = _like(checker, hidden=best["hidden"], learning_rate=best["learning_rate"]).fit(X)
    chosen.tuning_ = tried
    return chosen


def _like(estimator: Estimator, **settings: Any) -> Estimator:
    """An unfitted estimator with these settings, else with those of the given one."""
    return type(estimator)(**(estimator.get_params(deep=False) | settings))


def _optuna() -> Any:
    try:
        return import_module("optuna")
    except ImportError:
        raise OptionError("tuning needs Optuna; install it with: pip install 'isthmus[tune]'") from None
