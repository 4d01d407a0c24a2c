"""Logarithms, exponentials and distribution functions that are the same everywhere.

IEEE 754 rounds each single + − × ÷ and √ of float64 in one way only; so a formula of these, element by element, gives
the same bits on every machine. What differs between machines is left out: sums in an order of their own, products
fused with sums, and the libraries' logarithms and exponentials.
"""

from functools import cache

import numpy as np

_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # ln 2, its last bits 0 …
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # … and what they leave
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_ROOT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")

# Distribution functions are tabulated up to this many scales from the middle, at so many places in each.
REACH = 24
PLACES = 512
# Cumulative masses are whole numbers of 2⁻⁴⁴.
_MASS = 2.0**44
# Student's t has tails that reach farther: it is tabulated over u/√(1 + (u/8)²), which ends at ±8.
_BEND = 8.0


def exponential(x: np.ndarray) -> np.ndarray:
    """exp(x), float64, for x between −700 and 700; beyond, that of the nearer end."""
    x = np.clip(x, -700.0, 700.0)
    powers = np.rint(x * _LOG2_E)
    rest = (x - powers * _LN2_HIGH) - powers * _LN2_LOW  # at most ½ ln 2 from 0
    total = np.ones_like(rest)
    for term in range(13, 0, -1):
        total = total * (rest / term) + 1.0
    return np.ldexp(total, powers.astype(np.int32))


def logarithm(x: np.ndarray) -> np.ndarray:
    """ln(x), float64, for normal numbers above 0."""
    mantissa, power = np.frexp(x)
    small = mantissa < _ROOT_HALF
    mantissa, power = np.where(small, mantissa * 2.0, mantissa), power - small
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    total = np.zeros_like(square)
    for term in range(25, 0, -2):
        total = total * square + 1.0 / term
    return power * _LN2_HIGH + (2.0 * ratio * total + power * _LN2_LOW)


def inverse_sinh(x: np.ndarray) -> np.ndarray:
    """asinh(x), float64, for |x| below 1e150."""
    size = np.abs(x)
    # Near 0 the logarithm of a number near 1 would lose digits: x − x³/6 + 3x⁵/40 there.
    square = size * size
    near = size * (1.0 - square * (1.0 / 6.0 - square * (3.0 / 40.0)))
    far = logarithm(size + np.sqrt(square + 1.0))
    return np.copysign(np.where(size < 0.01, near, far), x)


def sinh(x: np.ndarray) -> np.ndarray:
    """sinh(x), float64, for |x| up to 700."""
    size = np.abs(x)
    square = size * size
    near = size * (1.0 + square * (1.0 / 6.0 + square * (1.0 / 120.0)))
    grown = exponential(size)
    return np.copysign(np.where(size < 0.01, near, (grown - 1.0 / grown) / 2.0), x)


class Curve:
    """A symmetric distribution function F of standardised values, tabulated."""

    def __init__(self, table: np.ndarray, bent: bool = False):
        self._table, self._bent = table, bent  # (2 · ends · PLACES + 1,)
        self._ends = (len(table) - 1) // 2 / PLACES

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """F(u), float64 multiples of 2⁻⁴⁴ from 0 to 1, never falling."""
        if self._bent:
            u = np.clip(u, -1e100, 1e100)
            u = u / np.sqrt(1.0 + (u / _BEND) * (u / _BEND))
        place = (np.clip(u, -self._ends, self._ends) + self._ends) * PLACES
        return self._table[np.rint(place).astype(np.int32)]


@cache
def logistic() -> Curve:
    """1 / (1 + exp(−u))."""
    places = np.arange(-REACH * PLACES, REACH * PLACES + 1) / PLACES
    return Curve(_whole(1.0 / (1.0 + exponential(-places))))


@cache
def normal() -> Curve:
    """Φ(u)."""
    return Curve(_summed(exponential(-0.5 * _middles(REACH) * _middles(REACH))))


@cache
def student(degrees: float) -> Curve:
    """Student's t with so many degrees of freedom."""
    # With s = u/√(1 + (u/8)²): 1 + (u/8)² = 1/(1 − (s/8)²), and du/ds is that to the power 3/2.
    stretch = _middles(int(_BEND)) / _BEND
    grown = 1.0 / (1.0 - stretch * stretch)
    square = _middles(int(_BEND)) * _middles(int(_BEND)) * grown
    density = -0.5 * (degrees + 1.0) * logarithm(1.0 + square / degrees) + 1.5 * logarithm(grown)
    return Curve(_summed(exponential(density)), bent=True)


def _middles(ends: int) -> np.ndarray:
    return (np.arange(-ends * PLACES, ends * PLACES) + 0.5) / PLACES


def _summed(density: np.ndarray) -> np.ndarray:
    """The distribution function of a density that is given up to a factor."""
    whole = np.floor(density * 2.0**30).astype(np.int64)  # sums of whole numbers have no order
    total = np.concatenate([[0], np.cumsum(whole)])
    return _whole(total / float(total[-1]))


def _whole(masses: np.ndarray) -> np.ndarray:
    table = np.maximum.accumulate(np.rint(masses * _MASS)) / _MASS
    table[0], table[-1] = 0.0, 1.0
    return table
