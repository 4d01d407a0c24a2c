"""What each latent unit moves: it alone is turned from low to high, and every row keeps its other units."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..domains.table import Table
from ..domains.table.columns import EmptyColumn
from ..estimator.base import Estimator
from .readout import Readout, read, short, told, values_of

# An effect is measured between these quantiles of a unit's codes, the middle four fifths of the rows.
TURNED = (0.1, 0.9)
# Rows whose codes are turned: all of them for few units, fewer for many.
MOST_ROWS, FEWEST_ROWS, MOST_TURNS = 128, 16, 8192
# A unit or a column whose effect is below this share of the largest is not worth a reader's time.
LEAST_SHARE = 0.05
# Values of a category that are told, and the least change of a probability that is.
MOST_VALUES_TOLD, LEAST_CHANGE = 3, 0.01


@dataclass(frozen=True)
class Turned:
    """Rows decoded with each unit at its low and at its high end: rows of the first unit come first."""

    low: np.ndarray  # (units,)
    high: np.ndarray
    before: Readout  # (units · rows, …)
    after: Readout

    @property
    def units(self) -> int:
        return len(self.low)

    def ends(self, unit: int) -> tuple[Readout, Readout]:
        """The rows of one unit, before and after."""
        rows = len(self.before.matrix) // self.units
        part = slice(unit * rows, (unit + 1) * rows)
        return self.before.part(part), self.after.part(part)

    def changes(self) -> list[np.ndarray]:
        """How each column of `domain_.matrix` changes, (units · rows, width): its scaled number, or for categories the
        probabilities of its values, the last of them all that are not told."""
        numbers = np.nan_to_num(self.after.matrix - self.before.matrix)
        domain = self.before.domain
        if self.before.tensor is not None and not isinstance(domain, Table):
            numbers[:, domain.categorical] = numbers[:, domain.categorical] != 0
        columns = [numbers[:, place, None] for place in range(numbers.shape[1])]
        if isinstance(domain, Table) and self.before.chances is not None and self.after.chances is not None:
            moved = self.after.chances - self.before.chances
            for place in np.flatnonzero(domain.categorical):
                known = moved[:, place, : len(values_of(domain.columns[place]))]
                columns[place] = np.hstack([known, -known.sum(1, keepdims=True)])
        return columns

    def most_changed(self, unit: int) -> np.ndarray:
        """For tables, the place of the value of each column that gains or loses most, on average over rows."""
        before, after = self.ends(unit)
        if before.chances is None or after.chances is None:
            return np.zeros(before.matrix.shape[1], int)
        return np.abs(after.chances.mean(0) - before.chances.mean(0)).argmax(-1)

    def effects(self) -> np.ndarray:
        """`effects`."""
        domain = self.before.domain
        categorical = domain.categorical if isinstance(domain, Table) else np.zeros(self.before.matrix.shape[1], bool)
        sizes = [
            # Total variation ½ Σ |Δp| for categories.
            np.abs(change).sum(1) * (0.5 if categorical[place] else 1.0)
            for place, change in enumerate(self.changes())
        ]
        return np.stack(sizes, axis=1).reshape(self.units, -1, len(sizes)).mean(1)


def turned(estimator: Estimator, codes: np.ndarray) -> Turned:
    """Turn every unit of some of these codes (rows, latent_dim)."""
    codes = np.asarray(codes, np.float32)
    units = codes.shape[1]
    low, high = np.array([_ends(unit) for unit in codes.T], np.float32).T
    some = spread_evenly(codes, max(FEWEST_ROWS, min(MOST_ROWS, MOST_TURNS // units)))
    before, after = (np.tile(some, (units, 1, 1)) for _ in range(2))
    each = np.arange(units)
    before[each, :, each], after[each, :, each] = low[:, None], high[:, None]
    return Turned(low, high, *(read(estimator, end.reshape(-1, units)) for end in (before, after)))


def effects(estimator: Estimator, codes: np.ndarray) -> np.ndarray:
    """How much each feature changes when each unit is turned, shape (units, columns of `domain_.matrix`).

    Every row keeps its other units while one goes from the 10th to the 90th percentile of that unit's codes, or, where
    most rows leave it at 0, from there to the median of those that light it. The effect is the mean size of the change.
    Its unit is the column's own spread (standard deviations) for numbers and dates, the share of black to white for
    pixels, and for categories and booleans the probability that moves from some values to others (total variation),
    0 to 1. A column that was empty has effect 0.
    """
    return turned(estimator, codes).effects()


def carries(estimator: Estimator, codes: np.ndarray, *, most_columns: int = 8) -> list[dict[str, Any]]:
    """Which columns each unit moves: [{unit, columns [{name, effect}]}], the strongest effect first.

    Units and columns that move next to nothing (below a twentieth of the strongest unit, or of the unit's strongest
    column) are left out. The effect's unit is that of `effects`.
    """
    return strongest(effects(estimator, codes), estimator.domain_.turned_names, most_columns)


def strongest(effect: np.ndarray, names: Sequence[str], most_columns: int = 8) -> list[dict[str, Any]]:
    """`carries`, given the effects (units, columns)."""
    return [
        {
            "unit": unit,
            "columns": [
                {"name": names[c], "effect": short(effect[unit, c])} for c in moved(effect[unit], most_columns)
            ],
        }
        for unit in moving(effect)
    ]


def of_symbols(turn: Turned, names: Sequence[str], most: int = 12) -> list[dict[str, Any]]:
    """`carries` of texts, with how frequent each symbol is, in per cent, at the unit's low and high end: [{unit, low,
    high, columns [{name, effect, from, to}]}]."""
    effect, told_units = turn.effects(), []
    for unit in moving(effect):
        before, after = (end.matrix.mean(0) for end in turn.ends(unit))
        columns = [
            {"name": names[c], "effect": short(effect[unit, c]), "from": short(before[c]), "to": short(after[c])}
            for c in moved(effect[unit], most)
        ]
        told_units.append(
            {"unit": unit, "low": short(turn.low[unit]), "high": short(turn.high[unit]), "columns": columns}
        )
    return told_units


def moved(effect: np.ndarray, most_columns: int) -> list[int]:
    """The columns that a unit of these effects (columns,) moves, the strongest first."""
    order = np.argsort(-effect, kind="stable")[:most_columns]
    return [int(column) for column in order if effect[column] >= LEAST_SHARE * effect.max()]


def in_own_units(turn: Turned, most_columns: int = 8) -> list[dict[str, Any]]:
    """For tables, `carries` with what the columns are at both ends, averaged over rows.

    [{unit, low, high, columns}], where low and high are the unit's codes at the ends and a column is
    {name, effect, from, to, change, in?} or, for categories, {name, effect, values [{of, from, to}]}: probabilities of
    the values that gain or lose most.
    """
    effect = turn.effects()
    return [
        {
            "unit": unit,
            "low": short(turn.low[unit]),
            "high": short(turn.high[unit]),
            "columns": _at_both_ends(turn, unit, effect[unit], most_columns),
        }
        for unit in moving(effect)
    ]


def _at_both_ends(turn: Turned, unit: int, effect: np.ndarray, most_columns: int) -> list[dict[str, Any]]:
    before, after = turn.ends(unit)
    table = before.domain
    assert isinstance(table, Table)
    (low, units), (high, _) = before.numbers(), after.numbers()
    columns = []
    for place in moved(effect, most_columns):
        column = table.columns[place]
        if isinstance(column, EmptyColumn):
            continue
        entry: dict[str, Any] = {"name": column.name, "effect": short(effect[place])}
        if table.categorical[place]:
            assert before.chances is not None and after.chances is not None
            ends = before.chances[:, place].mean(0), after.chances[:, place].mean(0)
            entry["values"] = _gains(values_of(column), *ends)
        else:
            start, end = (float(np.nanmean(numbers[:, place])) for numbers in (low, high))
            entry |= {"from": short(start), "to": short(end), "change": short(end - start)}
            entry |= told(column, units[place])
        columns.append(entry)
    return columns


def _gains(values: list[str], before: np.ndarray, after: np.ndarray) -> list[dict[str, Any]]:
    order = np.argsort(-np.abs(after - before)[: len(values)], kind="stable")[:MOST_VALUES_TOLD]
    kept = [place for rank, place in enumerate(order) if rank == 0 or abs(after - before)[place] >= LEAST_CHANGE]
    return [{"of": values[place], "from": short(before[place]), "to": short(after[place])} for place in kept]


def moving(effect: np.ndarray) -> list[int]:
    """Units that move something, those that move most first."""
    strength = effect.sum(1)
    order = np.argsort(-strength, kind="stable")
    return [int(unit) for unit in order if strength[unit] > 0 and strength[unit] >= LEAST_SHARE * strength.max()]


def is_sparse(unit: np.ndarray) -> bool:
    """Whether a unit's codes (rows,) are never negative and in most rows 0: a feature that few rows light."""
    return bool(unit.min() >= 0 and (unit == 0).mean() > 0.5)


def _ends(unit: np.ndarray) -> tuple[float, float]:
    if is_sparse(unit) and unit.any():
        return 0.0, float(np.median(unit[unit > 0]))
    low, high = np.quantile(unit, TURNED)
    return float(low), float(high)


def spread_evenly(codes: np.ndarray, rows: int) -> np.ndarray:
    """At most so many rows, spread evenly over all that there are."""
    return codes[np.linspace(0, len(codes) - 1, min(rows, len(codes))).astype(int)]
