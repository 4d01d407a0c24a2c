"""Cells that make rows unusual, and what was expected of them: the table that detectors and models answer with."""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.errors import DataError, OptionError
from ..domains.base import Domain


def check_explicable(domain: Domain, most_columns: int, places: bool = False) -> None:
    """Raises DataError for rows without columns to name, such as counts, and OptionError for a count below 1.

    With `places`, stretches of steps and regions of pixels can be named as well.
    """
    if not domain.explicable and not (places and domain.place_name is not None):
        raise DataError(f"explain_scores names columns of tables; of {domain.called} look at score_samples")
    if not isinstance(most_columns, int | np.integer) or most_columns < 1:
        raise OptionError(f"most_columns={most_columns!r}: should be a whole number, at least 1")


def without_each_cell(x: Tensor) -> Tensor:
    """Every row (rows, columns) once without each of its cells, shape (rows · columns, columns)."""
    rest = x.repeat_interleave(x.shape[1], 0).unflatten(0, x.shape)
    rest.diagonal(dim1=1, dim2=2).fill_(torch.nan)
    return rest.flatten(0, 1)


def the_cells_left_out(matrix: np.ndarray, columns: int) -> np.ndarray:
    """What became of the cell that each row of `without_each_cell` lacks, shape (rows, columns)."""
    return np.diagonal(matrix.reshape(-1, columns, columns), axis1=1, axis2=2)


def unusual_cells(
    domain: Domain, x: Tensor, scores: np.ndarray, excess: np.ndarray, expected: Tensor, most_columns: int
) -> pa.Table:
    """One row for each cell with an `excess` (rows, columns) above 0, of each row's `most_columns` worst, worst first.

    Columns: `row` (its number), `score`, `column`, `value` and `expected` (text, in the column's own units), `excess`.
    """
    worst = np.argsort(-excess, axis=1, kind="stable")[:, :most_columns]
    row, place = np.nonzero(np.take_along_axis(excess, worst, axis=1) > 0)
    column = worst[row, place]
    values, instead = domain.pictures(x), domain.pictures(expected)
    cells = list(zip(row, column, strict=True))
    return pa.table(
        {
            "row": pa.array(row, pa.int64()),
            "score": pa.array(scores[row], pa.float64()),
            "column": pa.array([domain.column_names[c] for c in column], pa.string()),
            "value": pa.array([values[r][c] for r, c in cells], pa.string()),
            "expected": pa.array([instead[r][c] for r, c in cells], pa.string()),
            "excess": pa.array(excess[row, column], pa.float64()),
        }
    )
