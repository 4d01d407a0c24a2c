"""Data whose structure is known: two factors that drive columns of their own, and sums of a few directions."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

ROWS = 400
FIRST, SECOND = {"height", "reach", "tall", "born"}, {"income", "rich"}


def table(rows: int = ROWS) -> pa.Table:
    """Two groups of columns, each driven by a factor of its own; a date follows the first."""
    randomness = np.random.default_rng(0)
    first, second = randomness.normal(size=(2, rows))
    noise = randomness.normal(scale=0.05, size=(3, rows))
    return pa.table(
        {
            "height": 170 + 10 * (first + noise[0]),
            "reach": 60 + 5 * (first + noise[1]),
            "tall": np.where(first > 0, "yes", "no"),
            "born": (np.datetime64("1990-01-01") + (3000 * first).astype(int)).astype("datetime64[D]"),
            "income": 1000 * np.exp(0.2 * (second + noise[2])),
            "rich": second > 0,
        }
    )


class Dictionary(NamedTuple):
    directions: np.ndarray  # (features, columns), of length 1
    strengths: np.ndarray  # (rows, features), two of each row's positive
    x: np.ndarray  # (rows, columns)


def dictionary(features: int = 10, columns: int = 12, rows: int = 1000, seed: int = 0) -> Dictionary:
    """Rows that are sums of two of several random directions, with a noise of a hundredth of their strength."""
    randomness = np.random.default_rng(seed)
    directions = randomness.normal(size=(features, columns))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lit = np.argsort(randomness.uniform(size=(rows, features)), axis=1)[:, :2]
    strengths = np.zeros((rows, features))
    np.put_along_axis(strengths, lit, randomness.uniform(1, 2, size=(rows, 2)), axis=1)
    return Dictionary(directions, strengths, strengths @ directions + 0.015 * randomness.normal(size=(rows, columns)))
