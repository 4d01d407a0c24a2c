"""Quantities ↔ numbers of about zero mean and unit spread, for networks and likelihoods."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

# A column whose largest value lies this many deviations out has heavy tails: asinh comes first.
HEAVY_DEVIATIONS = 20.0
# Scaled numbers end here. Fitted values lie within √rows; what lies beyond is as strange as can be.
LARGEST_SCALED = 1e4
# Single precision ends at 3.4e38, and sinh(87) is 3e37.
LARGEST_NUMBER = 1e38
LARGEST_SINH_ARGUMENT = 87.0


class Scale(BaseModel):
    """y = (u − location) / spread with u = (t − centre) / width, or its asinh where tails are heavy.

    All are numbers of single precision, so that models of either precision compute the same map.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    centre: float = 0.0
    width: float = 1.0
    heavy: bool = False
    location: float = 0.0
    spread: float = 1.0


def moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation, 0 for a constant; safe from overflow up to the largest float."""
    if values.min() == values.max():
        return float(values[0]), 0.0
    largest = float(np.abs(values).max())
    shrunk = values / largest
    return float(shrunk.mean() * largest), float(shrunk.std() * largest)


def fit_scale(values: np.ndarray) -> Scale:
    """The scale of observed values (rows,)."""
    values = values.clip(-LARGEST_NUMBER, LARGEST_NUMBER)
    centre, width, heavy = (
        convert(value) for convert, value in zip((_single, _single, bool), near(values), strict=True)
    )
    if not heavy:
        return Scale(centre=centre, width=width)
    location, spread = moments(np.arcsinh((values - centre) / width))
    return Scale(centre=centre, width=width, heavy=True, location=_single(location), spread=_single(spread))


def near(values: np.ndarray) -> tuple[float, float, bool]:
    """The middle of values (rows,), how far from it still counts as near, and whether the tails are heavy."""
    mean, deviation = moments(values)
    if deviation == 0:
        return mean, 1.0, False
    if np.abs(values / 2 - mean / 2).max() <= HEAVY_DEVIATIONS / 2 * deviation:  # halves cannot overflow
        return mean, deviation, False
    lower, centre, upper = (float(value) for value in np.quantile(values / 4, (0.25, 0.5, 0.75)) * 4)
    if lower == upper:
        # Most values are one value: the others' distance from it tells what is near and what is far.
        return centre, float(np.median(np.abs(values[values != centre] - centre))), True
    return centre, upper - lower, True


def _single(value: float) -> float:
    """The nearest number of single precision, kept from 0 and infinity."""
    if value == 0:
        return 0.0
    return math.copysign(float(np.float32(min(max(abs(value), 1e-37), LARGEST_NUMBER))), value)


class Scaling(nn.Module):
    """The scales of several columns side by side; works in the precision of what it is given.

    `steps` are the distances between neighbouring values, 0 where values lie densely; restored numbers lie on steps.
    """

    centre: Tensor
    width: Tensor
    heavy: Tensor
    location: Tensor
    spread: Tensor
    step: Tensor

    def __init__(self, scales: Sequence[Scale], steps: Sequence[float]):
        super().__init__()
        for name in ("centre", "width", "heavy", "location", "spread"):
            # The type is said, since a table may have no such column at all: an empty list would become floats.
            kind = torch.bool if name == "heavy" else torch.float32
            values = torch.tensor([getattr(scale, name) for scale in scales], dtype=kind)
            self.register_buffer(name, values, persistent=False)
        self.register_buffer("step", torch.tensor(steps), persistent=False)
        self.any_heavy = any(scale.heavy for scale in scales)
        self.any_steps = any(step > 0 for step in steps)

    def forward(self, t: Tensor, column: int | None = None) -> Tensor:
        """Numbers (..., columns), or (...) of one column → scaled numbers."""
        u = self._widths(t, column)
        if self.any_heavy:
            u = torch.where(self._of("heavy", column), torch.asinh(u), u)
        y = (u - self._of("location", column)) / self._of("spread", column)
        return y.clamp(-LARGEST_SCALED, LARGEST_SCALED)

    def restore(self, y: Tensor, column: int | None = None) -> Tensor:
        """Scaled numbers (..., columns), or (...) of one column → numbers, on the steps."""
        u = y * self._of("spread", column) + self._of("location", column)
        if self.any_heavy:
            heavy = torch.sinh(u.clamp(-LARGEST_SINH_ARGUMENT, LARGEST_SINH_ARGUMENT))
            u = torch.where(self._of("heavy", column), heavy, u)
        t = u * self._of("width", column) + self._of("centre", column)
        if self.any_steps:
            step = self._of("step", column)
            # 1 where there are none, so that nothing is divided by 0.
            steps = torch.where(step > 0, step, 1.0)
            t = torch.where(step > 0, torch.round(t / steps) * steps, t)
        return t

    def log_slope(self, t: Tensor) -> Tensor:
        """log |dy / dt|."""
        # With u = asinh(v), du/dv = 1 / √(1 + v²).
        curve = torch.where(self.heavy, torch.hypot(torch.ones_like(t), self._widths(t)).log(), 0.0)
        return -curve - (self.width.double() * self.spread.double()).log()

    def cells(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Middle and width, in scaled numbers, of the cell of half a step around `t`."""
        if not self.any_heavy:
            return self.forward(t), (self.step / self.width / self.spread).expand_as(t)
        v, h = self._widths(t), self.step / self.width
        lower, upper = v - h / 2, v + h / 2
        ends = torch.asinh(lower), torch.asinh(upper)
        # asinh(b) − asinh(a) = asinh(b √(1 + a²) − a √(1 + b²)), which for a and b of one sign, where the difference
        # would cancel, is asinh((b − a)(b + a) / (b √(1 + a²) + a √(1 + b²))).
        same = lower * upper > 0
        near, far = torch.where(same, lower, 1.0), torch.where(same, upper, 1.0)
        one = torch.ones_like(near)
        ratio = (near + far) / (far * torch.hypot(one, near) + near * torch.hypot(one, far))
        width = torch.where(same, torch.asinh(h * ratio), ends[1] - ends[0])
        middle = torch.where(self.heavy, (ends[0] + ends[1]) / 2, v)
        return (middle - self.location) / self.spread, torch.where(self.heavy, width, h) / self.spread

    def _widths(self, t: Tensor, column: int | None = None) -> Tensor:
        return (t.clamp(-LARGEST_NUMBER, LARGEST_NUMBER) - self._of("centre", column)) / self._of("width", column)

    def _of(self, name: str, column: int | None) -> Tensor:
        """A buffer, or what it holds of one column."""
        values = getattr(self, name)
        return values if column is None else values[column]
