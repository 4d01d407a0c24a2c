"""How much a file may claim to hold. A small file can unpack to a thousand times its size, so claims come first."""

from pathlib import Path

from ..core.errors import DataError
from .failures import shown

MAXIMUM_BYTES = 8 * 2**30
"""The most that one data set may take in memory: 8 GiB, a thousand million float64 cells."""

STREAMED_BYTES = 2**30
"""Files that unpack to more than this, 1 GiB, are trained on a part at a time: working with rows takes several times
the memory that the rows take themselves."""

MAXIMUM_PIXELS = 80_000_000
"""The most pixels that one image may claim; below the point where Pillow itself starts to warn."""


def check_bytes(path: str | Path, size: int) -> None:
    """Raise DataError if data of this size, in bytes, would not be loaded."""
    if size > MAXIMUM_BYTES:
        unpacked, limit = f"{size / 2**30:,.1f} GiB", f"{MAXIMUM_BYTES / 2**30:g} GiB"
        advice = "give a part of the rows; fit reads Parquet, Arrow and .npy files of any size"
        raise DataError(f"{shown(path)}: unpacks to {unpacked} and the limit is {limit}; {advice}")
