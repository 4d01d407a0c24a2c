"""Numbers that came before: a cell as a pointer to an earlier row of the same context with the same number.

In a context where `earlier` rows came before, `same` of them with this row's number, a pointer costs
log₂(earlier / same) bits: any of the `same` rows will do, and which one is drawn from the bits already on the stack,
to which the decoder returns it (bits-back coding). That is the code length of counts which adapt row by row, yet all
rows are decoded at once; and no list of numbers is ever stored.
"""

import numpy as np


def joint_keys(parts: list[np.ndarray], rows: int) -> np.ndarray:
    """One whole number (rows,) for each combination of several columns' whole numbers, counted from 0."""
    keys = np.zeros(rows, np.int64)
    for part in parts:
        _, codes = np.unique(part, return_inverse=True)
        _, keys = np.unique(keys * (codes.max(initial=0) + 1) + codes, return_inverse=True)
    return keys


class Context:
    """Rows grouped by what is known of them before this column: keys (rows,), negative for rows that take no part."""

    def __init__(self, keys: np.ndarray):
        self.keys = keys
        self.order = np.argsort(keys, kind="stable")
        ranked = keys[self.order]
        new = np.ones(len(keys), bool)
        new[1:] = ranked[1:] != ranked[:-1]
        starts = np.flatnonzero(new)
        group = np.cumsum(new) - 1
        self.start = np.empty(len(keys), np.int64)
        self.start[self.order] = starts[group] if len(starts) else 0
        place = np.empty(len(keys), np.int64)
        place[self.order] = np.arange(len(keys))
        # How many rows of the same context came before each row.
        self.earlier = np.where(keys < 0, 0, place - self.start)

    def row(self, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        """The `index`-th row of the context of each of `rows`. Raises ValueError for an index beyond the row itself."""
        if (index < 0).any() or (index >= self.earlier[rows]).any():
            raise ValueError("a pointer to a row that does not come before")
        return self.order[self.start[rows] + index]

    def with_numbers(self, numbers: np.ndarray) -> "Context":
        """Rows grouped by context and number."""
        keys = joint_keys([self.keys, numbers], len(numbers))
        return Context(np.where(self.keys < 0, -1, keys))


def resolve(numbers: np.ndarray, rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The numbers of all rows, where `rows` have those of their `targets`, which are earlier rows."""
    source = np.arange(len(numbers))
    source[rows] = targets
    while True:
        further = source[source]
        if np.array_equal(further, source):
            return numbers[source]
        source = further
