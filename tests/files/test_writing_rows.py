"""Rows of any kind, written in the format that the path names."""

import datetime
import json
import re

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest

from isthmus.core.errors import DataError
from isthmus.files import writing
from isthmus.files.reading import read
from isthmus.files.writing import write_rows, write_table

RANDOM = np.random.default_rng(0)
TABLE = pa.table({"a": [1, None, 3], "b": ["x", "y", None]})


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".arrow", ".feather", ".jsonl"])
@pytest.mark.parametrize("frame", [
    TABLE,
    pandas.DataFrame({"a": pandas.array([1, None, 3], "Int64"), "b": ["x", "y", None]}, index=[4, 2, 9]),
    polars.DataFrame({"a": [1, None, 3], "b": ["x", "y", None]}),
], ids=["arrow", "pandas", "polars"])  # fmt: skip
def test_frames_are_written_cell_by_cell_without_their_index(tmp_path, ending, frame):
    write_rows(frame, tmp_path / f"rows{ending}")
    assert read(tmp_path / f"rows{ending}").rows.to_pydict() == TABLE.to_pydict()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".arrow", ".jsonl"])
@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_matrices_become_tables(tmp_path, ending, dtype):
    matrix = (RANDOM.normal(size=(5, 3)) * 100).astype(dtype)
    write_rows(matrix, tmp_path / f"rows{ending}")
    back = read(tmp_path / f"rows{ending}").rows
    assert back.column_names == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(np.column_stack([column.to_numpy() for column in back.columns]), matrix)


def test_the_columns_of_a_matrix_may_be_named(tmp_path):
    write_rows(np.ones((2, 2)), tmp_path / "rows.csv", columns=["unit 1", "unit 2"])
    assert read(tmp_path / "rows.csv").rows.column_names == ["unit 1", "unit 2"]
    with pytest.raises(DataError, match="1 names for 2 columns"):
        write_rows(np.ones((2, 2)), tmp_path / "rows.csv", columns=["one"])


@pytest.mark.parametrize("name", ["images.npy", "images.npz", "images"])
@pytest.mark.parametrize("shape", [(12, 4, 3), (2, 4, 3, 3)])
def test_images_come_back(tmp_path, name, shape):
    images = RANDOM.integers(0, 256, shape, np.uint8)
    write_rows(images, tmp_path / name)
    np.testing.assert_array_equal(read(tmp_path / name).rows, images)


def test_one_channel_is_grey_and_the_order_is_that_of_the_names(tmp_path):
    images = RANDOM.integers(0, 256, (12, 4, 3, 1), np.uint8)
    write_rows(images, tmp_path / "images")
    source = read(tmp_path / "images")
    np.testing.assert_array_equal(source.rows, images[..., 0])
    assert source.row_ids == [f"{position:02}.png" for position in range(12)]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_missing_cells_of_a_single_column_stay_rows(tmp_path, ending):
    for values in ([None, 1, None], ["a", None, "b"], [None, None, 0.5]):
        write_table(pa.table({"only": values}), tmp_path / f"rows{ending}")
        assert read(tmp_path / f"rows{ending}").rows.to_pydict() == {"only": values}


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_categories_are_spelt_and_durations_counted(tmp_path, ending):
    durations = pa.array([90, None], pa.duration("s"))
    table = pa.table(
        {
            "kind": pa.array(["x", None]).dictionary_encode(),
            "time": durations,
            "view": pa.array(["a", "b"], pa.string_view()),
        }
    )
    write_table(table, tmp_path / f"rows{ending}")
    assert read(tmp_path / f"rows{ending}").rows.to_pydict() == {
        "kind": ["x", None],
        "time": [90, None],
        "view": ["a", "b"],
    }


def test_json_has_no_word_for_numbers_that_are_not_finite(tmp_path):
    write_table(pa.table({"a": [1.5, float("nan")]}), tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").read_text() == '{"a": 1.5}\n{"a": null}\n'
    with pytest.raises(DataError, match="no infinity"):
        write_table(pa.table({"a": [float("inf")]}), tmp_path / "rows.jsonl")


MISTAKES = {
    "unknown ending": (TABLE, "rows.xlsx", ".csv, .tsv, .parquet"),
    "no ending": (TABLE, "rows", ".csv, .tsv, .parquet"),
    "table as array": (TABLE, "rows.npy", ".csv, .tsv, .parquet"),
    "images as table": (np.zeros((2, 2, 2), np.uint8), "rows.csv", ".npy, .npz, or a folder"),
    "images of floats": (np.zeros((2, 2, 2)), "rows", "float64 of shape (2, 2, 2); name a .npy or .npz"),
    "two channels": (np.zeros((2, 2, 2, 2), np.uint8), "rows", "(2, 2, 2, 2)"),
    "a vector": (np.zeros(2, np.uint8), "rows", "(2,)"),
    "objects": (np.array([[None]]), "rows.npz", "Python objects"),
    "not rows": ([1, 2], "rows.csv", "type list"),
    "lists": (pa.table({"l": [[1]]}), "rows.csv", "'l' holds list"),
    "bytes": (pa.table({"b": [b"\xff"]}), "rows.jsonl", "'b' holds binary"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_in_one_line_and_leave_what_was_there(case, tmp_path):
    rows, name, words = MISTAKES[case]
    (tmp_path / name).write_text("old")
    with pytest.raises(DataError) as caught:
        write_rows(rows, tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and words in message and message.isprintable()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.mark.parametrize("ending", list(writing._WRITERS))
def test_a_writer_that_fails_midway_leaves_the_old_table(tmp_path, monkeypatch, ending):
    path = tmp_path / f"rows{ending}"
    write_table(TABLE, path)

    def fail(table, stream):
        stream.write(b"half")
        raise RuntimeError

    monkeypatch.setitem(writing._WRITERS, ending, fail)
    with pytest.raises(RuntimeError):
        write_table(TABLE, path)
    assert read(path).rows.to_pydict() == TABLE.to_pydict()
    assert len(list(tmp_path.iterdir())) == 1


def test_damage_in_a_parquet_file_of_ours_is_noticed(tmp_path):
    """Pages carry checksums, so a flipped bit among the cells is never read as another cell."""
    path = tmp_path / "rows.parquet"
    write_table(pa.table({"a": RANDOM.normal(size=200)}), path)
    whole = path.read_bytes()
    unnoticed = 0
    for position in range(100, 1500):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            read(path)
            unnoticed += 1
        except DataError:
            pass
    assert unnoticed == 0


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_whole_seconds_have_no_fraction(ending, tmp_path):
    moment, day = datetime.datetime(2024, 3, 1, 12), datetime.datetime(2024, 3, 1)
    table = pa.table(
        {
            "whole": pa.array([moment, day, None], pa.timestamp("us")),
            "zone": pa.array([moment, day, None], pa.timestamp("ns", "UTC")),
            "broken": pa.array([moment, moment.replace(microsecond=500_000), None], pa.timestamp("ms")),
            "time": pa.array([datetime.time(7), datetime.time(8), None], pa.time64("us")),
        }
    )
    write_table(table, tmp_path / f"rows.{ending}")
    first = (tmp_path / f"rows.{ending}").read_text().splitlines()[0 if ending == "jsonl" else 1]
    cells = list(json.loads(first).values()) if ending == "jsonl" else re.split("[,\t]", first)
    assert cells == ["2024-03-01 12:00:00", "2024-03-01 12:00:00Z", "2024-03-01 12:00:00.000", "07:00:00"]
