"""What the report shows of each contender: reconstructions, samples, maps of the codes, traversals, loss curves."""

from typing import Any

import numpy as np
from torch import Tensor

from ..core.sparse import HeldRows, dense
from ..estimator.places import place_scores
from ..evaluation.probe import outliers
from ..explaining import traversals
from .contenders import Autoencoding, Contender
from .measuring import Data

SHOWN_ROWS = {"image": 12, "table": 8, "text": 8}
MOST_MAP_ROWS = 600
OUTLIER_WORDS = ("usual", "outlier")


def shared_pictures(data: Data) -> dict[str, Any]:
    """What is the same for all contenders: original rows, and the rows of the latent maps."""
    kind = data.domain.picture_kind
    shown = data.domain.pictures(data.test[: SHOWN_ROWS[kind]])
    head = {"kind": kind, "originals": shown, "by_contender": {}}
    if kind == "table":
        head["columns"] = data.domain.column_names
    rows = data.test[:MOST_MAP_ROWS]
    drawn = data.domain.pictures(rows)
    map_rows = [
        {
            "label": label,
            "text": _text(data.domain.column_names, picture)
            if kind == "table"
            else picture
            if kind == "text"
            else None,
            "png": picture if kind == "image" else None,
        }
        for label, picture in zip(_labels(data, len(rows)), drawn, strict=True)
    ]
    return {
        "loss_curves": [],
        "reconstructions": head,
        "samples": {**head, "by_contender": {}},
        "latent_maps": {"rows": map_rows, "by_contender": {}},
        "traversals": {},
    }


def contender_pictures(data: Data, contender: Contender) -> dict[str, Any]:
    """What is drawn of one contender, by the keys of `pictures` in facts.json."""
    kind = data.domain.picture_kind
    codes = contender.encode(data.test[:MOST_MAP_ROWS]).numpy()
    shown = dense(data.test[: SHOWN_ROWS[kind]])
    heat = data.domain.heat(shown, _log_prob(contender, shown)) if isinstance(contender, Autoencoding) else None
    return {
        "heat": heat,
        "reconstructions": data.domain.pictures(contender.reconstruct(data.test[: SHOWN_ROWS[kind]])),
        "samples": data.domain.pictures(_presentable(contender, SHOWN_ROWS[kind])),
        "latent_maps": latent_map(codes),
        "traversals": traversals(contender.estimator, codes) if isinstance(contender, Autoencoding) else None,
    }


def _log_prob(contender: Autoencoding, x: Tensor) -> np.ndarray:
    """log p of each step of rows given their codes, for rows that go step by step; else nothing."""
    estimator = contender.estimator
    if estimator.domain_.places is None:
        return np.empty((len(x), 0))
    return place_scores(estimator.model_, estimator.domain_, x, estimator._device)


def _presentable(contender: Contender, rows: int) -> HeldRows:
    """New rows to look at: without the noise of single pixels where the model can leave it out."""
    if isinstance(contender, Autoencoding):
        estimator = contender.estimator
        return estimator.sample_tensors(rows, contender.seed, noise=estimator.domain_.name != "image")
    return contender.sample(rows)


def latent_map(codes: np.ndarray) -> dict[str, Any]:
    """Two coordinates for each row: the codes if there are two, else their first two principal components."""
    if codes.shape[1] == 1:
        points = np.hstack([codes, np.zeros_like(codes)])
        return {"axes": ["latent unit 1", ""], "points": _rounded(points)}
    if codes.shape[1] == 2:
        return {"axes": ["latent unit 1", "latent unit 2"], "points": _rounded(codes)}
    centred = codes - codes.mean(0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    share = lengths**2 / max((lengths**2).sum(), 1e-12)
    axes = [f"component {i + 1} ({share[i]:.0%})" for i in range(2)]
    # A direction's sign is arbitrary: fixed here, so that the same codes give the same picture.
    signs = np.sign(directions[:2][range(2), np.abs(directions[:2]).argmax(1)])
    return {"axes": axes, "points": _rounded(centred @ directions[:2].T * signs)}


def loss_curve(contender: Autoencoding) -> dict[str, Any]:
    """The history as curves by term."""
    history = contender.estimator.history_
    names = list(history[0]["train"]) if history else []
    return {
        "epochs": [record["epoch"] for record in history],
        "best_epoch": contender.estimator.training_["best_epoch"],
        "terms": {
            name: {
                "train": [record["train"][name] for record in history],
                "validation": [(record["validation"] or {}).get(name) for record in history],
            }
            for name in names
        },
    }


def _rounded(points: np.ndarray) -> list[list[float]]:
    return np.round(points.astype(np.float64), 4).tolist()


def _labels(data: Data, rows: int) -> list[str | None]:
    if data.test_target is None:
        return [None] * rows
    values = data.test_target[:rows]
    if data.target_kind == "outlier":
        return [OUTLIER_WORDS[int(marked)] for marked in outliers(values)]
    return [_label(value) for value in values]


def _label(value: Any) -> str | None:
    if value is None or value != value:
        return None
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def classes(data: Data) -> list[str]:
    """The classes of the target by the labels that rows of the latent maps carry, numbers in their order."""
    if data.target_kind == "outlier":
        return list(OUTLIER_WORDS)
    if data.target_kind != "classes" or data.train_target is None:
        return []
    present = [value for value in data.train_target.tolist() if _label(value) is not None]
    numeric = all(isinstance(value, int | float) for value in present)
    ordered = sorted(present, key=float if numeric else str)
    return list(dict.fromkeys(str(_label(value)) for value in ordered))


def _text(columns: list[str], cells: list[str | None]) -> str:
    return ", ".join(
        f"{name}: {'missing' if cell is None else cell}" for name, cell in zip(columns, cells, strict=True)
    )
