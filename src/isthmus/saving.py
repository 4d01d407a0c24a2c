"""A fitted estimator in one `.safetensors` file, and back, without executing anything that the file says."""

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from . import __version__, domains, variants
from .core.errors import IsthmusError, ModelFileError
from .estimator.base import Estimator, _json_like
from .estimator.inference import chosen_device
from .estimator.options import SharedOptions
from .estimator.public import public_class
from .files.tensor_file import read_tensors, write_tensors

FORMAT = 1


def save(estimator: Estimator, path: str | Path) -> None:
    """Write schema, preprocessing, weights, fitted prior, threshold and training facts; the file appears whole or not at
    all."""
    options = _json_like(estimator.get_params(deep=False))
    options["random_state"] = estimator._seed
    facts = {
        "format": FORMAT,
        "isthmus": __version__,
        "model": estimator.variant_name,
        "options": options,
        "latent_dim": estimator.latent_dim_,
        "seed": estimator._seed,
        "domain": {"name": estimator.domain_.name, "schema": estimator.domain_.schema()},
        "offset": estimator.offset_,
        "n_features_in": estimator.n_features_in_,
        "feature_names_in": [str(name) for name in getattr(estimator, "feature_names_in_", [])] or None,
        "history": estimator.history_,
        "training": estimator.training_,
        "size_search": getattr(estimator, "size_search_", None),
    }
    write_tensors(Path(path), dict(estimator.model_.state_dict()), facts)


def load(path: str | Path, *, device: str = "auto") -> Estimator:
    """The estimator that `save` wrote. Raises ModelFileError if the file is missing, damaged or not one of ours."""
    path = Path(path)
    tensors, facts = read_tensors(path)
    if facts.get("format") != FORMAT:
        raise ModelFileError(
            f"{path}: written in format {facts.get('format')!r}; this isthmus {__version__} reads format {FORMAT}: update it"
        )
    try:
        return _revive(tensors, facts, device)
    except IsthmusError as failure:
        raise ModelFileError(f"{path}: {failure}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ValidationError) as failure:
        raise ModelFileError(f"{path}: what it says does not make a model: {str(failure).splitlines()[0]}") from None


def _revive(tensors: dict[str, torch.Tensor], facts: dict[str, Any], device: str) -> Estimator:
    import numpy as np

    variants.find(facts["model"])  # a name outside the closed list is refused before anything is built
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in facts["options"].items()}
    estimator = public_class(facts["model"])(**options)
    shared, own = estimator._options()
    domain = domains.find(facts["domain"]["name"]).from_schema(facts["domain"]["schema"])
    estimator.domain_ = domain
    estimator._seed, estimator._state = int(facts["seed"]), None
    estimator.latent_dim_ = int(facts["latent_dim"])
    estimator._device = chosen_device(device)
    model = estimator.build(domain, shared, estimator.latent_dim_, own, estimator._seed)
    model.load_state_dict(tensors)
    estimator.model_ = model.to(estimator._device).eval()
    estimator.offset_ = float(facts["offset"])
    estimator.n_features_in_ = int(facts["n_features_in"])
    if facts["feature_names_in"] is not None:
        estimator.feature_names_in_ = np.array(facts["feature_names_in"], dtype=object)
    estimator.history_, estimator.training_ = facts["history"], facts["training"]
    if facts["size_search"] is not None:
        estimator.size_search_ = facts["size_search"]
    return estimator
