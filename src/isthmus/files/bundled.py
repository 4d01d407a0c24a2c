"""Data sets that come with the package, by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..core.errors import DataError
from .source import Source
from .tables import read_csv

_DATA = Path(__file__).parent / "data"


def bundled_names() -> list[str]:
    """The names that `read` takes in place of a path."""
    return sorted(_BUNDLED)


def read_bundled(name: str) -> Source:
    """A bundled data set; raises DataError for an unknown name."""
    if name not in _BUNDLED:
        raise DataError(f"no bundled data set is called {name!r}; there are {', '.join(bundled_names())}")
    return _BUNDLED[name]()


def _digits() -> Source:
    """1,797 handwritten digits of 8 × 8 pixels with 17 levels of grey, 0 … 16 (Alpaydin & Kaynak, 1998)."""
    from sklearn.datasets import load_digits  # Scikit-learn is slow to import, and few readers need it.

    pixels, target = load_digits(return_X_y=True)
    return Source("digits", np.asarray(pixels, np.uint8).reshape(-1, 8, 8), {"target": np.asarray(target)})


def _penguins() -> Source:
    """344 penguins of three species; 19 cells are missing (see data/README.md)."""
    table, notes = read_csv(_DATA / "penguins.csv")
    return Source("penguins", table, notes=notes)


_BUNDLED: dict[str, Callable[[], Source]] = {"digits": _digits, "penguins": _penguins}
