"""Column shapes and pair trends are those of SDMetrics, where both define them alike: no cell is missing.

Nothing here needs SDMetrics: benchmarks/peers/requirements/sdmetrics.txt says how it comes into .bench/sdmetrics.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import isthmus

PLACE = Path(__file__).parents[2] / ".bench" / "sdmetrics"
NUMBERS = ("amount", "count", "date")


def rows(count: int, seed: int) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    amount = draws.lognormal(seed, 1.0, count)
    return pd.DataFrame(
        {
            "amount": amount,
            "count": draws.poisson(amount),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(draws.integers(0, 400, count) // (seed + 1), "D"),
            "colour": draws.choice(["red", "green", "blue"][: 3 - seed], count),
            "flag": draws.random(count) < np.clip(amount / 5, 0, 1),
        }
    )


@pytest.fixture(scope="module")
def sdmetrics() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        if PLACE.exists():
            patched.syspath_prepend(PLACE)
        pytest.importorskip("sdmetrics", reason="SDMetrics is not there; benchmarks/peers/requirements/sdmetrics.txt")
        from sdmetrics import column_pairs, single_column  # pyright: ignore[reportMissingImports]

        yield single_column, column_pairs


@pytest.fixture(scope="module")
def sets() -> tuple[pd.DataFrame, pd.DataFrame]:
    return rows(600, 0), rows(500, 1)


def test_column_shapes(sdmetrics, sets):
    single_column, _ = sdmetrics
    real, synthetic = sets
    ours = isthmus.evaluate(real, synthetic).facts["by_column"]
    for name in real:
        metric = single_column.KSComplement if name in NUMBERS else single_column.TVComplement
        theirs = 1 - metric.compute(real[name], synthetic[name])
        print(f"{name}: {ours[name]:.6f} here, {theirs:.6f} there")
        assert ours[name] == pytest.approx(theirs, abs=1e-9)


def test_pair_trends(sdmetrics, sets):
    _, column_pairs = sdmetrics
    # Its report makes dates numbers before it asks about pairs; its measures ask that of their callers.
    real, synthetic = (rows.assign(date=rows["date"].astype("int64")) for rows in sets)
    theirs = {}
    for pair in combinations(real.columns, 2):
        columns = list(pair)
        numbers = [name for name in columns if name in NUMBERS]
        if len(numbers) == 2:
            score = column_pairs.CorrelationSimilarity.compute(real[columns], synthetic[columns])
        else:
            score = column_pairs.ContingencySimilarity.compute(
                real[columns].copy(), synthetic[columns].copy(), continuous_column_names=numbers or None
            )
        theirs[frozenset(pair)] = 1 - score
    facts = isthmus.evaluate(*sets).facts
    assert facts["measures"]["pair_trend"]["synthetic"] == pytest.approx(np.mean(list(theirs.values())), abs=1e-9)
    for pair in facts["pairs"]["worst"]:
        print(f"{pair['columns']}: {pair['error']:.6f} here, {theirs[frozenset(pair['columns'])]:.6f} there")
        assert pair["error"] == pytest.approx(theirs[frozenset(pair["columns"])], abs=1e-9)
