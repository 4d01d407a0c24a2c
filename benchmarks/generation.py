"""New rows of tables beside real ones: how far from them, and how little they owe to single rows that were fitted.

    python benchmarks/generation.py --data DIR [--sets adult,credit_default] [--rows N] [--only isthmus,smote,tvae]

DIR holds adult_train.parquet and adult_test.parquet, credit_default.parquet (benchmarks/README.md says where they come
from). Every contender gets the rows to learn from and gives as many new ones; all are measured on rows that none has
seen. One setting of isthmus for all sets. CTGAN and TVAE are measured if .bench/ctgan holds their environment
(`make bench-peers PEERS=ctgan`).
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import isthmus
from contenders import SkippedError
from isthmus.domains.table import Table
from isthmus.evaluation.generation import column_shape_error, copied_share, pair_trend_error, two_sample_auroc
from isthmus.evaluation.rows import features
from machine import description
from rounds import Rounds, Spread
from tables import shown, table

ENVIRONMENTS = Path(__file__).parents[1] / ".bench"
PEER = Path(__file__).parent / "peers" / "ctgan_tables.py"
LONGEST_SECONDS = 3600
TEST_SHARE = 0.1
# Numbers that say which, not how much.
CODES = {
    "credit_default": ("SEX", "EDUCATION", "MARRIAGE", "default", *(f"PAY_{month}" for month in (0, 2, 3, 4, 5, 6)))
}
ROW_NUMBERS = {"credit_default": ["ID"]}
TARGETS = {"adult": "income", "credit_default": "default"}
# Rows that distances are measured from; the two-sample classifier sees as many of either set as it does by default.
DISTANCE_ROWS = 5_000
EVERY_ROW = 10**7

Measures = dict[str, float]


@dataclass(frozen=True)
class Data:
    """One set: rows to learn from, rows to measure on, and what a column is."""

    train: pd.DataFrame
    test: pd.DataFrame
    target: str


def data_of(folder: Path, name: str) -> Data:
    """Adult in its own split, other sets with a tenth of their rows for the test."""
    if name == "adult":
        train, test = (_frame(folder / f"adult_{part}.parquet", name) for part in ("train", "test"))
    else:
        rows = _frame(folder / f"{name}.parquet", name)
        order = np.random.default_rng(0).permutation(len(rows))
        held_out = round(TEST_SHARE * len(rows))
        train, test = (rows.iloc[part].reset_index(drop=True) for part in (order[:-held_out], order[-held_out:]))
    return Data(train, test, TARGETS[name])


def _frame(path: Path, name: str) -> pd.DataFrame:
    rows = pyarrow.parquet.read_table(path).replace_schema_metadata(None).to_pandas()
    rows = rows.drop(columns=ROW_NUMBERS.get(name, []))
    return rows.astype(dict.fromkeys(CODES.get(name, []), str))


# Contenders: rows to learn from and a seed → as many new rows, seconds to learn, and rows per second.

Contender = Callable[[Data, int], tuple[pd.DataFrame, float, float]]


def fitted(kind: str, **options: Any) -> Contender:
    def contender(data: Data, seed: int) -> tuple[pd.DataFrame, float, float]:
        model = getattr(isthmus, kind)(random_state=seed, **options)
        began = time.perf_counter()
        model.fit(data.train)
        seconds, began = time.perf_counter() - began, time.perf_counter()
        rows = model.sample(len(data.train))
        return rows, seconds, len(rows) / (time.perf_counter() - began)

    return contender


def real(data: Data, seed: int) -> tuple[pd.DataFrame, float, float]:
    """As many rows as the test has of those to learn from: what is left between two samples of one source."""
    return data.train.sample(len(data.test), random_state=seed), 0.0, np.inf


def independent(data: Data, seed: int) -> tuple[pd.DataFrame, float, float]:
    """Every column shuffled on its own."""
    draws = np.random.default_rng(seed)
    columns = {name: column.to_numpy()[draws.permutation(len(column))] for name, column in data.train.items()}
    return pd.DataFrame(columns).astype(data.train.dtypes), 0.0, np.inf


def smote(data: Data, seed: int, neighbours: int = 5) -> tuple[pd.DataFrame, float, float]:
    """Between a row and one of its nearest neighbours with the same target, as SMOTE (Chawla et al., 2002) goes;
    categories and missing cells are one row's or the other's."""
    draws, began = np.random.default_rng(seed), time.perf_counter()
    domain = Table.fit(pa.Table.from_pandas(data.train, preserve_index=False))
    matrix = domain.matrix(domain.tensors(pa.Table.from_pandas(data.train, preserve_index=False)))
    points = features(matrix, domain.categorical, matrix)
    labels = matrix[:, domain.column_names.index(data.target)]
    near = np.empty((len(matrix), neighbours), int)
    for label in np.unique(labels):
        same = np.flatnonzero(labels == label)
        found = NearestNeighbors(n_neighbors=neighbours + 1).fit(points[same]).kneighbors(points[same])[1]
        near[same] = same[found[:, 1:]]
    one = draws.integers(len(matrix), size=len(matrix))
    other = near[one, draws.integers(neighbours, size=len(one))]
    way = draws.random((len(one), 1))
    chosen = np.where(draws.random(matrix.shape) < 0.5, matrix[one], matrix[other])
    between = matrix[one] + way * (matrix[other] - matrix[one])
    new = np.where(domain.categorical | np.isnan(between), chosen, between)
    rows = domain.rows(domain.from_matrix(new))
    seconds = time.perf_counter() - began
    return rows.to_pandas().astype(data.train.dtypes), seconds, len(rows) / seconds


def peer(name: str) -> Contender:
    """A model of the package ctgan, in an environment of its own."""

    def contender(data: Data, seed: int) -> tuple[pd.DataFrame, float, float]:
        python = ENVIRONMENTS / "ctgan" / "bin" / "python"
        if not python.exists():
            raise SkippedError("no environment .bench/ctgan; `make bench-peers PEERS=ctgan` makes it")
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder) / "train.parquet", Path(folder) / "new.parquet"
            data.train.to_parquet(given)
            command = [str(python), str(PEER), name, str(given), str(made), str(seed)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS)
            if ended.returncode:
                raise SkippedError((ended.stderr.strip().splitlines() or ["no word"])[-1])
            facts = json.loads(ended.stdout.strip().splitlines()[-1])
            rows = pd.read_parquet(made).astype(data.train.dtypes)
        return rows, facts["fit_seconds"], len(rows) / facts["sample_seconds"]

    return contender


CONTENDERS: dict[str, Contender] = {
    "real": real,
    "independent": independent,
    "smote": smote,
    "tvae": peer("TVAE"),
    "ctgan": peer("CTGAN"),
    "gaussian": fitted("VAE"),
    "gaussian-flow-matching": fitted("VAE", prior="flow_matching"),
    "gaussian-flow": fitted("VAE", prior="flow"),
    "gaussian-attention": fitted("VAE", network="attention"),
    "isthmus": fitted("VAE", likelihood="autoregressive"),
    "isthmus-flow": fitted("VAE", likelihood="autoregressive", prior="flow_matching"),
    "isthmus-ae": fitted("Autoencoder", likelihood="autoregressive", prior="flow_matching"),
}


def measured(data: Data, new: pd.DataFrame, seed: int) -> Measures:
    """How new rows compare with the test rows, by the definitions of SDMetrics for shapes and trends."""
    draws = np.random.default_rng(seed)
    frames = [pa.Table.from_pandas(rows, preserve_index=False) for rows in (data.train, data.test, new)]
    domain = Table.fit(frames[0])
    train, test, new_values = (domain.values(domain.tensors(rows)) for rows in frames)
    categorical, target = domain.categorical, domain.column_names.index(data.target)
    points = [features(rows, categorical, train) for rows in (new_values[:DISTANCE_ROWS], train, test)]
    shape = column_shape_error(test, new_values, categorical, draws, EVERY_ROW)
    trend = pair_trend_error(test, new_values, categorical, draws, EVERY_ROW, pairs=EVERY_ROW)
    auroc = two_sample_auroc(test, new_values, categorical, draws)
    copied = copied_share(*points, draws)
    assert shape is not None and trend is not None and auroc is not None and copied is not None
    return {
        "shape": 100 * shape,
        "trend": 100 * trend,
        "auroc": auroc,
        "auc": _usefulness(new_values, test, categorical, target),
        "copied": 100 * copied,
    }


def _usefulness(new: np.ndarray, test: np.ndarray, categorical: np.ndarray, target: int) -> float:
    """The area under the ROC curve on test rows of boosted trees that have learned the target from new rows."""
    others = np.arange(len(categorical)) != target
    new = new[~np.isnan(new[:, target])]
    trees = HistGradientBoostingClassifier(categorical_features=categorical[others], random_state=0)
    trees.fit(new[:, others], new[:, target])
    return float(roc_auc_score(test[:, target], trees.predict_proba(test[:, others])[:, 1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets as Parquet")
    parser.add_argument("--sets", default="adult,credit_default")
    parser.add_argument("--rows", type=int, default=EVERY_ROW, help="learn from so many of the rows")
    parser.add_argument("--seeds", type=int, default=1, help="seeds from 0 on")
    parser.add_argument("--only", default=",".join(CONTENDERS), help=f"some of {', '.join(CONTENDERS)}")
    parser.add_argument("--out", type=Path, help="write every measurement here, as JSON")
    given = parser.parse_args()
    print(description("isthmus", "torch", "scikit-learn"), flush=True)
    everything: dict[str, Any] = {}
    for name in given.sets.split(","):
        data, rounds = data_of(given.data, name), Rounds[Measures]()
        if given.rows < len(data.train):
            data = replace(data, train=data.train.sample(given.rows, random_state=0).reset_index(drop=True))
        for contender in given.only.split(","):
            for seed in range(given.seeds):
                try:
                    new, seconds, rate = CONTENDERS[contender](data, seed)
                except SkippedError as reason:
                    print(f"{contender} is skipped: {reason}", flush=True)
                    break
                result = measured(data, new, seed) | {"seconds": seconds, "rate": rate}
                rounds.note(contender, seed, result)
                print(name, contender, seed, {key: round(value, 3) for key, value in result.items()}, flush=True)
        everything[name] = rounds.results
        print(result_table(name, data, rounds), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(everything, indent=2))


COLUMNS = {
    "shape error, %": ("shape", "{:.2f}"),
    "trend error, %": ("trend", "{:.2f}"),
    "two-sample AUROC": ("auroc", "{:.3f}"),
    "AUC, trained on new rows": ("auc", "{:.3f}"),
    "nearer to fitted rows, %": ("copied", "{:.1f}"),
    "fit, s": ("seconds", "{:.0f}"),
    "new rows/s": ("rate", "{:,.0f}"),
}


def result_table(name: str, data: Data, rounds: Rounds[Measures]) -> str:
    def cell(contender: str, key: str, form: str) -> str:
        spread: Spread = rounds.spread(contender, lambda result: result[key])
        return "–" if not np.isfinite(spread.median) or spread.median == 0 else shown(spread, form)

    rows = [[contender, *(cell(contender, *column) for column in COLUMNS.values())] for contender in rounds.results]
    title = f"{name}: {len(data.train):,} rows to learn from, {len(data.test):,} to measure on"
    return table(title, ["rows by", *COLUMNS], rows)


if __name__ == "__main__":
    main()
