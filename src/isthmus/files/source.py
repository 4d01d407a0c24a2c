"""Rows as they were read, with whatever travels beside them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Source:
    """Rows and their company.

    `rows` is a `pyarrow.Table`, a matrix of numbers (rows, columns), images of shape (n, height, width) or
    (n, height, width, channels), a sparse matrix of SciPy's, an array of strings, or an array of arrays: series one by
    one, (length, channels), or images of sizes of their own, (height, width, channels). `labels` are vectors of n
    values that came beside an array and may serve as a target; a table keeps its labels as columns. `row_ids` are the
    file names of a folder of images, the ids of series, or where texts stand. `notes` are sentences about what reading
    decided: what was left out, what was guessed.
    """

    name: str
    rows: Any
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    row_ids: list[str] | None = None
    notes: tuple[str, ...] = ()
