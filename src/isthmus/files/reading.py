"""Reads rows: from a file, a folder, or a bundled data set, chosen by what the argument is."""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from ..core.errors import DataError
from . import arrays, series, sparse, tables, target, texts
from .bundled import bundled_names, read_bundled
from .failures import shown
from .folders import ARRAYS, IMAGES, files_below, files_of_one_kind
from .images import IMAGE_ENDINGS, read_images
from .parts import named_parts, read_parts
from .source import Source

__all__ = ["Source", "bundled_names", "parquet_files", "read"]

# Files that spell their cells: what type they are is a guess, unless the caller knows.
_SPELT: dict[str, Callable[[Path, Sequence[str]], tuple[pa.Table, tables.Notes]]] = {
    ".csv": tables.read_csv,
    ".tsv": tables.read_tsv,
    ".jsonl": tables.read_jsonl,
}
_TYPED: dict[str, Callable[[Path], tuple[pa.Table, tables.Notes]]] = {
    ".parquet": tables.read_parquet,
    ".arrow": tables.read_arrow,
    ".feather": tables.read_arrow,
}
_ENDINGS = ", ".join([".csv", ".tsv", *_TYPED, ".jsonl", ".txt", ".npz", ".npy", ".mtx"])


def read(data: str | Path, *, part: str | None = None, text: Sequence[str] = (), drop: Sequence[str] = ()) -> Source:
    """Read rows from `data` without the columns to `drop`; it is one of

    - a table: .csv, .tsv, .parquet, .arrow or .feather, .jsonl;
    - arrays: .npy; .npz, with the array's name after a colon (`mnist.npz:x_test`) or as `part`;
    - sparse counts: .npz as `scipy.sparse.save_npz` writes it, or .mtx (Matrix Market);
    - series, from a long table of one row a step: the columns that tell series apart and put steps in order after a
      colon (`sensors.csv:id,time`) or as `part`;
    - texts: .txt with one on each line, or a column of a table, after a colon (`reviews.jsonl:body`) or as `part`;
    - a folder of images, of one size or of many, of Parquet or Arrow files of equal columns, or of .npy arrays of equal
      shape;
    - several parts of one row each, `photo=DIR,reading=FILE`: whatever is read from each, by its name;
    - the name of a bundled data set, as a string (write `./digits` for a file or folder of that name).

    `text` names columns that are text whatever their cells look like: in a file that spells its cells, 01234 would
    otherwise be a number and 2020-01-01 a date.
    Raises DataError, in one line, for whatever cannot be read.
    """
    if isinstance(data, str) and data in bundled_names():
        _refuse_part(data, part)
        return target.drop(read_bundled(data), drop)
    places = named_parts(data) if isinstance(data, str) and part is None and _status(Path(data)) is None else None
    if places is not None:
        return read_parts(places, lambda place: read(place, text=text), drop)
    if not os.fspath(data).strip():
        raise DataError(
            f"{os.fspath(data)!r}: names no data; give a file, a folder or a bundled data set: {_bundled()}"
        )
    path, part = _path_and_part(data, part)
    if _is_folder(path):
        _refuse_part(path, part)
        return target.drop(_read_folder(path), drop)
    source = target.drop(_read_file(path, part, text), drop)
    if part is None or not isinstance(source.rows, pa.Table):
        return source
    reader = series.read_long if "," in part else texts.read_column
    rows, ids, notes = reader(source.rows, part, path)
    return Source(source.name, rows, row_ids=ids, notes=(*source.notes, *notes))


def parquet_files(data: str | Path) -> list[Path]:
    """The Parquet files of a folder, in the order in which `read` reads them; none if `data` is something else."""
    folder = Path(data)
    if (isinstance(data, str) and data in bundled_names()) or _status(folder) is None or not folder.is_dir():
        return []
    files = list(files_below(folder))
    if any(path.suffix.lower() in IMAGE_ENDINGS for path in files):
        return []
    return [path for path in files if path.suffix.lower() == ".parquet"]


def _path_and_part(data: str | Path, part: str | None) -> tuple[Path, str | None]:
    """Split `FILE:KEY`, unless a file of the whole name exists or the part is named already."""
    whole = Path(data)
    file, colon, key = os.fspath(data).rpartition(":")
    splits = colon and key and part is None and (file.lower().endswith(".npz") or _status(Path(file)) is not None)
    return (Path(file), key) if splits and _status(whole) is None else (whole, part)


def _status(path: Path) -> os.stat_result | None:
    """What the system knows of the path; None if there is nothing."""
    try:
        return path.stat()
    except PermissionError:
        raise DataError(f"{shown(path)}: no permission to look into its folder; change the permissions") from None
    except (OSError, ValueError):  # A name that is too long or holds a zero byte is the name of nothing.
        return None


def _is_folder(path: Path) -> bool:
    status = _status(path)
    if status is None:
        raise DataError(_missing(path))
    return stat.S_ISDIR(status.st_mode)


def _missing(path: Path) -> str:
    if path.suffix or len(path.parts) > 1:
        return f"{shown(path)}: no such file or folder; check the path (bundled data sets: {_bundled()})"
    return f"{shown(path)}: neither a file, a folder nor a bundled data set; the bundled ones are {_bundled()}"


def _bundled() -> str:
    return ", ".join(bundled_names())


def _refuse_part(place: str | Path, part: str | None) -> None:
    if part is not None:
        raise DataError(
            f"{shown(place)}: has no part {part!r}; .npz files hold arrays by name, and tables series and texts"
        )


def _read_file(path: Path, part: str | None, text: Sequence[str]) -> Source:
    ending = path.suffix.lower()
    _check_file(path, ending)
    if ending == ".mtx" or (ending == ".npz" and sparse.holds_sparse(path)):
        _refuse_part(path, part)
        read_sparse = sparse.read_matrix_market if ending == ".mtx" else sparse.read_sparse_npz
        return Source(path.stem, read_sparse(path))
    if ending == ".npz":
        rows, labels, key = arrays.read_npz(path, part)
        return Source(path.stem if part is None else f"{path.stem}-{key}", rows, labels)
    if ending == ".npy":
        _refuse_part(path, part)
        return Source(path.stem, arrays.read_npy(path))
    if ending == ".txt":
        _refuse_part(path, part)
        rows, ids, notes = texts.read_lines(path)
        return Source(path.stem, rows, row_ids=ids, notes=notes)
    table, notes = _SPELT[ending](path, text) if ending in _SPELT else _TYPED[ending](path)
    return Source(path.stem, table, notes=notes)


def _check_file(path: Path, ending: str) -> None:
    if ending in IMAGE_ENDINGS:
        raise DataError(f"{shown(path)}: is one image; give the folder that holds the images")
    if ending not in (*_SPELT, *_TYPED, ".txt", ".npz", ".npy", ".mtx"):
        called = f"the ending {ending!r}" if ending else "a file without an ending"
        raise DataError(f"{shown(path)}: {called} is not known; these are: {_ENDINGS}")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{shown(path)}: is not a regular file; write the data to a file first")
    if not status.st_size:
        raise DataError(f"{shown(path)}: is empty (0 bytes); give a file with rows")


def _read_folder(folder: Path) -> Source:
    kind, files, others = files_of_one_kind(folder)
    left_out = _left_out(others, kind)
    if kind == IMAGES:
        source = read_images(folder, files)
        return Source(source.name, source.rows, source.labels, source.row_ids, (*source.notes, *left_out))
    if kind == ARRAYS:
        notes = (f"{len(files)} {kind} were read one after another",)
        return Source(folder.resolve().name, arrays.read_npy_folder(folder, files), notes=(*notes, *left_out))
    table, notes = tables.read_table_folder(folder, files, kind)
    return Source(folder.resolve().name, table, notes=(*notes, *left_out))


def _left_out(count: int, kind: str) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"files left out because they are not {kind}: {count}",)
