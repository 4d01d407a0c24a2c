"""Rows that few tables have come back bit for bit, or are refused in one line."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from isthmus.compression.archive import Archive, Options, chunks, codec_for, write
from isthmus.compression.rows import given_back, taken
from isthmus.compression.table.cells import plain_bytes
from isthmus.core.errors import DataError


def there_and_back(rows: Any, budget: float = 0.0, **options: Any) -> Any:
    asked = Options(budget=budget, **options)
    stream = io.BytesIO()
    write(stream, codec_for(rows, len(rows), asked), chunks(rows, asked.chunk_rows), options=asked)
    return Archive(io.BytesIO(stream.getvalue()), "a.isth").read()


def assert_comes_back(column: pa.Array, **options: Any) -> None:
    table = pa.table({"c": column})
    back = there_and_back(table, **options)
    assert back.schema.equals(table.schema)
    assert plain_bytes(pa.concat_arrays(back.column("c").chunks)) == plain_bytes(column)


def test_floats_from_one_end_to_the_other() -> None:
    """Their bits as whole numbers lie further apart than a whole number of 64 bits can say."""
    assert_comes_back(pa.array(np.random.default_rng(0).uniform(-0.8e308, 0.8e308, 300) * 2))


@pytest.mark.parametrize("type_", [pa.int64(), pa.string(), pa.string_view(), pa.decimal128(5, 2)])
def test_no_rows_with_time_to_train(type_: pa.DataType) -> None:
    table = pa.table({"c": pa.array([], type_)})
    back = there_and_back(table, budget=1.0)
    assert back.num_rows == 0 and back.schema.equals(table.schema)


def test_categories_of_floats_are_compared_by_their_bits() -> None:
    categories = pa.array([np.nan, -0.0, 0.0])
    assert_comes_back(pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None] * 20, pa.int8()), categories))


def test_views_of_text() -> None:
    assert_comes_back(pa.array(["a", "b", None, "a"] * 40, pa.string_view()))
    assert_comes_back(pa.array(["a" * size for size in range(40)], pa.string_view()))
    assert_comes_back(pa.array([], pa.string_view()))
    table = pa.table({"c": pa.array(["a", "b", None, "a"] * 40, pa.string_view())})
    codec = codec_for(table, 160, Options(budget=0.0))
    unseen = pa.table({"c": pa.array(["of no list" * 3, "b", None], pa.string_view())})
    assert codec.decode(codec.encode(unseen), 3).column("c").to_pylist() == ["of no list" * 3, "b", None]


@pytest.mark.parametrize("type_", [pa.uint8(), pa.int8(), pa.int32(), pa.uint64()])
@pytest.mark.parametrize("tolerance", [0.9, 0.3, 0.01])
def test_a_step_beyond_the_ends_of_an_integer_type(type_: pa.DataType, tolerance: float) -> None:
    ends = np.iinfo(type_.to_pandas_dtype())
    values = np.random.default_rng(0).integers(ends.min, ends.max, 300, type_.to_pandas_dtype(), endpoint=True)
    back = there_and_back(pa.table({"c": values}), tolerance=tolerance).column("c").to_numpy()
    off = [abs(int(a) - int(b)) for a, b in zip(values, back, strict=True)]
    assert max(off) <= tolerance * (int(values.max()) - int(values.min())) + 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pd.DataFrame([[1, 2]], columns=pd.Index(["a", "a"])), "'a'"),
        (pd.DataFrame({"a": [1, "x", None]}), "one type"),
        (np.array(5.0), "single number"),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), "'a'"),
    ],
)
def test_rows_that_are_no_table_are_refused_in_one_line(rows: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        taken(rows)
    assert "\n" not in str(caught.value)


def test_a_matrix_of_longer_floats_than_tables_hold_is_an_array() -> None:
    rows, _ = taken(np.ones((2, 2), np.longdouble))
    assert isinstance(rows, np.ndarray)


def test_notes_that_make_no_sense_leave_rows_as_they_are() -> None:
    table = pa.table({"c": [1, 2]})
    for dtype in ("nothing", "O", "M8[s]", None):
        assert given_back(table, {"container": "matrix", "dtype": dtype}) is not None
    assert given_back(table.slice(0, 0).select([]), {"container": "matrix", "dtype": "<f8"}).num_columns == 0


def test_rows_of_another_kind_than_the_model_is_for() -> None:
    table = pa.table({"a": np.arange(20.0), "b": np.arange(20)})
    array, none = np.zeros((20, 2, 2)), Options(budget=0.0)
    models = [codec_for(table, 20, Options(budget=0.0, tolerance=0.1)), codec_for(array, 20, none)]
    for rows in (table, array, table.select(["a"]), table.rename_columns(["b", "a"]), np.zeros((20, 3), np.uint8)):
        for codec in models:
            if rows is not (table if codec.kind == "table" else array):
                with pytest.raises(DataError):
                    write(io.BytesIO(), codec, chunks(rows))
