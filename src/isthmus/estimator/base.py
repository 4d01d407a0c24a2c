"""What every public class does: fit, transform, sample, score, predict, save."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from .. import domains, variants
from ..core.errors import DataError, OptionError
from ..core.options import Options
from ..core.randomness import Randomness, seed_from
from ..domains.base import Domain, DomainNetworks, NetworkOptions, Rows
from ..parts.networks import built
from ..training.checkpoint import Checkpoint
from ..training.loop import Observer, Outcome, Plan, train
from ..training.state import TrainingState
from ..variants.base import Variant
from .inference import as_input, batches, chosen_device, in_batches
from .options import SharedOptions

# Rows in one inference batch; scoring holds several draws of each row at once.
BATCH = 512
SCORING_BATCH = 128
# The threshold between inliers and outliers is a quantile of at most this many fitted rows' scores.
MOST_CALIBRATION_ROWS = 5_000
# Below this many held-out rows a validation loss says little: all rows are trained on.
FEWEST_VALIDATION_ROWS = 8
AIMED_STEPS = 4_000


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, OutlierMixin, BaseEstimator):
    """An autoencoder of one variant. Public classes are made from this one by `estimator.public`.

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_` (the
    variant, a torch module), `offset_` (the score below which a row is an outlier), `training_` (facts of the run),
    `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    variant_name: ClassVar[str]

    # What a user calls.

    def fit(
        self, X: Rows, y: Any = None, *, checkpoint: str | Path | None = None, observers: tuple[Observer, ...] = ()
    ) -> "Estimator":
        """Learn from rows: a DataFrame, a 2-D array, or images n×h×w[×c].

        With `checkpoint`, training saves itself to that file and goes on from it if it exists.
        Raises OptionError, DataError or DivergenceError, each in one line.
        """
        shared, own = self._options()
        rows = self._rows(X, reset=True)
        domain = self._domain_of(rows, shared)
        return self.fit_tensors(domain, domain.tensors(rows), shared, own, checkpoint, observers)

    def partial_fit(self, X: Rows, y: Any = None) -> "Estimator":
        """One pass over these rows. The first call learns the schema, the scales and the categories from its rows."""
        shared, own = self._options()
        if not hasattr(self, "model_"):
            rows = self._rows(X, reset=True)
            self.domain_ = self._domain_of(rows, shared)
            self._begin(self.domain_, shared, self._fixed_latent_dim(shared), own)
            self._state: TrainingState | None = None
        else:
            rows = self._rows(X, reset=False)
        x = self.domain_.tensors(rows)
        passes = 1 + (self._state.counters["epoch"] if self._state else 0)
        plan = Plan(passes, shared.batch_size, shared.learning_rate, "constant", None, shared.precision, self._seed)
        outcome = self._train(x, None, plan, (), None, self._state)
        self._state = outcome.state
        self._finish(x, x, outcome, shared)
        return self

    def transform(self, X: Rows) -> np.ndarray:
        """Codes, shape (rows, latent_dim): the posterior mean, the same every time and for every batch."""
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        codes = self.encode_tensors(self.domain_.tensors(rows)).numpy()
        single = isinstance(X, np.ndarray) and X.dtype == np.float32
        return codes if single else codes.astype(np.float64)

    def inverse_transform(self, codes: Any) -> Rows:
        """Codes → rows, in the container, with the names and types that were fitted; the best single guess of each."""
        check_is_fitted(self)
        return self.domain_.rows(self.decode_tensors(self._codes(codes)))

    def reconstruct(self, X: Rows, *, only_missing: bool = False) -> Rows:
        """Rows as the model sees them: every cell is decoded from the codes, missing ones included.

        With `only_missing`, observed cells stay as they are and missing ones are filled in.
        """
        check_is_fitted(self)
        x = self.domain_.tensors(self._rows(X, reset=False))
        decoded = self.decode_tensors(self.encode_tensors(x))
        if only_missing and x.is_floating_point():
            decoded = torch.where(x.isnan(), decoded.to(x.dtype), x)
        return self.domain_.rows(decoded)

    def sample(self, n_samples: int = 1, *, random_state: Any = None, noise: bool = True) -> Rows:
        """New rows: codes from the prior, then a draw from p(x|z), or with `noise=False` the best single guess.

        Without `random_state` the estimator's own is used: the same call gives the same rows.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise OptionError(f"n_samples={n_samples}: ask for at least 1 row")
        seed = self._seed if random_state is None else seed_from(random_state)
        return self.domain_.rows(self.sample_tensors(n_samples, seed, noise))

    def score_samples(self, X: Rows, *, draws: int = 16) -> np.ndarray:
        """log p(x) of each row in nats, higher is more usual, shape (rows,).

        For models with a distribution over codes: the importance-weighted lower bound with this many draws. For a plain
        autoencoder: the log-likelihood of the row given its own codes. Real-valued columns count as densities per unit of
        the column, whole numbers, categories and pixels of whole numbers as probabilities; missing cells count nothing.
        """
        check_is_fitted(self)
        return self.score_tensors(self.domain_.tensors(self._rows(X, reset=False)), draws)

    def score(self, X: Rows, y: Any = None) -> float:
        """The mean of `score_samples`, in nats per row."""
        return float(np.mean(self.score_samples(X)))

    def decision_function(self, X: Rows) -> np.ndarray:
        """`score_samples` less the threshold: negative for outliers, shape (rows,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Rows) -> np.ndarray:
        """1 for inliers, −1 for outliers, shape (rows,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def save(self, path: str | Path) -> None:
        """Write everything to one .safetensors file, from which `isthmus.load` makes this estimator again."""
        from ..saving import save

        check_is_fitted(self)
        save(self, path)

    # The same on tensors, for those who hold them already.

    def fit_tensors(
        self,
        domain: Domain,
        x: Tensor,
        shared: SharedOptions | None = None,
        own: Options | None = None,
        checkpoint: str | Path | None = None,
        observers: tuple[Observer, ...] = (),
        validation: Tensor | None = None,
    ) -> "Estimator":
        """`fit`, given a domain and its tensors; `validation` rows replace the random split."""
        if shared is None or own is None:
            shared, own = self._options()
        self.domain_ = domain
        self._seed = seed_from(self.random_state)
        self._state = None
        held_in, held_out = (x, validation) if validation is not None else self._split(x, shared)
        if shared.latent_dim == "auto":
            from .size_search import search

            self.size_search_ = search(self, held_in, held_out, shared, own, observers)
            outcome = self._size_search_outcome
            del self._size_search_outcome
        else:
            self._begin(domain, shared, self._fixed_latent_dim(shared), own)
            self._check_rows(held_in, self.latent_dim_)
            plan = self._plan(len(held_in), shared)
            saved = None
            if checkpoint is not None:
                saved = Checkpoint(checkpoint, self._fingerprint(x, shared, own))
            outcome = self._train(held_in, held_out, plan, (*observers, *_progress(shared.verbose)), saved)
        self._finish(held_in, x, outcome, shared)
        return self

    def encode_tensors(self, x: Tensor) -> Tensor:
        """Codes (rows, latent_dim), float32, on the CPU."""
        return in_batches(lambda batch: self.model_.posterior(batch).mean, as_input(x), BATCH, self._device)

    def decode_tensors(self, codes: Tensor) -> Tensor:
        """The best single guess of the rows with these codes."""
        return in_batches(lambda batch: self.model_.likelihood(batch).mode(), codes, BATCH, self._device)

    def score_tensors(self, x: Tensor, draws: int = 16) -> np.ndarray:
        """`score_samples`, given tensors."""

        def bound(batch: Tensor) -> Tensor:
            # Every batch and every row sees the same noise: a score depends on the row alone.
            return self.model_.log_bound(
                batch, Randomness(self._seed, "score", device=self._device), draws, shared=True
            )

        bounds = in_batches(bound, as_input(x), SCORING_BATCH, self._device).double()
        return (bounds + self.domain_.log_volume(x)).numpy()

    @torch.no_grad()
    def sample_tensors(self, rows: int, seed: int, noise: bool = True) -> Tensor:
        """New rows as tensors, on the CPU."""
        randomness = Randomness(seed, "sample", device=self._device)
        results = []
        for _ in range(math.ceil(rows / BATCH)):
            likelihood = self.model_.likelihood(self.model_.prior().sample(BATCH, randomness))
            results.append((likelihood.sample(randomness) if noise else likelihood.mode()).cpu())
        return torch.cat(results)[:rows]

    # Inside.

    @classmethod
    def variant(cls) -> type[Variant]:
        """The variant that this class trains."""
        return variants.find(cls.variant_name)

    def _options(self) -> tuple[SharedOptions, Options]:
        """The constructor's values, checked; what was passed stays as it was."""
        given = self.get_params(deep=False)
        declared = SharedOptions.declared()
        owner = type(self).__name__
        shared = SharedOptions.check({name: value for name, value in given.items() if name in declared}, owner)
        own = self.variant().Options.check(
            {name: value for name, value in given.items() if name not in declared}, owner
        )
        return shared, own

    def _rows(self, X: Rows, reset: bool) -> Rows:
        """Rows that a domain can take, checked as scikit-learn checks them."""
        if isinstance(X, np.ndarray) and X.ndim in (3, 4):
            if reset:
                self.n_features_in_ = int(np.prod(X.shape[1:]))
            self._check_count(len(X))
            return X
        if domains.find("table").accepts(X) and not isinstance(X, np.ndarray):
            self._check_count(len(X))
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        try:
            return validate_data(self, X, reset=reset, dtype="numeric", ensure_min_samples=2 if reset else 1)
        except ValueError as failure:
            raise DataError(" ".join(str(failure).split())) from None

    def _check_count(self, rows: int) -> None:
        if rows == 0:
            raise DataError("there are no rows (0 samples)")

    def _domain_of(self, rows: Rows, shared: SharedOptions) -> Domain:
        kind = domains.choose(rows) if shared.data == "auto" else domains.find(shared.data)
        if shared.likelihood not in ("auto", *kind.likelihoods):
            raise OptionError(
                f"likelihood={shared.likelihood!r}: for {kind.name} data it is 'auto' or {', '.join(kind.likelihoods)}"
            )
        if len(rows) < 2:
            raise DataError("1 sample (one row) is too few to learn from; give at least 2 rows")
        return kind.fit(rows, shared.likelihood)

    def _fixed_latent_dim(self, shared: SharedOptions) -> int:
        if shared.latent_dim == "auto":
            raise OptionError("latent_dim='auto' needs all rows at once; give a number to partial_fit")
        return shared.latent_dim

    def _check_rows(self, x: Tensor, latent_dim: int) -> None:
        least = self.variant().least_latent_dim
        if latent_dim < least:
            raise OptionError(f"latent_dim={latent_dim}: {self.variant().title} needs at least {least}")
        if len(x) < latent_dim:
            raise DataError(
                f"{len(x)} rows of {self.n_features_in_} feature(s) are too few for {latent_dim} latent units; "
                f"give more rows, or latent_dim={max(least, len(x) // 2)} at most"
            )

    def _split(self, x: Tensor, shared: SharedOptions) -> tuple[Tensor, Tensor | None]:
        """Rows to learn from and rows to stop by."""
        held = round(len(x) * shared.validation_fraction)
        if held < FEWEST_VALIDATION_ROWS:
            return x, None
        order = Randomness(self._seed, "validation split").permutation(len(x))
        return x[order[held:]], x[order[:held]]

    def _plan(self, rows: int, shared: SharedOptions) -> Plan:
        epochs = shared.epochs
        if epochs == "auto":
            epochs = min(1000, max(20, math.ceil(AIMED_STEPS * shared.batch_size / max(rows, shared.batch_size))))
        return Plan(
            epochs,
            shared.batch_size,
            shared.learning_rate,
            shared.schedule,
            shared.patience,
            shared.precision,
            self._seed,
        )

    def build(self, domain: Domain, shared: SharedOptions, latent_dim: int, own: Options, seed: int) -> Variant:
        """A new variant with initial weights from the seed, on the CPU."""
        networks = DomainNetworks(domain, NetworkOptions(shared.hidden, shared.network, shared.activation))
        variant = self.variant()
        model = built(lambda: variant(networks, latent_dim, own), Randomness(seed, "model"))
        assert isinstance(model, Variant)
        return model

    def _begin(self, domain: Domain, shared: SharedOptions, latent_dim: int, own: Options) -> None:
        if not hasattr(self, "_seed"):
            self._seed = seed_from(self.random_state)
        self.latent_dim_ = latent_dim
        self._device = _usable(shared.device)
        self.model_ = self.build(domain, shared, latent_dim, own, self._seed).to(self._device)

    def _train(
        self,
        x: Tensor,
        validation: Tensor | None,
        plan: Plan,
        observers: tuple[Observer, ...],
        checkpoint: Checkpoint | None,
        start: TrainingState | None = None,
    ) -> Outcome:
        resident = as_input(x).to(self._device)
        held_out = None if validation is None else as_input(validation).to(self._device)
        return train(self.model_, resident, held_out, plan, self.domain_.draw, observers, checkpoint, start)

    def _finish(self, trained: Tensor, x: Tensor, outcome: Outcome, shared: SharedOptions) -> None:
        """What is fitted once the weights are: the prior over codes and the threshold."""
        self.model_.eval()

        def rows() -> Iterator[Tensor]:
            for batch, real in batches(as_input(trained), BATCH):
                yield batch[:real].to(self._device)

        with torch.no_grad():
            self.model_.fit_prior(rows(), Randomness(self._seed, "prior", device=self._device))
        self.history_ = outcome.history
        self.training_ = {
            "rows": len(trained),
            "epochs": len(outcome.history),
            "best_epoch": outcome.best_epoch,
            "seconds": outcome.seconds,
            "interrupted": outcome.interrupted,
            "recoveries": outcome.recoveries,
            "parameters": sum(parameter.numel() for parameter in self.model_.parameters()),
        }
        if len(x) > MOST_CALIBRATION_ROWS:
            x = x[Randomness(self._seed, "calibration").permutation(len(x))[:MOST_CALIBRATION_ROWS]]
        self.offset_ = float(np.quantile(self.score_tensors(x), shared.contamination))

    def _codes(self, codes: Any) -> Tensor:
        array = np.asarray(codes, dtype=np.float32)
        if array.ndim != 2 or array.shape[1] != self.latent_dim_:
            raise DataError(f"codes should have shape (rows, {self.latent_dim_}); these have {array.shape}")
        if not np.isfinite(array).all():
            raise DataError(f"codes, row {int(np.argwhere(~np.isfinite(array))[0, 0])}: a code is NaN or infinity")
        return torch.from_numpy(array)

    def _fingerprint(self, x: Tensor, shared: SharedOptions, own: Options) -> dict[str, Any]:
        """What a checkpoint must agree on to be gone on from."""
        from hashlib import sha256

        options = shared.model_dump(exclude={"verbose", "device", "random_state"}) | own.model_dump()
        data = sha256(np.ascontiguousarray(x.numpy()).tobytes()).hexdigest()
        return {"model": self.variant_name, "options": _json_like(options), "data": data, "seed": self._seed}

    @property
    def _n_features_out(self) -> int:
        return self.latent_dim_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _json_like(options: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, as JSON gives them back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def _usable(name: str) -> torch.device:
    try:
        device = chosen_device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as failure:
        raise OptionError(f"device={name!r} cannot be used: {str(failure).splitlines()[0]}") from None
    return device


def _progress(verbose: int) -> tuple[Observer, ...]:
    if not verbose:
        return ()
    from ..training.progress import Progress

    return (Progress(),)
