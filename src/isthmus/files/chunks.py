"""Files that can be read in part: what each says of itself, and its rows a slice at a time.

A chunk is what a file's footer tells apart: a row group of Parquet, a record batch of Arrow, a run of rows of an array.
Chunks are read in any order; the slices of one come one after another.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from ..core.errors import DataError
from .arrays import native, npy_header
from .failures import damage_named, shown
from .tables import Notes, checked_names, declared_bytes

# A slice holds at most this many rows, and about this many bytes.
SLICE_ROWS = 2**16
SLICE_BYTES = 4 * 2**20
# Arrow reads a column of a row group through a buffer; those of all columns together take about this much.
READ_BYTES = 4 * 2**20


class ChunkedFile(ABC):
    """One file. `chunks` are the numbers of rows of its chunks, `bytes` about what it takes in memory, at least."""

    path: Path
    chunks: list[int]
    bytes: int
    notes: Notes = ()

    @property
    def rows(self) -> int:
        return sum(self.chunks)

    @abstractmethod
    def slices(self, chunk: int, size: int, columns: Sequence[str] | None) -> Iterator[Any]:
        """The rows of a chunk, at most `size` at a time; of a table only these columns, in this order."""


class ParquetChunks(ChunkedFile):
    """A Parquet file by its row groups; checksums of its pages are verified where it has them."""

    def __init__(self, path: Path):
        self.path = path
        with damage_named(path, "Parquet"), self._opened() as file:
            names, self.notes = checked_names(file.schema_arrow.names, file.metadata.num_rows, path)
            self.schema = pa.schema([file.schema_arrow.field(name) for name in names])
            groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
            self.chunks = [group.num_rows for group in groups]
            self.bytes = declared_bytes(file)

    def _opened(self, columns: int = 1) -> pyarrow.parquet.ParquetFile:
        # Without the buffer Arrow would hold whole column chunks, and with `pre_buffer` whole row groups.
        buffer = max(2**14, min(2**20, READ_BYTES // columns))
        return pyarrow.parquet.ParquetFile(
            self.path, buffer_size=buffer, pre_buffer=False, page_checksum_verification=True
        )

    def slices(self, chunk: int, size: int, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        columns = list(self.schema.names if columns is None else columns)
        with damage_named(self.path, "Parquet"):
            file = self._opened(len(columns))
        with file:
            # One thread: decoding goes on beside training, which wants the other cores.
            batches = file.iter_batches(size, row_groups=[chunk], columns=columns, use_threads=False)
            yield from _tables(batches, self.path, "Parquet", columns)


class ArrowChunks(ChunkedFile):
    """An Arrow file (Feather version 2) by its record batches; one batch at a time is in memory whole."""

    def __init__(self, path: Path):
        self.path = path
        # Batches are sized by their messages, which a map of the file reads without the cells.
        with damage_named(path, "Arrow"), pa.memory_map(str(path)) as mapped:
            self._check_kind(mapped.read(6))
            schema = pa.ipc.open_file(mapped).schema
            only_first = pa.ipc.IpcReadOptions(included_fields=[0])
            reader = pa.ipc.open_file(mapped, options=only_first)
            self.chunks = [reader.get_batch(index).num_rows for index in range(reader.num_record_batches)]
            names, self.notes = checked_names(schema.names, self.rows, path)
            self.schema = pa.schema([schema.field(name) for name in names])
        self.bytes = path.stat().st_size

    def _check_kind(self, magic: bytes) -> None:
        if magic.startswith(b"FEA1"):
            raise DataError(f"{shown(self.path)}: is Feather version 1, which is no longer read; write it as Parquet")
        if magic != b"ARROW1":
            raise DataError(
                f"{shown(self.path)}: is not an Arrow file with a footer, so it cannot be read in part; "
                "write it as Parquet, or with pyarrow.ipc.new_file"
            )

    def slices(self, chunk: int, size: int, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        columns = list(self.schema.names if columns is None else columns)
        with damage_named(self.path, "Arrow"), pa.OSFile(str(self.path)) as stream:
            batch = pa.ipc.open_file(stream).get_batch(chunk)
        parts = (batch.slice(start, size) for start in range(0, batch.num_rows, size))
        yield from _tables(parts, self.path, "Arrow", columns)


class ArrayChunks(ChunkedFile):
    """A .npy file by runs of rows."""

    def __init__(self, path: Path):
        self.path = path
        self.header = npy_header(path)
        if self.header.by_columns:
            raise DataError(
                f"{shown(path)}: lies column by column (Fortran's order), so it cannot be read in part; "
                "save numpy.ascontiguousarray(rows) instead"
            )
        rows = self.header.rows
        self.bytes = self.header.bytes
        self._run = max(1, min(SLICE_ROWS, SLICE_BYTES * rows // self.bytes))
        self.chunks = [min(self._run, rows - start) for start in range(0, rows, self._run)]

    def slices(self, chunk: int, size: int, columns: Sequence[str] | None) -> Iterator[np.ndarray]:
        header, rows = self.header, self.chunks[chunk]
        row_shape = header.shape[1:]
        values = int(np.prod(row_shape))
        with damage_named(self.path, "a NumPy array"), self.path.open("rb") as stream:
            stream.seek(header.start + chunk * self._run * values * header.dtype.itemsize)
            array = np.fromfile(stream, header.dtype, rows * values)
            run = native(array.reshape(rows, *row_shape))
        yield from (run[start : start + size] for start in range(0, rows, size))


def _tables(batches: Any, path: Path, kind: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Batches as tables of these columns, checked down to the last offset: Arrow trusts offsets and lengths."""
    batches = iter(batches)
    while True:
        with damage_named(path, kind):
            batch = next(batches, None)
            if batch is None:
                return
            batch.validate(full=True)
            table = pa.Table.from_batches([batch]).replace_schema_metadata(None).select(columns)
        yield table
