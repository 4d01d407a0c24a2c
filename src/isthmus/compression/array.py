"""Arrays of numbers that are neither a table nor images: kept exactly, by general compressors."""

import math
from typing import Any

import numpy as np

from ..core.errors import DataError
from .codec import MOST_CHUNK_ROWS, Codec
from .packing import LARGEST_BLOCK, packed, unpacked


class ArrayCodec(Codec):
    """Arrays (rows, …) of one element type and shape; each byte of the elements is packed beside its like."""

    kind = "array"

    @property
    def most_rows(self) -> int:
        row = math.prod(self.shape) * self.dtype.itemsize
        return max(1, min(MOST_CHUNK_ROWS, LARGEST_BLOCK // max(row, 1)))

    def __init__(self, dtype: np.dtype, shape: tuple[int, ...]):
        self.dtype, self.shape = dtype, shape

    @classmethod
    def fit(cls, rows: np.ndarray) -> "ArrayCodec":
        if rows.dtype.kind not in "biufc" or not rows.ndim:
            held = f"an array of {rows.dtype}"
            if rows.ndim == 1 and len(rows) and isinstance(rows[0], str):
                held = "texts"
            elif rows.ndim == 1 and len(rows) and isinstance(rows[0], np.ndarray):
                held = "rows of sizes of their own"
            raise DataError(f"{held} cannot be archived; tables, which may have columns of text, and numbers can be")
        return cls(rows.dtype.newbyteorder("<"), rows.shape[1:])

    def settings(self) -> dict[str, Any]:
        return {"dtype": self.dtype.str, "shape": list(self.shape)}

    def parameters(self) -> bytes:
        return b""

    @classmethod
    def restored(cls, settings: dict[str, Any], parameters: bytes) -> "ArrayCodec":
        kind, size = settings["dtype"][1:2], int(settings["dtype"][2:])
        if kind not in "biufc" or size > 32 or any(not 0 <= int(n) < 2**31 for n in settings["shape"]):
            raise ValueError("not an array of numbers")
        return cls(np.dtype(settings["dtype"]), tuple(int(n) for n in settings["shape"]))

    def encode(self, rows: np.ndarray) -> bytes:
        if rows.shape[1:] != self.shape or rows.dtype.newbyteorder("<") != self.dtype:
            raise DataError(
                f"rows of {rows.dtype} {rows.shape[1:]} are not those of the model, {self.dtype} {self.shape}"
            )
        octets = np.frombuffer(self.canonical(rows), np.uint8).reshape(-1, self.dtype.itemsize)
        return packed(octets.T.tobytes())

    def decode(self, chunk: bytes, count: int) -> np.ndarray:
        size = count * math.prod(self.shape) * self.dtype.itemsize
        octets = unpacked(chunk, max(min(size, LARGEST_BLOCK), 1))
        if len(octets) != size:
            raise ValueError("another number of bytes than of rows")
        data = np.frombuffer(octets, np.uint8).reshape(self.dtype.itemsize, -1).T.tobytes()
        return np.frombuffer(data, self.dtype).reshape(count, *self.shape).copy()

    def canonical(self, rows: np.ndarray) -> bytes:
        return np.ascontiguousarray(rows, self.dtype).tobytes()

    def joined(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts) if parts else np.empty((0, *self.shape), self.dtype)

    def part(self, rows: np.ndarray, start: int, stop: int) -> np.ndarray:
        return rows[start:stop]
