"""New rows of tables beside real ones: how far from them, and how little they owe to single rows that were fitted.

    python benchmarks/generation.py --data DIR [--sets adult,credit_default] [--rows N] [--seeds 3] [--only isthmus]

DIR holds adult_train.parquet and adult_test.parquet, credit_default.parquet (benchmarks/README.md says where they come
from). Every contender gets the rows to learn from and gives as many new ones; all are measured on rows that none has
seen, by `isthmus.evaluate`. One setting of isthmus for all sets. CTGAN and TVAE are measured if .bench/ctgan holds
their environment (`make bench-peers PEERS=ctgan`). `--keep DIR` keeps every contender's new rows, and what they cost:
what is there is measured again without being made again.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from sklearn.neighbors import NearestNeighbors

import isthmus
from contenders import SkippedError
from isthmus.domains.table import Table
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


@dataclass(frozen=True)
class Cost:
    """Seconds to learn and to draw the new rows, by the clock and of processors; 0 where there is nothing to learn."""

    fit: float = 0.0
    fit_processor: float = 0.0
    sample: float = 0.0
    sample_processor: float = 0.0


# Contenders: rows to learn from and a seed → as many new rows, and what they cost.
Contender = Callable[[Data, int], tuple[pd.DataFrame, Cost]]


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What the work gives, and its seconds by the clock and of processors."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - clock, time.process_time() - processor


def fitted(kind: str, **options: Any) -> Contender:
    def contender(data: Data, seed: int) -> tuple[pd.DataFrame, Cost]:
        model = getattr(isthmus, kind)(random_state=seed, **options)
        _, *fit = timed(lambda: model.fit(data.train))
        rows, *sample = timed(lambda: model.sample(len(data.train)))
        return rows, Cost(*fit, *sample)

    return contender


def real(data: Data, seed: int) -> tuple[pd.DataFrame, Cost]:
    """As many rows as the test has of those to learn from: what is left between two samples of one source."""
    return data.train.sample(len(data.test), random_state=seed), Cost()


def independent(data: Data, seed: int) -> tuple[pd.DataFrame, Cost]:
    """Every column shuffled on its own."""
    draws = np.random.default_rng(seed)
    columns = {name: column.to_numpy()[draws.permutation(len(column))] for name, column in data.train.items()}
    return pd.DataFrame(columns).astype(data.train.dtypes), Cost()


def smote(data: Data, seed: int, neighbours: int = 5) -> tuple[pd.DataFrame, Cost]:
    """Between a row and one of its nearest neighbours with the same target, as SMOTE (Chawla et al., 2002) goes;
    categories and missing cells are one row's or the other's."""
    rows, *seconds = timed(lambda: _between_neighbours(data, np.random.default_rng(seed), neighbours))
    return rows, Cost(0.0, 0.0, *seconds)


def _between_neighbours(data: Data, draws: np.random.Generator, neighbours: int) -> pd.DataFrame:
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
    return domain.rows(domain.from_matrix(new)).to_pandas().astype(data.train.dtypes)


def peer(name: str) -> Contender:
    """A model of the package ctgan, in an environment of its own."""

    def contender(data: Data, seed: int) -> tuple[pd.DataFrame, Cost]:
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
            cost = Cost(**json.loads(ended.stdout.strip().splitlines()[-1]))
            return pd.read_parquet(made).astype(data.train.dtypes), cost

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
    "isthmus": fitted("Generator"),
    "isthmus-flow": fitted("Generator", prior="flow_matching"),
    "isthmus-ae": fitted("Autoencoder", likelihood="autoregressive", prior="flow_matching"),
}


def made(folder: Path | None, name: str, contender: str, data: Data, seed: int) -> tuple[pd.DataFrame, Cost]:
    """A contender's new rows, from the folder where they are kept if they are there."""
    if folder is None:
        return CONTENDERS[contender](data, seed)
    rows, cost = (folder / f"{name}-{contender}-{seed}.{ending}" for ending in ("parquet", "json"))
    if not cost.exists():
        new, spent = CONTENDERS[contender](data, seed)
        new.to_parquet(rows)
        cost.write_text(json.dumps(asdict(spent)))
    return pd.read_parquet(rows).astype(data.train.dtypes), Cost(**json.loads(cost.read_text()))


def measured(data: Data, new: pd.DataFrame, seed: int) -> Measures:
    """How new rows compare with the test rows, and what they give away of the rows that were learned from."""
    facts = isthmus.evaluate(data.train, new, data.test, target=data.target, random_state=seed).facts
    found = {name: np.nan if of["synthetic"] is None else of["synthetic"] for name, of in facts["measures"].items()}
    return {
        "shape": 100 * found["column_shape"],
        "trend": 100 * found["pair_trend"],
        "auroc": found["c2st_auroc"],
        "auc": found["prediction"],
        "copied": 100 * found["copied_share"],
        "fair": 100 * facts["measures"]["copied_share"]["real"],
        "member": found["membership_auroc"],
        "exact": 100 * found["exact_copies"],
    }


def costs(rows: int, cost: Cost) -> Measures:
    """Seconds to learn, and rows drawn in one."""

    def rate(seconds: float) -> float:
        return rows / seconds if seconds else 0.0

    return {
        "seconds": cost.fit,
        "processor_seconds": cost.fit_processor,
        "rate": rate(cost.sample),
        "processor_rate": rate(cost.sample_processor),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets as Parquet")
    parser.add_argument("--sets", default="adult,credit_default")
    parser.add_argument("--rows", type=int, help="learn from so many of the rows; all, where not given")
    parser.add_argument("--seeds", type=int, default=3, help="seeds from 0 on")
    parser.add_argument("--only", default=",".join(CONTENDERS), help=f"some of {', '.join(CONTENDERS)}")
    parser.add_argument("--keep", type=Path, help="keep new rows in this folder, and take those that are there")
    parser.add_argument("--out", type=Path, help="write every measurement here, as JSON")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    print(description("isthmus", "torch", "scikit-learn"), flush=True)
    everything: dict[str, Any] = {}
    for name in given.sets.split(","):
        data, rounds = data_of(given.data, name), Rounds[Measures]()
        if given.rows is not None and given.rows < len(data.train):
            data = replace(data, train=data.train.sample(given.rows, random_state=0).reset_index(drop=True))
            name = f"{name}-{given.rows}"
        for contender in given.only.split(","):
            for seed in range(given.seeds):
                try:
                    new, cost = made(given.keep, name, contender, data, seed)
                except SkippedError as reason:
                    print(f"{contender} is skipped: {reason}", flush=True)
                    break
                result = measured(data, new, seed) | costs(len(new), cost)
                rounds.note(contender, seed, result)
                print(name, contender, seed, {key: round(value, 3) for key, value in result.items()}, flush=True)
        everything[name] = rounds.results
        print(result_table(name, data, rounds), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps(everything, indent=2))


COSTS = ("seconds", "processor_seconds", "rate", "processor_rate")
COLUMNS = {
    "shape error, %": ("shape", "{:.2f}"),
    "trend error, %": ("trend", "{:.2f}"),
    "two-sample AUROC": ("auroc", "{:.3f}"),
    "AUC, trained on new rows": ("auc", "{:.3f}"),
    "nearer to fitted rows, %": ("copied", "{:.1f}"),
    "membership AUROC": ("member", "{:.3f}"),
    "exact copies, %": ("exact", "{:.2f}"),
    "fit, s": ("seconds", "{:.0f}"),
    "of a processor": ("processor_seconds", "{:.0f}"),
    "new rows/s": ("rate", "{:,.0f}"),
    "of a processor ": ("processor_rate", "{:,.0f}"),
}


def result_table(name: str, data: Data, rounds: Rounds[Measures]) -> str:
    def cell(contender: str, key: str, form: str) -> str:
        spread: Spread = rounds.spread(contender, lambda result: result[key])
        missing = not np.isfinite(spread.median) or (key in COSTS and spread.median == 0)
        return "–" if missing else shown(spread, form)

    rows = [[contender, *(cell(contender, *column) for column in COLUMNS.values())] for contender in rounds.results]
    fair = rounds.spread(next(iter(rounds.results)), lambda result: result["fair"])
    title = (
        f"{name}: {len(data.train):,} rows to learn from, {len(data.test):,} to measure on. Of these, one half lies "
        f"nearer to fitted rows than to the other half for {shown(fair, '{:.1f}')} % of its rows"
    )
    return table(title, ["rows by", *COLUMNS], rows)


if __name__ == "__main__":
    main()
