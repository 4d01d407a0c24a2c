"""Texts from files and to files."""

import numpy as np
import pyarrow as pa
import pytest

from isthmus.core.errors import DataError
from isthmus.files.reading import read
from isthmus.files.writing import write_rows

# Everything that ends a line for Python and not for a file of lines.
ODD = [
    "a b",
    "tab\tand\x0bmore",
    "NUL \x00 here",
    "unit\x1fseparators\x85and\u2028lines",
    "日本語",
    '"quoted", twice',
    "🙂",
]


@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".parquet", ".csv"])
def test_texts_come_back_from_every_format(tmp_path, ending):
    path = tmp_path / f"texts{ending}"
    write_rows(ODD, path)
    source = read(path if ending == ".txt" else f"{path}:text")
    assert source.rows.tolist() == ODD and source.rows.dtype == object and source.row_ids is None


def test_empty_lines_are_left_out_and_the_others_keep_their_numbers(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufefffirst\r\n\r\n   \nfourth".encode())
    source = read(path)
    assert source.rows.tolist() == ["first", "fourth"] and source.row_ids == ["line 1", "line 4"]
    assert "2 empty lines" in source.notes[0]


def test_a_column_of_a_table_whose_cells_look_like_something_else(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("note,stars\n01234,1\n2020-01-01,2\n,3\nplain,4\n")
    source = read(f"{path}:note")
    assert source.rows.tolist() == ["01234", "2020-01-01", "plain"] and source.row_ids == ["row 0", "row 1", "row 3"]


@pytest.mark.parametrize(
    ("content", "part", "said"),
    [
        (b"caf\xe9\n", "", "line 1 .byte 3. is not UTF-8"),
        (b"\n \n", "", "holds no text"),
        (b"", "", "is empty"),
        (b"a\n", ":x", "no part 'x'"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, content, part, said):
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as failure:
        read(f"{path}{part}")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("part", "said"), [("number", "holds int64, no text"), ("other", "there is no column 'other'")]
)
def test_columns_that_are_no_texts(tmp_path, part, said):
    path = tmp_path / "table.parquet"
    write_rows(pa.table({"number": [1, 2]}), path)
    with pytest.raises(DataError, match=said):
        read(f"{path}:{part}")


def test_a_text_of_several_lines_is_no_line(tmp_path):
    path = tmp_path / "texts.txt"
    with pytest.raises(DataError, match="text 1 has more than one line"):
        write_rows(["a", "b\nc"], path)
    assert not path.exists()
    write_rows(np.array(["a", "b\nc"], dtype=object), tmp_path / "texts.jsonl")
    assert read(f"{tmp_path / 'texts.jsonl'}:text").rows.tolist() == ["a", "b\nc"]
