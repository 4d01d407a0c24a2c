"""The network that foretells a table's columns, each from those before it, in exact whole numbers.

A neural autoregressive estimator (Larochelle & Murray, 2011, http://proceedings.mlr.press/v15/larochelle11a.html) with
an embedding of each column's bins: h_j = Σ_{i<j} E_i[bin_i] + b_j, p(symbol_j) = softmax(W_j relu(h_j) + c_j). The
place of a number in its bin is foretold the same way, from h_j and an embedding of the bin. All weights are whole
numbers of 1/16, so that sums are exact, one column's embedding can be added or taken away without a trace, and the
network that was trained is the one that codes.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np

from ..coder import Stack
from ..exact import EXACT_IN_FLOAT32, softmax_weights

# Weights are whole numbers of 1/16, at most this many; their products are of 1/256, as logits are.
WEIGHT_UNIT = 16
LARGEST_WEIGHT = 127
# Hidden units are cut off here, so that a sum over them stays exact.
LARGEST_HIDDEN = 1023
MOST_HIDDEN = 112
# In all.
MOST_WEIGHTS = 2**26
# Biases of logits are whole numbers of 1/8 nat.
BIAS_UNIT = 8
_BIAS_STEP = WEIGHT_UNIT * WEIGHT_UNIT // BIAS_UNIT

assert MOST_HIDDEN * LARGEST_HIDDEN * LARGEST_WEIGHT + LARGEST_WEIGHT * _BIAS_STEP < EXACT_IN_FLOAT32


@dataclass(frozen=True)
class ColumnShape:
    """One column's alphabets: of its bins as others see them, of the symbols it is coded by, and of places in a bin.

    `contexts` is 0 for a column that no other looks at, `symbols` 0 for one that the network does not foretell.
    """

    contexts: int
    symbols: int
    places: int

    def weights(self, hidden: int) -> dict[str, tuple[int, ...]]:
        """The arrays that the column's part of the network is made of."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.contexts:
            shapes["context"] = (self.contexts, hidden)
        if self.symbols:
            shapes |= {"bias": (hidden,), "symbol": (self.symbols, hidden), "symbol_bias": (self.symbols,)}
        if self.places:
            shapes |= {"bin": (self.symbols, hidden), "place_bias_hidden": (hidden,)}
            shapes |= {"place": (self.places, hidden), "place_bias": (self.places,)}
        return shapes


class ColumnNetwork:
    """The network as whole numbers: `weights[j][name]` int arrays of column j, shapes as `ColumnShape.weights` says."""

    def __init__(self, shapes: list[ColumnShape], hidden: int, weights: list[dict[str, np.ndarray]]):
        if not 1 <= hidden <= MOST_HIDDEN:
            raise ValueError(f"{hidden} hidden units")
        for shape, held in zip(shapes, weights, strict=True):
            for name, size in shape.weights(hidden).items():
                if held[name].shape != size or np.abs(held[name]).max(initial=0) > LARGEST_WEIGHT:
                    raise ValueError("weights beyond their bounds")
        self.shapes, self.hidden = shapes, hidden
        self.integers = weights
        self.weights = [
            {
                name: np.ascontiguousarray(array.T if name in ("symbol", "place") else array, np.float32)
                * (_BIAS_STEP if name in ("symbol_bias", "place_bias") else 1)
                for name, array in held.items()
            }
            for held in weights
        ]

    def start(self, rows: int) -> np.ndarray:
        """The sum of no embeddings, (rows, hidden) float32."""
        return np.zeros((rows, self.hidden), np.float32)

    def add(self, total: np.ndarray, column: int, contexts: np.ndarray, sign: int = 1) -> None:
        """Let the later columns know this one's bins, contexts (rows,); with sign −1, let them forget."""
        if self.shapes[column].contexts:
            table = self.weights[column]["context"]
            total += (table if sign > 0 else -table)[contexts]

    def symbol_weights(self, total: np.ndarray, column: int) -> np.ndarray:
        """(rows, symbols), for the coder."""
        held = self.weights[column]
        return softmax_weights(_hidden(total + held["bias"]) @ held["symbol"] + held["symbol_bias"])

    def place_weights(self, total: np.ndarray, column: int, symbols: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """(rows, places) of rows whose symbols are known; places from `allowed` (rows,) on do not occur."""
        held = self.weights[column]
        hidden = _hidden(total + held["place_bias_hidden"] + held["bin"][symbols])
        logits = hidden @ held["place"] + held["place_bias"]
        beyond = np.arange(logits.shape[1]) >= allowed[:, None]
        logits[beyond] = -(2**23)
        weights = softmax_weights(logits)
        weights[beyond] = 0
        return weights

    def to_bytes(self) -> bytes:
        """The weights, coded with two numbers for each array: how likely 0 is, and how fast others fall off."""
        stack, heads = Stack(), []
        arrays = [
            held[name] for shape, held in zip(self.shapes, self.integers, strict=True) for name in shape.weights(1)
        ]
        for array in reversed(arrays):
            zero, slope = _fitted(array)
            heads.append(struct.pack("<BB", zero, slope))
            stack.push(array.ravel() + LARGEST_WEIGHT, _table(zero, slope))
        return b"".join(reversed(heads)) + stack.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, shapes: list[ColumnShape], hidden: int) -> "ColumnNetwork":
        """Raises ValueError for bytes that no network of that shape gave."""
        sizes = [(column, *item) for column, shape in enumerate(shapes) for item in shape.weights(hidden).items()]
        if not 1 <= hidden <= MOST_HIDDEN or sum(math.prod(size) for _, _, size in sizes) > MOST_WEIGHTS:
            raise ValueError("too many weights")
        if len(data) < 2 * len(sizes):
            raise ValueError("weights cut short")
        stack = Stack.from_bytes(data[2 * len(sizes) :])
        weights: list[dict[str, np.ndarray]] = [{} for _ in shapes]
        for index, (column, name, size) in enumerate(sizes):
            table = _table(*data[2 * index : 2 * index + 2])
            popped = stack.pop(table, math.prod(size)) - LARGEST_WEIGHT
            weights[column][name] = popped.astype(np.int16).reshape(size)
        if not stack.empty:
            raise ValueError("weights that are not all used")
        return cls(shapes, hidden, weights)

    def share_of_bytes(self) -> list[float]:
        """How many bytes of `to_bytes` are each column's."""
        shares = []
        for shape, held in zip(self.shapes, self.integers, strict=True):
            bits = 0.0
            for name in shape.weights(1):
                table = _table(*_fitted(held[name])).astype(np.float64)
                bits -= np.log2((table / table.sum())[held[name].ravel() + LARGEST_WEIGHT] + 2.0**-24).sum()
            shares.append(bits / 8)
        return shares


def _hidden(total: np.ndarray) -> np.ndarray:
    return np.clip(total, 0, LARGEST_HIDDEN, out=total)


def _table(zero: int, slope: int) -> np.ndarray:
    """Weights of −127 … 127: 0 has zero/256 of all, the others fall off by exp(−slope/64) each step."""
    sizes = np.abs(np.arange(-LARGEST_WEIGHT, LARGEST_WEIGHT + 1))
    others = softmax_weights((-4.0 * (slope + 1) * (sizes - 1)).astype(np.float32))
    others = np.maximum(np.floor(others / 16), 1).astype(np.float32)
    others[sizes == 0] = 0
    rest = others.sum()
    others[sizes == 0] = min(np.floor(rest * zero / max(256 - zero, 1)) + 1, 2**22)
    return others


def _fitted(array: np.ndarray) -> tuple[int, int]:
    """(zero, slope) of the shortest code for an array."""
    sizes = np.abs(array.ravel())
    some = sizes[sizes > 0]
    zero = int(np.clip(np.rint(256 * (1 - len(some) / max(len(sizes), 1))), 0, 255))
    mean = some.mean() if len(some) else 1.0
    # A geometric law from 1 on has the mean 1 / (1 − exp(−slope/64)).
    slope = 64 * -np.log(max(1 - 1 / mean, 1e-2)) - 1
    return zero, int(np.clip(np.rint(slope), 0, 255))
