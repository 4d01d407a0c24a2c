"""Tables: what is written is read, and what a spreadsheet or a library makes of a table is read too."""

import datetime
import tempfile
from pathlib import Path

import pandas
import polars
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.files import limits
from isthmus.files.reading import read
from isthmus.files.tables import MISSING_WORDS
from isthmus.files.writing import write_table

EXACT = (".parquet", ".arrow", ".feather")
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DATES = st.dates(datetime.date(1, 1, 1))
TIMES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
CELLS = {
    "text": (TEXT, pa.string()),
    "integer": (INT64, pa.int64()),
    "unsigned": (st.integers(0, 2**64 - 1), pa.uint64()),
    "number": (st.floats(allow_nan=False), pa.float64()),
    "truth": (st.booleans(), pa.bool_()),
    "date": (DATES, pa.date32()),
    "time": (TIMES, pa.timestamp("us")),
}
# Text formats have no types: a word must not read as another type or as a missing cell.
WORDS = TEXT.map(lambda text: f"ü{text}").filter(lambda text: text not in MISSING_WORDS)
SPELT = {
    "text": (WORDS, pa.string()),
    "integer": (INT64, pa.int64()),
    "number": (st.floats(allow_nan=False, allow_infinity=False), pa.float64()),
    "truth": (st.booleans(), pa.bool_()),
}


@st.composite
def tables(draw, cells):
    names = draw(st.lists(TEXT.map(lambda text: f"{text}|"), min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(1, 8))
    columns = []
    for _ in names:
        values, kind = cells[draw(st.sampled_from(sorted(cells)))]
        columns.append(pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind))
    return pa.table(columns, names=names)


def there_and_back(table, ending):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{ending}"
        write_table(table, path)
        return read(path)


@pytest.mark.parametrize("ending", EXACT)
@settings(max_examples=60, deadline=None)
@given(table=tables(CELLS))
def test_binary_formats_keep_every_cell_and_type(ending, table):
    assert there_and_back(table, ending).rows.equals(table)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
@settings(max_examples=60, deadline=None)
@given(table=tables(SPELT))
@pytest.mark.slow
def test_text_formats_keep_every_cell(ending, table):
    back = there_and_back(table, ending).rows
    assert back.column_names == table.column_names
    # Types follow from the cells (1.0 is spelt 1), so cells are compared by value; == tells 1 from "1" and from None.
    assert back.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@settings(max_examples=40, deadline=None)
@given(
    days=st.lists(st.none() | DATES, min_size=1, max_size=5), times=st.lists(st.none() | TIMES, min_size=5, max_size=5)
)
def test_dates_and_times_are_inferred(ending, days, times):
    whole = [time and time.replace(microsecond=0) for time in times[: len(days)]]
    table = pa.table(
        {"day": pa.array(days, pa.date32()), "time": pa.array(whole, pa.timestamp("s")), "n": range(len(days))}
    )
    back = there_and_back(table, ending).rows
    assert back.column("day").to_pylist() == days
    assert back.column("time").to_pylist() == whole


def test_json_lines_infer_dates(tmp_path):
    table = pa.table(
        {"day": [datetime.date(2020, 2, 29)], "time": pa.array([datetime.datetime(1999, 1, 1, 5)], pa.timestamp("ns"))}
    )
    write_table(table, tmp_path / "rows.jsonl")
    back = read(tmp_path / "rows.jsonl").rows
    assert back.to_pylist() == [{"day": datetime.datetime(2020, 2, 29), "time": datetime.datetime(1999, 1, 1, 5)}]


def csv(tmp_path, text, name="rows.csv"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(tmp_path / name)


@pytest.mark.parametrize("word", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", " ?", '"NA"', '""'])
def test_words_for_missing_cells(tmp_path, word):
    rows = csv(tmp_path, f"number,text\n1.5,a\n{word},{word}\n").rows
    assert rows.to_pylist() == [{"number": 1.5, "text": "a"}, {"number": None, "text": None}]


SPELT_ALIKE = {"zip": ["01234", "2e5"], "day": ["2020-01-01", "2021-12-31"], "sure": ["true", "false"]}


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_columns_known_to_be_text_are_not_guessed_at(tmp_path, ending):
    table = pa.table(SPELT_ALIKE | {"n": [1, 2]})
    write_table(table, tmp_path / f"rows{ending}")
    back = read(tmp_path / f"rows{ending}", text=[*SPELT_ALIKE, "absent"]).rows
    assert back.equals(table)
    guessed = read(tmp_path / f"rows{ending}").rows
    assert pa.types.is_temporal(guessed.schema.field("day").type), "or there would be nothing to know"


def test_missing_cells_of_text_columns_stay_missing(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n007,\n,x\n")
    assert read(tmp_path / "rows.csv", text=["a", "b"]).rows.to_pylist() == [
        {"a": "007", "b": None},
        {"a": None, "b": "x"},
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    assert csv(tmp_path, b"\xef\xbb\xbfname,n\nZo\xc3\xab,1\n").rows.to_pylist() == [{"name": "Zoë", "n": 1}]


def test_types_are_inferred_from_all_rows_not_from_the_first_block(tmp_path):
    early = "1,1\n" * 6_000_000  # 24 MB, more than a block of 16 MiB
    rows = csv(tmp_path, f"a,b\n{early}0.5,word\n").rows
    assert rows.slice(rows.num_rows - 1).to_pylist() == [{"a": 0.5, "b": "word"}]
    assert rows.column("b")[0].as_py() == "1"


def test_semicolons_and_tabs_are_noticed_in_a_csv_file(tmp_path):
    source = csv(tmp_path, 'a;"b,c"\n1;2\n')
    assert source.rows.to_pylist() == [{"a": 1, "b,c": 2}]
    assert source.notes == ("cells are separated by semicolons",)
    assert csv(tmp_path, "a\tb\n1\t2\n").rows.column_names == ["a", "b"]
    assert csv(tmp_path, '"a;b"\n1\n').rows.column_names == ["a;b"]


def test_decimal_commas_are_noticed_where_semicolons_separate(tmp_path):
    source = csv(tmp_path, "a;b;c\n1;2;x\n-1,5;2,25;y\n")
    assert source.rows.to_pydict() == {"a": [1.0, -1.5], "b": [2.0, 2.25], "c": ["x", "y"]}
    assert "numbers have a decimal comma" in source.notes
    assert csv(tmp_path, "a;b\n1.5;x, y\n").rows.to_pylist() == [{"a": 1.5, "b": "x, y"}]


def test_a_first_line_that_looks_like_a_row_is_noted(tmp_path):
    assert "'39' in it is a number" in csv(tmp_path, "State, 39\nNY, 50\n").notes[0]
    assert csv(tmp_path, "0,1,2\n5,6,7\n").notes == ()


def test_columns_without_a_name_are_named_by_position(tmp_path):
    source = csv(tmp_path, ",a,\n0,5,x\n")
    assert source.rows.column_names == ["column 1", "a", "column 3"]
    assert source.notes == ("columns without a name were named by position: 1, 3",)


def test_endings_are_known_in_capitals_too(tmp_path):
    assert csv(tmp_path, "a\n1\n", name="ROWS.CSV").name == "ROWS"


def test_the_index_that_pandas_stores_is_not_a_column(tmp_path):
    frame = pandas.DataFrame({"a": [1, 2], "b": pandas.Categorical(["x", None])}, index=[7, 3])
    frame.to_parquet(tmp_path / "rows.parquet")
    source = read(tmp_path / "rows.parquet")
    assert source.rows.column_names == ["a", "b"]
    assert source.rows.column("b").to_pylist() == ["x", None]
    assert "index" in source.notes[0]


def test_a_named_index_of_pandas_stays_a_column(tmp_path):
    pandas.DataFrame({"a": [1, 2]}, index=pandas.Index([7, 3], name="id")).to_parquet(tmp_path / "rows.parquet")
    assert list(read(tmp_path / "rows.parquet").rows.to_pandas().columns) == ["a", "id"]


def test_files_that_polars_writes_are_read(tmp_path):
    frame = polars.DataFrame({"a": [1, None], "b": ["x", "y"]}).with_columns(c=polars.col("b").cast(polars.Categorical))
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_ipc(tmp_path / "rows.arrow")
    frame.write_ipc_stream(tmp_path / "stream.arrow")
    for name in ("rows.parquet", "rows.arrow", "stream.arrow"):
        assert read(tmp_path / name).rows.to_pylist() == frame.to_dicts()


class TestFolderOfParquet:
    def test_files_follow_one_another_by_name_with_columns_in_any_order(self, tmp_path):
        write_table(pa.table({"b": ["y"], "a": [2]}), tmp_path / "2.parquet")
        write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "1.parquet")
        (tmp_path / "_SUCCESS").touch()
        (tmp_path / "readme.md").write_text("about")
        source = read(tmp_path)
        assert source.rows.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
        assert source.name == tmp_path.name
        assert "files left out because they are not Parquet files: 1" in source.notes


def test_declared_sizes_are_checked_before_a_table_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "zeros.parquet"
    pyarrow.parquet.write_table(pa.table({"a": pa.array([0] * 1_000_000)}), path)
    assert path.stat().st_size < 100_000  # the bomb: eight million bytes in a small file
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", 7_999_999)
    with pytest.raises(ValueError, match=r"unpacks to .* the limit is"):
        read(path)
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", 10_000_000)
    assert read(path).rows.num_rows == 1_000_000
