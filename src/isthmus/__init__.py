"""Isthmus: autoencoders, plain and variational, for anyone's unlabelled data.

`isthmus.VAE`, `isthmus.Autoencoder` and the other models are scikit-learn estimators; `isthmus.Detector` finds rows
unlike the others and says why; `isthmus.compare` trains and measures several models and says which to use;
`isthmus.evaluate` says how good synthetic rows are, whoever made them;
`isthmus.load` reads a saved one; `isthmus.stream` leaves rows in their files; `isthmus.compress` and
`isthmus.decompress` turn rows into few bytes and back; `isthmus.windows` and `isthmus.join_windows` cut long recordings
and put together what was found; `isthmus.Parts` are rows of several parts, as such models give them.
Names are imported when they are first used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Detector": "estimator.detector",
    "load": "saving",
    "compare": "comparison.compare",
    "Comparison": "comparison.result",
    "evaluate": "evaluating",
    "Evaluation": "evaluating",
    "stream": "files.streaming",
    "compress": "compression.archive",
    "decompress": "compression.archive",
    "tune": "estimator.tuning",
    "windows": "domains.series.windows",
    "join_windows": "domains.series.windows",
    "Parts": "core.parts",
    "errors": "core.errors",
}


def _models() -> dict[str, str]:
    """Model names by their class names in lower case, which are the same without underscores."""
    from .estimator.models import names

    return {name.replace("_", ""): name for name in names()}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module = import_module(f"{__name__}.{_HOMES[name]}")
        return module if name == "errors" else getattr(module, name)
    known = _models().get(name.lower())
    if known is not None:
        from .estimator.public import public_class

        model = public_class(known)
        if model.__name__ == name:
            return model
    raise AttributeError(f"module 'isthmus' has no attribute {name!r}")


def __dir__() -> list[str]:
    from .estimator.models import find, names

    return sorted([*globals(), *_HOMES, *(find(name).class_name for name in names())])
