"""What every public class does: fit, transform, sample, score, predict, save."""

import math
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..core.errors import DataError, OptionError
from ..core.options import Options
from ..core.randomness import Randomness, seed_from
from ..core.sparse import HeldRows, dense, joined
from ..domains.base import Domain, Rows
from ..domains.image import Image
from ..domains.table.evidence import Evidence
from ..files.streaming import Stream
from ..parts.likelihood import Likelihood
from ..training.distributed import ALONE, Workers
from ..training.run import Observer
from ..training.state import TrainingState
from ..training.streaming import StreamedBatches
from ..variants.base import Variant
from . import models
from .checking import check_fits_domain, check_latent_dim, checked_codes, checked_rows, fitted_domain
from .codes import PRIORS, codes_of, fitted_prior
from .codes.base import CodePrior
from .conditions import conditions_of, drawn_under, evidence_of
from .fitting import Fitting, Trained, split
from .imputing import check_imputable, filled, imputed, table_of
from .inference import BATCH, as_input, batch_rows, chosen_device, in_batches, scoring_rows, steady_products
from .options import SharedOptions
from .places import MOST_PICTURES, place_scores, unusual_threshold
from .sampling import MOST_PRIOR_ROWS, MOST_SEARCH_ROWS, sampled
from .size_search import search
from .unusual_cells import check_explicable


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, OutlierMixin, BaseEstimator):
    """An autoencoder of one variant. Public classes are made from this one by `estimator.public`.

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_` (the
    variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of series: the
    score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of the run),
    `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    model_name: ClassVar[str]

    domain_: Domain
    model_: Variant
    n_features_in_: int
    feature_names_in_: np.ndarray
    latent_dim_: int
    offset_: float
    step_offset_: float
    pixel_offset_: float
    history_: list[dict[str, Any]]
    training_: dict[str, Any]
    size_search_: list[dict[str, Any]]
    tuning_: list[dict[str, Any]]
    random_state: Any
    _seed: int
    _device: torch.device
    _state: TrainingState | None
    _code_prior: CodePrior | None = None

    # What a user calls.

    def fit(
        self,
        X: Rows,
        y: Any = None,
        *,
        checkpoint: str | Path | None = None,
        observers: tuple[Observer, ...] = (),
        workers: Workers = ALONE,
    ) -> "Estimator":
        """Learn from rows: a DataFrame, a 2-D array, images n×h×w[×c], or what `isthmus.stream` gives of files.

        With `checkpoint`, training saves itself to that file and goes on from it if it exists. Observers are called
        with each epoch's record and the plan. `workers` are processes that each call this with the same rows and train
        one model together (`training.distributed.joined`); only the first one writes the checkpoint.
        Raises OptionError, DataError or DivergenceError, each in one line.
        """
        shared, own = self._options()
        if isinstance(X, Stream):
            if not workers.alone:
                raise OptionError("several processes hold their rows in memory; to stream, fit in one process")
            return self._fit_stream(X, shared, own, checkpoint, observers)
        rows = checked_rows(self, X, reset=True)
        domain = fitted_domain(rows, shared)
        tensors = domain.tensors(rows)
        return self.fit_tensors(domain, tensors, shared, own, checkpoint, observers, workers=workers)

    def partial_fit(self, X: Rows, y: Any = None) -> "Estimator":
        """One pass over these rows, at the full learning rate and with no rows held out.

        The first call learns the schema, the scales and the categories from its rows; after `fit` or `isthmus.load`,
        learning goes on from that model, with a fresh optimiser. The prior of codes (where it is fitted) and the
        threshold of `predict` are those of the latest rows.
        """
        shared, own = self._options()
        first = not hasattr(self, "offset_")
        rows = checked_rows(self, X, reset=first)
        if first:
            self._start_stream(rows, shared, own)
        check_fits_domain(rows, self.domain_)
        x = self.domain_.tensors(rows)
        trained = self._fitting(shared, own).one_pass(self.model_, x, self._state)
        self._state = trained.outcome.state
        self.keep(trained, shared, x, x, self.history_)
        return self

    def transform(self, X: Rows) -> np.ndarray:
        """Codes, shape (rows, latent_dim): the posterior mean, the same every time and for every batch."""
        codes = self.encode_tensors(self._tensors(X)).numpy()
        single = isinstance(X, np.ndarray) and X.dtype == np.float32
        return codes if single else codes.astype(np.float64)

    def inverse_transform(self, codes: Any) -> Rows:
        """Codes → rows, in the container, with the names and types that were fitted; the best single guess of each."""
        check_is_fitted(self)
        return self.domain_.guesses(self.decode_tensors(checked_codes(codes, self.latent_dim_)))

    def reconstruct(self, X: Rows) -> Rows:
        """Rows as the model sees them: every cell is decoded from the codes, missing ones included."""
        x = self._tensors(X)
        return self.domain_.guesses(self.reconstruct_tensors(x))

    def impute(self, X: Rows, draws: int | None = None, random_state: Any = None) -> Any:
        """Rows of a table, or series, with their missing cells filled in, and every observed cell as it is.

        Of a missing number the mean given the observed cells of its row, which minimises the squared error, and of a
        category the most probable one; or, with `draws`, a list of so many tables, each with one draw of all that is
        missing (multiple imputation; Rubin, 1987), whose spread says how sure the filling is. In arrays NaN is a
        missing cell. Rows come in the container, with the names and types that were fitted. Without `random_state` the
        estimator's own is used: the same call gives the same rows. Method: importance-weighted codes (Mattei &
        Frellsen, 2019, https://arxiv.org/abs/1812.02633).
        Raises DataError for images, and OptionError for draws below 1.
        """
        check_is_fitted(self)
        domain = self.domain_
        check_imputable(domain)
        if draws is not None:
            _check_count("draws", draws)
        seed = self._seed if random_state is None else seed_from(random_state)
        rows = checked_rows(self, X, reset=False, gaps=True)
        check_fits_domain(rows, domain)
        made = imputed(self.model_, domain, dense(domain.tensors(rows)), draws, seed, self._device)
        copies = [filled(domain, rows, copy) for copy in made]
        return copies[0] if draws is None else copies

    def sample(
        self,
        n_samples: int = 1,
        *,
        where: Mapping[str, Any] | None = None,
        random_state: Any = None,
        noise: bool = True,
    ) -> Rows:
        """New rows: codes from the prior (see the option `prior`), then a draw from p(x|z), or with `noise=False` the
        best single guess.

        With `where`, such as {"sex": "male", "body_mass_g": (3500, 4000)}, rows from the model's p(row | conditions),
        each of which meets every condition: one value of a category, boolean, date or whole number, or a range of a
        quantity, ends included, None for an open one. Raises DataError for a condition on what the table does not have,
        and, with the effective sample size, where the conditions are too rare.
        Without `random_state` the estimator's own is used: the same call gives the same rows.
        """
        check_is_fitted(self)
        _check_count("n_samples", n_samples)
        conditions = [] if where is None else conditions_of(where, self.domain_)
        seed, rows = self._seed if random_state is None else seed_from(random_state), int(n_samples)
        if not conditions:
            return self.domain_.rows(self.sample_tensors(rows, seed, noise))
        draws = self._drawn_under(evidence_of(conditions, table_of(self.domain_)), seed, noise)
        return self.domain_.rows(drawn_under(draws, conditions, rows, Randomness(seed, "conditions")))

    def score_samples(self, X: Rows, *, draws: int = 16) -> np.ndarray:
        """log p(x) of each row in nats, higher is more usual, shape (rows,).

        For models with a distribution over codes: the importance-weighted lower bound with this many draws. For a plain
        autoencoder and FSQ: the log-likelihood of the row given its own codes, which is no density over rows: compare
        it between rows, not with another model's. Real-valued columns count as densities per unit of the column; whole
        numbers, categories and pixels of whole numbers as probabilities; missing cells count nothing.
        """
        check_is_fitted(self)
        _check_count("draws", draws)
        return self.score_tensors(self._tensors(X), draws)

    def score(self, X: Rows, y: Any = None) -> float:
        """The mean of `score_samples`, in nats per row."""
        return float(np.mean(self.score_samples(X)))

    def decision_function(self, X: Rows) -> np.ndarray:
        """`score_samples` less the threshold: negative for outliers, shape (rows,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Rows) -> np.ndarray:
        """1 for inliers, −1 for outliers, shape (rows,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain_scores(self, X: Rows, *, most_columns: int = 3) -> pa.Table:
        """Which columns make each row unusual: their values and what was expected instead, as an Arrow table.

        One row for each row of X and column that the rest of the row makes surprising, the worst first: `row` (its
        number in X), `score` (that of `score_samples`), `column`, `value` and `expected` (text, in the column's own
        units), and `excess`: how much more surprising the cell is than its column usually is, in nats. Of series the
        stretches of steps below `step_offset_` are told, with value and expectation at the worst step; of images the
        regions of pixels below `pixel_offset_`, with the means of their pixels.
        Raises DataError for counts, and OptionError for a count below 1.
        """
        from ..explaining import explained_scores

        x = self._tensors(X)
        check_explicable(self.domain_, most_columns, places=True)
        return explained_scores(self, dense(x), self.score_tensors(x), most_columns)

    def explain(self, X: Rows | None = None) -> dict[str, Any]:
        """What each latent unit stands for, as facts: docs/facts.md, `explanation`.

        Which columns each unit moves and by how much in their own units, walks along units, which units are unused,
        which columns the model treats alike and, where codes are sparse, the rows and columns that light each feature.
        Without rows the model's own draws are turned, and what needs rows is None.
        """
        from ..explaining import explain

        check_is_fitted(self)
        return explain(self, None if X is None else self._tensors(X))

    def score_steps(self, X: Rows) -> np.ndarray:
        """For series: log p of the values at each step given the row's code, higher is more usual, (rows, steps).

        In nats, values in standard deviations of their channels; a step with no value, or beyond the end, is NaN. Steps
        below `step_offset_` are as unusual as one in a thousand of those that were fitted. The code is that of the
        row's usual part, so that one odd stretch does not spoil what is expected elsewhere.
        Raises DataError for rows that are no series.
        """
        x = self._tensors(X)
        if self.domain_.place_name != "step":
            raise DataError(f"steps are those of series; the model was fitted to {self.domain_.name} data")
        return place_scores(self.model_, self.domain_, dense(x), self._device, self.step_offset_)

    def score_pixels(self, X: Rows) -> np.ndarray | list[np.ndarray]:
        """For images: log p of each pixel given the image's code, its channels together; higher is more usual.

        Of images in one array (rows, height, width), of images one by one a list of arrays (height, width), each in its
        image's own size. In nats of the pixels that are worked on: of images that are reduced, those of the reduced
        one, with straight lines between. Pixels below `pixel_offset_` are as unusual as one in a thousand of those that
        were fitted. The code is that of the image's usual part, as in `score_steps`.
        Raises DataError for rows that are no images.
        """
        x = self._tensors(X)
        if not isinstance(self.domain_, Image):
            raise DataError(f"pixels are those of images; the model was fitted to {self.domain_.name} data")
        scores = place_scores(self.model_, self.domain_, dense(x), self._device, self.pixel_threshold())
        planes = self.domain_.on_own_pixels(dense(x), scores)
        return planes if self.domain_.canvas is not None else np.stack(planes)

    def compress(self, X: Rows) -> bytes:
        """Rows as the bytes of an archive, from which `decompress` gives them back bit for bit.

        They are coded through this model, which lies inside, in whole numbers: bits-back coding (Townsend et al., 2019,
        https://arxiv.org/abs/1901.04866), or its codes to a grid where rows are few. `isthmus compress` and
        `isthmus.compression` train a model of their own, whose archives of tables are smaller.
        Raises DataError for models that rows cannot be coded through, and for rows that do not fit the schema.
        """
        from ..compression.archive import chunks, write
        from ..compression.latent.codec import LatentCodec
        from ..files.writing import table_of

        check_is_fitted(self)
        tensor = self._tensors(X)
        codec = LatentCodec.from_model(self.model_, self.domain_, tensor[: self.domain_.calibration_rows], len(tensor))
        stream = BytesIO()
        write(stream, codec, chunks(X if isinstance(X, np.ndarray) else table_of(X, "rows")))
        return stream.getvalue()

    def decompress(self, archive: bytes) -> Rows:
        """The rows that `compress` was given, in the container that the model was fitted to.

        Raises ArchiveError, naming the place, if the archive is damaged.
        """
        from ..compression.archive import Archive

        return Archive(BytesIO(archive), "the archive").read()

    def save(self, path: str | Path) -> None:
        """Write everything to one .safetensors file, from which `isthmus.load` makes this estimator again."""
        from ..saving import save

        check_is_fitted(self)
        save(self, path)

    # The same on tensors, for those who hold them already.

    def fit_tensors(
        self,
        domain: Domain,
        x: HeldRows,
        shared: SharedOptions | None = None,
        own: Options | None = None,
        checkpoint: str | Path | None = None,
        observers: tuple[Observer, ...] = (),
        validation: HeldRows | None = None,
        workers: Workers = ALONE,
    ) -> "Estimator":
        """`fit`, given a domain and its tensors; `validation` rows replace the random split."""
        shared, fitting = self.prepare(domain, shared, own, workers)
        learned, held_out = split(x, shared.validation_fraction, self._seed) if validation is None else (x, validation)
        if shared.latent_dim == "auto":
            trained, self.size_search_ = search(fitting, learned, held_out, observers, checkpoint)
        else:
            trained = fitting.train(shared.latent_dim, learned, held_out, observers, checkpoint)
        self.keep(trained, shared, learned, x)
        return self

    def prepare(
        self,
        domain: Domain,
        shared: SharedOptions | None = None,
        own: Options | None = None,
        workers: Workers = ALONE,
    ) -> tuple[SharedOptions, Fitting]:
        """Begin a fit to rows of this domain: what the constructor was given, checked, and what builds and trains."""
        if shared is None or own is None:
            shared, own = self._options()
        if shared.latent_dim == "auto" and not workers.alone:
            raise OptionError("latent_dim='auto' trains several models; several processes train one: give a number")
        self.domain_, self._seed = domain, workers.told(seed_from(self.random_state))
        self._device, self._state = chosen_device(shared.device), None
        vars(self).pop("size_search_", None)  # from an earlier fit
        return shared, self._fitting(shared, own, workers)

    def encode_tensors(self, x: HeldRows) -> Tensor:
        """Codes (rows, latent_dim), float32, on the CPU."""
        return in_batches(
            lambda rows: self.model_.posterior(as_input(rows)).mean, x, batch_rows(self._row_numbers(x)), self._device
        )

    def reconstruct_tensors(self, x: HeldRows) -> Tensor:
        """The best single guess of each row from its own codes, and from what the likelihood takes as known of it."""

        def guess(rows: Tensor) -> Tensor:
            rows = as_input(rows)
            return self.model_.likelihood(self.model_.posterior(rows).mean).given(rows).mode()

        return in_batches(guess, x, batch_rows(self._row_numbers(x)), self._device)

    def decode_tensors(self, codes: Tensor) -> Tensor:
        """The best single guess of the rows with these codes."""
        size = batch_rows(self.n_features_in_ * self.domain_.numbers_per_cell)
        return in_batches(lambda batch: self.model_.likelihood(batch).mode(), codes, size, self._device)

    def score_tensors(self, x: HeldRows, draws: int = 16) -> np.ndarray:
        """`score_samples`, given tensors."""

        def bound(batch: Tensor) -> Tensor:
            # Every batch and every row sees the same noise: a score depends on the row alone.
            randomness = Randomness(self._seed, "score", device=self._device)
            return self.model_.log_bound(as_input(batch), randomness, draws, shared=True)

        bounds = in_batches(bound, x, scoring_rows(self._row_numbers(x), draws), self._device).double()
        return (bounds + self.domain_.log_volume(x)).numpy()

    def sample_tensors(self, rows: int, seed: int, noise: bool = True) -> HeldRows:
        """New rows in the form of the domain's `tensors`, on the CPU."""
        batches = islice(self._drawn(seed, noise), math.ceil(rows / self._drawn_rows))
        return joined([self.domain_.held(batch) for batch in batches])[:rows]

    def keep(
        self,
        trained: Trained,
        shared: SharedOptions,
        learned: HeldRows,
        x: HeldRows,
        earlier: list[dict[str, Any]] | None = None,
    ) -> None:
        """Make a trained model this estimator's, with what is fitted once the weights are: prior and threshold.

        `learned` are the rows trained on, `x` those and the held-out ones, `earlier` the history before this training.
        """
        outcome = trained.outcome
        self.model_ = trained.model.eval()
        self.latent_dim_ = trained.model.latent_dim
        new = outcome.history if earlier is None else [outcome.history[-1] | {"epoch": len(earlier) + 1}]
        self.history_ = [*(earlier or []), *new]
        self.training_ = {
            "rows": len(learned),
            "epochs": len(self.history_),
            "best_epoch": outcome.best_epoch if earlier is None else len(self.history_),
            "seconds": outcome.seconds,
            "interrupted": outcome.interrupted,
            "recoveries": outcome.recoveries,
            "parameters": sum(parameter.numel() for parameter in self.model_.parameters()),
        }
        # scikit-learn's array dispatch, if on, is meant for the user's arrays, not for what a prior is fitted with.
        with torch.no_grad(), config_context(array_api_dispatch=False):
            batches = (batch.to(self._device) for batch in as_input(learned).split(BATCH))
            self.model_.fit_prior(batches, Randomness(self._seed, "prior", device=self._device))
        self._code_prior = None if shared.prior == "own" else self._fitted_prior(shared.prior, learned)
        if len(x) > (most := self.domain_.calibration_rows):
            x = x[Randomness(self._seed, "calibration").permutation(len(x))[:most]]
        self.offset_ = float(np.quantile(self.score_tensors(x), shared.contamination))
        if self.domain_.place_name == "step":
            self.step_offset_ = self._place_threshold(dense(x))
        elif self.domain_.place_name == "pixel":
            self.pixel_offset_ = self._place_threshold(dense(x[:MOST_PICTURES]))

    # Inside.

    def pixel_threshold(self) -> float:
        """`pixel_offset_`; of a model that was saved before there was one, that of images which the model draws."""
        if not hasattr(self, "pixel_offset_"):
            self.pixel_offset_ = self._place_threshold(dense(self.sample_tensors(MOST_PICTURES, self._seed)))
        return self.pixel_offset_

    def _place_threshold(self, x: Tensor) -> float:
        return unusual_threshold(place_scores(self.model_, self.domain_, x, self._device))

    @classmethod
    def variant(cls) -> type[Variant]:
        """The variant that this class trains."""
        return models.find(cls.model_name).variant

    def build(self, domain: Domain, shared: SharedOptions, latent_dim: int, own: Options, seed: int) -> Variant:
        """A new variant with initial weights from the seed, on the CPU."""
        return Fitting(self.variant(), domain, shared, own, seed, torch.device("cpu")).build(latent_dim)

    def _options(self) -> tuple[SharedOptions, Options]:
        """The constructor's values, checked; what was passed stays as it was."""
        given = self.get_params(deep=False)
        declared = SharedOptions.declared()
        owner = type(self).__name__
        shared = SharedOptions.check({name: value for name, value in given.items() if name in declared}, owner)
        own = self.variant().Options.check(
            {name: value for name, value in given.items() if name not in declared}, owner
        )
        if shared.prior != "own":
            if self.variant().discrete_codes:
                raise OptionError(f"prior={shared.prior!r}: codes of {owner} are a few values each; leave it at 'own'")
            PRIORS[shared.prior].check_available()
        return shared, own

    def _fitting(self, shared: SharedOptions, own: Options, workers: Workers = ALONE) -> Fitting:
        return Fitting(self.variant(), self.domain_, shared, own, self._seed, self._device, workers)

    def _fitted_prior(self, name: str, learned: HeldRows) -> CodePrior:
        batches = (batch.to(self._device) for batch in as_input(learned).split(BATCH))
        codes = codes_of(self.model_, batches, len(learned), Randomness(self._seed, "codes", device=self._device))
        return fitted_prior(name, codes, self._seed)

    @torch.no_grad()
    def _drawn(self, seed: int, noise: bool) -> Iterator[Tensor]:
        """Batch after batch of new rows, without end, on the CPU."""
        randomness = Randomness(seed, "sample", device=self._device)
        while True:
            with steady_products(self._device):
                likelihood = self._new_likelihood(randomness)
                drawn = (likelihood.sample(randomness) if noise else likelihood.mode()).cpu()
            yield drawn

    @torch.no_grad()
    def _drawn_under(self, evidence: Evidence, seed: int, noise: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Batch after batch of new rows with what is known of them, and the log-probabilities of that, on the CPU."""
        randomness, evidence = Randomness(seed, "sample", device=self._device), evidence.rows(BATCH).to(self._device)
        while True:
            with steady_products(self._device):
                likelihood: Any = self._new_likelihood(randomness)
                # Best guesses are made from the code alone.
                likelihood = likelihood if noise else likelihood.without_context()
                drawn, log_weights = likelihood.completed(evidence, randomness)
                if not noise:
                    drawn = evidence.imposed_on(likelihood.mode())
            yield drawn.cpu(), log_weights.cpu()

    def _new_likelihood(self, randomness: Randomness) -> Likelihood:
        """p(x|z) for a batch of codes from the prior."""
        source = self.model_.prior() if self._code_prior is None else self._code_prior
        return self.model_.likelihood(source.sample(self._drawn_rows, randomness))

    def _row_numbers(self, x: HeldRows) -> int:
        """Numbers that networks hold for each row."""
        return math.prod(x.shape[1:]) * self.domain_.numbers_per_cell

    @property
    def _drawn_rows(self) -> int:
        """Rows of a batch of new ones: fewer where they are wide."""
        return min(BATCH, batch_rows(self.n_features_in_ * self.domain_.numbers_per_cell))

    def _tensors(self, X: Rows) -> HeldRows:
        """Rows, checked against those that were fitted, as the domain's tensor."""
        check_is_fitted(self)
        rows = checked_rows(self, X, reset=False)
        check_fits_domain(rows, self.domain_)
        return self.domain_.tensors(rows)

    def _fit_stream(
        self,
        stream: Stream,
        shared: SharedOptions,
        own: Options,
        checkpoint: str | Path | None,
        observers: tuple[Observer, ...],
    ) -> "Estimator":
        """`fit` to rows that stay in their files; only a sample of them is held in memory."""
        self._seed, self._device, self._state = seed_from(self.random_state), chosen_device(shared.device), None
        sample = sampled(stream, shared, self._seed, lambda rows: checked_rows(self, rows, reset=True))
        self.domain_ = sample.domain
        fitting = self._fitting(shared, own)
        latent_dim, trained, rows = shared.latent_dim, None, 0
        vars(self).pop("size_search_", None)  # from an earlier fit
        if latent_dim == "auto":
            learned = sample.learned[:MOST_SEARCH_ROWS]
            trained, self.size_search_ = search(fitting, learned, sample.validation, observers, checkpoint)
            latent_dim, rows = trained.model.latent_dim, len(learned)
        if trained is None or not trained.outcome.interrupted:
            held_out, digest = sample.numbers[: sample.held_out], sample.digest(stream)
            with StreamedBatches(stream, sample.tensors, held_out, self._device, digest) as batches:
                trained = fitting.train(latent_dim, batches, sample.validation, observers, checkpoint)
                rows = batches.rows
        self.keep(trained, shared, sample.learned[:MOST_PRIOR_ROWS], sample.x)
        self.training_["rows"] = rows
        return self

    def _start_stream(self, rows: Rows, shared: SharedOptions, own: Options) -> None:
        """An untrained model, with the schema of the first rows of a stream."""
        if shared.latent_dim == "auto":
            raise OptionError("latent_dim='auto' needs all rows at once; give a number to partial_fit")
        check_latent_dim(shared.latent_dim, self.variant())
        self.domain_ = fitted_domain(rows, shared)
        self._seed, self._device = seed_from(self.random_state), chosen_device(shared.device)
        self._state, self.history_ = None, []
        self.model_ = self._fitting(shared, own).build(shared.latent_dim)

    @property
    def _n_features_out(self) -> int:
        return self.latent_dim_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise OptionError(f"{name}={value!r}: should be a whole number, at least 1")
