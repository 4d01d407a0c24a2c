"""What a fitted model says about itself: what each latent unit stands for, and which columns make a row unusual.

Functions about units take an estimator and codes (rows, latent_dim): those of rows (`transform`), or `prior_codes`.
They return plain facts, in the shapes that docs/facts.md gives for `pictures.traversals[name]` and `latent.carries`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from .core.randomness import Randomness
from .core.sparse import dense
from .domains.table import Table
from .domains.table.columns import BooleanColumn, CategoryColumn, Column, EmptyColumn
from .domains.table.frames import to_arrow
from .estimator.base import BATCH, Estimator
from .estimator.inference import in_batches
from .estimator.unusual_cells import the_cells_left_out, unusual_cells, without_each_cell

# A walk goes from the lower to the upper of these quantiles of a unit's codes: as far as real rows go, outliers apart.
WALKED = (0.02, 0.98)
# An effect is measured between these, the middle four fifths of the rows.
TURNED = (0.1, 0.9)
MOST_EFFECT_ROWS = 128
# A category's effect is summed over at most this many categories, the commonest; rarer ones hardly weigh.
MOST_CATEGORIES = 16
# A unit or a column whose effect is below this share of the largest is not worth a reader's time.
LEAST_SHARE = 0.05
# Generated rows that say what is usual for a column, and draws of the codes for each score.
USUAL_ROWS = 256
SURPRISE_DRAWS = 4
# Rows, each without one of its cells, that are decoded at a time.
EXPLAINED_ROWS = 4096

SECONDS_PER_YEAR = 365.2425 * 86_400


def prior_codes(estimator: Estimator, rows: int = 1_000, seed: int = 0) -> np.ndarray:
    """Codes drawn from the model's prior, shape (rows, latent_dim); they stand in for rows where none are given."""
    randomness = Randomness(seed, "explain", device=estimator._device)
    with torch.no_grad():
        return estimator.model_.prior().sample(rows, randomness).cpu().numpy()


def effects(estimator: Estimator, codes: np.ndarray) -> np.ndarray:
    """How much each feature changes when each unit is turned, shape (units, columns of `domain_.matrix`).

    Every row keeps its other units while one goes from the 10th to the 90th percentile of that unit's codes; the effect
    is the mean size of the change. Its unit is the column's own spread (standard deviations) for numbers and dates, the
    share of black to white for pixels, and for categories and booleans the probability that moves from some values to
    others (total variation), 0 to 1. A column that was empty has effect 0.
    """
    codes = _at_most(np.asarray(codes, np.float32), MOST_EFFECT_ROWS)
    low, high = np.quantile(codes, TURNED, axis=0)
    changes = []
    for unit in range(codes.shape[1]):
        turned = [codes.copy(), codes.copy()]
        turned[0][:, unit], turned[1][:, unit] = low[unit], high[unit]
        changes.append(_change(estimator, *(torch.from_numpy(end) for end in turned)))
    return np.stack(changes)


def carries(estimator: Estimator, codes: np.ndarray, *, most_columns: int = 8) -> list[dict[str, Any]]:
    """Which columns each unit moves: [{unit, columns [{name, effect}]}], the strongest effect first.

    Units and columns that move next to nothing (below a twentieth of the strongest unit, or of the unit's strongest
    column) are left out. The effect's unit is that of `effects`.
    """
    return strongest(effects(estimator, codes), estimator.domain_.column_names, most_columns)


def strongest(effect: np.ndarray, names: Sequence[str], most_columns: int = 8) -> list[dict[str, Any]]:
    """`carries`, given the effects (units, columns)."""
    found = []
    for unit in _moving(effect):
        own = effect[unit]
        order = np.argsort(-own, kind="stable")[:most_columns]
        kept = [column for column in order if own[column] >= LEAST_SHARE * own.max()]
        found.append({"unit": unit, "columns": [{"name": names[c], "effect": _short(own[c])} for c in kept]})
    return found


def traversals(estimator: Estimator, codes: np.ndarray, *, steps: int = 9, most_units: int = 12) -> dict[str, Any]:
    """Walks through the code: one unit goes from low to high while the others stay put.

    The walk passes through the row whose code is nearest to the middle of `codes`, so that what is decoded stays near
    real rows. Units that change most come first; those that change nothing are left out. The result is
    {kind "image", units [{unit, label, positions, frames}]} with frames as PNG in base64, or
    {kind "table", units [{unit, label, positions, columns [{name, values, of, in}]}]}. For numbers `values` are in the
    column's own units, or in those that `in` names: dates in years, durations and times in seconds. For other columns
    they are the probability of the value `of`: the commonest category, or True.
    """
    codes = np.asarray(codes, np.float32)
    moving = _moving(effects(estimator, codes))[:most_units]
    start = _central(codes)
    units = []
    for unit in moving:
        positions = _positions(codes[:, unit], steps)
        walk = np.repeat(start[None], len(positions), axis=0)
        walk[:, unit] = positions
        units.append(
            {
                "unit": unit,
                "label": f"unit {unit}",
                "positions": [_short(position) for position in positions],
                **_decoded(estimator, torch.from_numpy(walk)),
            }
        )
    return {"kind": estimator.domain_.picture_kind, "units": units}


def heat_maps(estimator: Estimator, effect: np.ndarray) -> list[str]:
    """For images: where each unit's effect (units, pixels) is, white where it is strongest of all, as PNG in base64."""
    domain = estimator.domain_
    scale = effect.max() or 1.0
    intensities = torch.from_numpy(effect / scale).to(torch.float32)
    return domain.pictures(domain.from_features(intensities))


def excess_surprise(estimator: Estimator, x: Tensor) -> np.ndarray:
    """For tables: how much more surprising each cell is than its column usually is, in nats, shape (rows, columns).

    A cell's surprise given the rest of its row, −log p(cell | others) = log p(others) − log p(row), is found by scoring
    the row with the cell and without it. What is usual for a column is the median over rows that the model itself
    generates, so a row's numbers depend on the row alone. Missing cells have 0.
    """
    generated = dense(estimator.sample_tensors(USUAL_ROWS, estimator._seed))
    usual = np.median(_surprise(estimator, generated), axis=0)
    return np.where(x.isnan().numpy(), 0.0, _surprise(estimator, x) - usual)


def explained_scores(estimator: Estimator, x: Tensor, scores: np.ndarray, most_columns: int = 3) -> pa.Table:
    """The columns that make each row of a table unusual, in the form of `unusual_cells`; the excess is in nats.

    What was expected instead of a cell is decoded from the row without it.
    """
    columns = x.shape[1]
    domain, size = estimator.domain_, max(1, EXPLAINED_ROWS // columns)
    guesses = np.empty(x.shape)
    for start in range(0, len(x), size):
        rest = without_each_cell(x[start : start + size])
        decoded = domain.matrix(estimator.decode_tensors(estimator.encode_tensors(rest)))
        guesses[start : start + size] = the_cells_left_out(decoded, columns)
    excess = excess_surprise(estimator, x)
    return unusual_cells(domain, x, scores, excess, domain.from_matrix(guesses), most_columns)


def _surprise(estimator: Estimator, x: Tensor) -> np.ndarray:
    whole = estimator.score_tensors(x, SURPRISE_DRAWS)
    surprise = np.empty(x.shape)
    for column in range(x.shape[1]):
        rest = x.clone()
        rest[:, column] = torch.nan
        surprise[:, column] = estimator.score_tensors(rest, SURPRISE_DRAWS) - whole
    return surprise


# Which units, and where they go.


def _moving(effect: np.ndarray) -> list[int]:
    """Units that move something, those that move most first."""
    strength = effect.sum(1)
    order = np.argsort(-strength, kind="stable")
    return [int(unit) for unit in order if strength[unit] > 0 and strength[unit] >= LEAST_SHARE * strength.max()]


def _at_most(codes: np.ndarray, rows: int) -> np.ndarray:
    """Rows spread evenly over all that there are."""
    return codes[np.linspace(0, len(codes) - 1, min(rows, len(codes))).astype(int)]


def _central(codes: np.ndarray) -> np.ndarray:
    """The code nearest to the mean, each unit measured by its own spread; shape (latent_dim,)."""
    spread = codes.std(0)
    distances = np.square((codes - codes.mean(0)) / np.where(spread > 0, spread, 1)).sum(1)
    return codes[distances.argmin()]


def _positions(codes: np.ndarray, steps: int) -> np.ndarray:
    """Where one unit stops on its way: evenly, or at the values that it can take if these are few (discrete codes)."""
    values = np.unique(codes)
    if len(values) <= steps:
        return values
    low, high = np.quantile(codes, WALKED)
    return np.linspace(low, high, steps)


# What comes out.


def _decoded(estimator: Estimator, walk: Tensor) -> dict[str, Any]:
    """The rows of one walk, as facts."""
    domain = estimator.domain_
    if isinstance(domain, Table):
        return {"columns": _walked_columns(estimator, domain, walk)}
    return {"frames": domain.pictures(estimator.decode_tensors(walk))}


def _walked_columns(estimator: Estimator, table: Table, walk: Tensor) -> list[dict[str, Any]]:
    cells, _ = to_arrow(table.rows(estimator.decode_tensors(walk)))
    commonest = _probabilities(estimator, table, walk, [_first_value(column) for column in table.columns])
    walked = []
    for index, column in enumerate(table.columns):
        if isinstance(column, EmptyColumn):
            continue
        entry: dict[str, Any] = {"name": column.name}
        if isinstance(column, CategoryColumn | BooleanColumn):
            entry["values"] = _all_short(commonest[:, index])
            entry["of"] = str(column.values[0]) if isinstance(column, CategoryColumn) else "True"
        else:
            values, unit = in_numbers(cells.column(index))
            entry["values"] = _all_short(values)
            entry |= {"in": unit} if unit else {}
        walked.append(entry)
    return walked


def in_numbers(cells: pa.ChunkedArray) -> tuple[np.ndarray, str | None]:
    """Cells as float64, and the unit if it is not the column's own: dates in years, durations and times in seconds."""
    kind = cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        seconds = cells.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()).to_numpy() / 1e6
        return 1970 + seconds / SECONDS_PER_YEAR, "years"
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        integer = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        return cells.cast(integer).cast(pa.float64()).to_numpy() / per_second, "seconds"
    return cells.cast(pa.float64(), safe=False).to_numpy(), None


def _change(estimator: Estimator, before: Tensor, after: Tensor) -> np.ndarray:
    """The mean size of the change of each feature from one set of codes to another, shape (columns,)."""
    domain = estimator.domain_
    matrices = [domain.matrix(estimator.decode_tensors(codes)) for codes in (before, after)]
    change = np.nan_to_num(np.abs(matrices[1] - matrices[0])).mean(0)
    if isinstance(domain, Table) and domain.categorical.any():
        change[domain.categorical] = _moved_probability(estimator, domain, before, after)[domain.categorical]
    return change


def _moved_probability(estimator: Estimator, table: Table, before: Tensor, after: Tensor) -> np.ndarray:
    """Total variation ½ Σ |Δp| over the values of each column, averaged over rows, shape (columns,)."""
    counts = np.array([_value_count(column) for column in table.columns])
    moved = np.zeros(len(counts))
    for code in range(min(MOST_CATEGORIES, counts.max())):
        # Columns with fewer values are asked for one that they have, and the answer is not used.
        codes = [float(min(code, max(count - 1, 0))) for count in counts]
        ends = [_probabilities(estimator, table, at, codes) for at in (before, after)]
        moved += np.where(code < counts, 0.5 * np.abs(ends[1] - ends[0]).mean(0), 0.0)
    return moved


def _value_count(column: Column) -> int:
    if isinstance(column, BooleanColumn):
        return 2
    return column.modelled if isinstance(column, CategoryColumn) else 0


def _first_value(column: Column) -> float:
    """The number of the value whose probability is told: categories count from the commonest; 1 is True."""
    return 1.0 if isinstance(column, BooleanColumn) else 0.0


def _probabilities(estimator: Estimator, table: Table, codes: Tensor, values: list[float]) -> np.ndarray:
    """p(column = value | code), shape (rows, columns); meaningful for categories and booleans."""
    x = torch.tensor(values, device=estimator._device)

    def asked(batch: Tensor) -> Tensor:
        likelihood = estimator.model_.likelihood(batch).without_context()
        return likelihood.log_prob_per_feature(x.expand(len(batch), -1)).exp()

    return in_batches(asked, codes, BATCH, estimator._device).double().numpy()


def _short(value: float) -> float:
    """Six significant digits: more say nothing and make a report heavy."""
    return float(f"{value:.6g}")


def _all_short(values: Iterable[float]) -> list[float | None]:
    return [_short(value) if np.isfinite(value) else None for value in values]
