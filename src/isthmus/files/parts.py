"""Rows of several parts in files: NAME=PATH,NAME=PATH, one file or folder a part, ↔ one folder of them."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse

from ..core.errors import DataError
from ..core.parts import Parts
from ..core.rows import taken
from .atomic import replacing
from .failures import shown
from .source import Source
from .target import drop
from .texts import are_texts

# The column of a table that says which image each row belongs to: its file's name in the folder of images.
FILE_NAMES = "file_name"
_PART = re.compile(r"(\w[\w -]*)=(.+)", re.DOTALL)


def named_parts(data: str) -> dict[str, str] | None:
    """`photo=DIR,reading=FILE` as places by name; None if the text has another form."""
    found = [_PART.fullmatch(part) for part in re.split(r",(?=\w[\w -]*=)", data)]
    if not all(found):
        return None
    pairs = [(match[1], match[2]) for match in found if match]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise DataError(f"{shown(data)}: names a part twice; give each a name of its own")
    return dict(pairs)


def read_parts(places: dict[str, str], read: Callable[[str], Source], unwanted: Sequence[str] = ()) -> Source:
    """The rows of all parts, each as `read` gives it. Rows belong together in their order; where a table has a column
    `file_name`, its rows are those of the images of these names.

    Raises DataError, naming the part, where they are not as many, or a column to leave out is in none.
    """
    sources = {name: read(place) for name, place in places.items()}
    images = [name for name, source in sources.items() if source.row_ids is not None and not _is_table(source)]
    for name, source in sources.items():
        if _is_table(source) and FILE_NAMES in source.rows.column_names and len(images) == 1:
            pictures = sources[images[0]]
            order = _order(source.rows.column(FILE_NAMES).to_pylist(), pictures.row_ids or [], places[name])
            sources[images[0]] = Source(
                pictures.name, taken(pictures.rows, order), row_ids=[(pictures.row_ids or [])[at] for at in order]
            )
            sources[name] = drop(source, [FILE_NAMES])
    notes = [f"{name}: {note}" for name, source in sources.items() for note in source.notes]
    rows = Parts({name: source.rows for name, source in sources.items()})
    ids = sources[images[0]].row_ids if len(images) == 1 else None
    return drop(Source("-".join(places), rows, row_ids=ids, notes=tuple(notes)), unwanted)


def write_parts(parts: Parts, path: str | Path, write: Callable[[Any, Path], None]) -> None:
    """One folder with a file or folder for each part: images as PNG files, tables as .csv, arrays as .npy.

    Raises DataError for a path with an ending; the folder is then as it was before.
    """
    if Path(path).suffix:
        raise DataError(f"{shown(path)}: rows of several parts are written as a folder; name one without an ending")
    with replacing(path) as folder:
        folder.mkdir()
        for name, rows in parts.items():
            write(rows, folder / f"{name}{_ending(rows)}")


def _ending(rows: Any) -> str:
    if scipy.sparse.issparse(rows):
        return ".npz"
    if are_texts(rows):
        return ".jsonl"
    if isinstance(rows, list) and rows[0].dtype in (np.uint8, np.uint16) and rows[0].ndim in (2, 3):
        return ""  # images of sizes of their own
    if isinstance(rows, np.ndarray) and rows.dtype != object and rows.ndim != 2:
        pictures = rows.dtype == np.uint8 and rows.ndim in (3, 4) and (rows.ndim == 3 or rows.shape[-1] in (1, 3, 4))
        return "" if pictures else ".npy"
    return ".csv"


def _is_table(source: Source) -> bool:
    return isinstance(source.rows, pa.Table)


def _order(names: list[Any], files: list[str], place: str) -> np.ndarray:
    """Where the image of each row lies."""
    places = {file: position for position, file in enumerate(files)}
    for row, name in enumerate(names):
        if name not in places:
            raise DataError(f"{shown(place)}: row {row} has the image {name!r}, and there is no such file")
    return np.array([places[name] for name in names])
