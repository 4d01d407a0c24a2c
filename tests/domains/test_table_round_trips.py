"""rows(tensors(x)) is x, whatever the container, the types, the names and the missing cells."""

import datetime
import decimal
import json
import math

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.core.errors import DataError
from isthmus.domains.table import Table

pytestmark = pytest.mark.slow

quick = settings(max_examples=20, deadline=None)


def through(rows):
    """Fitted, saved as JSON, revived; the rows as tensors and back."""
    table = Table.from_schema(json.loads(json.dumps(Table.fit(rows, strict=False).schema())))
    return table.rows(table.tensors(rows))


def cells(values, least=1, most=12):
    return st.lists(values, min_size=least, max_size=most)


def with_gaps(values):
    return cells(st.none() | values)


whole = {
    f"{sign}int{bits}": st.integers(0 if sign else -(2 ** (bits - 1)), 2 ** (bits if sign else bits - 1) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32)
}
# 64-bit numbers whose range spans fewer than 2⁵² are exact wherever they lie.
somewhere = st.tuples(st.integers(-(2**63), 2**63 - 2**52), cells(st.integers(0, 2**52 - 1)))
doubles = st.floats(allow_nan=False, allow_infinity=False)
singles = st.floats(allow_nan=False, allow_infinity=False, width=32)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
# 285 years of microseconds are 2⁵³.
moments = st.datetimes(datetime.datetime(1850, 1, 1), datetime.datetime(2100, 1, 1))
dates = st.dates()
spans = st.timedeltas(datetime.timedelta(days=-40_000), datetime.timedelta(days=40_000))
few = settings(max_examples=8, deadline=None)  # many columns at once


# pandas


@pytest.mark.parametrize("dtype", whole)
@quick
@given(st.data())
def test_small_integers(dtype, data):
    frame = pd.DataFrame({"x": pd.Series(data.draw(cells(whole[dtype])), dtype=dtype)})
    pd.testing.assert_frame_equal(through(frame), frame)


@quick
@given(somewhere)
def test_integers_of_64_bits_anywhere_within_2_52_of_each_other(place):
    start, offsets = place
    values = [start + offset for offset in offsets]
    frame = pd.DataFrame({"x": pd.Series(values, dtype="int64")})
    pd.testing.assert_frame_equal(through(frame), frame)
    unsigned = pd.DataFrame({"x": pd.Series([value + 2**63 for value in values], dtype="uint64")})
    pd.testing.assert_frame_equal(through(unsigned), unsigned)
    table = pa.table({"x": pa.array([*values, None], pa.int64())})
    assert through(table).equals(table)


@quick
@given(cells(st.integers(-(2**63), 2**63 - 1), least=2))
def test_integers_farther_apart_come_back_to_float_precision(values):
    back = through(pd.DataFrame({"x": pd.Series(values, dtype="int64")}))["x"]
    assert back.dtype == "int64"
    reach = max(values) - min(values)
    assert all(abs(int(b) - v) <= reach * 2.0**-51 for b, v in zip(back, values, strict=True))


@pytest.mark.parametrize("dtype", ["Int8", "Int64", "UInt16", "int64[pyarrow]"])
@quick
@given(with_gaps(st.integers(0, 127)))
def test_nullable_integers(dtype, values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    pd.testing.assert_frame_equal(through(frame), frame)


@quick
@given(with_gaps(st.integers(2**53, 2**53 + 9)))
def test_nullable_integers_beyond_the_floats(values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype="Int64")})
    pd.testing.assert_frame_equal(through(frame), frame)


@quick
@given(with_gaps(doubles))
def test_doubles_to_the_last_bit(values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype="float64")})
    pd.testing.assert_frame_equal(through(frame), frame, check_exact=True)


@quick
@given(with_gaps(st.floats(1e9, 1e9 + 1)))
def test_doubles_far_from_zero_to_the_last_bit(values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype="float64")})
    pd.testing.assert_frame_equal(through(frame), frame, check_exact=True)


@pytest.mark.parametrize("dtype", ["float32", "Float32", "Float64", "float[pyarrow]"])
@quick
@given(with_gaps(singles))
def test_other_floats_to_the_last_bit(dtype, values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    pd.testing.assert_frame_equal(through(frame), frame, check_exact=True)


@quick
@given(cells(st.floats(allow_nan=False, allow_infinity=False, width=16)))
def test_half_floats(values):
    frame = pd.DataFrame({"x": np.array(values, np.float16)})
    pd.testing.assert_frame_equal(through(frame), frame, check_exact=True)


@quick
@given(with_gaps(st.booleans()))
def test_booleans(values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype="boolean"), "y": pd.Series(values, dtype="bool[pyarrow]")})
    pd.testing.assert_frame_equal(through(frame), frame)
    if None not in values:
        plain = pd.DataFrame({"x": pd.Series(values, dtype=bool)})
        pd.testing.assert_frame_equal(through(plain), plain)


@pytest.mark.parametrize("dtype", ["object", "str", "string"])
@quick
@given(with_gaps(texts))
def test_texts(dtype, values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    back = through(frame)
    pd.testing.assert_frame_equal(back, frame)


@quick
@given(st.lists(texts, min_size=1, max_size=6, unique=True), st.booleans(), st.data())
def test_categories_in_their_own_order_unused_ones_included(categories, ordered, data):
    values = data.draw(with_gaps(st.sampled_from(categories)).filter(lambda drawn: any(v is not None for v in drawn)))
    frame = pd.DataFrame({"x": pd.Categorical(values, categories, ordered=ordered)})
    pd.testing.assert_frame_equal(through(frame), frame)


@pytest.mark.parametrize("categories", [[3, 1, 2], [0.5, -1.0], [True, False]])
def test_categories_that_are_no_texts(categories):
    frame = pd.DataFrame({"x": pd.Categorical([*categories, None, categories[0]], categories)})
    pd.testing.assert_frame_equal(through(frame), frame)


@pytest.mark.parametrize(
    "dtype", ["datetime64[us]", "datetime64[ns]", "datetime64[s]", "datetime64[us, Europe/Berlin]"]
)
@quick
@given(with_gaps(moments))
def test_moments(dtype, values):
    if dtype == "datetime64[s]":
        values = [value and value.replace(microsecond=0) for value in values]
    if "Berlin" in dtype:
        values = [value and value.replace(tzinfo=datetime.UTC) for value in values]
        series = pd.to_datetime(pd.Series(values, dtype=object), utc=True).astype(dtype)
    else:
        series = pd.Series(values, dtype=dtype)
    frame = pd.DataFrame({"x": series})
    # Nanoseconds are exact as microseconds that all cells share.
    pd.testing.assert_frame_equal(through(frame), frame)


@quick
@given(st.integers(-(2**62), 2**62), cells(st.integers(0, 2**52 - 1)))
def test_nanoseconds_within_52_days(start, offsets):
    frame = pd.DataFrame({"x": np.array([start + offset for offset in offsets], "datetime64[ns]")})
    pd.testing.assert_frame_equal(through(frame), frame)


@quick
@given(with_gaps(spans), with_gaps(dates))
def test_durations_and_dates(durations, days):
    frame = pd.DataFrame({"x": pd.Series(durations, dtype="timedelta64[us]")})
    pd.testing.assert_frame_equal(through(frame), frame)
    if any(day is not None for day in days):
        frame = pd.DataFrame({"x": pd.Series(days, dtype=object)})
        pd.testing.assert_frame_equal(through(frame), frame)


@quick
@given(st.lists(texts, min_size=1, max_size=5, unique=True), st.integers(1, 4))
def test_names_and_their_order(names, rows):
    frame = pd.DataFrame({name: range(place, place + rows) for place, name in enumerate(names)})
    back = through(frame)
    assert list(back.columns) == names
    pd.testing.assert_frame_equal(back, frame)


def test_names_that_are_whole_numbers():
    frame = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=[7, 5, "six"])
    assert list(through(frame).columns) == [7, 5, "six"]


# polars


@few
@given(st.data())
def test_polars(data):
    rows = data.draw(st.integers(1, 8))

    def column(values, dtype):
        return pl.Series(
            data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), dtype=dtype, strict=False
        )

    frame = pl.DataFrame(
        {
            "int": column(st.integers(-99, 99), pl.Int16),
            "unsigned": column(st.integers(0, 2**50), pl.UInt64),
            "float": column(doubles, pl.Float64),
            "single": column(singles, pl.Float32),
            "bool": column(st.booleans(), pl.Boolean),
            "text": column(texts, pl.String),
            "date": column(dates, pl.Date),
            "moment": column(moments, pl.Datetime("us")),
            "zoned": column(moments, pl.Datetime("ms", "Asia/Tokyo")),
            "span": column(spans, pl.Duration("us")),
            "time": column(st.times(), pl.Time),
            "money": column(st.decimals(-99999, 99999, places=2), pl.Decimal(10, 2)),
        }
    )
    polars.testing.assert_frame_equal(through(frame), frame, check_exact=True)


@quick
@given(st.lists(texts, min_size=1, max_size=5, unique=True), st.data())
def test_polars_categories(categories, data):
    values = data.draw(with_gaps(st.sampled_from(categories)).filter(any))
    frame = pl.DataFrame(
        {"enum": pl.Series(values, dtype=pl.Enum(categories)), "category": pl.Series(values, dtype=pl.Categorical)}
    )
    polars.testing.assert_frame_equal(through(frame), frame)


# Arrow


@quick
@given(with_gaps(st.decimals(-(10**11), 10**11, places=3)))
def test_decimals_of_15_digits(values):
    table = pa.table({"x": pa.array(values, pa.decimal128(15, 3))})
    assert through(table).equals(table)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.large_string(), ["b", None, "a"]),
        (pa.string_view(), ["b", None, "a"]),
        (pa.time32("s"), [datetime.time(23, 59, 59), None, datetime.time(0)]),
        (pa.time64("us"), [datetime.time(1, 2, 3, 4), None, datetime.time(0)]),
        (pa.date64(), [datetime.date(1, 1, 1), None, datetime.date(9999, 12, 31)]),
        (pa.timestamp("ns", "UTC"), [0, None, 10**15]),
        (pa.duration("s"), [1, None, -(2**40)]),
        (pa.decimal128(4, 0), [decimal.Decimal(1), None, decimal.Decimal(9999)]),
        (pa.null(), [None, None, None]),
    ],
    ids=str,
)
def test_arrow_types(type_, values):
    table = pa.table({"x": pa.array(values, type_)})
    assert through(table).equals(table)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("values", [pa.string(), pa.large_string()])
def test_arrow_dictionaries_in_chunks_that_disagree(values, ordered):
    """Each chunk has its own list; together they have one, in order of appearance."""
    kind = pa.dictionary(pa.int8(), values, ordered)
    chunks = [
        pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(own, values), ordered=ordered)
        for codes, own in (([0, 1, None], ["a", "b"]), ([1, 0, 0], ["z", "b"]))
    ]
    table = pa.table({"x": pa.chunked_array(chunks, kind)})
    back = through(table)
    assert back.column("x").type == kind
    assert back.column("x").to_pylist() == ["a", "b", None, "b", "z", "z"]


def test_chunks():
    table = pa.concat_tables([pa.table({"x": [1.5, None]}), pa.table({"x": [2.5]})])
    assert through(table).equals(table)


def test_nan_is_a_missing_cell():
    assert through(pa.table({"x": [1.5, math.nan]})).column("x").to_pylist() == [1.5, None]


# NumPy


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", "float32", "float64", "bool", "U5", ">f8"])
def test_arrays(dtype):
    rows = (np.random.default_rng(0).normal(0, 40, (9, 3)).round(2)).clip(0, 100).astype(dtype)
    rows[:, 2] = rows[0, 2]  # constant columns are no mistake in an array
    back = through(rows)
    assert back.dtype == rows.dtype
    np.testing.assert_array_equal(back, rows)


def test_arrays_with_missing_cells():
    rows = np.array([[1.5, np.nan], [np.nan, np.nan], [0.1, np.nan]])
    np.testing.assert_array_equal(through(rows), rows)


# No rows, and rows that come in other ways


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "numpy"])
def test_no_rows(kind):
    full = pd.DataFrame({"a": [1.5, 2.5], "b": [1, 2], "c": [3, 4]})
    given_ = {
        "pandas": full.assign(d=pd.Categorical(["x", "y"])),
        "polars": pl.DataFrame({"a": [1.5, 2.5], "s": ["x", "y"]}),
        "arrow": pa.table({"a": [1.5, 2.5], "s": ["x", "y"]}),
        "numpy": full.to_numpy(),
    }[kind]
    table = Table.fit(given_)
    none = given_[:0]
    x = table.tensors(none)
    assert x.shape == (0, len(table.columns))
    back = table.rows(x)
    assert type(back) is type(given_)
    assert len(back) == 0
    assert back.shape == none.shape
    with pytest.raises(DataError, match="no rows"):
        Table.fit(none)


def test_columns_are_found_by_name_in_any_order_and_container():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    table = Table.fit(frame)
    for other in (frame[["b", "a"]], frame.assign(more=1), pa.Table.from_pandas(frame), pl.from_pandas(frame)):
        pd.testing.assert_frame_equal(table.rows(table.tensors(other)), frame)


def test_the_index_is_not_kept():
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.0]}, index=[5, 5, 9])
    assert list(through(frame).index) == [0, 1, 2]
