"""`evaluate`: how good rows are that a model made, whichever model that was; facts first, then a table to read.

The measures are those of `evaluation/`, and so those of `compare`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import domains
from .core.errors import DataError, OptionError
from .core.randomness import Randomness, seed_from
from .domains.base import Rows
from .domains.image import Image
from .evaluation import generation, picture_features, prediction, privacy
from .evaluation.rows import features, subsample

REAL, SYNTHETIC, HOLDOUT = "the real rows", "the synthetic rows", "the hold-out rows"
# Cells of a set that columns and pairs are measured on; tables of fewer cells are measured whole.
MOST_CELLS = 20_000_000
# A table of more than a hundred columns has more pairs than these; random ones stand for all.
MOST_PAIRS = 5_000
# Columns and pairs that are named.
WORST = 5
# Rows that become points; of these at most so many are what distances are measured to, from a quarter of them.
MOST_POINTS = 50_000
MOST_DISTANCES = 40_000
# A hold-out with a larger share of real rows is more likely a mistake than a table whose rows repeat.
MOST_HELD_OUT_COPIES = 0.5
# Without a hold-out, this share of the real rows is what predictions are tested on.
TEST_SHARE = 0.25
TRENDS = (
    "pairs of columns that vary: half the difference of Pearson's correlations for two numbers, else the total "
    "variation distance between two-way tables, numbers cut into ten bins"
)


# What a measure says of synthetic rows, and of real ones in their place.
Measures = dict[str, dict[str, float | None]]


class Measure(NamedTuple):
    """How a measure is shown."""

    label: str
    best: str
    digits: int = 3
    percent: bool = False


MEASURES = {
    "column_shape": Measure("column-shape error", "0 %", 2, percent=True),
    "pair_trend": Measure("pair-trend error", "0 %", 2, percent=True),
    "c2st_auroc": Measure("told from real rows, AUROC", "0.5"),
    "density": Measure("density", "1"),
    "coverage": Measure("coverage", "1"),
    "frechet_distance": Measure("Fréchet distance of features", "as real"),
    "kernel_distance": Measure("kernel distance of features", "0", 4),
    "prediction": Measure("prediction", "as real"),
    "exact_copies": Measure("exact copies of real rows", "as real", 2, percent=True),
    "copied_share": Measure("nearer to real than to hold-out rows", "50 %", 1, percent=True),
    "membership_auroc": Measure("membership told, AUROC", "0.5"),
}
LIKENESS = ("column_shape", "pair_trend", "c2st_auroc", "density", "coverage")
PRIVACY = ("exact_copies", "copied_share", "membership_auroc")


class Evaluation:
    """What `evaluate` found. `facts` is plain JSON (docs/evaluating.md); printed, it is a table."""

    def __init__(self, facts: dict[str, Any]):
        self.facts = facts

    def __str__(self) -> str:
        return "\n".join([*self._table(), *self._details()])

    def _table(self) -> list[str]:
        rows = [("", "synthetic", "real", "best")]
        for name, values in self.facts["measures"].items():
            measure = MEASURES[name]
            synthetic, real = (_shown(values[key], measure) for key in ("synthetic", "real"))
            rows.append((self._label(name), synthetic, real, measure.best))
        widths = [max(len(row[place]) for row in rows) for place in range(4)]
        lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
        return [lines[0], "─" * max(map(len, lines)), *lines[1:]]

    def _label(self, name: str) -> str:
        if name == "prediction":
            return f"{self.facts['target']['name']} predicted, {self.facts['target']['metric']}"
        if name == "pair_trend":
            which = "all" if self.facts["pairs"]["all"] else "random"
            return f"{MEASURES[name].label}, {which} {self.facts['pairs']['counted']:,} pairs"
        return MEASURES[name].label

    def _details(self) -> list[str]:
        facts, lines = self.facts, []
        columns = sorted(facts.get("by_column", {}).items(), key=lambda item: -item[1])[:WORST]
        pairs = [(" × ".join(pair["columns"]), pair["error"]) for pair in facts.get("pairs", {}).get("worst", [])]
        for what, worst in (("columns", columns), ("pairs", pairs)):
            named = [f"{name} {100 * error:.1f} %" for name, error in worst if error > 0]
            if named:
                lines.append(f"worst {what}: {', '.join(named)}")
        return [*lines, *(f"note: {note}" for note in facts["notes"])]


def _shown(value: float | None, measure: Measure) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.{measure.digits}f} %" if measure.percent else f"{value:.{measure.digits}f}"


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


@dataclass(frozen=True)
class Sets:
    """Real, synthetic and hold-out rows as one domain sees them: matrices (rows, columns) in the user's own units."""

    real: np.ndarray
    synthetic: np.ndarray
    holdout: np.ndarray | None
    categorical: np.ndarray
    names: list[str]  # of the columns; empty for pixels
    squares: list[np.ndarray] | None  # of images, in the order of the sets
    seed: int

    @property
    def pooled(self) -> bool:
        return not self.names

    def draws(self, purpose: str) -> np.random.Generator:
        return Randomness(self.seed, "evaluate", purpose).numpy()

    def points(self, rows: np.ndarray) -> np.ndarray:
        """Rows, or some of very many, as points among which distances mean something."""
        chosen, reference = (subsample(self.draws("points"), MOST_POINTS, each)[0] for each in (rows, self.real))
        return features(chosen, self.categorical, reference, pooled=self.pooled)


def evaluate(
    real: Rows, synthetic: Rows, holdout: Rows | None = None, target: str | None = None, random_state: Any = 0
) -> Evaluation:
    """How like real rows synthetic ones are, how useful, and what they give away: a result with `facts`, to be printed.

    `real` are the rows that the generator learned from, `holdout` others that it never saw: with them, likeness is
    measured against the hold-out, every measure has real rows' own figure beside it, and it can be told whether the
    synthetic rows owe more to the rows that were learned from than to others. `target` names a column that boosted
    trees predict of real rows, once learned from synthetic rows and once from real ones. Frames (pandas, polars, Arrow)
    of the same columns, 2-D arrays, or arrays of images. Raises DataError, naming set and column, where the columns
    differ, OptionError for a target that there is not.
    """
    sets = _sets(real, synthetic, holdout, random_state)
    target_place = _target(sets, target)
    against = sets.real if sets.holdout is None else sets.holdout
    likeness, details = _likeness(sets, sets.synthetic, against)
    real_likeness = dict.fromkeys(LIKENESS) if sets.holdout is None else _likeness(sets, sets.real, against)[0]
    measures = {name: {"synthetic": likeness[name], "real": real_likeness[name]} for name in LIKENESS}
    facts = _counts(sets) | {"compared_with": "real" if sets.holdout is None else "holdout", "measures": measures}
    if sets.squares is not None:
        measures |= _picture_distances(sets.squares, sets)
        facts["extractor"] = picture_features.EXTRACTOR
    if target_place is not None:
        facts["target"], measures["prediction"] = _prediction(sets, target_place)
    measures |= _privacy(sets)
    notes = ["without a hold-out, likeness is that to the rows learned from"] if sets.holdout is None else []
    return Evaluation(facts | details | {"notes": notes + _privacy_notes(sets, measures)})


def privacy_of(real: Rows, synthetic: Rows, holdout: Rows | None = None, random_state: Any = 0) -> Evaluation:
    """The part of `evaluate` that says what synthetic rows give away; sound for rows under conditions too."""
    sets = _sets(real, synthetic, holdout, random_state)
    measures = _privacy(sets)
    return Evaluation(_counts(sets) | {"measures": measures, "notes": _privacy_notes(sets, measures)})


def _sets(real: Rows, synthetic: Rows, holdout: Rows | None, random_state: Any) -> Sets:
    given = {REAL: real, SYNTHETIC: synthetic} | ({} if holdout is None else {HOLDOUT: holdout})
    kind = domains.choose(real)
    for name, rows in list(given.items()):
        if not kind.accepts(rows):
            what = type(rows).__name__
            raise DataError(f"{name}: of type {what}, which is no {kind.name} data as {REAL} are; give both alike")
        given[name] = kind.indexed(rows)
        if not given[name].shape[0]:
            raise DataError(f"{name}: there are none; give at least one")
    domain, tensors = kind.fit_together(given)
    summed = not domain.side_by_side
    matrices = [domain.summary(x)[0] if summed else domain.values(x) for x in tensors]
    return Sets(
        real=matrices[0],
        synthetic=matrices[1],
        holdout=matrices[2] if len(matrices) > 2 else None,
        categorical=domain.summary(tensors[0])[1] if summed else domain.categorical,
        names=domain.summary_names if domain.named_columns else [],
        squares=[domain.squares(x, picture_features.SIDE) for x in tensors] if isinstance(domain, Image) else None,
        seed=seed_from(random_state),
    )


def _target(sets: Sets, target: str | None) -> int | None:
    if target is None:
        return None
    if sets.pooled:
        raise OptionError(f"target '{target}': images have no column to predict; leave it out")
    if target not in sets.names:
        raise OptionError(f"target '{target}': there is no such column; the columns are {', '.join(sets.names[:12])}")
    return sets.names.index(target)


def _counts(sets: Sets) -> dict[str, Any]:
    holdout = None if sets.holdout is None else len(sets.holdout)
    rows = {"real": len(sets.real), "synthetic": len(sets.synthetic), "holdout": holdout}
    return {"rows": rows, "columns": sets.real.shape[1]}


def _likeness(sets: Sets, rows: np.ndarray, against: np.ndarray) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Measures of likeness of some rows, and which columns and pairs are least like."""
    categorical, draws = sets.categorical, sets.draws("likeness")
    limit = max(10_000, MOST_CELLS // max(1, len(categorical)))
    shapes = generation.column_shape_errors(against, rows, categorical, draws, limit)
    pairs, trends = generation.pair_trend_errors(against, rows, categorical, draws, limit, MOST_PAIRS)
    measures = {
        "column_shape": float(shapes.mean()) if len(shapes) else None,
        "pair_trend": float(trends.mean()) if len(trends) else None,
        "c2st_auroc": generation.two_sample_auroc(against, rows, categorical, draws),
        **generation.density_coverage(sets.points(against), sets.points(rows), draws),
    }
    details: dict[str, Any] = {"pairs": {"definition": TRENDS, "counted": len(trends), "all": len(trends) < MOST_PAIRS}}
    if sets.names:
        details["by_column"] = dict(zip(sets.names, shapes.tolist(), strict=True))
        details["pairs"]["worst"] = [
            {"columns": [sets.names[column] for column in pairs[place]], "error": float(trends[place])}
            for place in np.argsort(-trends, kind="stable")[:WORST]
        ]
    return measures, details


def _picture_distances(squares: list[np.ndarray], sets: Sets) -> Measures:
    """Distances between features of images, to the hold-out where there is one, and else to the real ones."""
    real, synthetic, *holdout = squares
    against = holdout[0] if holdout else real
    found = {"synthetic": (synthetic, against)} | ({"real": (real, against)} if holdout else {})
    distances = {
        name: picture_features.feature_distances(*pair, sets.draws("features of pictures"))
        for name, pair in found.items()
        if min(map(len, pair)) > 1
    }
    return {
        name: {of: distances[of][name] if of in distances else None for of in ("synthetic", "real")}
        for name in ("frechet_distance", "kernel_distance")
    }


def _prediction(sets: Sets, target: int) -> tuple[dict[str, Any], dict[str, float | None]]:
    """What the target is and how it is measured, and how well it is predicted after either set of rows."""
    learned, test = sets.real, sets.holdout
    if test is None:
        order = sets.draws("test rows").permutation(len(sets.real))
        first = round(TEST_SHARE * len(order))
        test, learned = sets.real[order[:first]], sets.real[order[first:]]
    metric = prediction.prediction_metric(test[:, target], bool(sets.categorical[target]))
    scores = {
        name: prediction.predictability(rows, test, sets.categorical, target, metric, sets.draws("prediction"))
        for name, rows in (("synthetic", sets.synthetic), ("real", learned))
    }
    tested_on = "holdout" if sets.holdout is not None else "a quarter of the real rows, which trees did not learn from"
    return {"name": sets.names[target], "metric": metric, "tested_on": tested_on}, scores


def _privacy(sets: Sets) -> Measures:
    """What synthetic rows give away, and beside it what as many fresh real rows would: half of the hold-out."""
    measures: Measures = {name: {"synthetic": None, "real": None} for name in PRIVACY}
    measures["exact_copies"]["synthetic"] = privacy.exact_copies(sets.synthetic, sets.real)
    if sets.holdout is None:
        return measures
    measures["exact_copies"]["real"] = privacy.exact_copies(sets.holdout, sets.real)
    order = sets.draws("halves").permutation(len(sets.holdout))
    halves = [sets.points(sets.holdout[half]) for half in np.array_split(order, 2)]
    train = sets.points(sets.real)
    attacks: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
        "synthetic": (sets.points(sets.synthetic), np.concatenate(halves)),
        "real": (halves[0], halves[1]),
    }
    for name, (rows, held_out) in attacks.items():
        draws = sets.draws("privacy")
        measures["copied_share"][name] = privacy.copied_share(rows, train, held_out, draws, MOST_DISTANCES)
        measures["membership_auroc"][name] = privacy.membership_auroc(rows, train, held_out, draws)
    return measures


def _privacy_notes(sets: Sets, measures: Measures) -> list[str]:
    if sets.holdout is None:
        return ["without a hold-out it cannot be told whether rows were remembered; give rows the generator never saw"]
    scatter = 50 / np.sqrt(min(len(sets.synthetic), len(sets.holdout), MOST_DISTANCES // 4))
    notes = [f"chance alone moves shares of nearer rows by about ± {scatter:.1f} points"]
    if (measures["exact_copies"]["real"] or 0.0) > MOST_HELD_OUT_COPIES:
        notes.append("most hold-out rows are among the real rows; give rows that the generator never saw")
    return notes
