"""What held-out rows take in real bytes: through each contender's model, and through the tools that everybody has."""

import gzip
import io
import lzma
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet

from ..compression.archive import Options, chunks, write
from ..compression.container import Reader
from ..compression.latent.codec import NOISES as LATENT_NOISES
from ..compression.latent.codec import LatentCodec
from ..core.sparse import HeldRows, SparseRows
from ..domains.base import Domain
from ..domains.image import Image
from ..domains.multipart import Multipart
from ..files.writing import csv_bytes, table_of
from .contenders import Autoencoding, Contender

# At most so many rows, and fewer where rows are long: none of it may take longer than measuring the rest.
MOST_ARCHIVED = 2_000
MOST_CELLS = 2**21
# The coarsest rounding of weights is the one for so few rows; trying all would take as long as a short training.
NOISES = LATENT_NOISES[-1:]
# Rows that are decoded again, to see that the archive is one.
DECODED_ROWS = 8


def archived_rows(test: HeldRows) -> HeldRows:
    """The held-out rows that are put into archives: the first ones."""
    return test[: max(1, min(MOST_ARCHIVED, MOST_CELLS // max(1, math.prod(test.shape[1:]))))]


def archive(domain: Domain, contender: Contender, test: HeldRows) -> dict[str, Any]:
    """A contender's `archive` in facts.json: bytes of an archive with its model inside, or why there is none.

    Whatever is paid for once counts as the model's: weights, schema, the frame of the file.
    """
    x = archived_rows(test)
    facts: dict[str, Any] = {"rows": len(x), "bytes_per_row": None, "model_bytes": None, "total_bytes_per_row": None}
    if not isinstance(contender, Autoencoding):
        return facts | {"refused": "it has no probabilities of rows to code them by"}
    try:
        codec = LatentCodec.from_model(contender.estimator.model_, domain, x, len(x), NOISES)
        rows = _plain_rows(domain.rows(x))
        stream = io.BytesIO()
        size = write(stream, codec, chunks(rows), options=Options(verify=False)).bytes
        reader = Reader(stream, "the archive")
        own = sum(len(reader.chunk(number).payload) for number in reader.chunks_of(0, len(x)))
        same = _comes_back(codec, rows[:DECODED_ROWS] if isinstance(rows, np.ndarray) else rows.slice(0, DECODED_ROWS))
    except ValueError as failure:  # what a codec refuses is no reason to lose the rest of a comparison
        return facts | {"refused": " ".join(str(failure).split())}
    if not same:
        return facts | {"refused": "rows did not come back as they were; please report this"}
    return {
        "rows": len(x),
        "bytes_per_row": own / len(x),
        "model_bytes": size - own,
        "total_bytes_per_row": size / len(x),
        "refused": None,
    }


def _plain_rows(rows: Any) -> Any:
    return rows if isinstance(rows, np.ndarray) else table_of(rows, "rows")


def _comes_back(codec: LatentCodec, rows: Any) -> bool:
    reader = LatentCodec.restored(codec.settings(), codec.parameters())
    return reader.canonical(reader.decode(codec.encode(rows), len(rows))) == codec.canonical(rows)


def general_tools(domain: Domain, test: HeldRows) -> dict[str, Any]:
    """`compression_baselines` in facts.json: bytes per row of the same rows as plain files, through general tools."""
    x = archived_rows(test)
    form, plain, others = _plain_form(domain, x)
    sizes: dict[str, Callable[[], int]] = {name: lambda tool=tool: len(tool(plain)) for name, tool in TOOLS.items()}
    inputs = dict.fromkeys(sizes, form) | dict.fromkeys(others, "columns" if form == "CSV" else "each image alone")
    return {
        "rows": len(x),
        "form": form,
        "plain_bytes_per_row": len(plain) / len(x),
        "tools": [_told(name, inputs[name], size, len(x)) for name, size in (sizes | others).items()],
    }


def _plain_form(domain: Domain, x: HeldRows) -> tuple[str, bytes, dict[str, Callable[[], int]]]:
    """What plain files of these rows are called, their bytes, and what formats of their own make of them."""
    if isinstance(x, SparseRows):
        return "compressed sparse rows", _sparse_bytes(x), {}
    if isinstance(domain, Multipart):
        parts = zip(domain.parts.values(), domain.layout.split(x), strict=True)
        return "parts, one after another", b"".join(_plain_form(part, own)[1] for part, own in parts), {}
    if isinstance(domain, Image) and not domain.whole:
        pictures = domain.as_worked_on(x)
        return "raw pixels, as worked on", _numbers(pictures), _image_sizes(pictures)
    rows = domain.rows(x)
    if domain.picture_kind == "text":
        return "a text a line", "".join(f"{text}\n" for text in rows).encode(), {}
    if domain.place_name == "step":
        return "raw numbers", _numbers(rows), {}
    if domain.picture_kind == "image":
        return "raw pixels", _numbers(rows), _image_sizes(rows)
    table = table_of(rows, "rows").replace_schema_metadata(None)
    return "CSV", csv_bytes(table), {"Parquet, zstd -19": lambda: _parquet_size(table)}


def _numbers(rows: Any) -> bytes:
    """Series and images as their numbers, one after another; those of a table by its columns."""
    if isinstance(rows, pa.Table):
        return b"".join(column.to_numpy().tobytes() for column in rows.columns)
    return b"".join(np.ascontiguousarray(each).tobytes() for each in rows)


def _sparse_bytes(x: SparseRows) -> bytes:
    """How many numbers of each row are not 0, their columns and their values, in as many bits as each needs."""
    values, columns, starts = x.arrays()
    return b"".join(_narrow(part).tobytes() for part in (np.diff(starts), columns, values))


def _narrow(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


TOOLS: dict[str, Callable[[bytes], bytes]] = {
    "gzip -9": lambda data: gzip.compress(data, 9, mtime=0),
    "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
    "zstd -19": lambda data: pa.Codec("zstd", compression_level=19).compress(data, asbytes=True),
}


def _told(name: str, given: str, size: Callable[[], int], rows: int) -> dict[str, Any]:
    try:
        return {"name": name, "input": given, "bytes_per_row": size() / rows, "refused": None}
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as failure:
        return {"name": name, "input": given, "bytes_per_row": None, "refused": " ".join(str(failure).split())}


def _parquet_size(table: pa.Table) -> int:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream, compression="zstd", compression_level=19)
    return stream.tell()


# Formats of images without loss, and the settings that make them smallest.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "PNG": ("PNG", {"optimize": True}),
    "WebP, lossless": ("WEBP", {"lossless": True, "quality": 100, "method": 6, "exact": True}),
    "JPEG XL, lossless": ("JXL", {"lossless": True}),
}


def _image_sizes(images: Sequence[np.ndarray] | np.ndarray) -> dict[str, Callable[[], int]]:
    return {name: lambda given=given: _image_size(images, *given) for name, given in FORMATS.items()}


def _image_size(images: Sequence[np.ndarray] | np.ndarray, format_name: str, settings: dict[str, Any]) -> int:
    """Bytes of all images, each a file of its own. Raises ValueError where the format is not for them."""
    PIL.Image.init()
    if format_name not in PIL.Image.SAVE:
        raise ValueError("no encoder of this format is installed")
    if images[0].dtype not in (np.uint8, np.bool_):
        raise ValueError(f"pixels are {images[0].dtype}; only those of 8 bits are tried")
    size = 0
    for pixels in images:
        stream = io.BytesIO()
        image = PIL.Image.fromarray(pixels.squeeze(-1) if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)
        if format_name != "PNG" and image.mode == "1":
            image = image.convert("L")
        image.save(stream, format=format_name, **settings)
        size += stream.tell()
    return size
