"""Rows that stay in their files: known by their footers, read a slice at a time, in any order of chunks."""

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.errors import DataError
from .arrays import check_same_rows
from .bundled import bundled_names
from .chunks import SLICE_BYTES, SLICE_ROWS, ArrayChunks, ArrowChunks, ChunkedFile, ParquetChunks
from .failures import shown
from .folders import ARRAYS, ARROW, IMAGES, KINDS, PARQUET, files_of_one_kind, refuse_partitions
from .limits import STREAMED_BYTES
from .tables import check_same_columns

READERS: dict[str, Callable[[Path], ChunkedFile]] = {PARQUET: ParquetChunks, ARROW: ArrowChunks, ARRAYS: ArrayChunks}
# How much of a file's end, where footers and their statistics are, its fingerprint looks at.
FOOTER_BYTES = 2**16
# Cells whose bytes no footer tells, such as text, are weighed by this many rows of the first chunk.
WEIGHED_ROWS = 1000
# Chunks that are open at a time take at most about this much together.
OPEN_BYTES = 192 * 2**20
MOST_OPEN = 4


@dataclass(frozen=True)
class Slice:
    """Some rows in a row: the first one's number in the whole stream, and where they come from, for messages."""

    first: int
    rows: Any
    path: Path
    row: int  # the first one's number in its file

    @property
    def place(self) -> str:
        return shown(self.path)


@dataclass(frozen=True)
class Stream:
    """Rows in files. `rows` is how many there are, `bytes` about what they would take in memory, at least.

    Iterating gives all rows in order, a few at a time: as Arrow tables, or as arrays. `columns` are the names of a
    table's, None for arrays.
    """

    name: str
    files: tuple[ChunkedFile, ...]
    columns: tuple[str, ...] | None
    slice_rows: int
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def row_bytes(self) -> int:
        """About what a row takes in memory."""
        return max(1, SLICE_BYTES // self.slice_rows)

    @property
    def chunk_count(self) -> int:
        """How many chunks hold rows."""
        return len(self._places())

    def __iter__(self) -> Iterator[Any]:
        for part in self.slices():
            yield part.rows

    def __repr__(self) -> str:
        return f"<Stream {self.name!r}: {self.rows:,} rows in {len(self.files):,} files>"

    def drop(self, columns: Iterable[str]) -> "Stream":
        """The stream without these columns of its table; raises DataError for a column that it lacks."""
        unwanted = list(dict.fromkeys(columns))
        if not unwanted:
            return self
        if self.columns is None:
            raise DataError(f"{self.name}: an array has no columns by name, so {unwanted[0]!r} cannot be taken out")
        for name in unwanted:
            if name not in self.columns:
                raise DataError(f"{self.name}: has no column {name!r}; it has {', '.join(map(repr, self.columns))}")
        kept = tuple(name for name in self.columns if name not in unwanted)
        if not kept:
            raise DataError(f"{self.name}: without {', '.join(map(repr, unwanted))} no column is left; keep one")
        return replace(self, columns=kept)

    def slices(self, order: Sequence[int] | None = None, choose: Callable[[int], int] | None = None) -> Iterator[Slice]:
        """All rows, slice by slice: chunk after chunk in this order of their numbers, or in their own.

        With `choose`, which picks one of a number of open chunks, several chunks are open at a time and their slices
        come mixed, so that neighbours in a file do not meet again.
        """
        places = self._places()
        starting = (self._chunk(*places[number]) for number in (range(len(places)) if order is None else order))
        if choose is None:
            for chunk in starting:
                yield from chunk
            return
        reading = list(itertools.islice(starting, self._open_at_a_time()))
        while reading:
            picked = choose(len(reading))
            found = next(reading[picked], None)
            if found is not None:
                yield found
                continue
            following = next(starting, None)
            if following is None:
                del reading[picked]
            else:
                reading[picked] = following

    def fingerprint(self) -> str:
        """A digest of the files' names, sizes, rows and footers, and of the columns: other rows, another digest.

        Cells are not read, so a change of cells that leaves sizes and footers as they were goes unseen.
        """
        digest = hashlib.sha256(json.dumps(self.columns).encode())
        for file in self.files:
            size = file.path.stat().st_size
            digest.update(json.dumps([os.fsencode(file.path.name).hex(), size, file.chunks]).encode())
            with file.path.open("rb") as content:
                content.seek(max(0, size - FOOTER_BYTES))
                digest.update(content.read())
        return digest.hexdigest()

    def _places(self) -> list[tuple[ChunkedFile, int, int, int]]:
        """File, chunk, and the number of its first row in the file and in the stream; chunks without rows left out."""
        places, first = [], 0
        for file in self.files:
            row = 0
            for chunk, count in enumerate(file.chunks):
                if count:
                    places.append((file, chunk, row, first))
                row, first = row + count, first + count
        return places

    def _chunk(self, file: ChunkedFile, chunk: int, row: int, first: int) -> Iterator[Slice]:
        count = 0
        for rows in file.slices(chunk, self.slice_rows, self.columns):
            yield Slice(first + count, rows, file.path, row + count)
            count += len(rows)
        if count != file.chunks[chunk]:
            raise DataError(f"{shown(file.path)}: has other rows than its footer says; make or copy it anew")

    def _open_at_a_time(self) -> int:
        largest = max(file.bytes * max(file.chunks) // file.rows for file in self.files)
        return max(1, min(MOST_OPEN, OPEN_BYTES // max(1, largest)))


def stream(data: str | Path, *, drop: Iterable[str] = ()) -> Stream:
    """The rows of a Parquet, Arrow (.arrow, .feather) or .npy file, or of a folder of such files, left where they are.

    Only footers are read; `drop` names columns of a table to leave out. Raises DataError, in one line, for what cannot
    be read in part.
    """
    if data in bundled_names():
        raise DataError(f"{data}: a bundled data set is small; read it whole")
    path = Path(data)
    kind, paths, others = _kind_and_files(path)
    files = tuple(READERS[kind](each) for each in paths)
    _check_alike(files)
    first = files[0]
    columns = None if isinstance(first, ArrayChunks) else tuple(first.schema.names)  # pyright: ignore[reportAttributeAccessIssue] - the others are tables
    notes = [*dict.fromkeys(note for file in files for note in file.notes)]
    if others:
        notes.append(f"files left out because they are not {kind}: {others}")
    name = path.resolve().name if path.is_dir() else path.stem
    whole = Stream(name, files, columns, WEIGHED_ROWS, tuple(notes)).drop(drop)
    return replace(whole, slice_rows=_slice_rows(whole))


def is_larger_than_memory(data: str | Path) -> bool:
    """Whether rows at this path can be streamed, and should be: unpacked they take more than STREAMED_BYTES.

    Whatever cannot be told, a damaged file say, is left to its reader.
    """
    if data in bundled_names():
        return False
    try:
        kind, paths, _ = _kind_and_files(Path(data))
        total = 0
        for path in paths:
            total += READERS[kind](path).bytes
            if total > STREAMED_BYTES:
                return True
    except DataError:
        pass
    return False


def _kind_and_files(path: Path) -> tuple[str, list[Path], int]:
    """What the rows lie in, the files, and how many other files there are in their folder."""
    endings = ", ".join(ending for ending, kind in KINDS.items() if kind in READERS)
    if path.is_dir():
        kind, files, others = files_of_one_kind(path)
        refuse_partitions(path, files)
        if kind == IMAGES:
            raise DataError(f"{shown(path)}: a folder of images cannot be streamed; write them as .npy arrays")
        return kind, files, others
    if not path.is_file():
        raise DataError(f"{shown(path)}: no such file or folder; what can be streamed are files in {endings}")
    kind = KINDS.get(path.suffix.lower())
    if kind not in READERS:
        raise DataError(f"{shown(path)}: only {endings} can be streamed; write the rows as Parquet")
    if not path.stat().st_size:
        raise DataError(f"{shown(path)}: is empty (0 bytes); give a file with rows")
    return kind, [path], 0


def _check_alike(files: Sequence[ChunkedFile]) -> None:
    """Raise DataError unless all files hold rows of one kind."""
    first = files[0]
    for file in files[1:]:
        if isinstance(file, ArrayChunks) and isinstance(first, ArrayChunks):
            check_same_rows(file.header, first.header, file.path, first.path)
        elif isinstance(file, ParquetChunks | ArrowChunks) and isinstance(first, ParquetChunks | ArrowChunks):
            check_same_columns(file.schema, first.schema, file.path, first.path)


def _slice_rows(whole: Stream) -> int:
    """How many rows make a slice of about SLICE_BYTES, as Arrow holds them and as numbers of 64 bits."""
    (file, chunk, _, _) = whole._places()[0]
    start = next(iter(file.slices(chunk, WEIGHED_ROWS, whole.columns)))
    width = len(whole.columns) if whole.columns is not None else 0
    weighed = max(start.nbytes // len(start), whole.bytes // whole.rows, 8 * width)
    return max(1, min(SLICE_ROWS, SLICE_BYTES // max(1, weighed)))


def rows_taken(rows: Any, places: np.ndarray) -> Any:
    """A copy of the rows at these places of a slice, which keeps nothing else of it in memory."""
    return rows.take(pa.array(places)) if isinstance(rows, pa.Table) else rows[places]


def rows_joined(parts: Sequence[Any]) -> Any:
    """Parts of a stream's rows as one, in one piece: of many small pieces the bookkeeping would outweigh the cells."""
    if not isinstance(parts[0], pa.Table):
        return np.concatenate(parts)
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()
