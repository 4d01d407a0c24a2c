"""Writes rows: tables, matrices and images, in the format that the path's ending names."""

import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import scipy.io
import scipy.sparse
from PIL import Image

from ..core.errors import DataError
from ..core.parts import Parts
from .atomic import replacing
from .failures import reason, shown
from .parts import write_parts
from .series import long_table
from .texts import are_texts, lines_of, text_table

_CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency
_DEPTHS = (np.uint8, np.uint16)  # of a pixel's value in a file


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table as .csv, .tsv, .parquet, .arrow, .feather or .jsonl.

    Parquet and Arrow keep every type. The text formats keep what they can spell: missing cells are empty in .csv and
    .tsv and null in .jsonl, where NaN is null too. Raises DataError for an unknown ending, a column that the format
    cannot hold, or a place that cannot be written; the file is then as it was before.
    """
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        raise DataError(f"{shown(path)}: a table is written as {', '.join(_WRITERS)}; choose one of these endings")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        try:
            _WRITERS[ending](table, stream)
        except pa.ArrowException as failure:
            raise DataError(
                f"{shown(path)}: a column cannot be written as {ending} ({reason(failure)}); choose .parquet"
            ) from failure


def table_endings() -> tuple[str, ...]:
    """The endings of files that hold tables."""
    return tuple(_WRITERS)


def csv_bytes(table: pa.Table) -> bytes:
    """The bytes that a .csv file of the table has. Raises DataError for a column that CSV cannot hold."""
    stream = io.BytesIO()
    try:
        _write_csv(table, stream)
    except pa.ArrowException as failure:
        raise DataError(f"a column cannot be written as CSV ({reason(failure)})") from failure
    return stream.getvalue()


def write_table_parts(schema: pa.Schema, parts: Iterable[pa.Table], path: str | Path) -> None:
    """Write a table that comes a part at a time: as .parquet, .arrow or .feather without ever holding it whole."""
    ending = Path(path).suffix.lower()
    if ending not in (".parquet", ".arrow", ".feather"):
        held = list(parts)
        write_table(pa.concat_tables(held) if held else schema.empty_table(), path)
        return
    with replacing(path) as temporary, temporary.open("wb") as stream:
        try:
            if ending == ".parquet":
                writer = pyarrow.parquet.ParquetWriter(stream, schema, write_page_checksum=True)
            else:
                writer = pa.ipc.new_file(stream, schema)
            with writer:
                for part in parts:
                    writer.write_table(part)
        except pa.ArrowException as failure:
            raise DataError(
                f"{shown(path)}: a column cannot be written as {ending} ({reason(failure)}); choose another ending"
            ) from failure


def write_rows(rows: Any, path: str | Path, *, columns: Sequence[str] | None = None) -> None:
    """Write rows of any kind.

    Tables and frames (pandas, polars and others) become a table. A matrix (rows, columns) becomes a table whose
    columns are called `columns`, or x0, x1 …. Arrays of any number of dimensions become .npy or .npz (array "x"). A
    sparse matrix becomes .npz, as `scipy.sparse.save_npz` writes it, or .mtx.
    Texts become .txt, a text on each line, or a table of one column, text.
    Series of lengths of their own, a list of arrays, become a long table: a row a step, columns series, step and value.
    Rows of several parts become a folder, with a file or a folder for each part.
    Images, uint8 of shape (n, height, width) or (n, height, width, channels), or a list of them one by one, become a
    folder of PNG files if the path has no ending, grey ones also of uint16. Raises DataError for what does not fit the
    ending.
    """
    if isinstance(rows, Parts):
        write_parts(rows, path, write_rows)
    elif scipy.sparse.issparse(rows):
        _write_sparse(rows, path)
    elif _are_one_by_one(rows) and _are_images(rows[0], path):
        _write_images(rows, path)
    elif _are_one_by_one(rows):
        write_table(long_table(rows), path)
    elif are_texts(rows) and Path(path).suffix.lower() == ".txt":
        content = lines_of(rows, path)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    elif are_texts(rows):
        write_table(text_table(rows), path)
    elif not isinstance(rows, np.ndarray):
        write_table(table_of(rows, path), path)
    elif Path(path).suffix.lower() in (".npy", ".npz"):
        _write_array(rows, path)
    elif rows.ndim == 2:
        write_table(table_of(rows, path, columns), path)
    elif Path(path).suffix:
        raise DataError(
            f"{shown(path)}: images and series are written as .npy, .npz, or a folder of images (a path without an "
            "ending)"
        )
    else:
        _write_images(rows, path)


def _are_images(first: np.ndarray, path: str | Path) -> bool:
    """Whether arrays one by one, of which this is the first, are images and not series."""
    return first.ndim == 3 or (first.ndim == 2 and first.dtype in _DEPTHS and not Path(path).suffix)


def _are_one_by_one(rows: Any) -> bool:
    """Whether rows are arrays of sizes of their own."""
    many = isinstance(rows, list) or (isinstance(rows, np.ndarray) and rows.dtype == object and rows.ndim == 1)
    return many and len(rows) > 0 and all(isinstance(each, np.ndarray) for each in rows)


def table_of(rows: Any, path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A frame or a matrix as a table; a matrix' columns are called `columns`, or x0, x1 …. `path` is for errors."""
    if _are_one_by_one(rows):
        return long_table(rows)
    if are_texts(rows):
        return text_table(rows)
    if isinstance(rows, np.ndarray) and rows.ndim != 2:
        shape = "×".join(map(str, rows.shape))
        raise DataError(f"{shown(path)}: an array of {shape} is no table; choose .npy or .npz")
    if isinstance(rows, np.ndarray):
        return _matrix_table(rows, path, columns)
    if isinstance(rows, pa.Table):
        return rows
    try:
        return nw.from_native(rows, eager_only=True).to_arrow()
    except TypeError:
        kind = type(rows).__name__
        raise DataError(f"{shown(path)}: rows of type {kind} cannot be written; give a table or an array") from None


def _matrix_table(matrix: np.ndarray, path: str | Path, columns: Sequence[str] | None) -> pa.Table:
    names = [f"x{position}" for position in range(matrix.shape[1])] if columns is None else list(columns)
    if len(names) != matrix.shape[1]:
        raise DataError(f"{shown(path)}: {len(names)} names for {matrix.shape[1]} columns; give one name each")
    return pa.table([pa.array(column) for column in matrix.T], names=names)


def _write_array(array: np.ndarray, path: str | Path) -> None:
    if array.dtype.hasobject:
        raise DataError(f"{shown(path)}: Python objects are not written, since nobody should load them; give numbers")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        if Path(path).suffix.lower() == ".npy":
            np.save(stream, array, allow_pickle=False)
        else:
            np.savez_compressed(stream, x=array)


def _write_sparse(matrix: Any, path: str | Path) -> None:
    ending = Path(path).suffix.lower()
    if ending not in (".npz", ".mtx"):
        raise DataError(f"{shown(path)}: a sparse matrix is written as .npz or .mtx; choose one of these endings")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        if ending == ".npz":
            scipy.sparse.save_npz(stream, matrix)
        else:
            scipy.io.mmwrite(stream, matrix)


def _write_images(images: Sequence[np.ndarray] | np.ndarray, path: str | Path) -> None:
    if Path(path).suffix:
        raise DataError(
            f"{shown(path)}: images of sizes of their own are written as a folder of images (a path without an ending)"
        )
    for image in images:
        channels = image.shape[2] if image.ndim == 3 else 1
        deep = image.dtype == np.uint16 and channels == 1
        if image.ndim not in (2, 3) or channels not in _CHANNELS or not (image.dtype == np.uint8 or deep):
            block = isinstance(images, np.ndarray) and images.dtype != object
            shape, instead = (np.shape(images), "; name a .npy or .npz file instead") if block else (image.shape, "")
            raise DataError(
                f"{shown(path)}: image files hold uint8, grey ones also uint16, each (height, width) or (height, "
                f"width, 1, 3 or 4), and these are {image.dtype} of shape {shape}{instead}"
            )
    digits = len(str(max(len(images) - 1, 0)))
    with replacing(path) as folder:
        folder.mkdir()
        for position, pixels in enumerate(images):
            image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
            image.save(folder / f"{position:0{digits}}.png")


def _write_csv(table: pa.Table, stream: IO[bytes], separator: str = ",") -> None:
    table = _with_whole_seconds(_spelt(table))
    # A missing cell is empty; alone on its line it would be an empty line, which readers of CSV pass over.
    if table.num_columns == 1 and table.column(0).null_count:
        table = pa.table([table.column(0).cast(pa.string()).fill_null("NA")], names=table.column_names)
    pyarrow.csv.write_csv(table, stream, pyarrow.csv.WriteOptions(delimiter=separator))


def _write_tsv(table: pa.Table, stream: IO[bytes]) -> None:
    _write_csv(table, stream, separator="\t")


def _write_parquet(table: pa.Table, stream: IO[bytes]) -> None:
    # Checksums, so that the reader notices a flipped bit.
    pyarrow.parquet.write_table(table, stream, write_page_checksum=True)


def _write_arrow(table: pa.Table, stream: IO[bytes]) -> None:
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def _write_jsonl(table: pa.Table, stream: IO[bytes]) -> None:
    for line in _json_lines(_dates_as_text(_with_whole_seconds(_spelt(table)))):
        stream.write(line.encode() + b"\n")


def _json_lines(table: pa.Table) -> Iterator[str]:
    for batch in table.to_batches(max_chunksize=4096):
        columns = [[_json_cell(cell) for cell in column.to_pylist()] for column in batch.columns]
        for cells in zip(*columns, strict=True):
            yield json.dumps(dict(zip(table.column_names, cells, strict=True)), ensure_ascii=False, allow_nan=False)


def _dates_as_text(table: pa.Table) -> pa.Table:
    """Dates and times in ISO 8601."""
    for position, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type):
            table = table.set_column(position, field.name, table.column(position).cast(pa.string()))
    return table


def _with_whole_seconds(table: pa.Table) -> pa.Table:
    """Times in seconds where all of a column's are whole, and so without a fraction of zeros."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            seconds = pa.timestamp("s", field.type.tz)
        elif pa.types.is_time(field.type):
            seconds = pa.time32("s")
        else:
            continue
        with suppress(pa.ArrowInvalid):  # some are not whole
            table = table.set_column(position, field.name, table.column(position).cast(seconds))
    return table


def _json_cell(cell: Any) -> Any:
    if isinstance(cell, float) and not math.isfinite(cell):
        if math.isnan(cell):
            return None
        raise pa.ArrowInvalid("JSON has no infinity")
    return cell if cell is None or isinstance(cell, bool | int | float | str) else str(cell)


def _spelt(table: pa.Table) -> pa.Table:
    """The table in types that text can spell: categories by their values, durations as integers in their own unit."""
    for position, field in enumerate(table.schema):
        table = table.set_column(position, field.name, table.column(position).cast(_spelling(field)))
    return table


def _spelling(field: pa.Field) -> pa.DataType:
    """The type in which a column is spelt; raises ArrowInvalid if there is none."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_duration(kind):
        return pa.int64()
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_nested(kind) or "binary" in str(kind):
        raise pa.ArrowInvalid(f"{field.name!r} holds {kind}")
    return kind


_WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
    ".feather": _write_arrow,
    ".jsonl": _write_jsonl,
}
