"""Readers of NumPy's files. Headers are judged before anything is loaded, and nothing is ever unpickled."""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from ..core.errors import DataError
from .failures import damage_named, shown
from .limits import check_bytes

_USUAL_NAMES = ("x", "X", "data", "images", "x_train", "X_train", "features", "train_images", "arr_0")
# Which word of an array's name turns into which to name its labels: x_train → y_train, train_images → train_labels.
_LABEL_WORDS = {
    "x": ("y",),
    "X": ("y", "Y"),
    "images": ("labels",),
    "data": ("target", "labels"),
    "features": ("labels",),
}


@dataclass(frozen=True)
class Header:
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool = False  # Fortran's order, in which no row lies together
    start: int = 0  # the byte at which values begin

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 0

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.shape)) or 'one value'} {self.dtype}"


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file as rows."""
    with damage_named(path, "a NumPy array"), path.open("rb") as stream:
        header = _header(stream)
        _check_rows(header, shown(path))
        check_bytes(path, header.bytes)
        stream.seek(0)
        array = _load(stream, shown(path), path.stat().st_size)
    return native(array)


def read_npy_folder(folder: Path, files: list[Path]) -> np.ndarray:
    """The arrays of .npy files as rows, one after another."""
    described = [npy_header(path) for path in files]
    for path, header in zip(files[1:], described[1:], strict=True):
        check_same_rows(header, described[0], path, files[0])
    check_bytes(folder, sum(header.bytes for header in described))
    return np.concatenate([read_npy(path) for path in files])


def npy_header(path: Path) -> "Header":
    """What the array of a .npy file says of itself, checked to be that of rows; nothing else is read."""
    with damage_named(path, "a NumPy array"), path.open("rb") as stream:
        header = _header(stream)
        _check_rows(header, shown(path))
        if header.bytes > path.stat().st_size - header.start:
            raise _cut_short(header, shown(path))
    return header


def check_same_rows(header: "Header", first: "Header", path: Path, first_path: Path) -> None:
    """Raise DataError if the rows of an array have another shape or type than those of the first file."""
    if header.shape[1:] != first.shape[1:] or header.dtype != first.dtype:
        raise DataError(f"{shown(path)}: is {header} but {shown(first_path)} is {first}; give arrays of equal rows")


def read_npz(path: Path, key: str | None) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """The rows, the labels that lie beside them, and the name of the array that was taken."""
    with damage_named(path, "NumPy arrays"), zipfile.ZipFile(path) as archive:
        headers = npz_headers(archive)
        key = _chosen(headers, key, path)
        _check_rows(headers[key], f"{shown(path)}:{key}")
        check_bytes(f"{shown(path)}:{key}", headers[key].bytes)
        rows = _load_member(archive, key, path)
        labels = {
            name: _load_member(archive, name, path).ravel()
            for name, header in headers.items()
            if name != key and _is_label(header, len(rows))
        }
    return rows, _with_usual_names(labels, key), key


def npz_headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    """What each array of a .npz file says of itself; nothing else is read."""
    headers = {}
    for member in archive.namelist():
        if member.endswith(".npy"):
            with archive.open(member) as stream:
                headers[member.removesuffix(".npy")] = _header(stream)
    return headers


def _header(stream: IO[bytes]) -> Header:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format version {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    return Header(shape, dtype, by_columns, stream.tell())


def _chosen(headers: dict[str, Header], key: str | None, path: Path) -> str:
    listed = ", ".join(f"{name} ({header})" for name, header in headers.items())
    if key is not None:
        if key not in headers:
            raise DataError(f"{shown(path)}: has no array {key!r}; it has {shown(listed)}")
        return key
    if not headers:
        raise DataError(f"{shown(path)}: holds no arrays; save the rows with numpy.savez(path, x=rows)")
    usual = [name for name in _USUAL_NAMES if name in headers]
    if len(headers) == 1 or usual:
        return usual[0] if usual else next(iter(headers))
    advice = f"name the one that holds the rows, as in {shown(path.name)}:KEY"
    raise DataError(f"{shown(path)}: holds several arrays; {advice}; it has {shown(listed)}")


def _check_rows(header: Header, place: str) -> None:
    """Raise DataError unless the header is that of rows that can be modelled: numbers, in two to four dimensions."""
    if header.dtype.hasobject:
        raise DataError(f"{place}: holds Python objects, which are never loaded; save it with dtype=float")
    if header.dtype.kind not in "buif":
        raise DataError(f"{place}: holds {header.dtype} values; rows must be numbers (text belongs in a table)")
    if len(header.shape) not in (2, 3, 4):
        raise DataError(
            f"{place}: has the shape {header.shape}; rows are (rows, columns), (n, height, width) "
            "or (n, height, width, channels)"
        )
    if 0 in header.shape:
        raise DataError(f"{place}: has the shape {header.shape}, which holds no values; give at least one row")


def _is_label(header: Header, rows: int) -> bool:
    return header.shape in ((rows,), (rows, 1)) and header.dtype.kind in "buifU" and not header.dtype.hasobject


def _load_member(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        array = _load(stream, f"{shown(path)}:{name}", member.file_size)
        if stream.read(1):  # Reading to the end is also what makes zipfile compare the checksum.
            raise ValueError(f"{name} is longer than its shape says")
    return native(array)


def _load(stream: IO[bytes], place: str, size: int) -> np.ndarray:
    """The array, once it is known that its bytes are there: NumPy allocates before it reads."""
    header = _header(stream)
    if header.bytes > size - stream.tell():
        raise _cut_short(header, place)
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False)


def _cut_short(header: Header, place: str) -> DataError:
    return DataError(f"{place}: says it is {header} but is cut short; make or copy it anew")


def native(array: np.ndarray) -> np.ndarray:
    """The same values in this computer's byte order, and at most 64 bits wide."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _with_usual_names(labels: dict[str, np.ndarray], key: str) -> dict[str, np.ndarray]:
    """The labels, and those that belong to the array `key` also as "target" and "y", unless these names are taken."""
    partner = next((name for name in _partners(key) if name in labels), None)
    if partner is None:
        return labels
    return {"target": labels[partner], "y": labels[partner], **labels}


def _partners(key: str) -> list[str]:
    words = key.split("_")
    return [
        "_".join([*words[:place], label, *words[place + 1 :]])
        for place, word in enumerate(words)
        for label in _LABEL_WORDS.get(word, ())
    ]
