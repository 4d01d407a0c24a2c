"""Symbols ↔ bits: one stack of bits, pushed by the encoder and popped by the decoder in the opposite order.

Asymmetric numeral systems (Duda, 2013, https://arxiv.org/abs/1311.2540) code a symbol of probability p in −log₂ p bits.
Because the last bits pushed are the first popped, an encoder may also *pop* bits that are already there, read them as
a draw of its own choice, and let the decoder push them back: bits-back coding (Townsend et al., 2019,
https://arxiv.org/abs/1901.04866). Whatever `pop` read from a stack, the `push` of the same symbols restores, even
from an empty stack, whose bits are all 0.

Every weight is a whole number, carried by a float: as long as their sum stays below 2²⁴ they are added and compared
exactly, so that no machine can read another symbol than the one that was written.
"""

from typing import Any

import constriction
import numpy as np

_stack: Any = constriction.stream.stack  # pyright: ignore[reportAttributeAccessIssue]: made by its Rust module
_model: Any = constriction.stream.model  # pyright: ignore[reportAttributeAccessIssue]
_weighted = _model.Categorical(lazy=True, perfect=False)
_uniform = _model.Uniform()

# The largest weight of one symbol, and the most symbols of an alphabet: their product is below 2²⁴.
LARGEST_WEIGHT = 2**16 - 1
MOST_SYMBOLS = 256


class Stack:
    """A stack of bits. What is pushed first is popped last; arrays keep their order."""

    def __init__(self, words: np.ndarray | None = None):
        self._coder = _stack.AnsCoder() if words is None or not len(words) else _stack.AnsCoder(words)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Stack":
        """Raises ValueError for bytes that no stack was."""
        if len(data) % 4:
            raise ValueError("not a whole number of words")
        return cls(np.frombuffer(data, dtype="<u4").astype(np.uint32))

    def to_bytes(self) -> bytes:
        return self._coder.get_compressed().astype("<u4").tobytes()

    @property
    def empty(self) -> bool:
        """Whether all that was pushed has been popped."""
        return bool(self._coder.is_empty())

    @property
    def bits(self) -> int:
        return int(self._coder.num_valid_bits())

    def push(self, symbols: np.ndarray, weights: np.ndarray) -> None:
        """Symbols (n,), each of an alphabet with whole, non-negative weights (n, alphabet) or (alphabet,), float32."""
        symbols = symbols.astype(np.int32)
        if weights.shape[-1] == 1:  # the only symbol there is costs nothing
            return
        if weights.ndim == 1:
            self._coder.encode_reverse(symbols, _shared(weights))
        elif len(symbols):
            self._coder.encode_reverse(symbols, _weighted, weights)

    def pop(self, weights: np.ndarray, count: int | None = None) -> np.ndarray:
        """Symbols (n,) int64, for the weights they were pushed with; shared weights (alphabet,) need a `count`."""
        if count is None:
            count = len(weights)
        if weights.shape[-1] == 1 or not count:
            return np.zeros(count, np.int64)
        if weights.ndim == 1:
            return self._coder.decode(_shared(weights), count).astype(np.int64)
        return self._coder.decode(_weighted, weights).astype(np.int64)

    def push_equal(self, values: np.ndarray, sizes: np.ndarray) -> None:
        """Values (n,), each one of 0 … size − 1 with equal probability; sizes (n,) are 1 … 2⁵²."""
        for shift, size in reversed(_digits_of_equals(sizes)):
            many = size > 1
            digits = (values >> shift)[many] % size[many]
            self._coder.encode_reverse(digits.astype(np.int32), _uniform, size[many])

    def pop_equal(self, sizes: np.ndarray) -> np.ndarray:
        """Values (n,) int64. Of a damaged stream they may reach beyond their sizes."""
        values = np.zeros(len(sizes), np.int64)
        for shift, size in _digits_of_equals(sizes):
            many = size > 1
            values[many] += self._coder.decode(_uniform, size[many]).astype(np.int64) << shift[many]
        return values


def _shared(weights: np.ndarray) -> object:
    return _model.Categorical(weights, lazy=False, perfect=False)


def _digits_of_equals(sizes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numbers below `sizes` as digits, highest first: the bit each begins at, and how many values it may take, int32.

    The highest digit has 16 bits, those below it as many as are left, all equally probable; so no number costs more
    than 2⁻¹⁴ bits more than it need.
    """
    sizes = sizes.astype(np.int64)
    shift = np.maximum(np.frexp((sizes - 1).astype(np.float64))[1] - 16, 0).astype(np.int64)
    digits = [(shift, (((sizes - 1) >> shift) + 1).astype(np.int32))]
    while shift.any():
        bits = np.minimum(shift, 16)
        shift = shift - bits
        digits.append((shift, (1 << bits).astype(np.int32)))
    return digits
