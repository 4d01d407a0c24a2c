"""One contender, measured at everything, with one seed."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.randomness import Randomness
from ..core.sparse import HeldRows, SparseRows, dense
from ..domains.base import Domain
from ..domains.image import Image
from ..estimator.inference import as_input
from ..evaluation import anomaly, generation, latent, picture_features, probe, reconstruction, rows
from ..explaining import carries
from . import coding
from .contenders import Autoencoding, Contender, Detecting, Fitted

# Measures look at no more rows than these, the first ones of parts that are in random order: their own error is far
# below the spread over seeds. Those that cost one pass through the network afford more than those that cost many.
MOST_MEASURED = 2_000
MOST_RECONSTRUCTED = 10_000
# Sparse rows are made dense to be measured: no more of them than have so many cells.
MOST_DENSE_CELLS = 2**25
BOUND_DRAWS = 16
TEXT_LOSS = "share of wrong symbols, place by place, and of the spread of lengths that is lost"
MIXED_LOSS = "share lost: of the spread of numbers, of the cells of categories"


@dataclass(frozen=True)
class Data:
    """What all contenders are trained and measured on. Tensors are the domain's."""

    domain: Domain
    train: HeldRows
    validation: HeldRows
    test: HeldRows
    train_target: np.ndarray | None
    test_target: np.ndarray | None
    target_kind: probe.TargetKind | None
    named: bool  # whether the rows came with column names

    @property
    def pooled(self) -> bool:
        """Whether columns share one scale, as pixels, counts and steps of series do."""
        return self.domain.side_by_side and not self.domain.named_columns

    @property
    def event_shape(self) -> tuple[int, ...] | None:
        """The shape of images, whose pixels have neighbours."""
        return tuple(self.test.shape[1:]) if len(self.test.shape) > 2 else None


def affordable(x: HeldRows) -> Tensor:
    """The first of these rows, of sparse ones as many as are no burden, as one tensor."""
    return dense(x[: max(1, MOST_DENSE_CELLS // x.shape[1])]) if isinstance(x, SparseRows) else x


def measure(data: Data, contender: Contender, seed: int) -> dict[str, Any]:
    """What a fitted contender is worth; the keys are those of a contender in facts.json, without names and spread."""
    train = affordable(data.train[_some(len(data.train), seed)])
    test = affordable(data.test[:MOST_RECONSTRUCTED])
    began = time.perf_counter()
    codes = contender.encode(test)
    encode_seconds = time.perf_counter() - began
    return {
        "reconstruction": _reconstruction(data, contender, train, test),
        "likelihood": _likelihood(contender, train, test),
        "latent": _latent(contender, codes, test),
        "probe": _probe(data, contender, codes, seed),
        "generation": _generation(data, contender, seed),
        "compression": _compression(data, contender, test),
        "anomaly": _anomaly(data, contender, seed),
        "cost": {
            "fit_seconds": contender.seconds,
            "rows_per_second": len(data.train) * contender.epochs / max(contender.seconds, 1e-9),
            "encode_rows_per_second": len(test) / max(encode_seconds, 1e-9),
            "parameters": contender.parameters,
            "epochs": contender.epochs,
        },
    }


def measure_detector(data: Data, detecting: Detecting, seed: int) -> dict[str, Any]:
    """What the detector is worth at its one job; the keys are those of `detectors` in facts.json."""
    return {
        "anomaly": _anomaly(data, detecting, seed),
        "cost": {
            "fit_seconds": detecting.seconds,
            "parameters": detecting.parameters,
            "epochs": detecting.epochs,
        },
    }


def _some(length: int, seed: int) -> Tensor:
    return Randomness(seed, "measured rows").permutation(length)[:MOST_RECONSTRUCTED]


def _reconstruction(data: Data, contender: Contender, train: Tensor, test: Tensor) -> dict[str, Any]:
    domain = data.domain
    variances = rows.column_variances(domain.matrix(affordable(data.train)))

    def error(x: Tensor) -> dict[str, Any]:
        return reconstruction.reconstruction_error(
            domain.matrix(x),
            domain.matrix(contender.reconstruct(x)),
            domain.categorical,
            variances,
            domain.column_names if domain.picture_kind == "table" else None,
            pooled=data.pooled,
        )

    on_test = error(test)
    return {
        "train": error(train)["error"],
        "test": on_test["error"],
        "unit": _loss_unit(data),
        "per_column": on_test["per_column"] or {},
    }


def _loss_unit(data: Data) -> str:
    if data.domain.picture_kind == "text" and not data.domain.side_by_side:
        return TEXT_LOSS
    return MIXED_LOSS if data.domain.categorical.any() and not data.pooled else "share of the spread that is lost"


def _likelihood(contender: Contender, train: Tensor, test: Tensor) -> dict[str, Any] | None:
    """The bound on log p(x), for models that have a density over codes."""
    if not isinstance(contender, Autoencoding) or contender.estimator.model_.point_codes:
        return None
    score = contender.estimator.score_tensors
    return {
        "test": float(score(test[:MOST_MEASURED], BOUND_DRAWS).mean()),
        "train": float(score(train[:MOST_MEASURED], BOUND_DRAWS).mean()),
        "unit": "nats per row",
        "bound": f"lower bound on log p(x) from {BOUND_DRAWS} draws, over at most {MOST_MEASURED:,} rows",
    }


def _latent(contender: Contender, codes: Tensor, test: Tensor) -> dict[str, Any]:
    kl = None
    unit_scale = False
    if isinstance(contender, Autoencoding):
        estimator = contender.estimator
        with torch.no_grad():
            batch = as_input(test[:MOST_MEASURED]).to(estimator._device)
            per_unit = estimator.model_.posterior(batch).kl_per_unit()
        unit_scale = per_unit is not None
        kl = None if per_unit is None else per_unit.mean(0).tolist()
    activity = latent.active_units(codes.numpy(), relative=not unit_scale)
    return {
        "active_units": activity["active_units"],
        "units": activity["units"],
        "kl_per_unit": kl,
        "carries": carries(contender.estimator, codes[:MOST_MEASURED].numpy())
        if isinstance(contender, Autoencoding)
        else [],
    }


def _probe(data: Data, contender: Contender, codes: Tensor, seed: int) -> dict[str, Any] | None:
    kind = data.target_kind
    if kind is None or kind == "outlier":
        return None
    assert data.train_target is not None and data.test_target is not None
    domain = data.domain
    some = _some(len(data.train), seed)
    known = affordable(data.train[some])
    some = some[: len(known)].numpy()
    train_target, test_target = data.train_target[some], data.test_target[: len(codes)]

    def scores(train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
        rng = Randomness(seed, "probe").numpy()
        return probe.probe(train, train_target, test, test_target, kind, rng)

    on_codes = scores(contender.encode(known).numpy(), codes.numpy())
    (reference, categorical), (others, _) = (domain.summary(x) for x in (known, affordable(data.test[: len(codes)])))
    raw = [rows.features(each, categorical, reference, pooled=data.pooled) for each in (reference, others)]
    on_rows = scores(*raw)
    return on_codes | {"raw_knn": on_rows["knn"], "raw_linear": on_rows["linear"]}


def _generation(data: Data, contender: Contender, seed: int) -> dict[str, Any]:
    domain = data.domain
    # Where pixels are drawn afresh at each pass, real rows are what one pass sees.
    real = [domain.draw(x, Randomness(seed, "real rows")) for x in (affordable(data.train), affordable(data.test))]
    new = contender.sample(min(10_000, max(len(real[1]), 200)))
    # As a user gets them: whole numbers whole, to the last bit as in the real rows. A classifier sees a rounding error.
    as_rows = domain.tensors(domain.rows(new))
    # Draws of a model are black and white already; principal components give shades, which stand for chances too.
    synthetic = domain.draw(affordable(as_rows), Randomness(seed, "generated rows"))
    (drawn, categorical), (train, _), (held_out, _) = (domain.summary(x) for x in (synthetic, *real))
    quality = generation.generation_quality(
        drawn,
        train,
        held_out,
        categorical,
        Randomness(seed, "generation").numpy(),
        pooled=data.pooled,
    )
    return quality | _picture_distances(domain, synthetic, real[1], seed)


def _picture_distances(domain: Domain, synthetic: Tensor, real: Tensor, seed: int) -> dict[str, Any]:
    """Distances between features of pictures; None for other rows."""
    if not isinstance(domain, Image):
        return {"frechet_distance": None, "kernel_distance": None, "extractor": None}
    limit = picture_features.MOST_PICTURES
    drawn, known = (domain.squares(x[:limit], picture_features.SIDE) for x in (synthetic, real))
    rng = Randomness(seed, "features of pictures").numpy()
    return picture_features.feature_distances(drawn, known, rng) | {"extractor": picture_features.EXTRACTOR}


def _compression(data: Data, contender: Contender, test: Tensor) -> dict[str, Any] | None:
    if not isinstance(contender, Autoencoding):
        return None
    domain = data.domain
    nats = coding.negative_bound(contender.estimator, data.validation[:MOST_MEASURED], test[:MOST_MEASURED])
    precision = coding.precision(domain, affordable(data.train))
    test = test[:MOST_MEASURED]
    # Mass of the grid's cell = density per unit of the user's own numbers × the cell's volume.
    nats = nats - domain.log_volume(test).numpy() - precision.log_volume(domain.values(test))
    return {
        "bits_per_row": float(nats.mean() / np.log(2)),
        "raw_bits_per_row": precision.fixed_width_bits,
        "method": "ideal code length: the negative evidence lower bound, over at most "
        f"{MOST_MEASURED:,} rows; real numbers to the precision of the data; which cells are missing is not counted",
    }


def _anomaly(data: Data, contender: Fitted, seed: int) -> dict[str, Any]:
    usual = data.test
    if data.target_kind == "outlier":
        assert data.test_target is not None
        marked = torch.from_numpy(probe.outliers(data.test_target))
        by_kind = {"target": contender.strangeness(usual[marked])}
        return anomaly.detection(contender.strangeness(usual[~marked]), by_kind)
    usual = affordable(usual[:MOST_MEASURED])
    matrix = data.domain.matrix(usual)
    scores = {}
    for kind in anomaly.KINDS:
        planted = anomaly.plant(
            matrix, data.domain.categorical, kind, Randomness(seed, "anomalies", kind).numpy(), data.event_shape
        )
        scores[kind] = contender.strangeness(data.domain.from_matrix(planted))
    return anomaly.detection(contender.strangeness(usual), scores)
