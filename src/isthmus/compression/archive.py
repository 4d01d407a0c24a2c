"""Rows → archive → rows: the codec that suits them, chunk by chunk, each verified before it is written."""

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ..core.errors import ArchiveError, DataError, OptionError
from ..files.failures import reason, shown
from .codec import Codec, Rows
from .container import LARGEST_CHUNK, Reader, Writer, model_digest
from .rows import given_back, taken

CHUNK_ROWS = 65536
# Images by which it is seen whether a model or a general compressor makes them smaller.
COMPARED_IMAGES = 4096
BUDGET_SECONDS = 60.0

# What decoders raise for what no encoder wrote: settings and bytes are not to be trusted, and whatever they make
# constructors, NumPy and Arrow raise is the archive's fault.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    pa.ArrowException,
)

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Options:
    """How to compress.

    `budget` bounds the seconds that a model is trained for. `tolerance` is how far numbers may come back from what they
    were, as a share of their column's range; None for not at all. `verify` decodes each chunk before it is written.
    """

    budget: float = BUDGET_SECONDS
    tolerance: float | dict[str, float] | None = None
    chunk_rows: int = CHUNK_ROWS
    verify: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.budget) and self.budget >= 0):
            raise OptionError(f"budget is {self.budget:g} seconds; give 0 or more")
        if not 1 <= self.chunk_rows <= 2**20:
            raise OptionError(f"chunk_rows is {self.chunk_rows}; give 1 to {2**20}")

    def tolerances(self, schema: pa.Schema) -> dict[str, float]:
        """The tolerance of each column that has one; DataError for a column that there is not."""
        if self.tolerance is None:
            return {}
        given: dict[str, float]
        if isinstance(self.tolerance, dict):
            unknown = [name for name in self.tolerance if name not in schema.names]
            if unknown:
                raise DataError(f"tolerance names column '{unknown[0]}', which there is not; there are {schema.names}")
            given = dict(self.tolerance)
        else:
            given = dict.fromkeys(schema.names, float(self.tolerance))
        for name, share in given.items():
            if not 0 <= share < 1:
                raise OptionError(f"tolerance {share:g} of column '{name}': give a share of its range, 0 to below 1")
        return given


@dataclass(frozen=True)
class Summary:
    """What came of compressing: bytes of the whole, and where they went."""

    bytes: int
    rows: int
    model_bytes: int
    spent: dict[str, float] = field(default_factory=dict)


def codec_named(kind: str) -> type[Codec]:
    """The codec of a kind, from a closed list: nothing is imported by a name that a file holds."""
    if kind == "table":
        from .table.codec import TableCodec

        return TableCodec
    if kind == "images":
        from .images.codec import ImagesCodec

        return ImagesCodec
    if kind == "latent":
        from .latent.codec import LatentCodec

        return LatentCodec
    if kind == "array":
        from .array import ArrayCodec

        return ArrayCodec
    raise KeyError(kind)


def codec_for(rows: Rows, total_rows: int, options: Options, progress: Progress | None = None) -> Codec:
    """A codec made for rows: all there are, or a sample of `total_rows`, in order."""

    def told(share: float) -> None:
        if progress is not None:
            progress("train", share)

    if isinstance(rows, pa.Table):
        from .table.planning import fitted

        return fitted(rows, total_rows, options.budget, options.seed, told, options.tolerances(rows.schema))
    if options.tolerance is not None:
        raise OptionError("a tolerance is for the numbers of a table; images and arrays come back as they were")
    if isinstance(rows, np.ndarray):
        from .array import ArrayCodec
        from .images.codec import ImagesCodec

        plain = ArrayCodec.fit(rows)
        if rows.dtype != np.uint8 or rows.ndim not in (3, 4) or not rows.size:
            return plain
        learned = ImagesCodec.fit(rows, options.budget, options.seed, told)
        few = rows[:: -(-len(rows) // COMPARED_IMAGES)]
        size = len(learned.parameters()) + len(learned.encode(few)) * len(rows) / len(few)
        return learned if size < len(plain.encode(few)) * len(rows) / len(few) else plain
    raise DataError(f"rows of type {type(rows).__name__} cannot be archived; tables, images and arrays can be")


def write(
    stream: BinaryIO,
    codec: Codec,
    parts: Iterable[Rows],
    *,
    model_inside: bool = True,
    notes: dict[str, Any] | None = None,
    options: Options | None = None,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Write an archive of rows, given a part at a time, none with more rows than a chunk may have."""
    options = options or Options()
    settings, parameters = codec.settings(), codec.parameters()
    digest = model_digest(codec.kind, settings, parameters)
    header: dict[str, Any] = {"kind": codec.kind, "model": "inside" if model_inside else digest}
    if model_inside:
        header["settings"] = settings
    # The reader of an archive will have no other codec than this one.
    reader = type(codec).restored(settings, parameters) if options.verify else codec
    writer = Writer(stream, header, parameters if model_inside else None)
    for part, own in _fitting(codec, parts):
        rows = len(part)
        payload = codec.encode(part)
        if options.verify and codec.canonical(reader.decode(payload, rows)) != own:
            raise ArchiveError(f"rows from {writer.rows:,} on do not come back as they were; please report this")
        writer.chunk(rows, sha256(own).digest(), payload)
        if progress is not None:
            progress(writer.rows)
    spent = {name: round(value, 1) for name, value in codec.spent.items()}
    size = writer.close({**(notes or {}), "spent": list(spent.items())})
    return Summary(size, writer.rows, writer.model_bytes, spent)


def _check_kind(codec: Codec, rows: Rows) -> None:
    """Raises DataError for rows that the codec of another archive is not for."""
    table = isinstance(rows, pa.Table)
    if (codec.kind == "table" and not table) or (codec.kind in ("array", "images") and table):
        raise DataError(f"the model is for {_OF_KIND[codec.kind]}, and these rows are {'a table' if table else 'none'}")


def _fitting(codec: Codec, parts: Iterable[Rows]) -> Iterator[tuple[Rows, bytes]]:
    """Parts, and their canonical forms, in halves where a reader would not take them whole."""
    for part in parts:
        rows = len(part)
        _check_kind(codec, part)
        part = codec.rounded(part)
        own = codec.canonical(part) if rows <= codec.most_rows else b""
        if rows <= codec.most_rows and len(own) <= LARGEST_CHUNK:
            yield part, own
        elif rows < 2:
            raise DataError(f"a row takes {len(own):,} bytes; the most that an archive keeps are {LARGEST_CHUNK:,}")
        else:
            half = rows // 2
            yield from _fitting(codec, [codec.part(part, 0, half), codec.part(part, half, rows)])


_OF_KIND = {"table": "a table", "images": "images", "array": "an array"}


class Archive:
    """An archive that is open for reading: from a seekable stream, whose `name` errors will give."""

    def __init__(self, stream: BinaryIO, name: str, model: "Archive | None" = None):
        self.reader = Reader(stream, name)
        self.name = name
        header = self.reader.header
        try:
            made = codec_named(header["kind"])
            if header["model"] == "inside":
                self.codec = made.restored(header["settings"], self.reader.parameters or b"")
            else:
                self.codec = self._foreign(model, header)
        except ArchiveError:
            raise
        except _DAMAGE as error:
            raise self.reader.damaged("its model") from error

    def _foreign(self, model: "Archive | None", header: dict[str, Any]) -> Codec:
        if model is None:
            raise ArchiveError(f"{self.name}: has no model inside; name the archive that holds it with --model")
        if model.digest != header["model"]:
            raise ArchiveError(f"{self.name}: was written with another model than that of {model.name}")
        return model.codec

    @property
    def digest(self) -> str:
        """The SHA-256 of the model."""
        header = self.reader.header
        if header["model"] != "inside":
            return header["model"]
        return model_digest(header["kind"], header["settings"], self.reader.parameters or b"")

    @property
    def rows(self) -> int:
        return self.reader.rows

    @property
    def notes(self) -> dict[str, Any]:
        return self.reader.index["notes"]

    def parts(self, start: int = 0, stop: int | None = None) -> Iterator[Rows]:
        """Rows from `start` to before `stop`, chunk by chunk, each verified against the digest of its rows."""
        stop = self.rows if stop is None else stop
        digests = sha256()
        for number in self.reader.chunks_of(start, stop):
            chunk = self.reader.chunk(number)
            digests.update(chunk.digest)
            try:
                if chunk.rows > self.codec.most_rows:
                    raise ValueError("more rows than a chunk may have")
                rows = self.codec.decode(chunk.payload, chunk.rows)
                same = sha256(self.codec.canonical(rows)).digest() == chunk.digest
            except _DAMAGE as error:
                raise self.reader.damaged(self.reader.place_of(number)) from error
            if not same:
                raise self.reader.damaged(self.reader.place_of(number))
            low, high = max(start - chunk.first, 0), min(stop - chunk.first, chunk.rows)
            yield rows if (low, high) == (0, chunk.rows) else self.codec.part(rows, low, high)
        whole = start == 0 and stop == self.rows and all(entry.rows for entry in self.reader.entries)
        if whole and digests.hexdigest() != self.reader.index["digest"]:
            raise self.reader.damaged("its index")

    def read(self, start: int = 0, stop: int | None = None) -> Rows:
        """Rows from `start` to before `stop`."""
        return self.codec.joined(list(self.parts(start, stop)))


def opened(path: str | Path, model: Archive | None = None) -> Archive:
    """The archive at a path. Raises ArchiveError if there is none."""
    return Archive(_stream(path), shown(path), model)


def opened_reader(path: str | Path) -> Reader:
    """The archive at a path as it lies in the file, without its codec."""
    return Reader(_stream(path), shown(path))


def _stream(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ArchiveError(
            f"{shown(path)}: cannot be read ({error.strerror or reason(error)}); check the path"
        ) from error


def chunks(rows: pa.Table | np.ndarray, size: int = CHUNK_ROWS) -> Iterator[Rows]:
    """Rows cut into chunks; no rows are one chunk of none."""
    for start in range(0, max(len(rows), 1), size):
        yield rows[start : start + size] if isinstance(rows, np.ndarray) else rows.slice(start, size)


def compress(
    rows: Any,
    *,
    budget: float = BUDGET_SECONDS,
    tolerance: float | dict[str, float] | None = None,
    random_state: int = 0,
) -> bytes:
    """Rows (a frame, a matrix, images, any array of numbers) as the bytes of an archive, its model inside.

    `budget` is how many seconds a model may be trained for. With a `tolerance`, a share of a column's range for all
    columns or by name, numbers may be off by that much; without, `decompress` gives the same rows bit for bit.
    """
    options = Options(budget=budget, tolerance=tolerance, seed=random_state)
    held, notes = taken(rows)
    stream = BytesIO()
    write(stream, codec_for(held, len(held), options), chunks(held), notes=notes, options=options)
    return stream.getvalue()


def decompress(archive: bytes, start: int = 0, stop: int | None = None) -> Any:
    """The rows of an archive from `start` to before `stop`, in the container they came in (a frame without its index).

    Raises ArchiveError, naming the place, if the archive is damaged.
    """
    source = Archive(BytesIO(archive), "the archive")
    return given_back(source.read(start, stop), source.notes)
