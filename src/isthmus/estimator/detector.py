"""Rows unlike the others: several small VAEs, and one score of what all of them say."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .. import variants
from ..core.errors import DataError
from ..core.options import Options, option
from ..core.randomness import Randomness, seed_from
from ..core.sparse import dense
from ..domains.base import Domain, Rows
from ..training.run import Plan
from ..training.sweep import sweep
from ..variants.base import Variant
from .calibration import Tail
from .checking import check_fits_domain, checked_rows, fitted_domain
from .dissimilarity import Dissimilarity
from .fitting import Fitting, split
from .inference import as_input, batch_rows, chosen_device, in_batches
from .options import Count, Number, Seed, SharedOptions
from .unusual_cells import check_explicable, the_cells_left_out, unusual_cells, without_each_cell

# Latent sizes of the members, in turn: few units see what is far from everything, more see what breaks a dependence.
LATENT_DIMS = (2, 4, 8)
HIDDEN = (64, 64)
# Short, so that the few outliers among the rows are not learnt; the many are, long before.
STEPS = 500
BATCH_ROWS = 64
# A row is held against the nearest of so many fitted rows, again and again: few enough that a crowd of outliers is
# seldom among them.
GROUP_ROWS = 16
GROUPS = 8
# The weight of what a member cannot reproduce, beside how far its reproduction lies from those of fitted rows.
RECONSTRUCTION_WEIGHT = 0.5
# Rows that set the alarm rate; those of them that say what is usual for a column, fewer where a row has many cells.
MOST_CALIBRATION_ROWS = 5_000
FEWEST_USUAL_ROWS, MOST_USUAL_ROWS, USUAL_CELLS = 8, 64, 1280
# Rows compared at a time: their factors stay in the processor's cache.
COMPARED_ROWS = 256
# Rows, each without one of its cells, that are scored at a time.
BLAMED_ROWS = 4096


class DetectorOptions(Options):
    """Options of the detector."""

    members: Count = option(6, "small VAEs whose scores are averaged")
    contamination: Literal["auto"] | Annotated[Number, Field(gt=0, le=0.5)] = option(
        "auto", "share of the fitted rows that predict() calls outliers; 'auto' keeps to false_alarm_rate instead"
    )
    false_alarm_rate: Number = option(0.05, "share of usual rows that predict() may call outliers", above=0, high=0.5)
    held_out: Number = option(0.2, "share of the rows that set the alarm rate and are not learnt", low=0, high=0.5)
    data: str = option("auto", "what rows are: 'table', 'image', or told by their type")
    device: str = option("auto", "'cpu', 'cuda', or the fastest there is")
    random_state: Seed = option(None, "seed, for the same result every time")


class Detector(OutlierMixin, BaseEstimator):
    """Finds rows unlike the others, and says which of their columns make them so; the fitted rows may hold outliers.

    Members are VAEs of 2, 4 and 8 latent units, trained briefly with heavy-tailed noise and side by side. Each sees two
    things in a row: how far the row's reconstruction is from the nearest of 16 fitted rows' (a sample of the density of
    codes, seen through the decoder; many such groups are averaged, as do Sugiyama & Borgwardt, 2013, with rows
    themselves), and what of the row it cannot reproduce. Both are sums over columns of log(1 + d²), d in spreads of
    the column. The mean over members is calibrated on held-out rows: a score says which share of usual rows would be
    as unusual.

    Learnt attributes: `domain_` (the data's schema), `models_` (the members), `offset_` (the score below which a row is
    an outlier), `tail_` (the calibration), `training_` (facts of the run), `n_features_in_`, `feature_names_in_`.
    """

    domain_: Domain
    models_: list[Variant]
    anchor_codes_: list[Tensor]
    anchors_: list[np.ndarray]
    dissimilarity_: Dissimilarity
    tail_: Tail
    usual_: np.ndarray
    offset_: float
    training_: dict[str, Any]
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(
        self,
        members: int = 6,
        *,
        contamination: float | str = "auto",
        false_alarm_rate: float = 0.05,
        held_out: float = 0.2,
        data: str = "auto",
        device: str = "auto",
        random_state: Any = None,
    ):
        self.members = members
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.held_out = held_out
        self.data = data
        self.device = device
        self.random_state = random_state

    def fit(self, X: Rows, y: Any = None) -> "Detector":
        """Learn from rows: a DataFrame, a 2-D array, or images n×h×w[×c]; labels are not looked at.

        Raises OptionError, DataError or DivergenceError, each in one line.
        """
        options = self._options()
        rows = checked_rows(self, X, reset=True)
        domain = fitted_domain(rows, SharedOptions(data=options.data))
        if not domain.detectable:
            raise DataError(f"a detector cannot learn from {domain.called}: take a VAE's score_samples and predict")
        return self.fit_tensors(domain, dense(domain.tensors(rows)))

    def fit_tensors(self, domain: Domain, x: Tensor) -> "Detector":
        """`fit`, given a domain and its tensors."""
        options = self._options()
        self.domain_, self._seed, self._device = domain, seed_from(self.random_state), chosen_device(options.device)
        learned, held_out = split(x, options.held_out, self._seed)
        self.models_, self.training_ = self._trained(learned, options)
        matrix = self.domain_.matrix(learned)
        self.dissimilarity_ = Dissimilarity.of(matrix, self.domain_.categorical)
        drawn = zip(self.models_, self._drawn(learned), strict=True)
        self._hold_against([self._codes(model, rows) for model, rows in drawn])
        calibrating = (learned if held_out is None else held_out)[:MOST_CALIBRATION_ROWS]
        self.tail_ = Tail.of(self._raw(calibrating))
        self.training_ |= {"rows": len(learned), "calibration_rows": 0 if held_out is None else len(calibrating)}
        self.usual_ = self._usual(calibrating) if self.explains else np.zeros(0)
        self.offset_ = math.log(options.false_alarm_rate)
        if options.contamination != "auto":
            self.offset_ = float(np.quantile(self.tail_.log_share(self._raw(x)), options.contamination))
        return self

    def score_samples(self, X: Rows) -> np.ndarray:
        """log of the share of usual rows that are at least as unusual, in nats, at most 0; lower is more unusual.

        −4.6 is one row in a hundred. Shares smaller than held-out rows can show are extrapolated.
        """
        return self.score_tensors(self._tensors(X))

    def score_tensors(self, x: Tensor) -> np.ndarray:
        """`score_samples`, given tensors."""
        return self.tail_.log_share(self._raw(x))

    def decision_function(self, X: Rows) -> np.ndarray:
        """`score_samples` less the threshold: negative for outliers, shape (rows,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Rows) -> np.ndarray:
        """1 for inliers, −1 for outliers, shape (rows,).

        With contamination="auto", of rows like the fitted ones at most a share `false_alarm_rate` is called an outlier,
        on average over fits, if rows held out are at least 2 / false_alarm_rate.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain_scores(self, X: Rows, *, most_columns: int = 3) -> pa.Table:
        """Which columns make each row unusual: their values and what was expected instead, as an Arrow table.

        One row for each row of X and column that makes it more unusual, the worst first: `row` (its number in X),
        `score` (that of `score_samples`), `column`, `value` and `expected` (text, in the column's own units), and
        `excess`: by how much the column raises the score before calibration, less
        what is usual for it. What was expected is what the members make of the row without the cell.
        Raises DataError for images, whose columns are pixels, and OptionError for a count below 1.
        """
        x = self._tensors(X)
        check_explicable(self.domain_, most_columns)
        return self.explain_tensors(x, self.score_tensors(x), most_columns)

    def explain_tensors(self, x: Tensor, scores: np.ndarray, most_columns: int = 3) -> pa.Table:
        """`explain_scores`, given tensors and their scores."""
        raised, expected = self._blame(x)
        excess = np.where(x.isnan().numpy(), 0.0, raised - self.usual_)
        return unusual_cells(self.domain_, x, scores, excess, self.domain_.from_matrix(expected), most_columns)

    def save(self, path: str | Path) -> None:
        """Write everything to one .safetensors file, from which `isthmus.load` makes this detector again."""
        from ..saving import save

        check_is_fitted(self)
        save(self, path)

    @property
    def explains(self) -> bool:
        """Whether rows have columns that can be named."""
        return self.domain_.explicable

    # Inside.

    def _options(self) -> DetectorOptions:
        return DetectorOptions.check(self.get_params(deep=False), type(self).__name__)

    def _tensors(self, X: Rows) -> Tensor:
        check_is_fitted(self)
        rows = checked_rows(self, X, reset=False)
        check_fits_domain(rows, self.domain_)
        return dense(self.domain_.tensors(rows))

    def _fittings(self, options: DetectorOptions, most_units: int) -> Iterator[Fitting]:
        """What builds each member, of so many units at most: few rows teach few."""
        for member in range(options.members):
            size = min(LATENT_DIMS[member % len(LATENT_DIMS)], most_units)
            shared = SharedOptions(latent_dim=size, hidden=HIDDEN, network="dense")
            own = variants.find("vae").Options()
            seed = Randomness(self._seed, "member", member).seed
            yield Fitting(variants.find("vae"), self.domain_.with_heavy_tails(), shared, own, seed, self._device)

    def _trained(self, x: Tensor, options: DetectorOptions) -> tuple[list[Variant], dict[str, Any]]:
        """The members, trained on rows `x`, and facts of the run."""
        fittings = list(self._fittings(options, len(x)))
        models = [fitting.build(int(fitting.shared.latent_dim)) for fitting in fittings]
        # Of more rows than the steps can take, a random sample is as good as all of them.
        if len(x) > STEPS * BATCH_ROWS:
            x = x[Randomness(self._seed, "trained rows").permutation(len(x))[: STEPS * BATCH_ROWS]]
        epochs = math.ceil(STEPS / max(1.0, len(x) / BATCH_ROWS))
        plans = [Plan(epochs, BATCH_ROWS, fitting.shared.learning_rate, seed=fitting.seed) for fitting in fittings]
        outcomes = sweep(models, as_input(x).to(self._device), None, plans, fittings[0].domain.draw)
        failures = [outcome.failure for outcome in outcomes.values() if outcome.failure is not None]
        if any(outcome.interrupted for outcome in outcomes.values()):
            raise KeyboardInterrupt
        if failures:
            raise failures[0]
        facts = {
            "epochs": epochs,
            "seconds": sum(outcome.seconds for outcome in outcomes.values()),
            "parameters": sum(parameter.numel() for model in models for parameter in model.parameters()),
        }
        return [model.eval() for model in models], facts

    def _codes(self, model: Variant, x: Tensor) -> Tensor:
        size = batch_rows(math.prod(x.shape[1:]))
        return in_batches(lambda rows: model.posterior(as_input(rows)).mean, x, size, self._device)

    def _decoded(self, model: Variant, codes: Tensor) -> np.ndarray:
        """What codes are decoded to, in the form of `Domain.matrix`."""
        size = batch_rows(self.n_features_in_)
        decoded = in_batches(lambda batch: model.likelihood(batch).mode(), codes, size, self._device)
        return self.domain_.matrix(decoded)

    def _drawn(self, x: Tensor) -> Iterator[Tensor]:
        """For each member the rows of `x` that others are held against, group after group."""
        size = max(1, min(GROUP_ROWS, len(x) // 2))
        for member in range(len(self.models_)):
            orders = (Randomness(self._seed, "anchors", member, group).permutation(len(x)) for group in range(GROUPS))
            yield torch.cat([x[order[:size]] for order in orders])

    def _hold_against(self, codes: list[Tensor]) -> None:
        """Take these codes, of each member, for those that rows are held against."""
        self.anchor_codes_ = codes
        pairs = zip(self.models_, codes, strict=True)
        self.anchors_ = [self.dissimilarity_.scaled(self._decoded(model, own)) for model, own in pairs]

    def _raw(self, x: Tensor) -> np.ndarray:
        """The score before calibration, higher is more unusual, shape (rows,)."""
        return self._seen(x)[0]

    def _seen(self, x: Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
        """The score before calibration, shape (rows,), and what each member makes of the rows (rows, columns)."""
        matrix = self.dissimilarity_.scaled(self.domain_.matrix(x))
        total, reconstructed = np.zeros(len(x)), []
        for model, anchors in zip(self.models_, self.anchors_, strict=True):
            decoded = self._decoded(model, self._codes(model, x))
            reconstructed.append(decoded)
            total += self._strangeness(matrix, self.dissimilarity_.scaled(decoded), anchors)
        return total / len(self.models_), reconstructed

    def _strangeness(self, matrix: np.ndarray, decoded: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """What one member says of rows and of what it made of them, all scaled, shape (rows,)."""
        result = np.empty(len(matrix))
        size = len(anchors) // GROUPS
        for start in range(0, len(matrix), COMPARED_ROWS):
            rows = slice(start, start + COMPARED_ROWS)
            apart = np.stack([self.dissimilarity_.between(decoded[rows], anchor) for anchor in anchors], axis=1)
            nearest = apart.reshape(-1, GROUPS, size).min(-1).sum(-1) / GROUPS
            result[rows] = nearest + RECONSTRUCTION_WEIGHT * self.dissimilarity_.between(matrix[rows], decoded[rows])
        return result

    def _usual(self, x: Tensor) -> np.ndarray:
        """By how much a cell of each column raises the score of a usual row, shape (columns,)."""
        rows = min(MOST_USUAL_ROWS, max(FEWEST_USUAL_ROWS, USUAL_CELLS // x.shape[1]))
        return self._blame(x[:rows])[0].mean(0)

    def _blame(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """By how much each cell raises its row's score, and the cell expected instead in the form of `Domain.matrix`.

        The score is compared with that of the row without the cell; what is expected is decoded from that row: the
        median over members, or the commonest category. Both have shape (rows, columns).
        """
        columns = x.shape[1]
        whole, expected = self._raw(x), np.empty(x.shape)
        without = np.empty(x.shape)
        # Many rows at once: a row alone would be filled up to a whole batch, as often as it has columns.
        for start in range(0, len(x), max(1, BLAMED_ROWS // columns)):
            rows = x[start : start + max(1, BLAMED_ROWS // columns)]
            scores, reconstructed = self._seen(without_each_cell(rows))
            without[start : start + len(rows)] = scores.reshape(len(rows), columns)
            guesses = np.stack([the_cells_left_out(each, columns) for each in reconstructed])
            for column, categorical in enumerate(self.domain_.categorical):
                expected[start : start + len(rows), column] = _middle(guesses[:, :, column], bool(categorical))
        return whole[:, None] - without, expected

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")


def _middle(guesses: np.ndarray, categorical: bool) -> np.ndarray:
    """The median of guesses (members, rows), or the commonest of categories."""
    if not categorical:
        return np.median(guesses, axis=0)
    codes = guesses.astype(np.int64)
    counts = np.stack([(codes == code).sum(0) for code in range(codes.max() + 1)])
    return counts.argmax(0).astype(np.float64)
