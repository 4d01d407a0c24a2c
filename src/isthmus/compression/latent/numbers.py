"""Real and whole numbers as places on a grid of whole numbers, and the scales that networks see them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...domains.table.columns import NumberColumn, Quantity
from ...domains.table.scaling import Scale
from . import curves
from .intervals import FARTHEST

MOST_DECIMALS = 9
LARGEST_DIVISOR = 10**MOST_DECIMALS
# A grid of quotients is taken where at least this share of the values are such quotients.
QUOTIENT_SHARE = 0.999
# A float that is no such quotient lies on a grid of about 2⁻²⁰ of the spread; its last bits follow, equally likely.
FINENESS = 20
MANTISSA_BITS = {"float64": 52, "float32": 23, "float16": 10}


@dataclass(frozen=True)
class Grid:
    """Floats of a type ↔ whole numbers, and what is left below them.

    Quotients, such as short decimals: value = whole / divisor, nothing is left. Others: |value| · 2^power has the whole
    part |whole|, and the rest are the last bits of the float; 0 is the only value below 2^−power.
    """

    type: str  # "float64", "float32" or "float16"
    divisor: int | None
    power: int = 0

    @classmethod
    def of(cls, values: np.ndarray, type_: str, spread: float) -> "Grid":
        """The grid for values (n,) like these, whose standard deviation is about `spread`."""
        distinct = np.unique(values)
        gap = float(np.diff(distinct).min()) if len(distinct) > 1 else 1.0
        # The smallest gap of k/255 is 1/255; it may be that of a multiple.
        own = [round(times / gap) for times in (1, 2, 3)] if gap > 2.0 / LARGEST_DIVISOR else []
        for divisor in [*(10**decimals for decimals in range(4)), *own, *(10**decimals for decimals in range(4, 10))]:
            grid = cls(type_, max(1, divisor))
            if len(values) and np.mean(same(grid.nearest(values), values)) >= QUOTIENT_SHARE:
                return grid
        # Fine enough for most small values, too, where the largest leave room for it.
        sizes = np.abs(values[values != 0])
        small, large = (float(np.quantile(sizes, share)) if len(sizes) else 1.0 for share in (0.01, 1.0))
        power = max(FINENESS - np.frexp(spread or 1.0)[1], 6 - np.frexp(small)[1])
        power = min(power, np.frexp(FARTHEST)[1] - 4 - np.frexp(large)[1])
        return cls(type_, None, int(np.clip(power, -1000, 1000)))

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> "Grid":
        type_, divisor, power = stored["type"], stored["divisor"], stored["power"]
        whole = type(power) is int and (divisor is None or type(divisor) is int)
        if type_ not in MANTISSA_BITS or not whole or abs(power) > 1000 or not 1 <= (divisor or 1) <= LARGEST_DIVISOR:
            raise ValueError("a grid of numbers that is none")
        return cls(type_, divisor, power)

    def settings(self) -> dict[str, Any]:
        return {"type": self.type, "divisor": self.divisor, "power": self.power}

    @property
    def unit(self) -> float:
        """How many whole numbers there are in 1."""
        return float(self.divisor) if self.divisor is not None else float(np.ldexp(1.0, self.power))

    def wholes(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Whole numbers of values on the grid, what is left, and how many such rests there are."""
        if self.divisor is not None:
            return np.rint(values * self.unit), np.zeros(len(values)), np.ones(len(values))
        grown = np.ldexp(np.abs(values), self.power)
        whole = np.floor(grown)
        bits = self._rest_bits(whole)
        return np.copysign(whole, values), np.ldexp(grown - whole, bits), np.ldexp(1.0, bits)

    def sizes(self, wholes: np.ndarray) -> np.ndarray:
        """How many rests each whole number has."""
        return np.ones(len(wholes)) if self.divisor is not None else np.ldexp(1.0, self._rest_bits(np.abs(wholes)))

    def values(self, wholes: np.ndarray, rests: np.ndarray) -> np.ndarray:
        if self.divisor is not None:
            return self._typed((wholes + 0.0) / self.unit)
        whole = np.abs(wholes)
        return np.copysign(np.ldexp(whole + np.ldexp(rests, -self._rest_bits(whole)), -self.power), wholes) + 0.0

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The values' own neighbours on the grid: themselves, where they lie on it."""
        with np.errstate(over="ignore", invalid="ignore"):
            far = np.abs(values) * self.unit < FARTHEST / 2
        wholes, rests, sizes = self.wholes(np.where(far, values, 0.0))
        return self.values(wholes, np.minimum(np.floor(rests), sizes - 1.0))

    def _rest_bits(self, whole: np.ndarray) -> np.ndarray:
        power = np.frexp(whole)[1] - 1
        return np.where(whole > 0, np.maximum(MANTISSA_BITS[self.type] - power, 0), 0)

    def _typed(self, values: np.ndarray) -> np.ndarray:
        return values if self.type == "float64" else values.astype(self.type).astype(np.float64)


def same(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether floats are the same, −0 being another than 0."""
    return first.astype(np.float64).view(np.int64) == second.astype(np.float64).view(np.int64)


class Scales:
    """Places among whole numbers ↔ scaled numbers y of several columns: place = ((u · width + centre) · 2^exponent +
    origin) · unit, with u = y · spread + location, or its sinh where tails are heavy."""

    def __init__(self, columns: Sequence[Quantity], units: Sequence[float]):
        scales = [column.scale for column in columns]
        self._centre, self._width, self._location, self._spread = (
            np.array([getattr(scale, name) for scale in scales], np.float64)
            for name in ("centre", "width", "location", "spread")
        )
        self._heavy = np.array([scale.heavy for scale in scales], bool)
        self._exponent = np.array([column.exponent for column in columns], np.int32)
        self._origin = np.array([_origin(column) for column in columns], np.float64)
        self._unit = np.array(units, np.float64)
        if not (np.all(self._width > 0) and np.all(self._spread > 0) and np.isfinite(self._centre).all()):
            raise ValueError("a column has a scale that is none")

    def scaled(self, places: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Places (n, …) → scaled numbers; `column` (n,) says of which column each is."""
        side = (slice(None),) + (None,) * (places.ndim - 1)

        def of(values: np.ndarray) -> np.ndarray:
            return values[column][side]

        t = np.ldexp(places / of(self._unit) - of(self._origin), -of(self._exponent))
        u = (np.clip(t, -1e38, 1e38) - of(self._centre)) / of(self._width)
        heavy = of(self._heavy)
        if heavy.any():
            u = np.where(heavy, curves.inverse_sinh(np.clip(u, -1e100, 1e100)), u)
        return (u - of(self._location)) / of(self._spread)

    def places(self, scaled: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Scaled numbers (n, …) → places, between whole numbers."""
        side = (slice(None),) + (None,) * (scaled.ndim - 1)

        def of(values: np.ndarray) -> np.ndarray:
            return values[column][side]

        u = scaled * of(self._spread) + of(self._location)
        heavy = of(self._heavy)
        if heavy.any():
            u = np.where(heavy, curves.sinh(np.clip(u, -80.0, 80.0)), u)
        t = np.clip(u * of(self._width) + of(self._centre), -1e100, 1e100)
        return (np.ldexp(t, of(self._exponent)) + of(self._origin)) * of(self._unit)


def _origin(column: Quantity) -> float:
    # Whole numbers count from their origin, real numbers from 0.
    return column.origin if isinstance(column, NumberColumn) else 0.0


def plain_scale(low: float, range_: float) -> NumberColumn:
    """Intensities of pixels as a column: y = (value − low) / range."""
    scale = Scale(centre=low, width=range_)
    return NumberColumn(
        name="", arrow_type={}, has_missing=False, exponent=0, scale=scale, low=low, high=low + range_, origin=0.0
    )
