"""Dates with their parts, categories with their ranks: seen by networks, and back again exactly."""

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus.domains.table import Table
from isthmus.domains.table.blocks import CategoryBlock
from isthmus.domains.table.calendar import VALUES
from isthmus.domains.table.columns import CategoryColumn, DateColumn

DRAWS = np.random.default_rng(0)
SIZES = ["low", "middle", "high", "top"]


def dates(start: str, every: str, count: int) -> pd.DataFrame:
    return pd.DataFrame({"when": pd.date_range(start, periods=count, freq=every)})


def parts_seen(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """What the features say of each row's calendar, as numbers from 0."""
    domain = Table.fit(rows)
    (column,) = domain.columns
    assert isinstance(column, DateColumn)
    features = domain.features()(domain.tensors(rows).float())
    pieces = features[:, 1:].split([VALUES[name] for name in column.calendar], dim=1)
    assert features.shape[1] == 1 + sum(piece.shape[1] for piece in pieces)
    assert all((piece.sum(1) == 1).all() for piece in pieces)
    return {name: piece.argmax(1).numpy() for name, piece in zip(column.calendar, pieces, strict=True)}


@pytest.mark.parametrize(
    ("start", "every", "count", "parts"),
    [
        ("1899-11-05", "D", 1500, {"month", "weekday"}),  # 1900 was no leap year
        ("1999-12-01", "D", 800, {"month", "weekday"}),  # 2000 was one
        ("2024-01-01", "h", 24 * 20, {"weekday", "hour"}),
        ("2024-01-01", "37min", 200, {"hour"}),
        ("1950-01-01", "MS", 800, {"month", "weekday"}),
        ("2024-01-01", "D", 10, set()),
        ("2024-01-01", "7D", 60, set()),  # always a Monday, and of one year and a bit
        ("2020-01-01 00:00:00.25", "5h", 9000, {"month", "weekday", "hour"}),
    ],
)
def test_parts_are_those_of_the_calendar_where_they_come_back(start, every, count, parts):
    rows = dates(start, every, count)
    seen, when = parts_seen(rows), rows.when.dt
    assert set(seen) == parts
    truth = {"month": when.month - 1, "weekday": when.weekday, "hour": when.hour}
    for name, values in seen.items():
        assert np.array_equal(values, truth[name]), name


def test_a_missing_date_has_no_parts():
    rows = dates("2020-01-01", "D", 900)
    rows.loc[3, "when"] = pd.NaT
    domain = Table.fit(rows)
    features = domain.features()(domain.tensors(rows).float())
    assert (features[3, 2:] == 0).all()
    assert (features[4, 2:].sum() == 2).all()


def test_times_of_day_and_durations_have_no_calendar():
    rows = pa.table(
        {
            "at": [datetime.time(hour, 7) for hour in range(24)] * 3,
            "long": [datetime.timedelta(days=day) for day in range(72)],
        }
    )
    assert [column.calendar for column in Table.fit(rows).columns] == [[], []]  # pyright: ignore[reportAttributeAccessIssue]


# Ordered categories


def ranked(kind: str) -> pd.DataFrame | pl.DataFrame:
    values = [SIZES[k] for k in DRAWS.choice(4, 200, p=[0.2, 0.4, 0.3, 0.1])] + [None]
    if kind == "pandas":
        return pd.DataFrame({"size": pd.Categorical(values, categories=["none", *SIZES], ordered=True)})
    return pl.DataFrame({"size": pl.Series(values, dtype=pl.Enum(["none", *SIZES]))})


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_ranks_are_seen_and_come_back(kind):
    rows = ranked(kind)
    domain = Table.fit(rows)
    (column,) = domain.columns
    assert isinstance(column, CategoryColumn) and column.in_order
    assert [column.values[code] for code in column.by_rank] == SIZES
    x = domain.tensors(rows)
    features = domain.features()(x)
    # As many features are 1 as the rank is high; none of a missing cell.
    assert features.sum(1).tolist() == [
        SIZES.index(size) + 1 if size is not None else 0 for size in list(rows["size"][:-1])
    ] + [0]
    assert torch.equal(domain.from_features(features)[:-1], x[:-1])
    back = domain.rows(x)
    assert back.equals(rows) if kind == "polars" else back["size"].equals(rows["size"])


def test_unordered_categories_are_one_of_several():
    rows = pd.DataFrame({"size": pd.Categorical(["a", "b", "c", "a", "b", "c"])})
    domain = Table.fit(rows)
    assert not domain.columns[0].in_order  # pyright: ignore[reportAttributeAccessIssue]
    assert (domain.features()(domain.tensors(rows)).sum(1) == 1).all()


def test_outputs_of_ordered_categories_are_log_odds_of_neighbours():
    (column,) = Table.fit(ranked("pandas")).columns
    assert isinstance(column, CategoryColumn)
    outputs = torch.tensor(DRAWS.normal(size=(5, 4)))
    block = CategoryBlock([0], [column])
    logs = torch.stack([block.log_prob(outputs, torch.full((5, 1), float(code))) for code in column.by_rank], -1)[:, 0]
    assert torch.allclose(logs.exp().sum(-1), torch.ones(5, dtype=torch.float64))
    assert torch.allclose(logs.diff(dim=-1), outputs[:, column.by_rank[1:]])


def test_files_of_before_have_neither():
    """A model that was fitted to one-hot codes and to dates without parts must go on seeing them so."""
    rows = pd.concat([dates("2020-01-01", "D", 900), pd.DataFrame({"size": ranked("pandas")["size"]})], axis=1)
    schema = Table.fit(rows).schema()
    assert schema["columns"][0].pop("calendar") and schema["columns"][1].pop("ordered")
    domain = Table.from_schema(json.loads(json.dumps(schema)))
    features = domain.features()(domain.tensors(rows).float())
    assert features.shape[1] == 1 + 4  # the date, and four sizes
    assert (features[:200, 1:].sum(1) == 1).all()


@pytest.mark.parametrize("likelihood", ["auto", "autoregressive"])
def test_a_model_of_both_draws_and_comes_back(likelihood, tmp_path):
    rows = pd.concat([dates("2020-01-01", "D", 200), ranked("pandas").iloc[:200]], axis=1)
    model = isthmus.VAE(2, hidden=(8,), epochs=2, likelihood=likelihood, random_state=0).fit(rows)
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    pd.testing.assert_frame_equal(again.sample(20), model.sample(20), check_exact=True)
    assert model.sample(5).dtypes.equals(rows.dtypes)


def test_rows_are_coded_through_a_model_of_both():
    rows = pd.concat(
        [dates("2020-01-01", "D", 900), pd.concat([ranked("pandas").iloc[:200]] * 5, ignore_index=True)], axis=1
    )[:900]
    model = isthmus.VAE(2, hidden=(8,), epochs=2, random_state=0).fit(rows)
    pd.testing.assert_frame_equal(model.decompress(model.compress(rows)), rows)
