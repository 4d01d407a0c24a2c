"""Streams: the rows that reading gives, but a few at a time, in any order, and damage said in one line."""

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.core.errors import DataError
from isthmus.files import chunks, limits
from isthmus.files.reading import read
from isthmus.files.streaming import MOST_OPEN, is_larger_than_memory, rows_taken, stream

TABLE = pa.table(
    {
        "number": [0.5, None, 2.5, -1.0, 7.0],
        "text": ["a", "b", None, "a", "ccc"],
        "category": pa.array(["x", "y", "x", None, "y"]).dictionary_encode(),
    }
)


def write(table: pa.Table, path: Path, group: int) -> None:
    """A file whose chunks have at most `group` rows."""
    if path.suffix == ".npy":
        np.save(path, np.arange(table.num_rows * 6, dtype=np.float32).reshape(-1, 3, 2))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=group, write_page_checksum=True)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks(), max_chunksize=group)


def joined(parts):
    parts = list(parts)
    return pa.concat_tables(parts) if isinstance(parts[0], pa.Table) else np.concatenate(parts)


def same(first, second) -> bool:
    if isinstance(first, pa.Table):
        # Categories may be numbered otherwise in every chunk.
        return first.schema == second.schema and first.to_pylist() == second.to_pylist()
    return first.dtype == second.dtype and np.array_equal(first, second)


ENDINGS = (".parquet", ".arrow", ".feather", ".npy")


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(ENDINGS),
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=4),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_a_stream_has_the_rows_that_reading_gives_in_every_order(ending, files, size, seed):
    generator = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "SLICE_ROWS", size)
        patch.setattr("isthmus.files.streaming.SLICE_ROWS", size)
        for number, (rows, group) in enumerate(files):
            write(TABLE.take(generator.integers(0, 5, rows)), Path(folder) / f"{number}{ending}", group)
        whole, streamed = read(folder).rows, stream(folder)
        assert streamed.rows == len(whole)
        assert same(joined(streamed), whole)
        assert all(0 < len(part.rows) <= size for part in streamed.slices())
        order = generator.permutation(streamed.chunk_count).tolist()
        for choose in (None, lambda count: int(generator.integers(count))):
            parts = list(streamed.slices(order, choose))
            assert sorted(n for part in parts for n in range(part.first, part.first + len(part.rows))) == [
                *range(len(whole))
            ]
            for part in parts:
                assert same(part.rows, whole[part.first : part.first + len(part.rows)])
                if len(files) == 1:
                    assert part.row == part.first


def test_open_chunks_are_few(tmp_path):
    write(pa.concat_tables([TABLE] * 20), tmp_path / "rows.parquet", 2)
    counts = []
    list(stream(tmp_path / "rows.parquet").slices(choose=lambda count: counts.append(count) or 0))
    assert max(counts) == MOST_OPEN


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_that_are_taken_leave_the_rest(tmp_path, ending):
    write(pa.concat_tables([TABLE] * 1000), tmp_path / f"rows{ending}", 10_000)
    (part,) = stream(tmp_path).slices()
    taken = rows_taken(part.rows, np.array([0, 4]))
    assert len(taken) == 2
    if ending == ".npy":
        assert taken.base is None
    else:
        cells = [chunk for column in taken.columns for chunk in column.chunks]
        assert sum(buffer.size for chunk in cells for buffer in chunk.buffers() if buffer) < 1000


def test_columns_are_dropped_and_put_in_the_order_of_the_first_file(tmp_path):
    write(TABLE, tmp_path / "1.parquet", 2)
    write(TABLE.select(["category", "text", "number"]), tmp_path / "2.parquet", 2)
    streamed = stream(tmp_path, drop=["text"])
    assert streamed.columns == ("number", "category")
    assert joined(streamed).column("number").to_pylist() == TABLE.column("number").to_pylist() * 2
    with pytest.raises(DataError, match=r"has no column 'x'; it has 'number', 'text', 'category'"):
        stream(tmp_path, drop=["x"])
    with pytest.raises(DataError, match="no column is left"):
        stream(tmp_path, drop=TABLE.column_names)


def test_the_pandas_index_is_left_out(tmp_path):
    pyarrow.parquet.write_table(
        pa.table({"a": [1, 2], "__index_level_0__": [5, 6]}).replace_schema_metadata({"pandas": "{}"}),
        tmp_path / "rows.parquet",
    )
    streamed = stream(tmp_path / "rows.parquet")
    assert streamed.columns == ("a",)
    assert len(streamed.notes) == 1
    assert joined(streamed).schema.metadata is None


def test_the_fingerprint_changes_with_the_files(tmp_path):
    write(TABLE, tmp_path / "1.parquet", 2)
    prints = {stream(tmp_path).fingerprint(), stream(tmp_path, drop=["text"]).fingerprint()}
    assert stream(tmp_path).fingerprint() in prints
    write(TABLE, tmp_path / "2.parquet", 2)
    prints.add(stream(tmp_path).fingerprint())
    write(TABLE.take([4, 3, 2, 1, 0]), tmp_path / "2.parquet", 2)
    prints.add(stream(tmp_path).fingerprint())
    assert len(prints) == 4


def test_what_is_larger_than_memory_is_told_without_reading(tmp_path, monkeypatch):
    rows = np.zeros((1000, 8, 8), np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("isthmus.files.streaming.STREAMED_BYTES", rows.nbytes)
    assert not is_larger_than_memory(tmp_path / "rows.npy")
    monkeypatch.setattr("isthmus.files.streaming.STREAMED_BYTES", rows.nbytes - 1)
    assert is_larger_than_memory(tmp_path / "rows.npy")
    for other in ("penguins", "no such thing", tmp_path / "damaged.parquet", tmp_path):
        assert not is_larger_than_memory(other)


def folder_of(tmp_path: Path, **files: pa.Table | bytes) -> Path:
    folder = tmp_path / "rows"
    folder.mkdir()
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content) if isinstance(content, bytes) else write(content, path, 2)
    return folder


def one_line(data) -> str:
    with pytest.raises(DataError) as caught:
        joined(stream(data))
    message = str(caught.value)
    assert "\n" not in message
    return message


REFUSED = {
    "empty folder": ({}, ["rows", "neither images"]),
    "mixed endings": ({"a_parquet": TABLE, "b_arrow": TABLE}, ["both", "one kind"]),
    "other columns": ({"a_parquet": TABLE, "b_parquet": TABLE.select(["text"])}, ["b.parquet", "no column"]),
    "other types": (
        {"a_parquet": pa.table({"a": [1]}), "b_parquet": pa.table({"a": [1.5]})},
        ["b.parquet", "is double but int64"],
    ),
    "no rows": ({"a_parquet": TABLE, "b_parquet": TABLE.slice(0, 0)}, ["b.parquet", "no rows"]),
    "a column twice": (
        {"a_arrow": pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])},
        ["a.arrow", "2 times"],
    ),
    "not Parquet": ({"a_parquet": b"PAR1 nothing"}, ["a.parquet", "cannot be read as Parquet"]),
    "not Arrow": ({"a_arrow": b"ARROW1 nothing"}, ["a.arrow", "cannot be read as Arrow"]),
    "Feather 1": ({"a_feather": b"FEA1 nothing"}, ["version 1"]),
    "an Arrow stream": ({"a_arrow": b"\xff\xff\xff\xff nothing"}, ["footer"]),
    "not an array": ({"a_npy": b"nothing"}, ["a.npy", "cannot be read as a NumPy array"]),
    "pickled": ({"a_npy": b"\x80\x04N."}, ["a.npy"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_streamed_is_said_in_one_line(tmp_path, case):
    files, words = REFUSED[case]
    message = one_line(folder_of(tmp_path, **files))
    for word in words:
        assert word in message


def test_arrays_that_cannot_be_streamed_are_said_in_one_line(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(np.zeros((4, 3))))
    assert "Fortran" in one_line(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((4, 3)))
    np.save(tmp_path / "b.npy", np.zeros((4, 2)))
    assert "equal rows" in one_line(tmp_path)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-1])
    assert "cut short" in one_line(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
    assert "never loaded" in one_line(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(pickle.dumps([1]))
    assert "a.npy" in one_line(tmp_path / "a.npy")


def test_other_data_are_refused_with_advice(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert "write the rows as Parquet" in one_line(tmp_path / "a.csv")
    assert "read it whole" in one_line("penguins")
    assert "no such file" in one_line(tmp_path / "b.parquet")
    (tmp_path / "b.parquet").write_bytes(b"")
    assert "empty" in one_line(tmp_path / "b.parquet")
    (tmp_path / "images").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "images" / "a.png")
    assert "folder of images" in one_line(tmp_path / "images")
    (tmp_path / "parts" / "year=2020").mkdir(parents=True)
    write(TABLE, tmp_path / "parts" / "year=2020" / "a.parquet", 2)
    assert "partitioned" in one_line(tmp_path / "parts")


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_damaged_cells_are_named_by_file_and_nothing_else_happens(tmp_path, ending):
    generator = np.random.default_rng(0)
    table = pa.table({"number": generator.normal(size=400), "text": [str(n) for n in range(400)]})
    write(table, tmp_path / f"rows{ending}", 100)
    whole = (tmp_path / f"rows{ending}").read_bytes()
    found = 0
    for place in range(200, len(whole), 211):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / f"rows{ending}").write_bytes(damaged)
        try:
            joined(stream(tmp_path / f"rows{ending}"))
        except DataError as failure:
            found += 1
            assert f"rows{ending}" in str(failure)
            assert "\n" not in str(failure)
    assert found


def test_the_limit_of_reading_says_what_can_be_read_instead(tmp_path, monkeypatch):
    write(TABLE, tmp_path / "rows.parquet", 2)
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", 10)
    with pytest.raises(DataError, match=r"the limit is .* fit reads Parquet, Arrow and \.npy files of any size"):
        read(tmp_path / "rows.parquet")
    assert joined(stream(tmp_path / "rows.parquet")).num_rows == 5


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_chunks_without_rows_are_none(tmp_path, ending):
    path, table = tmp_path / f"a{ending}", TABLE.select(["number", "text"])
    empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in table.schema], schema=table.schema)
    batches = [table.slice(0, 2).to_batches()[0], empty, table.slice(2, 3).to_batches()[0]]
    if ending == ".parquet":
        with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
            for batch in batches:
                writer.write_table(pa.Table.from_batches([batch]))
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    rows = stream(path)
    assert len(rows.files[0].chunks) == 3 and rows.chunk_count == 2
    mixed = joined(part.rows for part in rows.slices(list(reversed(range(rows.chunk_count))), lambda open_: open_ - 1))
    assert len(mixed) == 5 and sorted(filter(None, mixed["number"].to_pylist())) == [-1.0, 0.5, 2.5, 7.0]
