"""Codes of a model as whole numbers on a grid, coded under the model's prior.

A unit's code is k · 2^−bits for a whole number k; `bits` differs from unit to unit. Under a standard normal prior units
are independent. Under a mixture of Gaussians the component is coded first, then each unit given those before it. Levels
(finite scalar quantisation) are coded one unit after another, each of which tells more of the component.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ..coder import MOST_SYMBOLS, Stack
from . import curves
from .intervals import Intervals, intervals
from .network import to_whole

# Codes under a standard normal prior end here.
FARTHEST_NORMAL = 12.0
PRIOR_INTERVALS = 256
# A mixture's numbers are kept in whole numbers of this, in units of each code's spread.
MIXTURE_UNIT = 4096.0
# Odds of components and weights of levels are whole numbers up to these.
_ODDS, _MIXED = 2.0**20, 60_000.0
# How far in spreads its codes may lie from 0.
MOST_SPREADS = 64.0


class CodePrior(ABC):
    """p(z) on a grid: z = k · 2^−bits, whole numbers k (n, units) in float64, bits (units,)."""

    units: int
    reach: np.ndarray  # codes lie within ± reach, (units,)

    @abstractmethod
    def arrays(self) -> list[np.ndarray]:
        """The whole numbers it is made of."""

    @abstractmethod
    def push(self, stack: Stack, k: np.ndarray, bits: np.ndarray) -> None: ...

    @abstractmethod
    def pop(self, stack: Stack, rows: int, bits: np.ndarray) -> np.ndarray: ...

    def ends(self, bits: np.ndarray) -> np.ndarray:
        """The largest k of each unit; the least is −k."""
        return np.floor(np.ldexp(self.reach, bits))

    def codes(self, k: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """What the decoder network sees of codes, whole numbers (n, units)."""
        return to_whole(np.ldexp(k, -bits))

    def nearest(self, codes: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """The k nearest to codes (n, units)."""
        ends = self.ends(bits)
        return np.clip(np.rint(np.ldexp(codes, bits)), -ends, ends)


class NormalPrior(CodePrior):
    """N(0, 1) in each unit."""

    def __init__(self, units: int):
        self.units = units
        self.reach = np.full(units, FARTHEST_NORMAL)

    def arrays(self) -> list[np.ndarray]:
        return []

    def _shared(self, bits: int) -> Intervals:
        end = float(np.floor(np.ldexp(FARTHEST_NORMAL, bits)))
        zero, one = np.zeros((1, 1)), np.ones((1, 1))
        to, back = _grid(bits)
        return intervals(zero, one, None, curves.normal(), to, back, -end, end, PRIOR_INTERVALS)

    def push(self, stack: Stack, k: np.ndarray, bits: np.ndarray) -> None:
        for own in np.unique(bits)[::-1]:
            self._shared(int(own)).push(stack, k[:, bits == own].ravel())

    def pop(self, stack: Stack, rows: int, bits: np.ndarray) -> np.ndarray:
        k = np.zeros((rows, self.units))
        for own in np.unique(bits):
            ours = np.flatnonzero(bits == own)
            k[:, ours] = self._shared(int(own)).pop(stack, rows * len(ours)).reshape(rows, -1)
        return k


class MixturePrior(CodePrior):
    """Gaussians with full covariances: unit j given the units before it has the mean m_j + Σ_i B_ji (z_i − m_i).

    `weights` (components,), `means` and `log_scales` (components, units) and `slopes` B (components, units, units) are
    whole numbers of 1/4096, codes in units of 2^`spread` (units,).
    """

    def __init__(self, spread: np.ndarray, arrays: list[np.ndarray]):
        self._weights, self._means, self._log_scales, self._slopes = arrays
        components, self.units = self._means.shape
        if (
            self._weights.shape != (components,)
            or self._log_scales.shape != self._means.shape
            or self._slopes.shape != (components, self.units, self.units)
            or not 1 <= components <= MOST_SYMBOLS
            or spread.shape != (self.units,)
            or not np.all((self._weights >= 1) & (self._weights < 2**16))
        ):
            raise ValueError("a mixture of codes that is none")
        self._spread = spread
        self.reach = np.ldexp(MOST_SPREADS, spread)

    @classmethod
    def shapes(cls, components: int, units: int) -> list[tuple[int, ...]]:
        return [(components,), (components, units), (components, units), (components, units, units)]

    @classmethod
    def fitted(cls, weights: np.ndarray, means: np.ndarray, factors: np.ndarray, spread: np.ndarray) -> "MixturePrior":
        """From a mixture's weights (components,), means (components, units) and Cholesky factors of covariances."""
        unit = np.ldexp(1.0, spread)
        factors = factors / unit[:, None]
        scales = np.maximum(np.diagonal(factors, axis1=1, axis2=2), 1e-6)
        # z = m + L e: what the units before j say of it is L (inverse of L) with a diagonal of 0.
        slopes = np.stack([np.eye(len(own)) - np.diag(np.diag(own)) @ np.linalg.inv(own) for own in factors])
        numbers = [means / unit, np.log(scales), np.tril(slopes, -1)]
        whole = [np.rint(np.clip(values, -1e6, 1e6) * MIXTURE_UNIT) for values in numbers]
        return cls(spread, [np.rint(np.maximum(weights / weights.max() * 65_000, 1)), *whole])

    def arrays(self) -> list[np.ndarray]:
        return [self._weights, self._means, self._log_scales, self._slopes]

    def push(self, stack: Stack, k: np.ndarray, bits: np.ndarray) -> None:
        z = np.ldexp(k, -bits - self._spread)
        component = self._likeliest(z)
        location = self._means[component] / MIXTURE_UNIT
        for unit in range(self.units):
            self._tell(location, z[:, unit], component, unit)
        for unit in range(self.units - 1, -1, -1):
            self._intervals(location[:, unit], component, unit, bits).push(stack, k[:, unit])
        stack.push(component, self._weights.astype(np.float32))

    def pop(self, stack: Stack, rows: int, bits: np.ndarray) -> np.ndarray:
        component = stack.pop(self._weights.astype(np.float32), rows)
        location = self._means[component] / MIXTURE_UNIT
        k = np.zeros((rows, self.units))
        for unit in range(self.units):
            k[:, unit] = self._intervals(location[:, unit], component, unit, bits).pop(stack, rows)
            self._tell(location, np.ldexp(k[:, unit], -bits[unit] - self._spread[unit]), component, unit)
        return k

    def _tell(self, location: np.ndarray, z: np.ndarray, component: np.ndarray, unit: int) -> None:
        """Move the expected places of the later units by what this one is."""
        beyond = z - self._means[component, unit] / MIXTURE_UNIT
        location[:, unit + 1 :] += (self._slopes[component, unit + 1 :, unit] / MIXTURE_UNIT) * beyond[:, None]

    def _intervals(self, location: np.ndarray, component: np.ndarray, unit: int, bits: np.ndarray) -> Intervals:
        scale = curves.exponential(self._log_scales[component, unit] / MIXTURE_UNIT)
        to, back = _grid(int(bits[unit] + self._spread[unit]))
        end = self.ends(bits)[unit]
        return intervals(location[:, None], scale[:, None], None, curves.normal(), to, back, -end, end)

    def _likeliest(self, z: np.ndarray) -> np.ndarray:
        """Only the encoder chooses a component; how it computes is its own affair."""
        costs = np.empty((len(z), len(self._weights)))
        for component in range(len(self._weights)):
            centred = z - self._means[component] / MIXTURE_UNIT
            scales = np.exp(self._log_scales[component] / MIXTURE_UNIT)
            rest = (centred - centred @ self._slopes[component].T / MIXTURE_UNIT) / scales
            costs[:, component] = 0.5 * (rest * rest).sum(1) + np.log(scales).sum() - np.log(self._weights[component])
        return costs.argmin(axis=1)


class LevelPrior(CodePrior):
    """Level numbers 0 … levels − 1 under a mixture of products of tables; `bits` mean nothing to it."""

    def __init__(self, arrays: list[np.ndarray]):
        self._weights, self._tables = arrays
        components, self.units, self._levels = self._tables.shape
        if (
            self._weights.shape != (components,)
            or not 1 <= components <= MOST_SYMBOLS
            or not 2 <= self._levels <= MOST_SYMBOLS
            or not all(np.all((array >= 1) & (array < 2**16)) for array in arrays)
        ):
            raise ValueError("a mixture of levels that is none")
        self.reach = np.ones(self.units)

    @classmethod
    def shapes(cls, components: int, units: int, levels: int) -> list[tuple[int, ...]]:
        return [(components,), (components, units, levels)]

    @classmethod
    def fitted(cls, weights: np.ndarray, tables: np.ndarray) -> "LevelPrior":
        """From a mixture's weights (components,) and tables (components, units, levels)."""
        # Shares of 1 each, so that a component with few likely levels counts for no more than another.
        weights = weights / weights.max() * 65_000
        return cls([np.rint(np.maximum(weights, 1)), np.rint(np.maximum(tables * 65_000, 1))])

    def arrays(self) -> list[np.ndarray]:
        return [self._weights, self._tables]

    def codes(self, k: np.ndarray, bits: np.ndarray) -> np.ndarray:
        return to_whole(k * (2.0 / (self._levels - 1)) - 1.0)

    def nearest(self, codes: np.ndarray, bits: np.ndarray) -> np.ndarray:
        return np.clip(np.rint((codes + 1.0) * ((self._levels - 1) / 2.0)), 0.0, self._levels - 1.0)

    def push(self, stack: Stack, k: np.ndarray, bits: np.ndarray) -> None:
        levels, odds = k.astype(np.int64), self._even(len(k))
        weights = []
        for unit in range(self.units):
            weights.append(self._mixed(odds, unit))
            odds = self._told(odds, levels[:, unit], unit)
        for unit in range(self.units - 1, -1, -1):
            stack.push(levels[:, unit], weights[unit])

    def pop(self, stack: Stack, rows: int, bits: np.ndarray) -> np.ndarray:
        odds, levels = self._even(rows), np.zeros((rows, self.units), np.int64)
        for unit in range(self.units):
            levels[:, unit] = stack.pop(self._mixed(odds, unit))
            odds = self._told(odds, levels[:, unit], unit)
        return levels.astype(np.float64)

    def _even(self, rows: int) -> np.ndarray:
        """How likely each component is before any level is known, whole numbers up to 2²⁰ (rows, components)."""
        return np.broadcast_to(np.floor(self._weights / self._weights.max() * _ODDS), (rows, len(self._weights)))

    def _mixed(self, odds: np.ndarray, unit: int) -> np.ndarray:
        """Weights of a unit's levels under all components, float32 (rows, levels)."""
        sums = odds @ self._tables[:, unit]  # whole numbers below 2⁴⁴: exact
        return (np.floor(sums / sums.max(axis=1, keepdims=True) * _MIXED) + 1.0).astype(np.float32)

    def _told(self, odds: np.ndarray, levels: np.ndarray, unit: int) -> np.ndarray:
        """The components' odds once a unit's level is known."""
        odds = odds * self._tables[:, unit, levels].T
        return np.floor(odds / np.maximum(odds.max(axis=1, keepdims=True), 1.0) * _ODDS) + 1.0


def posterior_intervals(mean: np.ndarray, log_scale: np.ndarray, bits: np.ndarray, ends: np.ndarray) -> Intervals:
    """q(z|x) = N(mean, exp(log_scale)²) on the grid, for (n, units), row after row."""
    rows = len(mean)
    own = np.tile(bits, rows)[:, None]
    return intervals(
        mean.reshape(-1, 1),
        curves.exponential(log_scale).reshape(-1, 1),
        None,
        curves.normal(),
        lambda scaled: np.ldexp(scaled, own),
        lambda places: np.ldexp(places, -own),
        -np.tile(ends, rows),
        np.tile(ends, rows),
        filled=True,
    )


def _grid(bits: int) -> tuple[Any, Any]:
    return (lambda scaled: np.ldexp(scaled, bits)), (lambda places: np.ldexp(places, -bits))
