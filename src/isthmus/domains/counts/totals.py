"""How many things a row holds: the distribution of the rows' totals."""

import math

import numpy as np
import torch
from torch import Tensor

from ...core.randomness import Randomness

# The quantiles of the fitted totals that are remembered.
MOST_KNOTS = 65
# Beyond what was fitted totals fall off as a logistic of their logarithm, of at least this scale.
LEAST_SCALE = 0.05


class Totals:
    """Quantiles of the fitted totals, evenly spaced, of `rows` rows.

    A total is drawn by going evenly from one quantile to the next on the scale of log(1 + total). Its probability is
    that of such draws, mixed with a wide distribution over all whole numbers, which has the weight of one row.
    """

    def __init__(self, quantiles: np.ndarray, rows: int):
        self.quantiles = np.asarray(quantiles, np.float64)  # whole numbers, rising
        self.rows = rows
        self._levels = np.log1p(self.quantiles)
        self._shares = np.linspace(0.0, 1.0, len(self.quantiles))
        self._scale = max(LEAST_SCALE, float(self._levels.std()))

    @classmethod
    def of(cls, totals: np.ndarray) -> "Totals":
        """The totals of the rows, shape (rows,)."""
        shares = np.linspace(0.0, 1.0, min(MOST_KNOTS, max(2, len(totals))))
        return cls(np.quantile(totals, shares, method="nearest"), len(totals))

    @property
    def typical(self) -> float:
        """The median."""
        return float(self.quantiles[len(self.quantiles) // 2])

    def log_mass(self, totals: np.ndarray) -> np.ndarray:
        """log of the probability of each total, in nats, finite for every whole number from 0 on."""
        totals = np.asarray(totals, np.float64)
        drawn = self._share_below(totals + 0.5) - self._share_below(totals - 0.5)
        weight = 1.0 / (self.rows + 1)
        return np.logaddexp(
            math.log1p(-weight) + np.log(np.maximum(drawn, 1e-300)), math.log(weight) + self._log_wide(totals)
        )

    def sample(self, shape: tuple[int, ...], randomness: Randomness) -> Tensor:
        """Draws, float32."""
        uniform = randomness.uniform(*shape).cpu().double().numpy()
        drawn = np.round(np.expm1(np.interp(uniform, self._shares, self._levels)))
        return torch.from_numpy(drawn).float().to(randomness.device)

    def _share_below(self, totals: np.ndarray) -> np.ndarray:
        """The share of draws below these, which lie halfway between whole numbers and so at no quantile."""
        return np.interp(np.log1p(totals), self._levels, self._shares, left=0.0, right=1.0)

    def _log_wide(self, totals: np.ndarray) -> np.ndarray:
        """log σ(b) − σ(a), a and b the ends of the total's cell on the logistic of log(1 + total) around the middle."""
        middle = self._levels.mean()
        a, b = ((np.log(totals + 1 + half) - middle) / self._scale for half in (-0.5, 0.5))
        # log σ(b) σ(−a) (1 − e^(a − b)); 0 takes all that lies below it.
        body = -np.logaddexp(0, -b) - np.logaddexp(0, a) + np.log(-np.expm1(a - b))
        return np.where(totals == 0, -np.logaddexp(0, -b), body)
