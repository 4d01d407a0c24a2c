"""Readers of sparse matrices: SciPy's .npz and Matrix Market's .mtx. Nothing is unpickled, and claims come first."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse

from ..core.errors import DataError
from .arrays import npz_headers
from .failures import damage_named, shown
from .limits import check_bytes

# What `scipy.sparse.save_npz` writes.
MEMBERS = {
    "csr": {"data", "indices", "indptr"},
    "csc": {"data", "indices", "indptr"},
    "coo": {"data", "row", "col"},
}
# A stored number takes its value and its column's number.
BYTES_PER_NUMBER = 16


def holds_sparse(path: Path) -> bool:
    """Whether a .npz file is one of a sparse matrix."""
    with damage_named(path, "NumPy arrays"), zipfile.ZipFile(path) as archive:
        names = npz_headers(archive).keys()
    return {"shape", "data"} <= names and not names.isdisjoint({"format", "indptr"})


def read_sparse_npz(path: Path) -> Any:
    """The matrix of a .npz file, as `scipy.sparse.save_npz` writes it, by rows: a csr_matrix or a csr_array."""
    with damage_named(path, "a sparse matrix"):
        with zipfile.ZipFile(path) as archive:
            headers = npz_headers(archive)
            for name, header in headers.items():
                if header.dtype.hasobject:
                    raise DataError(f"{shown(path)}:{name}: holds Python objects, which are never loaded")
                if header.bytes > archive.getinfo(f"{name}.npy").file_size:
                    raise DataError(f"{shown(path)}:{name}: says it is {header} but is cut short; make it anew")
            if "format" not in headers:
                raise DataError(f"{shown(path)}: holds a sparse matrix but lacks its format; write it with save_npz")
            check_bytes(path, sum(header.bytes for header in headers.values()))
        with np.load(path, allow_pickle=False) as parts:
            form = parts["format"].item()
            form = form.decode("ascii", "replace") if isinstance(form, bytes) else str(form)
            if form not in MEMBERS:
                known = ", ".join(MEMBERS)
                raise DataError(f"{shown(path)}: holds a sparse matrix of format {form!r}; these are read: {known}")
            if missing := MEMBERS[form] - headers.keys():
                raise DataError(f"{shown(path)}: lacks {', '.join(sorted(missing))}; write it with save_npz")
        matrix = scipy.sparse.load_npz(path)
        return _checked(matrix, path)


def read_matrix_market(path: Path) -> Any:
    """The csr_matrix of a .mtx file, dense ones too."""
    with damage_named(path, "a Matrix Market file"):
        rows, _columns, entries, form, *_ = scipy.io.mminfo(path)
        check_bytes(path, max(rows * 8, entries * BYTES_PER_NUMBER))
        if form == "coordinate" and entries > path.stat().st_size:
            raise DataError(f"{shown(path)}: says it holds {entries:,} numbers but is cut short; make it anew")
        return _checked(scipy.sparse.csr_matrix(scipy.io.mmread(path)), path)


def _checked(matrix: Any, path: Path) -> Any:
    """The matrix by rows, if it is one of numbers and its indices lie inside it."""
    if matrix.ndim != 2 or 0 in matrix.shape:
        shape = "×".join(map(str, matrix.shape))
        raise DataError(f"{shown(path)}: holds a sparse matrix of {shape}; rows are (rows, columns), one at least")
    if matrix.dtype.kind not in "buif":
        raise DataError(f"{shown(path)}: holds {matrix.dtype} values; counts must be numbers")
    if matrix.format == "coo":
        matrix = matrix.tocsr()
    matrix.check_format(full_check=True)
    return matrix.tocsr()
