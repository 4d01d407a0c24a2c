"""How unlike two rows are: the surprise of each cell, with tails so heavy that no single cell says it all."""

from dataclasses import dataclass

import numpy as np

# So many columns' factors are multiplied before one logarithm is taken: the largest product stays finite.
FACTORS = 16
# Spreads further apart than this are as unlike as can be.
FARTHEST = 1e6


@dataclass(frozen=True)
class Dissimilarity:
    """Σ log(1 + d²) over columns, d the difference in spreads of the column: a Student t's surprise with one degree of
    freedom, but for constants.

    Two unequal categories of shares p and q among the fitted rows have d² = ½ (1/p + 1/q): rare ones are further off.
    `spread` is 1 for categories; `rarity` holds 1/p by code for each column of them, None for numbers.
    """

    spread: np.ndarray
    rarity: tuple[np.ndarray | None, ...]

    @classmethod
    def of(cls, matrix: np.ndarray, categorical: np.ndarray) -> "Dissimilarity":
        """Of rows in the form of `Domain.matrix` (rows, columns), NaN where a cell is missing."""
        spread, rarity = np.ones(matrix.shape[1]), []
        for column, is_category in enumerate(categorical):
            cells = matrix[:, column]
            cells = cells[~np.isnan(cells)]
            if is_category:
                counts = np.bincount(cells.astype(np.int64)) if len(cells) else np.zeros(1)
                rarity.append((counts.sum() + 1.0) / (counts + 1.0))
            else:
                # A constant column has no spread of its own: what differs from it differs by its own units.
                spread[column] = (cells.std() if len(cells) else 0.0) or 1.0
                rarity.append(None)
        return cls(spread, tuple(rarity))

    def scaled(self, matrix: np.ndarray) -> np.ndarray:
        """Rows in the form of `Domain.matrix`, in spreads of each column, filled up with zeros to whole factors."""
        more = -matrix.shape[1] % FACTORS
        return np.pad((matrix / self.spread).clip(-FARTHEST, FARTHEST), ((0, 0), (0, more)))

    def between(self, rows: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Of scaled rows (rows, columns) and one other row, or as many, shape (rows,); missing cells add nothing."""
        factors = rows - other
        np.square(factors, out=factors)
        for column, rarity in enumerate(self.rarity):
            if rarity is not None:
                factors[:, column] = _unequal(rows[:, column], other[..., column], rarity)
        factors += 1.0
        factors[np.isnan(factors)] = 1.0
        # Half of the factors by the other half, and again: one logarithm for sixteen columns.
        factors = factors.reshape(len(rows), FACTORS, -1)
        while factors.shape[1] > 1:
            half = factors.shape[1] // 2
            factors = factors[:, :half] * factors[:, half:]
        return np.log(factors[:, 0]).sum(-1)


def _unequal(codes: np.ndarray, other: np.ndarray, rarity: np.ndarray) -> np.ndarray:
    """d² of categories, 0 where they are equal, NaN where one is missing."""
    ends = np.broadcast_arrays(codes, other)
    rare = [rarity[np.nan_to_num(end).astype(np.int64).clip(0, len(rarity) - 1)] for end in ends]
    return np.where(np.isnan(ends[0]) | np.isnan(ends[1]), np.nan, np.where(ends[0] == ends[1], 0.0, sum(rare) / 2))
