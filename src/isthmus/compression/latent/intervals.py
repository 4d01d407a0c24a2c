"""Whole numbers coded under a smooth distribution: an interval first, then the place within it.

Around each number's expected place lie some intervals, narrow in the middle and wide in the tails. The interval costs
its own mass; within it all whole numbers cost alike. Where the distribution is narrow, an interval holds one number
and the mass is that of its cell; so discretised logistics of few levels and densities on a fine grid are one case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..coder import Stack
from . import curves

# Whole numbers up to this are coded; differences of two are exact in float64.
FARTHEST = 2.0**51
# Masses become weights in these units, whose sum float32 holds exactly; one more for every interval that is not empty.
_UNITS = 2.0**22
# How many intervals a number has where nothing else is said.
INTERVALS = 64
# The interval edges' spread: the k-th is at STEP · sinh(BEND k)/BEND scales.
_STEP, _BEND = 0.18, 0.15

Map = Callable[[np.ndarray], np.ndarray]


@cache
def edges(count: int) -> np.ndarray:
    """Where the inner edges of `count` intervals lie, in scales from the middle, shape (count − 1,)."""
    fineness = INTERVALS / count
    return _STEP / _BEND * curves.sinh(_BEND * fineness * np.arange(1 - count // 2, count // 2))


@dataclass
class Intervals:
    """The intervals of n numbers: interval i of number r holds the whole numbers from edge[r, i] to before
    edge[r, i + 1] and has the weight weight[r, i]. With one row, all numbers share it.

    `first` is the interval that the coder counts from: the one that is popped from an empty stack.
    """

    edge: np.ndarray  # float64 (n, intervals + 1), whole numbers, never falling
    weight: np.ndarray  # float32 (n, intervals)
    first: int = 0

    def push(self, stack: Stack, values: np.ndarray) -> None:
        """Whole numbers (n,), float64, from the first edge to before the last."""
        chosen = (self.edge[:, 1:-1] <= values[:, None]).sum(axis=1)
        start, size = self._chosen(chosen)
        stack.push_equal((values - start).astype(np.int64), size)
        weight = self._weight
        stack.push((chosen - self.first) % self.weight.shape[1], weight[0] if len(weight) == 1 else weight)

    def pop(self, stack: Stack, count: int | None = None) -> np.ndarray:
        """The values, float64; `count` of them where all share their intervals."""
        weight = self._weight
        chosen = stack.pop(weight[0], 1 if count is None else count) if len(weight) == 1 else stack.pop(weight)
        start, size = self._chosen((chosen + self.first) % self.weight.shape[1])
        # A damaged stream may give more than there are.
        return start + np.minimum(stack.pop_equal(size), size - 1)

    @property
    def _weight(self) -> np.ndarray:
        return np.ascontiguousarray(np.roll(self.weight, -self.first, axis=1)) if self.first else self.weight

    def _chosen(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row = np.zeros(len(chosen), np.intp) if len(self.edge) == 1 else np.arange(len(chosen))
        start, stop = self.edge[row, chosen], self.edge[row, chosen + 1]
        return start, np.maximum(stop - start, 1.0).astype(np.int64)


def intervals(
    location: np.ndarray,
    scale: np.ndarray,
    share: np.ndarray | None,
    curve: Callable[[np.ndarray], np.ndarray],
    to_wholes: Map,
    from_wholes: Map,
    low: np.ndarray | float,
    high: np.ndarray | float,
    count: int = INTERVALS,
    filled: bool = False,
) -> Intervals:
    """Intervals of numbers whose mapped values have the distribution function Σ share · curve((y − location) / scale).

    `location`, `scale` and `share` are (n, components), `share` adding up to 1 (None for one component). `to_wholes`
    and `from_wholes` turn mapped values (n, …) into places among the whole numbers and back, both rising. `low` and
    `high`, (n,) or one for all, are the first and the last whole number there are; they take the tails.

    With `filled`, no interval is empty, so that whatever is popped can be pushed back: the coder gives the least
    probability to weights of 0, too. There must be as many numbers as intervals then. An empty stack gives the middle.
    """
    rows, components = location.shape
    few = np.ndim(low) == np.ndim(high) == 0 and high - low < count
    low, high = (np.broadcast_to(np.asarray(end, np.float64), (rows,))[:, None] for end in (low, high))
    if few:  # an interval for each number
        inner = np.broadcast_to(np.arange(low[0, 0] + 1.0, high[0, 0] + 1.0), (rows, int(high[0, 0] - low[0, 0])))
    else:
        around = edges(max(4, count // components))
        inner = (location[:, :, None] + scale[:, :, None] * around).reshape(rows, components * len(around))
        # The first number and the last, which take the tails, have intervals of their own wherever the middle lies.
        inner = np.ceil(np.fmax(np.fmin(to_wholes(inner), high), low + 1.0))
        if components > 1:
            inner.sort(axis=1)
        if not filled:
            np.maximum.accumulate(inner, axis=1, out=inner)
        else:
            place = np.arange(inner.shape[1])
            inner = np.maximum.accumulate(np.maximum(inner - place, low + 1.0), axis=1) + place
            inner = np.minimum(inner, high - place[::-1])
    middle = from_wholes(inner - 0.5)
    if components == 1:
        below = curve((middle - location) / scale)
    else:
        assert share is not None
        below = np.zeros_like(middle)
        for component in range(components):  # added in this order, on every machine
            u = (middle - location[:, component, None]) / scale[:, component, None]
            below = below + share[:, component, None] * curve(u)
    edge = np.concatenate([low, inner, high + 1.0], axis=1)
    below = np.where(inner <= low, 0.0, np.where(inner > high, 1.0, below))
    mass = np.diff(below, axis=1, prepend=0.0, append=1.0)
    weight = np.where(np.diff(edge) > 0, np.floor(np.fmin(np.fmax(mass, 0.0), 1.0) * _UNITS) + 1.0, 0.0)
    return Intervals(edge, weight.astype(np.float32), edge.shape[1] // 2 - 1 if filled else 0)
