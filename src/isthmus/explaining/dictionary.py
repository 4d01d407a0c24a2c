"""What the features of a sparse code mean: the rows that light each, and the columns in which these differ."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.sparse import HeldRows, dense
from ..domains.base import Domain
from ..domains.table import Table
from ..domains.table.columns import Column
from .readout import in_own_units, short, told, values_of

QUARTILES = (0.25, 0.5, 0.75)
# Rows that are compared, and features that are described: those lit most often.
MOST_ROWS, MOST_FEATURES = 20_000, 64
MOST_COLUMNS = 4
EXAMPLES = {"table": 3, "image": 10, "text": 4}
# Fewer rows than this say nothing about a column.
FEWEST_LIT = 5
# A column that differs less than this is left out: the largest distance of two distributions of a few hundred rows that
# are drawn alike is often this large.
LEAST_DIFFERENCE = 0.1
MOST_VALUES_TOLD, LEAST_GAIN = 2, 0.02


def is_dictionary(codes: np.ndarray) -> bool:
    """Whether codes (rows, features) are sparse: none negative, and most of them 0."""
    return bool(codes.size and codes.min() >= 0 and (codes == 0).mean() > 0.5)


def described(domain: Domain, codes: np.ndarray, x: HeldRows) -> list[dict[str, Any]]:
    """The features of a sparse code of rows x, those lit most often first; features that nothing lights are left out.

    Each is {feature, lit, rows, median, columns, examples}: the share and the number of rows that light it, how
    strongly they do, the columns in which those rows differ most from all, and the rows that light it most, {row,
    strength, picture}. A column is {name, difference, lit [..], all [..], in?}, with lower quartile, median and upper
    quartile, or {name, difference, values [{of, lit, all, lift}]} with shares of the values that are most
    over-represented. `difference` is the largest distance between the two distribution functions (Kolmogorov and
    Smirnov's) for numbers, and the total variation for categories, both 0 to 1. Images have no such columns.
    """
    codes, x = codes[:MOST_ROWS], x[:MOST_ROWS]
    often = (codes > 0).sum(0)
    order = [int(unit) for unit in np.argsort(-often, kind="stable") if often[unit] > 0][:MOST_FEATURES]
    columns = _Columns(domain, dense(x)) if isinstance(domain, Table) else None
    return [_feature(domain, codes[:, unit], x, unit, columns) for unit in order]


def _feature(
    domain: Domain, strengths: np.ndarray, x: HeldRows, unit: int, columns: "_Columns | None"
) -> dict[str, Any]:
    lit = strengths > 0
    shown = np.argsort(-strengths, kind="stable")[: min(EXAMPLES[domain.picture_kind], int(lit.sum()))]
    pictures = domain.pictures(x[torch.from_numpy(shown)])
    return {
        "feature": unit,
        "lit": short(lit.mean()),
        "rows": int(lit.sum()),
        "median": short(np.median(strengths[lit])),
        "columns": columns.differing(lit) if columns is not None and lit.sum() >= FEWEST_LIT else [],
        "examples": [
            {"row": int(row), "strength": short(strengths[row]), "picture": picture}
            for row, picture in zip(shown, pictures, strict=True)
        ],
    }


class _Columns:
    """The columns of a table's rows, in their own units."""

    def __init__(self, table: Table, x: Tensor):
        self.table = table
        self.cells = x.cpu().double().numpy()
        self.numbers, self.units = in_own_units(table, x)

    def differing(self, lit: np.ndarray) -> list[dict[str, Any]]:
        """The columns in which the lit rows differ most from all."""
        found = [self._compared(place, column, lit) for place, column in enumerate(self.table.columns)]
        told = sorted((entry for entry in found if entry), key=lambda entry: -entry["difference"])
        return [entry for entry in told if entry["difference"] >= LEAST_DIFFERENCE][:MOST_COLUMNS]

    def _compared(self, place: int, column: Column, lit: np.ndarray) -> dict[str, Any] | None:
        observed = ~np.isnan(self.cells[:, place])
        if (lit & observed).sum() < FEWEST_LIT:
            return None
        if self.table.categorical[place]:
            return {"name": column.name, **self._shares(place, column, lit & observed, observed)}
        own, everyone = self.numbers[lit & observed, place], self.numbers[observed, place]
        return {
            "name": column.name,
            "difference": short(_distance(own, everyone)),
            "lit": [short(value) for value in np.quantile(own, QUARTILES)],
            "all": [short(value) for value in np.quantile(everyone, QUARTILES)],
            **told(column, self.units[place]),
        }

    def _shares(self, place: int, column: Column, own: np.ndarray, everyone: np.ndarray) -> dict[str, Any]:
        codes = np.nan_to_num(self.cells[:, place]).astype(int)
        lit, all_ = (np.bincount(codes[rows], minlength=codes.max() + 1) / rows.sum() for rows in (own, everyone))
        names = ["False", "True"] if column.kind == "boolean" else values_of(column)
        gains = (lit - all_)[: len(names)]
        more = [v for v in np.argsort(-gains, kind="stable")[:MOST_VALUES_TOLD] if gains[v] >= LEAST_GAIN]
        values = [
            {"of": names[v], "lit": short(lit[v]), "all": short(all_[v]), "lift": short(lit[v] / all_[v])} for v in more
        ]
        return {"difference": short(0.5 * np.abs(lit - all_).sum()), "values": values}


def _distance(own: np.ndarray, everyone: np.ndarray) -> float:
    """The largest distance of the two distribution functions; `own` are some of `everyone`."""
    points = np.unique(everyone)
    below = [np.searchsorted(np.sort(values), points, side="right") / len(values) for values in (own, everyone)]
    return float(np.abs(below[0] - below[1]).max())
