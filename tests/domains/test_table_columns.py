"""Which kind a column is, by its cells; what is refused, in one line; what is reported."""

import datetime

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
import torch

from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import NetworkOptions
from isthmus.domains.table import Table
from isthmus.domains.table.columns import CategoryColumn, DateColumn, NumberColumn, Quantity


def fitted(**columns) -> Table:
    return Table.fit(pa.table(columns))


def only(table: Table):
    (column,) = table.columns
    return column


def scaled(table: Table, **columns) -> np.ndarray:
    return table.matrix(table.tensors(pa.table(columns)))


# Kinds


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, 2.0, 40.0], "integer"),
        ([1.0, 2.5, 40.0], "number"),
        ([1.0, None, 2.0], "integer"),
        ([1e16, 2e16, 4e16], "number"),  # whole, but no longer one apart
        ([1, 2, 40], "integer"),
        (["1", "2", "x"], "category"),
        ([True, False, None], "boolean"),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], "date"),
        ([datetime.timedelta(1), None, datetime.timedelta(2)], "date"),
        ([datetime.time(1), datetime.time(2)], "date"),
    ],
    ids=str,
)
def test_kinds(values, kind):
    assert only(fitted(x=values)).kind == kind


def test_whole_floats_come_back_as_floats():
    frame = pd.DataFrame({"mass": [3750.0, None, 3800.0]})
    table = Table.fit(frame)
    assert table.columns[0].kind == "integer"
    made = table.rows(torch.tensor([[0.123456]]))
    assert made["mass"].dtype == "float64"
    assert made["mass"][0] == round(made["mass"][0])


@pytest.mark.parametrize(
    ("step", "unit_in_microseconds"),
    [
        (datetime.timedelta(days=3), 86_400_000_000),
        (datetime.timedelta(hours=5), 3_600_000_000),
        (datetime.timedelta(minutes=7), 60_000_000),
        (datetime.timedelta(seconds=1), 1_000_000),
        (datetime.timedelta(milliseconds=4), 1000),
        (datetime.timedelta(microseconds=11), 1),
    ],
)
def test_dates_count_in_the_coarsest_unit_they_share(step, unit_in_microseconds):
    start = datetime.datetime(2020, 5, 6, 7, 8, 9, 10)  # a time of day that all share is no reason for a finer unit
    column = only(fitted(x=pa.array([start + i * step for i in (0, 1, 2, 10)], pa.timestamp("us"))))
    assert isinstance(column, DateColumn)
    assert column.unit == unit_in_microseconds


def test_days_stay_days_when_sampled():
    days = pa.array([datetime.datetime(2020, 1, 1 + i % 28) for i in range(50)], pa.timestamp("us"))
    table = Table.fit(pa.table({"x": days}))
    torch.manual_seed(0)
    likelihood = table.decoder(2, NetworkOptions(hidden=(8,)))(torch.randn(500, 2))
    for tensor in (likelihood.sample(Randomness(0)), likelihood.mode()):
        made = table.rows(tensor).column("x").to_pylist()
        assert {moment.time() for moment in made} == {datetime.time(0)}
        assert min(made) >= datetime.datetime(2020, 1, 1)
        assert max(made) <= datetime.datetime(2020, 1, 28)


def test_a_moment_off_the_unit_is_exact_too():
    table = fitted(x=pa.array([datetime.datetime(2020, 1, day) for day in (1, 2, 5)], pa.timestamp("us")))
    new = pa.table({"x": pa.array([datetime.datetime(2021, 3, 4, 5, 6, 7, 8)], pa.timestamp("us"))})
    assert table.rows(table.tensors(new)).equals(new)


# Categories


def test_rare_categories_share_a_code_and_come_back_by_their_frequency():
    names = [f"c{i}" for i in range(300)]
    counts = {name: 600 - 2 * i for i, name in enumerate(names)}
    cells = [name for name in names for _ in range(counts[name])]
    table = fitted(x=cells)
    column = only(table)
    assert isinstance(column, CategoryColumn)
    assert (column.kept, column.modelled) == (256, 257)
    # A decoder that is sure of the shared code.
    head = table.decoder(1, NetworkOptions(hidden=())).head
    outputs = torch.full((40_000, 257), -30.0)
    outputs[:, 256] = 30.0
    drawn = pd.Series(table.rows(head(outputs).sample(Randomness(0))).column("x").to_pylist()).value_counts()
    rare = names[256:]
    assert set(drawn.index) == set(rare)
    expected = np.array([counts[name] for name in rare]) / sum(counts[name] for name in rare)
    # 44 multinomial shares of 40,000 draws: a standard deviation is at most √(0.03 · 0.97 / 40,000) = 0.0009.
    np.testing.assert_allclose(drawn[rare] / 40_000, expected, atol=5 * 0.0009)
    assert table.rows(head(outputs[:1]).mode()).column("x").to_pylist() == [rare[0]]
    # The probabilities of all 300 are those shares, and sum to 1.
    x = torch.arange(300.0)[:, None]
    masses = head(outputs[:300]).log_prob(x).exp()
    assert masses.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(masses[256:], expected, rtol=1e-4)


def test_categories_seen_once_are_rare():
    column = only(fitted(x=["a"] * 5 + ["b"] * 4 + ["c", "d"]))
    assert (column.kept, column.modelled) == (2, 3)
    # One alone needs no group.
    column = only(fitted(x=["a"] * 5 + ["b"] * 4 + ["c"]))
    assert (column.kept, column.modelled) == (3, 3)


def test_five_thousand_categories():
    rng = np.random.default_rng(0)
    cells = [f"user {i}" for i in np.concatenate([np.arange(5000), rng.integers(0, 5000, 15_000)])]
    table = fitted(x=cells)
    x = table.tensors(pa.table({"x": cells})).float()
    assert table.features()(x).shape == (20_000, 257)
    torch.manual_seed(0)
    likelihood = table.decoder(2, NetworkOptions(hidden=(8,)))(torch.zeros(5000, 2))
    masses = likelihood.log_prob(torch.arange(5000.0)[:, None]).exp().detach()
    assert masses.sum() == pytest.approx(1.0, abs=1e-4)
    assert set(table.rows(likelihood.sample(Randomness(0))).column("x").to_pylist()) <= set(cells)


def test_an_identifier_works_and_the_schema_says_so():
    table = fitted(name=[f"row {i}" for i in range(50)], y=list(range(50)))
    first = table.schema()["columns"][0]
    assert first["identifier"] is True
    assert table.notes() == [
        "column 'name': no value occurs twice, so nothing is learned of it but the list; drop it (--drop name)"
    ]
    assert fitted(name=["a", "b"] * 25).schema()["columns"][0]["identifier"] is False
    rows = pa.table({"name": [f"row {i}" for i in range(50)], "y": list(range(50))})
    assert table.rows(table.tensors(rows)).equals(rows)
    # One code for all, and each as likely as any other.
    likelihood = table.decoder(2, NetworkOptions(hidden=(8,)))(torch.zeros(50, 2))
    per_feature = likelihood.log_prob_per_feature(table.tensors(rows).float())
    np.testing.assert_allclose(per_feature[:, 0].detach(), -np.log(50), rtol=1e-5)


# Scales


def test_quantities_have_zero_mean_and_unit_spread():
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(1e6, 3, 500), "b": rng.normal(-2e-9, 1e-12, 500), "c": rng.integers(0, 10**9, 500)}
    matrix = scaled(fitted(**columns), **columns)
    np.testing.assert_allclose(matrix.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(matrix.std(0), 1, atol=1e-3)
    # Single precision keeps that: what networks see is what evaluation sees.
    table = fitted(**columns)
    features = table.features()(table.tensors(pa.table(columns)).float())
    np.testing.assert_allclose(features, matrix, atol=2e-4)


@pytest.mark.parametrize("whole", [False, True])
def test_heavy_tails_go_through_asinh(whole):
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(0, 4, 2000)) * 10
    values = np.floor(values).astype(int) if whole else values
    table = fitted(x=values)
    assert only(table).scale.heavy
    matrix = scaled(table, x=values)
    assert matrix.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(matrix).max() < 10  # 2,000 rows, and the largest is some 20 million
    # In order, and small values told apart.
    assert (np.diff(matrix[np.argsort(values, kind="stable"), 0]) >= 0).all()
    assert not fitted(x=rng.normal(size=2000)).columns[0].scale.heavy


def test_a_spike_at_zero_leaves_room_for_the_rest():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(5000) < 0.9, 0.0, np.exp(rng.normal(5, 3, 5000)))
    table = fitted(x=values)
    assert only(table).scale.heavy
    matrix = scaled(table, x=values)[:, 0]
    assert matrix[values > 0].std() > 0.3 * matrix.std()


@pytest.mark.parametrize("large", [1e30, 1e150, 1e300, 1.7e308])
@pytest.mark.parametrize("shape", ["one far out", "all large", "both ends", "tiny and large"])
@pytest.mark.parametrize("family", Table.likelihoods)
def test_huge_values_stay_finite(large, shape, family):
    rng = np.random.default_rng(0)
    values = rng.normal(size=40)
    if shape == "one far out":
        values[7] = large
    elif shape == "all large":
        values = rng.uniform(0.5, 1.0, 40) * large
    elif shape == "both ends":
        values[:2] = large, -large
    else:
        values[:2] = large, 1 / large
    rows = pa.table({"x": values})
    table = Table.fit(rows, family)
    x = table.tensors(rows)
    assert table.rows(x).equals(rows)
    assert np.isfinite(table.matrix(x)).all()
    assert np.isfinite(table.log_volume(x).numpy()).all()
    torch.manual_seed(0)
    encoder = table.encoder(2, NetworkOptions(hidden=(8,)))
    likelihood = table.decoder(2, NetworkOptions(hidden=(8,)))(encoder(x.float()))
    likelihood.log_prob(x.float()).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())
    for tensor in (likelihood.sample(Randomness(0)), likelihood.mode()):
        assert np.isfinite(table.rows(tensor).column("x").to_numpy()).all()


def test_constant_columns_of_an_array():
    rows = np.column_stack([np.full(30, 3.7), np.full(30, -2.0), np.full(30, np.nan), np.arange(30) / 7])
    table = Table.fit(rows)
    x = table.tensors(rows)
    torch.manual_seed(0)
    likelihood = table.decoder(2, NetworkOptions(hidden=(8,)))(torch.randn(30, 2))
    made = table.rows(likelihood.sample(Randomness(0)))
    assert (made[:, 0] == 3.7).all()
    assert (made[:, 1] == -2.0).all()
    assert np.isnan(made[:, 2]).all()
    assert torch.isfinite(likelihood.log_prob(x.float())).all()


# Refusals, each in one line that names the place


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"x": [3, 3, 3]}, r"column 'x' has one value, 3, in all 3 rows: nothing to learn; drop it \(--drop x\)"),
        ({"my x": ["a", "a"]}, r"column 'my x' has one value, a, in all 2 rows.*\(--drop 'my x'\)"),
        ({"x": [True, True]}, "column 'x' has one value, true"),
        ({"x": [2.5, 2.5]}, "column 'x' has one value, 2.5"),
        ({"x": pa.array(["a", "a"]).dictionary_encode()}, "column 'x' has one value, a"),
        ({"x": [datetime.date(2020, 1, 1)] * 2}, "column 'x' has one value, 2020-01-01"),
        ({"x": pa.nulls(4)}, r"column 'x' has no value in any of 4 rows: drop it \(--drop x\)"),
        ({"x": [float("nan")] * 4}, "column 'x' has no value in any of 4 rows"),
        ({"x": [1.5, float("inf")]}, "column 'x', row 1: the value is infinity"),
        ({"x": [1.5, None, float("-inf")]}, "column 'x', row 2: the value is infinity"),
        (
            {"x": [str(i) for i in range(20)] + ["n/a"]},
            "column 'x', row 20: the text 'n/a' stands in a column of numbers",
        ),
        ({"x": [[1], [2]]}, "column 'x' holds list<.*>, which is not a kind of cell"),
        ({"x": [b"a", b"b"]}, "column 'x' holds binary, which is not a kind of cell"),
        ({}, "no columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # a column as text would name its address
)
def test_columns_that_are_refused(columns, complaint):
    with pytest.raises(DataError, match=complaint) as refused:
        fitted(**columns)
    assert "\n" not in str(refused.value)


def test_a_value_that_is_sometimes_missing_is_no_constant():
    table = fitted(a=[3, None, 3], b=["x", None, None], c=[True, None, True], d=[2.5, None, 2.5])
    rows = pa.table({"a": [3, None, 3], "b": ["x", None, None], "c": [True, None, True], "d": [2.5, None, 2.5]})
    assert table.rows(table.tensors(rows)).equals(rows)
    torch.manual_seed(0)
    likelihood = table.decoder(2, NetworkOptions(hidden=(8,)))(torch.randn(3, 2))
    assert torch.isfinite(likelihood.log_prob(table.tensors(rows).float())).all()


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "two columns are named 'a'"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=[1, "1"]), "two columns are named '1'"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=[("a", "b"), "c"]), r"the column name \('a', 'b'\) is neither text"),
        (
            pd.DataFrame({"x": [1.5, 2, "three", 4]}),
            "column 'x' mixes text with other cells: row 2 holds the text 'three'",
        ),
        (pd.DataFrame({"x": ["a", "b", 3.5, "d"]}), r"column 'x' mixes text with other cells: row 2 holds 3.5"),
        (pd.DataFrame({"x": [1 + 2j, 3]}), r"column 'x' cannot be read \(.*\); convert it to numbers"),
        (polars.DataFrame({"y": [1, 2], "x": polars.Series([1, 2], dtype=polars.Int128)}), "column 'x' holds Int128"),
        (np.array([[1 + 2j], [3]]), "an array of complex128 is not a table"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_frames_that_are_refused(frame, complaint):
    with pytest.raises(DataError, match=complaint) as refused:
        Table.fit(frame)
    assert "\n" not in str(refused.value)


FITTED = {
    "number": [1.5, 2.5, 3.0],
    "integer": [1, 2, 3],
    "category": ["a", "b", "a"],
    "boolean": [True, False, True],
    "date": [datetime.date(2020, 1, day) for day in (1, 2, 3)],
}


@pytest.mark.parametrize(
    ("column", "cells", "complaint"),
    [
        ("number", [None, "x", "y"], "column 'number' should hold numbers, but row 1 holds the text 'x'"),
        ("integer", ["1", None, "y"], "column 'integer' should hold numbers, but row 0 holds the text '1'"),
        ("number", [1.0, float("inf"), 2.0], "column 'number', row 1: the value is infinity"),
        ("number", [True, False, None], "column 'number' should hold numbers, but holds bool"),
        ("boolean", ["yes", "no", None], "column 'boolean' should hold true and false, but holds text; convert it"),
        ("date", [1, 2, 3], "column 'date' should hold date32.*, but holds int64"),
        ("date", [datetime.time(1)] * 3, "column 'date' should hold date32.*, but holds time64"),
        ("date", ["2020-01-01", None, "soon"], "column 'date' should hold date32.*, but row 2 holds the text 'soon'"),
    ],
)
def test_cells_of_another_kind_at_inference(column, cells, complaint):
    table = fitted(**FITTED)
    with pytest.raises(DataError, match=complaint):
        table.tensors(pa.table(FITTED | {column: cells}))


TIMES = [datetime.datetime(2020, 1, 1, 5), None, datetime.datetime(2021, 12, 31, 23, 59, 59)]


@pytest.mark.parametrize(
    ("type_", "texts"),
    [
        (pa.timestamp("us"), ["2020-01-01 05:00:00", None, "2021-12-31T23:59:59"]),
        (pa.timestamp("s", "UTC"), ["2020-01-01T05:00:00Z", None, "2021-12-31 23:59:59Z"]),
        (pa.timestamp("ms", "UTC"), ["2020-01-01T06:00:00+01:00", None, "2021-12-31 23:59:59Z"]),
    ],
)
def test_times_may_come_as_text(type_, texts):
    table = fitted(x=pa.array(TIMES, type_))
    expected = table.tensors(pa.table({"x": pa.array(TIMES, type_)}))
    np.testing.assert_array_equal(table.tensors(pa.table({"x": texts})), expected)
    assert table.surprises(pa.table({"x": texts})) == []


def test_a_time_zone_is_not_guessed():
    table = fitted(x=pa.array(TIMES, pa.timestamp("s", "UTC")))
    with pytest.raises(DataError, match="row 0 holds the text '2020-01-01 05:00:00'"):
        table.tensors(pa.table({"x": ["2020-01-01 05:00:00"]}))


@pytest.mark.parametrize("column", FITTED)
@pytest.mark.parametrize("type_", [pa.null(), pa.float64(), pa.string()], ids=str)
def test_a_column_without_values_suits_every_kind(column, type_):
    table = fitted(**FITTED)
    rows = pa.table(FITTED | {column: pa.nulls(3, type_)})
    assert table.tensors(rows)[:, list(FITTED).index(column)].isnan().all()
    assert table.surprises(rows) == []


def test_columns_of_text_are_known():
    dictionary = pa.array(["u", "v", "u"]).dictionary_encode()
    assert fitted(**FITTED, words=dictionary).text_columns == ["category", "words"]
    assert fitted(codes=pa.array([5, 7, 5]).dictionary_encode()).text_columns == []
    assert fitted(**FITTED).notes() == []


def test_a_table_has_no_neighbouring_pixels():
    with pytest.raises(OptionError, match="network='convolutional' is for images"):
        fitted(**FITTED).decoder(2, NetworkOptions(network="convolutional"))


def test_missing_and_superfluous_columns():
    table = fitted(**FITTED)
    with pytest.raises(DataError, match="column 'integer' is missing; the model needs it, and the data have number, c"):
        table.tensors(pa.table({name: cells for name, cells in FITTED.items() if name != "integer"}))
    with pytest.raises(DataError, match="the data have 3 columns; the model was fitted to 5"):
        table.tensors(np.zeros((4, 3)))


# Surprises


def test_nothing_new_is_no_surprise():
    assert fitted(**FITTED).surprises(pa.table(FITTED)) == []


def test_surprises_are_one_sentence_each_and_work():
    table = fitted(**FITTED)
    strange = pa.table(
        {
            "number": [1e300, -7.0, None],
            "integer": [4, 2, 2],
            "category": ["c", "b", "ü"],
            "boolean": [True, None, True],
            "date": [datetime.date(1999, 1, 1), datetime.date(2020, 1, 2), datetime.date(2020, 1, 3)],
        }
    )
    assert table.surprises(strange) == [
        "column 'number': 2 values outside 1.5 … 3, the range that was fitted",
        "column 'integer': 1 value outside 1 … 3, the range that was fitted",
        "column 'category': unseen categories, treated as missing: 'c', 'ü'",
        "column 'date': 1 value outside 2020-01-01 … 2020-01-03, the range that was fitted",
    ]
    x = table.tensors(strange)
    assert x[:, 2].isnan().tolist() == [True, False, True]
    torch.manual_seed(0)
    assert torch.isfinite(table.encoder(2, NetworkOptions())(x.float())).all()
    for family in Table.likelihoods:
        table = Table.fit(pa.table(FITTED), family)
        likelihood = table.decoder(2, NetworkOptions(hidden=(8,)))(torch.zeros(3, 2))
        assert torch.isfinite(likelihood.log_prob(x.float())).all()


def test_a_declared_category_that_was_never_seen_is_a_surprise():
    declared = pd.CategoricalDtype(["a", "b", "never"])
    table = Table.fit(pd.DataFrame({"x": pd.Series(["a", "b", "a"], dtype=declared)}))
    new = pd.DataFrame({"x": pd.Series(["never", "a"], dtype=declared)})
    assert table.surprises(new) == ["column 'x': an unseen category, treated as missing: 'never'"]


def test_values_in_a_column_that_was_empty():
    rows = np.column_stack([np.full(5, np.nan), np.arange(5.0)])
    table = Table.fit(rows)
    new = np.ones((2, 2))
    assert table.surprises(new) == ["column 'x0': 2 values, but none when fitted; treated as missing"]
    assert table.tensors(new)[:, 0].isnan().all()


# Schemas from files are not trusted


@pytest.mark.parametrize(
    "damage",
    [
        lambda schema: schema["columns"][0].update(kind="pickle"),
        lambda schema: schema["columns"][0].update(extra=1),
        lambda schema: schema["columns"][0].pop("scale"),
        lambda schema: schema["columns"][0]["scale"].update(width=float("nan")),
        lambda schema: schema["columns"][0].update(arrow_type={"simple": "list"}),
        lambda schema: schema.update(family="cauchy"),
        lambda schema: schema["container"].update(kind="spark"),
        lambda schema: schema.pop("columns"),
    ],
)
def test_a_damaged_schema_is_refused(damage):
    schema = fitted(x=[1.5, 2.5, 4.0]).schema()
    Table.from_schema(schema)
    damage(schema)
    with pytest.raises((KeyError, TypeError, ValueError)):
        table = Table.from_schema(schema)
        table.rows(torch.zeros(1, 1))


def test_kinds_of_columns_are_what_the_report_calls_them():
    assert [column["kind"] for column in fitted(**FITTED).describe()["columns"]] == list(FITTED)
    assert fitted(**FITTED).describe()["shape"] == "5 columns"
    assert fitted(x=[1, 2]).describe()["shape"] == "1 column"


def test_cells_as_text():
    table = fitted(
        number=[1.23456, None, 2.5e10],
        integer=[1234567, None, 2],
        boolean=[True, None, False],
        day=pa.array([0, None, 86_400_000_000], pa.timestamp("us")),
        moment=pa.array([1_000_000, None, 90_000_000_000], pa.timestamp("us", "Asia/Tokyo")),
        span=pa.array([1, None, 90_000], pa.duration("s")),
        category=pa.array(["ü", None, "b"]).dictionary_encode(),
    )
    rows = table.rows(torch.zeros(1, 7, dtype=torch.float64))
    assert rows.num_rows == 1
    source = {
        "number": [1.23456, None],
        "integer": [1234567, None],
        "boolean": [True, None],
        "day": pa.array([86_400_000_000, None], pa.timestamp("us")),
        "moment": pa.array([1_000_000, None], pa.timestamp("us", "Asia/Tokyo")),
        "span": pa.array([90_000, None], pa.duration("s")),
        "category": ["ü", None],
    }
    assert table.pictures(table.tensors(pa.table(source))) == [
        ["1.235", "1234567", "true", "1970-01-02", "1970-01-01T09:00:01", "1 day, 1:00:00", "ü"],
        [None] * 7,
    ]


def test_columns_know_whether_they_are_dense():
    table = fitted(**FITTED)
    assert table.density.tolist() == [isinstance(column, NumberColumn) for column in table.columns]
    assert [column.step > 0 for column in table.columns if isinstance(column, Quantity)] == [False, True, True]
