"""A fitted estimator in one `.safetensors` file, and back, without executing anything that the file says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from . import __version__, domains
from .core.errors import IsthmusError, ModelFileError
from .estimator import models
from .estimator.base import Estimator
from .estimator.codes import PRIORS
from .estimator.detector import Detector
from .estimator.detector_file import revived, state_of
from .estimator.inference import chosen_device
from .estimator.public import public_class
from .files.tensor_file import first_line, read_tensors, write_tensors

FORMAT = 1
# What stands in a file in place of a variant's name.
DETECTOR = "detector"
# What the names of a model of codes begin with.
CODES = "flow of codes."


def save(estimator: Estimator | Detector, path: str | Path) -> None:
    """Write schema, preprocessing, weights, fitted prior, threshold and training facts to one file.

    The file appears whole or not at all. Raises DataError if the place cannot be written.
    """
    if isinstance(estimator, Detector):
        tensors, facts = state_of(estimator)
        write_tensors(Path(path), tensors, {"format": FORMAT, "isthmus": __version__, "model": DETECTOR} | facts)
        return
    shared, own = estimator._options()
    facts = {
        "format": FORMAT,
        "isthmus": __version__,
        "model": estimator.model_name,
        "options": shared.model_dump() | own.model_dump() | {"random_state": estimator._seed},
        "latent_dim": estimator.latent_dim_,
        "seed": estimator._seed,
        "domain": {"name": estimator.domain_.name, "schema": estimator.domain_.schema()},
        "offset": estimator.offset_,
        "step_offset": getattr(estimator, "step_offset_", None),
        "pixel_offset": getattr(estimator, "pixel_offset_", None),
        "n_features_in": estimator.n_features_in_,
        "feature_names_in": [str(name) for name in getattr(estimator, "feature_names_in_", [])] or None,
        "history": estimator.history_,
        "training": estimator.training_,
        "size_search": getattr(estimator, "size_search_", None),
    }
    tensors = dict(estimator.model_.state_dict())
    if estimator._code_prior is not None:
        tensors |= {CODES + name: tensor for name, tensor in estimator._code_prior.state_dict().items()}
    write_tensors(Path(path), tensors, facts)


def load(path: str | Path, *, device: str = "auto") -> Any:
    """The estimator or detector that `save` wrote.

    Raises ModelFileError if the file is missing, damaged or not one of ours.
    """
    return _load(Path(path), device)


def load_estimator(path: str | Path, *, device: str = "auto") -> Estimator:
    """`load`, for what a detector cannot do: raises ModelFileError if the file holds one."""
    loaded = _load(Path(path), device)
    if isinstance(loaded, Detector):
        raise ModelFileError(
            f"{path}: holds a detector, which only scores rows; give another model, such as `isthmus fit --model vae` "
            "writes"
        )
    return loaded


def _load(path: Path, device: str) -> Estimator | Detector:
    tensors, facts = read_tensors(path)
    if facts.get("format") != FORMAT:
        raise ModelFileError(
            f"{path}: written in format {facts.get('format')!r}; this isthmus {__version__} reads format {FORMAT}; "
            "install the isthmus that wrote it"
        )
    try:
        if facts.get("model") == DETECTOR:
            with _no_larger_than(sum(tensor.numel() for tensor in tensors.values())):
                return revived(tensors, facts, device)
        return _revive(tensors, facts, device)
    except IsthmusError as failure:
        raise ModelFileError(f"{path}: {failure}") from failure
    # The file's description is not to be trusted: whatever it makes the constructors raise is the file's fault.
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        MemoryError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as failure:
        raise ModelFileError(f"{path}: what it says does not make a model: {first_line(failure)}") from failure


def _revive(tensors: dict[str, Tensor], facts: dict[str, Any], device: str) -> Estimator:
    models.find(facts["model"])  # a name outside the closed list is refused before anything is built
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in facts["options"].items()}
    estimator = public_class(facts["model"])(**options)
    shared, own = estimator._options()
    estimator.domain_ = domains.find(facts["domain"]["name"]).from_schema(facts["domain"]["schema"])
    estimator._seed, estimator._state = int(facts["seed"]), None
    estimator.latent_dim_ = int(facts["latent_dim"])
    estimator._device = chosen_device(device)
    with _no_larger_than(sum(tensor.numel() for tensor in tensors.values())):
        model = estimator.build(estimator.domain_, shared, estimator.latent_dim_, own, estimator._seed)
        code_prior = None if shared.prior == "own" else PRIORS[shared.prior](estimator.latent_dim_)
    of_codes = {name.removeprefix(CODES): tensors.pop(name) for name in list(tensors) if name.startswith(CODES)}
    model.load_state_dict(tensors)
    if code_prior is not None:
        code_prior.load_state_dict(of_codes)
        code_prior = code_prior.to(estimator._device).eval()
    estimator._code_prior = code_prior
    estimator.model_ = model.to(estimator._device).eval()
    estimator.offset_ = float(facts["offset"])
    for name in ("step_offset", "pixel_offset"):
        if facts.get(name) is not None:
            setattr(estimator, f"{name}_", float(facts[name]))
    estimator.n_features_in_ = int(facts["n_features_in"])
    if facts["feature_names_in"] is not None:
        estimator.feature_names_in_ = np.array(facts["feature_names_in"], dtype=object)
    estimator.history_, estimator.training_ = facts["history"], facts["training"]
    if facts["size_search"] is not None:
        estimator.size_search_ = facts["size_search"]
    return estimator


@contextmanager
def _no_larger_than(numbers: int) -> Iterator[None]:
    """Refuse to build a model of more parameters than the file holds numbers, before its memory is touched."""
    builder, room = threading.get_ident(), [numbers]

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is None or threading.get_ident() != builder:
            return
        room[0] -= parameter.numel()
        if room[0] < 0:
            raise ModelFileError(f"it describes a larger model than the {numbers} numbers that it holds")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
