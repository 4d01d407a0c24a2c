"""Rows are split once, by seed, without overlap and without loss."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from isthmus.comparison.splitting import Part, split, split_target
from isthmus.core.errors import DataError

FRAME = pd.DataFrame({"row": range(100), "label": list("ab") * 50})
CONTAINERS = {
    "pandas": FRAME,
    "polars": pl.from_pandas(FRAME),
    "arrow": pa.Table.from_pandas(FRAME, preserve_index=False),
    "numpy": FRAME[["row"]].to_numpy(),
}


def numbers(rows) -> list[int]:
    if isinstance(rows, np.ndarray):
        return rows[:, 0].tolist()
    return rows["row"].to_pylist() if isinstance(rows, pa.Table) else list(rows["row"])


@pytest.mark.parametrize("kind", CONTAINERS)
def test_parts_cover_all_rows_once_and_keep_their_targets(kind):
    rows = CONTAINERS[kind]
    parts = split(Part(rows, np.arange(100)), None, seed=3)
    assert [len(part) for part in parts] == [72, 8, 20]
    assert all(type(part.rows) is type(rows) for part in parts)
    assert sorted(number for part in parts for number in numbers(part.rows)) == list(range(100))
    assert all(numbers(part.rows) == part.target.tolist() for part in parts)


def test_the_seed_decides():
    whole = Part(CONTAINERS["numpy"], None)
    assert numbers(split(whole, None, 0)[2].rows) == numbers(split(whole, None, 0)[2].rows)
    assert numbers(split(whole, None, 0)[2].rows) != numbers(split(whole, None, 1)[2].rows)


def test_a_test_part_of_its_own_is_held_out_whole():
    test = Part(CONTAINERS["numpy"][:7], np.arange(7))
    train, validation, held_out = split(Part(CONTAINERS["numpy"], np.arange(100)), test, 0)
    assert sorted(numbers(held_out.rows)) == list(range(7)) and len(train) + len(validation) == 100
    assert numbers(held_out.rows) == held_out.target.tolist()


@pytest.mark.parametrize("own_test", [False, True])
def test_the_first_rows_of_a_part_stand_for_all_of_them(own_test):
    """Files are often sorted by class, and some measures look at the first rows of a part only."""
    whole = Part(np.arange(10_000)[:, None], None)
    for part in split(whole, whole if own_test else None, seed=0):
        first = np.array(numbers(part.rows)[: len(part) // 5])
        # The mean of n uniform draws from 0 … 9999 deviates by 2887 / √n; six times that is never reached by chance.
        assert abs(first.mean() - 5000) < 6 * 2887 / len(first) ** 0.5


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_the_target_leaves_the_rows(kind):
    rows, values, name = split_target(CONTAINERS[kind], "label")
    names = rows.column_names if kind == "arrow" else list(rows.columns)
    assert names == ["row"] and name == "label" and list(values[:2]) == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "target", "said"),
    [
        (FRAME, "colour", "no column 'colour'"),
        (FRAME, np.zeros(3), "3 target values for 100 rows"),
        (CONTAINERS["numpy"], "row", "an array has no named columns"),
    ],
)
def test_a_target_that_is_not_there_is_named(rows, target, said):
    with pytest.raises(DataError, match=said):
        split_target(rows, target)


def test_too_few_rows():
    with pytest.raises(DataError, match="3 rows are too few"):
        split(Part(np.zeros((3, 2)), None), None, 0)
