"""What a column's number is expected to be from numbers known before: arithmetic that many tables are made by.

expected = (Σ coefficient · term + offset) >> 32, in int64 that wraps around, so that number − expected is the same on
every machine. A term is an earlier column's number, the number one row before (for columns that the rows are sorted
by), or the product or ratio of two earlier columns. Coefficients are found by reweighted least squares, which a few
rows that break the rule do not disturb.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FRACTION = 32
MOST_TERMS = 4
# Rounds of reweighting until a few rows in a hundred that break a rule have no weight left.
PATIENT = 30
# Ratios are of a number times 2¹⁶ to another.
_RATIO = 16

PREVIOUS_ROW = "previous row"
COLUMN = "column"
PRODUCT = "product"
RATIO = "ratio"
_ARITY = {PREVIOUS_ROW: 0, COLUMN: 1, PRODUCT: 2, RATIO: 2}


@dataclass
class Term:
    """One term: what it is of, and of which columns, by number."""

    kind: str
    columns: tuple[int, ...] = ()

    def values(self, known: Callable[[int], np.ndarray]) -> np.ndarray:
        """The term (rows,) int64 from the numbers of earlier columns, whose missing cells are 0."""
        if self.kind == COLUMN:
            return known(self.columns[0])
        one, other = (known(column) for column in self.columns)
        if self.kind == PRODUCT:
            return one * other
        return (one << _RATIO) // np.where(other == 0, 1, other)


@dataclass
class Relation:
    """The expected number of each row; with no terms and no offset, 0."""

    terms: list[Term] = field(default_factory=list)
    coefficients: list[int] = field(default_factory=list)
    offset: int = 0

    @property
    def previous_row(self) -> bool:
        return bool(self.terms) and self.terms[0].kind == PREVIOUS_ROW

    def expected(self, known: Callable[[int], np.ndarray], rows: int) -> np.ndarray:
        """(rows,) int64; not for a relation to the previous row."""
        total = np.full(rows, self.offset, np.int64)
        with np.errstate(over="ignore"):
            for term, coefficient in zip(self.terms, self.coefficients, strict=True):
                total += term.values(known) * np.int64(coefficient)
        return total >> FRACTION

    def settings(self) -> list[Any]:
        return [[[term.kind, *term.columns] for term in self.terms], self.coefficients, self.offset]

    @classmethod
    def from_settings(cls, settings: list[Any], column: int, earlier: range) -> "Relation":
        """Raises TypeError or ValueError where it is none, or needs columns that are not known before."""
        terms, coefficients, offset = settings
        made = [Term(kind, tuple(map(int, columns))) for kind, *columns in terms]
        for term in made:
            if len(term.columns) != _ARITY.get(term.kind, -1) or not all(other in earlier for other in term.columns):
                raise ValueError(f"column {column} is expected from columns that are not known before it")
        if any(term.kind == PREVIOUS_ROW for term in made) and len(made) != 1:
            raise ValueError("a relation to the previous row has no other terms")
        if (
            len(made) > MOST_TERMS
            or len(coefficients) != len(made)
            or any(abs(number) >= 2**62 for number in (*coefficients, offset))
        ):
            raise ValueError("coefficients of a relation beyond their bounds")
        return cls(made, [int(number) for number in coefficients], int(offset))


def found(
    target: np.ndarray, columns: list[int], known: Callable[[int], np.ndarray], cost: Callable[[np.ndarray], float]
) -> Relation:
    """The relation of at most four terms whose residuals cost least; `cost` takes residuals (rows,).

    Terms are added one at a time, the best first, while each saves a twentieth of the cost.
    """
    candidates = [Term(COLUMN, (column,)) for column in columns]
    wide = [column for column in columns if len(np.unique(known(column)[:2000])) > 16][:12]
    candidates += [Term(PRODUCT, (a, b)) for i, a in enumerate(wide) for b in wide[i:]]
    candidates += [Term(RATIO, (a, b)) for a in wide for b in wide if a != b]
    values: list[tuple[Term, np.ndarray]] = []
    for term in candidates:
        with np.errstate(over="ignore"):
            held = term.values(known)
        if 0 < np.abs(held.astype(np.float64)).max(initial=0) < 2**44 and np.ptp(held) > 0:
            values.append((term, held))
    best, best_cost = Relation(), cost(target)
    chosen: list[tuple[Term, np.ndarray]] = []
    while len(chosen) < MOST_TERMS:
        trials = []
        for term, held in values:
            if any(term == other for other, _ in chosen):
                continue
            trials.append((*_fitted(target, [*chosen, (term, held)]), (term, held)))
        if not trials:
            break
        trials.sort(key=lambda trial: trial[0])
        # The quick measure orders the trials, the true cost decides among the first.
        improved = [(cost(_residuals(target, relation, known)), relation, pair) for _, relation, pair in trials[:3]]
        least = min(improved, key=lambda each: each[0])
        if least[0] > 0.985 * best_cost:
            break
        best_cost, best = least[0], least[1]
        chosen.append(least[2])
    whole = _pruned(target, [pair for pair in values if pair[0].kind == COLUMN], _size(_residuals(target, best, known)))
    if whole is not None and cost(_residuals(target, whole, known)) < 0.7 * best_cost:
        return whole
    return best


def _pruned(target: np.ndarray, terms: list[tuple[Term, np.ndarray]], size: float) -> Relation | None:
    """The relation to all columns at once, with those left out that it can do without: a difference of two columns is
    seen in neither of them alone. None if it takes too many, or halves not even the `size` of residuals."""
    if not 2 <= len(terms) <= 24:
        return None
    held, relation = _fitted(target, terms, PATIENT)
    if held > size / 2:
        return None
    while len(terms) > 2:
        weights = [abs(each) * held_.std() for each, (_, held_) in zip(relation.coefficients, terms, strict=True)]
        least = int(np.argmin(weights))
        fewer = [*terms[:least], *terms[least + 1 :]]
        rest, smaller = _fitted(target, fewer, PATIENT)
        if rest > held + 0.02 and len(terms) <= MOST_TERMS:
            break
        held, relation, terms = rest, smaller, fewer
    return relation if len(terms) <= MOST_TERMS else None


def _size(residuals: np.ndarray) -> float:
    return float(np.log2(1 + np.abs(residuals.astype(np.float64) - np.median(residuals))).mean())


def _residuals(target: np.ndarray, relation: Relation, known: Callable[[int], np.ndarray]) -> np.ndarray:
    return target - relation.expected(known, len(target))


def _fitted(target: np.ndarray, terms: list[tuple[Term, np.ndarray]], rounds: int = 6) -> tuple[float, Relation]:
    """(the mean of log₂(1 + |residual|), the relation) of some terms, by so many rounds of reweighted least squares."""
    design = np.stack([held.astype(np.float64) for _, held in terms] + [np.ones(len(target))], 1)
    scale = np.abs(design).max(0)
    design /= scale
    goal = target.astype(np.float64)
    weight = np.ones(len(goal))
    solution = np.zeros(design.shape[1])
    for _ in range(rounds):
        weighted = design * weight[:, None]
        solution = np.linalg.lstsq(weighted.T @ design, weighted.T @ goal, rcond=1e-12)[0]
        error = np.abs(goal - design @ solution)
        weight = 1 / (error + 0.1 * np.median(error) + 0.05)
    exact = solution / scale
    # A coefficient that is nearly whole is meant to be.
    whole = np.rint(exact)
    rounded = np.where(np.abs(exact - whole) < 0.01 * np.maximum(np.abs(whole), 0.1), whole, exact)
    trials = []
    for attempt in (rounded, exact):
        fixed = np.rint(attempt * 2**FRACTION)
        if (np.abs(fixed[:-1]) * scale[:-1]).max() >= 2**60 or abs(fixed[-1]) >= 2**60:
            continue
        offset = int(fixed[-1]) + 2 ** (FRACTION - 1)  # so that shifting rounds to the nearest
        relation = Relation([term for term, _ in terms], [int(each) for each in fixed[:-1]], offset)
        total = np.full(len(target), offset, np.int64)
        with np.errstate(over="ignore"):
            for (_, held), coefficient in zip(terms, relation.coefficients, strict=True):
                total += held * np.int64(coefficient)
        residual = np.abs((target - (total >> FRACTION)).astype(np.float64))
        trials.append((float(np.log2(1 + residual).mean()), relation))
    return min(trials, key=lambda trial: trial[0], default=(np.inf, Relation()))
