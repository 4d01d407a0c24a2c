"""From values to pixels: scales, round ticks, and labels that do not collide."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] onto [start, end] pixels, evenly or (for sizes) by the logarithm."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round values inside the scale."""
        return round_ticks(self.low, self.high, count)


def spanning(values: Iterable[float], start: float, end: float, padding: float = 0.06) -> Scale:
    """An even scale that holds all values with some air around them; one lonely value lands in the middle."""
    values = list(values)
    low, high = min(values), max(values)
    air = (high - low) * padding or abs(high) * 0.1 or 1.0
    return Scale(low - air, high + air, start, end)


def sizes(values: Iterable[int], start: float, end: float) -> Scale:
    """A logarithmic scale: latent sizes are chosen by doubling."""
    values = list(values)
    return Scale(min(values), max(values), start, end, logarithmic=True)


def round_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    if not high > low:
        return [low]
    step = _round_step((high - low) / count)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Dividing by the inverse keeps 0.1 × 3 from becoming 0.30000000000000004.
    return [i * step if step >= 1 else i / round(1 / step) for i in range(first, last + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def tick_labels(ticks: list[float]) -> list[str]:
    """The ticks with one number of decimals: as many as tell neighbours apart."""
    step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else abs(ticks[0]) or 1.0
    if step < 1e-6 or max(abs(tick) for tick in ticks) >= 1e7:
        return [f"{tick:.3g}" for tick in ticks]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{tick:,.{decimals}f}".replace("-", "−") for tick in ticks]


def apart(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """The positions moved until neighbours are `gap` apart, kept inside [low, high] if they fit; order is kept."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed = [0.0] * len(positions)
    floor = low
    for index in order:
        placed[index] = max(positions[index], floor)
        floor = placed[index] + gap
    ceiling = high
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed
