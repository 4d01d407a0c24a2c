"""A detector as tensors and JSON, and back: every number of a file is looked at before anything relies on it."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import domains
from ..core.errors import ModelFileError
from .calibration import Tail
from .detector import GROUPS, Detector
from .dissimilarity import Dissimilarity
from .inference import chosen_device


def state_of(detector: Detector) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that was learned, as tensors and as JSON."""
    numbers = {
        "usual": detector.usual_,
        "spread": detector.dissimilarity_.spread,
        "levels": detector.tail_.levels,
        "shares": detector.tail_.log_shares,
    }
    for column, rarity in enumerate(detector.dissimilarity_.rarity):
        if rarity is not None:
            numbers[f"rarity.{column}"] = rarity
    tensors = {name: torch.from_numpy(value) for name, value in numbers.items()}
    for place, (model, codes) in enumerate(zip(detector.models_, detector.anchor_codes_, strict=True)):
        tensors |= {f"model.{place}.{name}": value for name, value in model.state_dict().items()}
        tensors[f"anchors.{place}"] = codes
    facts = {
        "options": detector._options().model_dump() | {"random_state": detector._seed},
        "seed": detector._seed,
        "most_units": max(model.latent_dim for model in detector.models_),
        "domain": {"name": detector.domain_.name, "schema": detector.domain_.schema()},
        "offset": detector.offset_,
        "tail_scale": detector.tail_.scale,
        "n_features_in": detector.n_features_in_,
        "feature_names_in": [str(name) for name in getattr(detector, "feature_names_in_", [])] or None,
        "training": detector.training_,
    }
    return tensors, facts


def revived(tensors: dict[str, Tensor], facts: dict[str, Any], device: str) -> Detector:
    """The detector that `state_of` told of.

    Raises ModelFileError for numbers that cannot be a detector's, else what building it of wrong facts raises.
    """
    detector = Detector(**facts["options"])
    options = detector._options()
    detector.domain_ = domains.find(facts["domain"]["name"]).from_schema(facts["domain"]["schema"])
    detector._seed, detector._device = int(facts["seed"]), chosen_device(device)
    columns = len(detector.domain_.column_names)
    detector.n_features_in_, names = int(facts["n_features_in"]), facts["feature_names_in"]
    if detector.n_features_in_ != columns or (names is not None and len(names) != columns):
        raise ModelFileError(f"it speaks of {detector.n_features_in_} columns, and its schema has {columns}")
    if names is not None:
        detector.feature_names_in_ = np.array(names, dtype=object)
    detector.models_ = []
    unknown = set(tensors) - {"usual", "spread", "levels", "shares"}
    for place, fitting in enumerate(detector._fittings(options, int(facts["most_units"]))):
        model = fitting.build(int(fitting.shared.latent_dim))
        prefix = f"model.{place}."
        own = {name.removeprefix(prefix): _finite(tensors, name) for name in tensors if name.startswith(prefix)}
        model.load_state_dict(own)
        unknown -= {prefix + name for name in own} | {f"anchors.{place}"}
        detector.models_.append(model.eval())
    unknown -= {f"rarity.{column}" for column in range(columns)}
    if unknown:
        raise ModelFileError(f"its '{min(unknown)}' is no part of a detector")
    detector.dissimilarity_ = Dissimilarity(
        _numbers(tensors, "spread", columns, least=0.0),
        tuple(
            _numbers(tensors, f"rarity.{column}", least=1.0) if categorical else None
            for column, categorical in enumerate(detector.domain_.categorical)
        ),
    )
    detector.tail_ = _tail(tensors, facts["tail_scale"])
    detector.usual_ = _numbers(tensors, "usual", columns if detector.explains else 0)
    codes = [_finite(tensors, f"anchors.{place}") for place in range(len(detector.models_))]
    for place, (own, model) in enumerate(zip(codes, detector.models_, strict=True)):
        if own.ndim != 2 or own.shape[1] != model.latent_dim or not len(own) or len(own) % GROUPS:
            raise ModelFileError(f"its 'anchors.{place}' of shape {tuple(own.shape)} are no codes of this model")
    detector._hold_against(codes)
    detector.offset_, detector.training_ = float(facts["offset"]), dict(facts["training"])
    if not -math.inf < detector.offset_ <= 0:
        raise ModelFileError(f"its threshold, {detector.offset_}, is not the logarithm of a share")
    return detector


def _tail(tensors: dict[str, Tensor], scale: Any) -> Tail:
    levels = _numbers(tensors, "levels")
    tail = Tail(levels, _numbers(tensors, "shares", len(levels)), float(scale))
    falls = (np.diff(levels) > 0).all() and (np.diff(tail.log_shares) <= 0).all() and (tail.log_shares <= 0).all()
    if not falls or not 0 < tail.scale < math.inf:
        raise ModelFileError("its 'levels' and 'shares' are not those of a calibration: shares fall as levels rise")
    return tail


def _finite(tensors: dict[str, Tensor], name: str) -> Tensor:
    tensor = tensors[name]
    if not tensor.is_floating_point() or not tensor.isfinite().all():
        raise ModelFileError(f"its '{name}' should hold finite numbers")
    return tensor


def _numbers(tensors: dict[str, Tensor], name: str, count: int | None = None, least: float = -math.inf) -> np.ndarray:
    """A row of numbers: `count` of them or at least one, none below `least`, nor 0 where that is the least."""
    found = _finite(tensors, name).double().numpy()
    if found.ndim != 1 or (len(found) == 0 if count is None else len(found) != count):
        raise ModelFileError(f"its '{name}' of shape {found.shape} should be a row of {count or 'some'} numbers")
    if (found < least).any() or (least == 0 and (found == 0).any()):
        raise ModelFileError(f"its '{name}' holds {found.min():g}, which is too small")
    return found
