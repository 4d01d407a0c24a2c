"""Counts as users hand them over → sparse rows, or one line that says what is wrong and where."""

from typing import Any

import numpy as np
import scipy.sparse
import torch

from ...core.errors import DataError
from ...core.sparse import SparseRows

# Totals of rows are computed in single precision, in which larger numbers are not exact.
LARGEST_COUNT = 2**24


def checked(rows: Any) -> Any:
    """Whole numbers from 0 on as a `scipy.sparse.csr_array` in canonical form; raises DataError naming the place."""
    if not scipy.sparse.issparse(rows):
        rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "buif":
        raise DataError(f"counts should be a matrix of numbers; this one has shape {rows.shape} and holds {rows.dtype}")
    if 0 in rows.shape:
        raise DataError(f"the matrix of counts is empty: it has {rows.shape[0]} rows and {rows.shape[1]} columns")
    # A copy, since what belongs to the user is not put in order.
    matrix: Any = scipy.sparse.csr_array(rows, copy=True)
    _refuse(matrix, ~np.isfinite(matrix.data), "is NaN or infinity; mend or remove it")
    _refuse(matrix, matrix.data < 0, "is below 0, and counts are 0, 1, 2 …")
    if matrix.dtype.kind == "f":
        _refuse(
            matrix, matrix.data != np.floor(matrix.data), "is not whole: sparse rows are counts; give a dense array"
        )
    if matrix.dtype.kind == "b":
        matrix = matrix.astype(np.uint8)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    totals = matrix.sum(1, dtype=np.float64)
    if totals.max() > LARGEST_COUNT:
        row = int(totals.argmax())
        raise DataError(f"row {row}: its counts sum to {totals[row]:,.0f}; at most {LARGEST_COUNT:,} can be modelled")
    return matrix


def _refuse(matrix: Any, wrong: np.ndarray, what: str) -> None:
    if wrong.any():
        place = int(wrong.argmax())
        row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
        column = int(matrix.indices[place])
        raise DataError(f"row {row}, column {column}: the count {matrix.data[place]:g} {what}")


def sparse_rows(matrix: Any) -> SparseRows:
    """A `scipy.sparse.csr_array` of counts as 32-bit whole numbers."""
    starts, columns = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
    return SparseRows(starts, columns, torch.from_numpy(matrix.data.astype(np.int32)), matrix.shape[1])
