"""Missing cells filled in: how far from the truth, column by column, beside scikit-learn's imputers.

    python benchmarks/imputation.py --data DIR [--sets adult,diamonds] [--seeds 1] [--rows N] [--only isthmus,knn]

DIR holds adult_train.parquet and adult_test.parquet, diamonds.parquet (benchmarks/README.md says where they come from).
A fifth of the cells, drawn at random, is hidden from every contender: in the rows to learn from and in the rows that
are measured, which nobody has learned from. One setting of isthmus for all sets.

To scikit-learn's imputers numbers go standardised. The IterativeImputer gets categories in both usual ways, and its
better one counts, column by column: as one number each in alphabetical order, rounded afterwards ("ordinal"), and as 0
or 1 for each value but the commonest, all missing where the cell is, of which the largest is taken ("dummies": with a
place for the commonest, too, places would be filled in from one another, and binary columns stay at their mode). The
KNNImputer gets dummies, and looks for ten neighbours among KNN_ROWS rows.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

import isthmus
from machine import description
from rounds import Rounds
from tables import shown, table

HIDDEN = 0.2
TEST_SHARE = 0.1
KNN_ROWS = 5_000

Filled = Callable[[pd.DataFrame, pd.DataFrame, int], pd.DataFrame]


def data_of(folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from, and rows to measure on: Adult's own split, of other sets a tenth for the test."""
    if name == "adult":
        train, test = (_frame(folder / f"adult_{part}.parquet") for part in ("train", "test"))
        return train, test
    rows = _frame(folder / f"{name}.parquet")
    order, held_out = np.random.default_rng(0).permutation(len(rows)), round(TEST_SHARE * len(rows))
    return tuple(rows.iloc[part].reset_index(drop=True) for part in (order[:-held_out], order[-held_out:]))


def _frame(path: Path) -> pd.DataFrame:
    return pyarrow.parquet.read_table(path).replace_schema_metadata(None).to_pandas()


def with_gaps(rows: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with a fifth of their cells hidden, and where an observed cell was (rows, columns)."""
    hidden = np.random.default_rng(seed).random(rows.shape) < HIDDEN
    return rows.mask(hidden), hidden & rows.notna().to_numpy()


def is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column)


# Contenders: rows to learn from and rows to fill in, both with gaps, and a seed → the latter without gaps.


def columns_alone(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The mean of each number, the commonest of each category."""
    guesses = {name: cells.mean() if is_number(cells) else cells.mode()[0] for name, cells in train.items()}
    return test.astype({name: float for name in test if is_number(test[name])}).fillna(guesses)


def by_scikit_learn(imputer: Callable[[int], Any], dummies: bool, rows: int | None = None) -> Filled:
    def contender(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> pd.DataFrame:
        encoding = Encoding(train, dummies)
        learned = train if rows is None else train.sample(min(rows, len(train)), random_state=seed)
        fitted = imputer(seed).fit(encoding.numbers(learned))
        return encoding.rows(fitted.transform(encoding.numbers(test)))

    return contender


def by_isthmus(kind: str, **options: Any) -> Filled:
    def contender(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> pd.DataFrame:
        return getattr(isthmus, kind)(random_state=seed, **options).fit(train).impute(test)

    return contender


class Encoding:
    """Frames ↔ matrices without text: numbers standardised, categories as dummies or as ordinals, NaN where missing."""

    def __init__(self, train: pd.DataFrame, dummies: bool):
        self.dummies = dummies
        self.scales = {name: (cells.mean(), cells.std()) for name, cells in train.items() if is_number(cells)}
        self.values: dict[Any, list[Any]] = {}
        for name in train:
            if name not in self.scales:
                counts = train[name].value_counts()
                self.values[name] = list(counts.index) if dummies else sorted(counts.index)
        self.names = list(train)

    def numbers(self, rows: pd.DataFrame) -> np.ndarray:
        pieces = []
        for name, cells in rows.items():
            if name in self.scales:
                mean, deviation = self.scales[name]
                places = ((cells.to_numpy(float) - mean) / deviation)[:, None]
            else:
                code = cells.map({value: float(code) for code, value in enumerate(self.values[name])}).to_numpy(float)
                places = code[:, None]
                if self.dummies:
                    places = (places == np.arange(1, len(self.values[name]))).astype(float)
                    places[np.isnan(code)] = np.nan
            pieces.append(places)
        return np.hstack(pieces)

    def rows(self, matrix: np.ndarray) -> pd.DataFrame:
        columns, place = {}, 0
        for name in self.names:
            if name in self.scales:
                mean, deviation = self.scales[name]
                columns[name] = matrix[:, place] * deviation + mean
                place += 1
                continue
            values = self.values[name]
            width = len(values) - 1 if self.dummies else 1
            places = matrix[:, place : place + width]
            if self.dummies:
                commonest = 1 - places.sum(1, keepdims=True)
                code = np.hstack([commonest, places]).argmax(1)
            else:
                code = places[:, 0].round().clip(0, len(values) - 1).astype(int)
            columns[name] = np.array(values, object)[code]
            place += width
        return pd.DataFrame(columns)


CONTENDERS: dict[str, Filled] = {
    "mean-or-mode": columns_alone,
    "knn": by_scikit_learn(lambda seed: KNNImputer(n_neighbors=10), dummies=True, rows=KNN_ROWS),
    "iterative-ordinal": by_scikit_learn(lambda seed: IterativeImputer(random_state=seed), dummies=False),
    "iterative-dummies": by_scikit_learn(lambda seed: IterativeImputer(random_state=seed), dummies=True),
    "isthmus-gaussian": by_isthmus("VAE"),
    "isthmus": by_isthmus("Generator", mask_fraction=0.2),
}


def measured(truth: pd.DataFrame, filled: pd.DataFrame, hidden: np.ndarray) -> dict[str, float]:
    """Of each column over its hidden cells: the root of the mean squared error of numbers, in deviations of the column,
    and the share of categories that are right."""
    result = {}
    for place, (name, cells) in enumerate(truth.items()):
        wanted, given = (rows[name].to_numpy()[hidden[:, place]] for rows in (truth, filled))
        if is_number(cells):
            error = wanted.astype(float) - given.astype(float)
            result[name] = float(np.sqrt(np.mean(error**2)) / cells.std())
        else:
            result[name] = float(np.mean(wanted == given))
    return result


def is_better(truth: pd.DataFrame, name: str, one: float, others: list[float]) -> bool:
    """Whether a column is filled in better by one contender than by the best of others."""
    return one < min(others) if is_number(truth[name]) else one > max(others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets as Parquet")
    parser.add_argument("--sets", default="adult,diamonds")
    parser.add_argument("--seeds", type=int, default=1, help="seeds from 0 on")
    parser.add_argument("--rows", type=int, help="learn from, and measure on, at most so many rows")
    parser.add_argument("--only", default=",".join(CONTENDERS), help=f"some of {', '.join(CONTENDERS)}")
    parser.add_argument("--out", type=Path, help="write every measurement here, as JSON")
    given = parser.parse_args()
    print(description("isthmus", "torch", "scikit-learn"), flush=True)
    everything: dict[str, Any] = {}
    for name in given.sets.split(","):
        train, test = (_few(rows, given.rows) for rows in data_of(given.data, name))
        rounds, seconds = Rounds[dict[str, float]](), Rounds[float]()
        for seed in range(given.seeds):
            learned, _ = with_gaps(train, 2 * seed + 1)
            asked, hidden = with_gaps(test, 2 * seed + 2)
            for contender in given.only.split(","):
                began = time.perf_counter()
                filled = CONTENDERS[contender](learned, asked, seed)
                seconds.note(contender, seed, time.perf_counter() - began)
                rounds.note(contender, seed, measured(test, filled, hidden))
                print(name, contender, seed, rounds.results[contender][seed], flush=True)
        everything[name] = rounds.results
        print(result_table(name, train, test, rounds, seconds), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(everything, indent=2))


def _few(rows: pd.DataFrame, most: int | None) -> pd.DataFrame:
    if most is None or len(rows) <= most:
        return rows
    return rows.sample(most, random_state=0).reset_index(drop=True)


def result_table(
    name: str,
    train: pd.DataFrame,
    test: pd.DataFrame,
    rounds: Rounds[dict[str, float]],
    seconds: Rounds[float],
) -> str:
    """Columns below each other, contenders side by side, and how often each is better than the IterativeImputer."""
    contenders = list(rounds.results)
    spreads = {
        column: {each: rounds.spread(each, lambda result, column=column: result[column]) for each in contenders}
        for column in test
    }
    rows = [
        [f"{column}, {'error' if is_number(test[column]) else 'right'}"]
        + [shown(spreads[column][each], "{:.3f}") for each in contenders]
        for column in test
    ]
    peers = [each for each in contenders if each.startswith("iterative")]
    if peers:

        def wins(contender: str) -> str:
            if contender in peers:
                return "–"
            medians = {column: {each: spread.median for each, spread in by.items()} for column, by in spreads.items()}
            return str(
                sum(is_better(test, name, by[contender], [by[peer] for peer in peers]) for name, by in medians.items())
            )

        rows.append([f"better than iterative, of {test.shape[1]} columns", *map(wins, contenders)])
    rows.append(["seconds", *(shown(seconds.spread(each, float), "{:.0f}") for each in contenders)])
    title = f"{name}: {len(train):,} rows to learn from, {len(test):,} to measure on, {HIDDEN:.0%} of the cells missing"
    return table(title, ["column", *contenders], rows)


if __name__ == "__main__":
    main()
