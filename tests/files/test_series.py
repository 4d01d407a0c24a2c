"""Series in long tables: told apart by a column, put in order by another, gaps and all."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from isthmus.core.errors import DataError
from isthmus.files.reading import read
from isthmus.files.writing import write_rows, write_table


def written(tmp_path, frame: pd.DataFrame, ending: str = ".csv"):
    path = tmp_path / f"long{ending}"
    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path


SENSORS = pd.DataFrame(
    {
        "machine": ["b", "a", "a", "b", "a", "b"],
        "minute": [10, 20, 0, 0, 10, 30],
        "heat": [1.5, 3.0, 1.0, 0.5, None, 4.5],
        "load": [1, 2, 3, 4, 5, 6],
    }
)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".arrow", ".jsonl"])
def test_series_are_in_order_and_steps_without_a_row_are_missing(tmp_path, ending):
    source = read(f"{written(tmp_path, SENSORS, ending)}:machine,minute")
    assert source.row_ids == ["b", "a"]  # in the order in which they come first
    first, second = source.rows
    np.testing.assert_array_equal(first, [[0.5, 4], [1.5, 1], [np.nan, np.nan], [4.5, 6]])
    np.testing.assert_array_equal(second, [[1.0, 3], [np.nan, 5], [3.0, 2]])
    assert "1 steps without a row" in source.notes[-1]


def test_dates_put_steps_in_order(tmp_path):
    days = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"])
    source = read(f"{written(tmp_path, pd.DataFrame({'of': 1, 'day': days, 'x': [3.0, 1.0, 2.0]}))}:of,day")
    np.testing.assert_array_equal(source.rows[0], [[1.0], [2.0], [3.0]])


def test_times_on_no_even_grid_only_put_steps_in_order(tmp_path):
    frame = pd.DataFrame({"of": 1, "time": [0.0, 7.7, 1.0, 2.37], "x": [1.0, 4.0, 2.0, 3.0]})
    source = read(f"{written(tmp_path, frame)}:of,time")
    np.testing.assert_array_equal(source.rows[0][:, 0], [1, 2, 3, 4])
    assert "no even grid" in source.notes[-1]


def test_series_of_one_step_each_lie_on_any_grid(tmp_path):
    source = read(f"{written(tmp_path, pd.DataFrame({'of': [0, 1], 'time': [3, 3], 'x': [1.0, 2.0]}))}:of,time")
    assert [len(each) for each in source.rows] == [1, 1]
    assert "no even grid" not in source.notes[-1]


def test_columns_that_are_no_channels_are_dropped_first(tmp_path):
    place = f"{written(tmp_path, SENSORS.assign(comment=list('abcdef')))}:machine,minute"
    with pytest.raises(DataError, match="column 'comment' holds string"):
        read(place)
    assert [each.shape[1] for each in read(place, drop=["comment"]).rows] == [2, 2]
    with pytest.raises(DataError, match="there is no column 'minute'"):
        read(place, drop=["minute"])


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3)])
def test_what_is_written_is_read(tmp_path, shape):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(length, *shape[1:])) for length in (4, 2, 3)]
    series[1][1] = np.nan
    write_rows(series, tmp_path / "new.parquet")
    back = read(tmp_path / "new.parquet", part="series,step").rows
    assert len(back) == 3
    for own, other in zip(series, back, strict=True):
        np.testing.assert_array_equal(own.reshape(len(own), -1), other)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("minute", {}, "ID,TIME"),
        ("machine,hour", {}, "no column 'hour'"),
        ("machine,minute,load", {}, "names more than two columns.*--drop"),
        ("machine,machine", {}, "both the series and the time"),
        ("machine,minute", {"load": list("abcdef")}, "column 'load' holds string"),
        ("machine,minute", {"minute": [0, 0, 0, 0, 1, 1]}, "two rows of one time"),
        ("machine,minute", {"minute": [None, 0, 1, 2, 3, 4]}, "'minute' has empty cells"),
        ("machine,load", {"load": list("abcdef")}, "times are numbers or dates"),
    ],
)
def test_what_is_no_long_table_is_refused_by_name(tmp_path, part, change, said):
    with pytest.raises(DataError, match=said):
        read(f"{written(tmp_path, SENSORS.assign(**change))}:{part}")
