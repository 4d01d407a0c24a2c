"""Bytes and lists of numbers through general compressors: the best of those that every installation has."""

import bz2
import lzma
import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

# The largest block of bytes that a reader unpacks: a damaged or hostile length may not fill the memory.
LARGEST_BLOCK = 2**28

_LARGEST_DICTIONARY = 2**26
# Above this size Brotli is asked for less than its best, which takes a second for a megabyte.
_LARGE = 2**16


def packed(data: bytes) -> bytes:
    """The shortest of: as it is, LZMA2, bzip2, Brotli, Zstandard. The first byte says which, then the length."""
    head = struct.pack("<Q", len(data))
    candidates = [b"\0" + data]
    if len(data) > 16:
        candidates.append(b"\1" + head + lzma.compress(data, lzma.FORMAT_RAW, filters=_lzma(len(data))))
        candidates.append(b"\2" + head + bz2.compress(data))
        candidates.append(b"\3" + head + _codec("brotli", 11 if len(data) < _LARGE else 9).compress(data, asbytes=True))
        candidates.append(b"\4" + head + _codec("zstd", 19).compress(data, asbytes=True))
    return min(candidates, key=len)


def unpacked(block: bytes, largest: int = LARGEST_BLOCK) -> bytes:
    """The bytes that `packed` was given. Raises ValueError for a block that it never gave."""
    if not block:
        raise ValueError("an empty block")
    if block[0] == 0:
        return block[1:]
    if len(block) < 9:
        raise ValueError("a block cut short")
    (size,) = struct.unpack("<Q", block[1:9])
    if size > largest:
        raise ValueError(f"a block of {size:,} bytes")
    try:
        data = _unpacked(block[0], block[9:], size)
    except (lzma.LZMAError, OSError, EOFError, pa.ArrowException) as error:
        raise ValueError(f"a block that cannot be unpacked ({error})") from error
    if len(data) != size:
        raise ValueError("a block of another length than it says")
    return data


def _unpacked(method: int, body: bytes, size: int) -> bytes:
    if method == 1:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_lzma(size)).decompress(body, size)
    if method == 2:
        return bz2.BZ2Decompressor().decompress(body, size)
    if method in (3, 4):
        return _codec("brotli" if method == 3 else "zstd", None).decompress(body, size, asbytes=True)
    raise ValueError(f"an unknown way of packing ({method})")


def _lzma(size: int) -> list[dict[str, int]]:
    """LZMA2 at its best, with no larger a dictionary than the data can use: making one takes time."""
    dictionary = min(max(size, 4096), _LARGEST_DICTIONARY)
    return [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]


def _codec(name: str, level: int | None) -> pa.Codec:
    return pa.Codec(name, compression_level=level)


def framed(blocks: Sequence[bytes]) -> bytes:
    """Several blocks as one: how many, their lengths, then they themselves."""
    return struct.pack(f"<I{len(blocks)}Q", len(blocks), *map(len, blocks)) + b"".join(blocks)


def unframed(data: bytes) -> list[bytes]:
    """The blocks that `framed` was given. Raises ValueError for anything else."""
    if len(data) < 4:
        raise ValueError("cut short")
    (count,) = struct.unpack_from("<I", data)
    start = 4 + 8 * count
    if start > len(data):
        raise ValueError("cut short")
    lengths = struct.unpack_from(f"<{count}Q", data, 4)
    if start + sum(lengths) != len(data):
        raise ValueError("lengths that do not add up")
    blocks = []
    for length in lengths:
        blocks.append(data[start : start + length])
        start += length
    return blocks


def integer_bytes(values: np.ndarray) -> bytes:
    """int64 as bytes that general compressors do well on: small numbers of either sign take one byte, larger more.

    Seven bits a byte, lowest first, the eighth bit says that more follow; the sign is the lowest bit of all.
    """
    zigzag = ((values.astype(np.int64) << 1) ^ (values.astype(np.int64) >> 63)).astype(np.uint64)
    columns = [(zigzag >> np.uint64(7 * place)) & np.uint64(127) for place in range(10)]
    length = np.ones(len(zigzag), np.int64)
    for place in range(1, 10):
        length[(zigzag >> np.uint64(7 * place)) > 0] = place + 1
    table = np.stack(columns, 1).astype(np.uint8)
    place = np.arange(10)
    table[place[None, :] < (length - 1)[:, None]] |= 128
    return table[place[None, :] < length[:, None]].tobytes()


def integers_of(data: bytes) -> np.ndarray:
    """The int64 that `integer_bytes` was given. Raises ValueError for anything else."""
    octets = np.frombuffer(data, np.uint8)
    if not len(octets):
        return np.empty(0, np.int64)
    last = octets < 128
    if not last[-1]:
        raise ValueError("numbers cut short")
    number = np.concatenate([[0], np.cumsum(last)[:-1]])
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    place = np.arange(len(octets)) - starts[number]
    if place.max() > 9:
        raise ValueError("a number too long")
    parts = (octets & 127).astype(np.uint64) << (np.uint64(7) * place.astype(np.uint64))
    zigzag = np.bitwise_or.reduceat(parts, starts)
    return ((zigzag >> np.uint64(1)) ^ (np.uint64(0) - (zigzag & np.uint64(1)))).astype(np.int64)
