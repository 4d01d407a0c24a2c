"""Rows of several parts, held part by part."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .errors import DataError
from .rows import taken


class Parts:
    """Rows of several parts, such as a photograph and a row of a table: the rows of each part by its name.

    Part i of every name belongs to row i. `parts["photo"]` are the rows of one part, `parts.items()` those of all;
    `len(parts)` is the number of rows, and a slice or an array of places picks some of them.
    """

    def __init__(self, rows: "Mapping[str, Any] | Parts"):
        """Raises DataError, naming the part, for parts of different lengths."""
        self._rows = dict(rows.items())
        if not self._rows:
            raise DataError("rows of several parts have no part at all; give rows by name, such as {'photo': images}")
        counts = {name: _count(name, each) for name, each in self._rows.items()}
        first, *others = counts
        for name in others:
            if counts[name] != counts[first]:
                raise DataError(
                    f"part '{name}' has {counts[name]} rows, and '{first}' has {counts[first]}; give as many of each"
                )
        self.shape = (counts[first], len(counts))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, str):
            return self._rows[which]
        return self.taken(np.atleast_1d(np.arange(len(self))[which]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def keys(self) -> Any:
        return self._rows.keys()

    def items(self) -> Any:
        return self._rows.items()

    def taken(self, index: np.ndarray) -> "Parts":
        """The rows at these places."""
        return Parts(
            {
                name: [each[place] for place in index] if isinstance(each, list) else taken(each, index)
                for name, each in self._rows.items()
            }
        )

    def __repr__(self) -> str:
        return f"<{len(self):,} rows of {self.shape[1]} parts: {', '.join(self._rows)}>"


def _count(name: str, rows: Any) -> int:
    if isinstance(rows, list | tuple):
        return len(rows)
    try:
        return int(rows.shape[0])
    except (AttributeError, IndexError, TypeError):
        kind = type(rows).__name__
        raise DataError(f"part '{name}' is of type {kind}; give a table, images, series or texts") from None
