"""Bad input: one line that names the file and the remedy, whatever the reader underneath throws."""

import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from isthmus.core.errors import DataError
from isthmus.files import images
from isthmus.files.reading import read
from isthmus.files.writing import write_table

pytestmark = pytest.mark.slow

TABLE = pa.table(
    {
        "name": ["Zoë", None, "Ann, or so", "Bob"] * 5,
        "count": [1, 2, None, 2**40] * 5,
        "size": [0.5, None, 1e300, -2.0] * 5,
        "kind": pa.array(["a", "b", None, "a"] * 5).dictionary_encode(),
    }
)


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def png(width, height, mode="L"):
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, "png" if mode == "L" else "tiff")
    return stream.getvalue()


def parquet(**columns):
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), stream)
    return stream.getvalue()


ONE = np.ones((2, 2))
A, AB = parquet(a=[1]), parquet(a=[1], b=[1])
# What to read, the files that are there, and the words that the message must have besides the name of the place.
BAD = {
    "missing file": ("rows.csv", {}, ["no such file", "digits, penguins"]),
    "no name": ("", {}, ["names no data", "digits, penguins"]),
    "missing name": ("pengins", {}, ["neither", "digits, penguins"]),
    "name too long": ("x" * 5000, {}, ["digits, penguins"]),
    "zero byte in the name": ("a\0b.csv", {}, ["a\\x00b.csv", "no such file"]),
    "empty csv": ("rows.csv", {"rows.csv": b""}, ["0 bytes"]),
    "empty parquet": ("rows.parquet", {"rows.parquet": b""}, ["0 bytes"]),
    "empty npz": ("rows.npz", {"rows.npz": b""}, ["0 bytes"]),
    "header only": ("rows.csv", {"rows.csv": b"a,b\n"}, ["no rows"]),
    "header only, no newline": ("rows.csv", {"rows.csv": b"a,b"}, ["no rows"]),
    "blank lines": ("rows.csv", {"rows.csv": b"\n\n"}, ["no rows"]),
    "blank json lines": ("rows.jsonl", {"rows.jsonl": b"\n\n"}, ["no columns"]),
    "parquet without rows": ("rows.parquet", {"rows.parquet": parquet(a=pa.array([], pa.int64()))}, ["no rows"]),
    "too few cells": ("rows.csv", {"rows.csv": b"a,b\n1,2\n3\n"}, ["Row #3", "Expected 2 columns, got 1"]),
    "too many cells": ("rows.tsv", {"rows.tsv": b"a\tb\n1\t2\t3\n"}, ["Row #2", "Expected 2 columns, got 3"]),
    "a name twice": ("rows.csv", {"rows.csv": b"a,b,a\n1,2,3\n"}, ["'a' occurs 2 times"]),
    "latin 1": ("rows.csv", {"rows.csv": b"a,b\n1,x\n2,Zo\xeb\n"}, ["line 3", "byte 12", "iconv -f latin1"]),
    "utf 16": ("rows.csv", {"rows.csv": "a,b\n1,2\n".encode("utf-16")}, ["line 1", "byte 0", "iconv -f utf-16"]),
    "cut within a character": ("rows.csv", {"rows.csv": "a\né".encode()[:-1]}, ["line 2", "byte 2"]),
    "latin 1 in json": ("rows.jsonl", {"rows.jsonl": b'{"a": "\xeb"}\n'}, ["line 1", "byte 7"]),
    "json that is a list": ("rows.jsonl", {"rows.jsonl": b"[1]\n"}, ["JSON lines", "object to array"]),
    "json of two minds": ("rows.jsonl", {"rows.jsonl": b'{"a": 1}\n{"a": "x"}\n'}, ["/a", "string"]),
    "json cut short": ("rows.jsonl", {"rows.jsonl": b'{"a": 1}\n{"a": '}, ["JSON lines"]),
    "not parquet": ("rows.parquet", {"rows.parquet": b"a,b\n1,2\n" * 9}, ["Parquet", "damaged"]),
    "not arrow": ("rows.arrow", {"rows.arrow": b"a,b\n1,2\n" * 9}, ["Arrow", "damaged"]),
    "feather 1": ("rows.feather", {"rows.feather": b"FEA1" + bytes(40)}, ["Feather version 1"]),
    "not a zip": ("rows.npz", {"rows.npz": b"a,b\n1,2\n" * 9}, ["NumPy", "damaged"]),
    "not npy": ("rows.npy", {"rows.npy": b"a,b\n1,2\n" * 9}, ["NumPy", "damaged"]),
    "npy cut short": ("rows.npy", {"rows.npy": npy(ONE)[:-8]}, ["2×2 float64", "cut short"]),
    "npz without arrays": ("rows.npz", {"rows.npz": npz()}, ["holds no arrays", "savez"]),
    "no such array": ("rows.npz:z", {"rows.npz": npz(x=ONE, b=ONE)}, ["'z'", "x (2×2 float64), b (2×2 float64)"]),
    "which array": ("rows.npz", {"rows.npz": npz(a=ONE, b=ONE)}, ["rows.npz:KEY", "a (2×2 float64), b (2×2 float64)"]),
    "sparse": (
        "rows.npz",
        {"rows.npz": npz(indices=ONE, indptr=ONE, shape=ONE, data=ONE)},
        ["sparse matrix", "lacks its format", "save_npz"],
    ),
    "objects": ("rows.npy", {"rows.npy": npy(np.array([[None, 1]], dtype=object))}, ["Python objects"]),
    "objects in npz": ("rows.npz", {"rows.npz": npz(x=np.array([[None]], dtype=object))}, ["rows.npz:x", "objects"]),
    "words": ("rows.npy", {"rows.npy": npy(np.array([["a"]]))}, ["<U1", "numbers"]),
    "complex": ("rows.npy", {"rows.npy": npy(ONE * 1j)}, ["complex128", "numbers"]),
    "records": ("rows.npy", {"rows.npy": npy(np.zeros((2, 2), "f8,i4"))}, ["numbers"]),
    "a vector": ("rows.npy", {"rows.npy": npy(np.zeros(3))}, ["(3,)", "(rows, columns)"]),
    "five dimensions": ("rows.npy", {"rows.npy": npy(np.zeros((1, 1, 1, 1, 1)))}, ["(1, 1, 1, 1, 1)"]),
    "no array rows": ("rows.npy", {"rows.npy": npy(np.zeros((0, 3)))}, ["(0, 3)", "no values"]),
    "unknown ending": ("rows.xlsx", {"rows.xlsx": b"x"}, ["'.xlsx'", ".csv", ".parquet", ".npz"]),
    "no ending": ("rows", {"rows": b"x"}, ["without an ending", ".csv"]),
    "one image": ("rows.png", {"rows.png": png(2, 2)}, ["folder"]),
    "part of a table": ("rows.csv:x", {"rows.csv": b"a\n1\n"}, ["'x'", "the columns are a"]),
    "part of a folder": ("rows:x", {"rows/a.png": png(2, 2)}, ["'x'", ".npz"]),
    "part of nothing": ("gone.npz:x", {}, ["gone.npz", "no such file"]),
    "empty folder": ("rows", {"rows/": b""}, ["neither images", "Parquet"]),
    "folder of other things": ("rows", {"rows/a.csv": b"a\n1\n"}, ["neither images", "Parquet"]),
    "folder of both": ("rows", {"rows/a.png": png(2, 2), "rows/a.parquet": parquet(a=[1])}, ["both"]),
    "no image": ("rows", {"rows/b.png": b"hello"}, ["b.png", "damaged"]),
    "image cut short": ("rows", {"rows/a.png": png(90, 90)[:-30]}, ["a.png", "damaged"]),
    "empty image": ("rows", {"rows/b.png": b"", "rows/c.png": b"x"}, ["b.png", "0 bytes"]),
    "image of floats": ("rows", {"rows/a.tif": png(2, 2, "F")}, ["a.tif", "32 bits"]),
    "a column less": ("rows", {"rows/1.parquet": AB, "rows/2.parquet": A}, ["rows/2.parquet: has no column 'b'"]),
    "a column more": ("rows", {"rows/1.parquet": A, "rows/2.parquet": AB}, ["rows/1.parquet: has no column 'b'"]),
    "another type": (
        "rows",
        {"rows/1.parquet": parquet(a=[1]), "rows/2.parquet": parquet(a=["x"])},
        ["2.parquet", "'a' is string but int64"],
    ),
    "damage in a folder": ("rows", {"rows/1.parquet": parquet(a=[1]), "rows/2.parquet": b"PAR1"}, ["2.parquet"]),
    "partitions": ("rows", {"rows/kind=a/1.parquet": parquet(a=[1])}, ["partitioned", "kind=a"]),
}  # fmt: skip


def one_line(data):
    with pytest.raises(DataError) as caught:
        read(data)
    message = str(caught.value)
    assert message.isprintable(), "one line that any terminal shows"
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_in_one_line(case, tmp_path, monkeypatch):
    data, files, words = BAD[case]
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    message = one_line(data)
    place = data.partition(":")[0].replace("\0", "\\x00")
    assert message.startswith(place)
    for word in words:
        assert word in message


def test_the_line_of_a_byte_that_is_not_utf8_is_right_beyond_the_first_block(tmp_path):
    path = tmp_path / "rows.csv"
    # The block of 16 MiB ends within the two bytes of é; the bad byte follows in the next block.
    start = b"a\n" + b"1234567\n" * (2**21 - 1) + b"12345" + "é\n".encode()
    assert start[2**24 - 1 : 2**24 + 1] == "é".encode()
    path.write_bytes(start + b"x\n\xff\n")
    assert f"line {start.count(10) + 2} (byte {len(start) + 2})" in one_line(path)


def test_names_that_do_not_print_are_shown_escaped(tmp_path):
    for name in (b"new\nline.csv", b"\xff\xfe.csv", b"bell\x07.csv"):
        path = tmp_path / os.fsdecode(name)
        path.touch()
        assert "0 bytes" in one_line(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "rows.csv")
    assert "not a regular file" in one_line(tmp_path / "rows.csv")


@pytest.fixture
def shut_folder():
    """A folder with files that may not be read, seen by an ordinary user: the super-user is refused nothing."""
    folder = Path(tempfile.mkdtemp())
    (folder / "below").mkdir()
    for name in ("rows.csv", "rows.parquet", "rows.arrow", "rows.jsonl", "rows.npy", "rows.npz", "below/rows.parquet"):
        (folder / name).write_bytes(b"a\n1\n")
        (folder / name).chmod(0)
    (folder / "below").chmod(0)
    folder.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    (folder / "below").chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".arrow", ".jsonl", ".npy", ".npz"])
def test_files_without_permission_are_named(shut_folder, ending):
    message = one_line(shut_folder / f"rows{ending}")
    assert message.startswith(f"{shut_folder}/rows{ending}: no permission to read it")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_folders_without_permission_are_named_and_not_passed_over(shut_folder):
    assert "no permission to look into its folder" in one_line(shut_folder / "below" / "rows.parquet")
    assert one_line(shut_folder).startswith(f"{shut_folder}/below: no permission")


def test_links_are_followed_but_not_in_circles(tmp_path):
    for name in ("data/a", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "0.png").write_bytes(png(2, 2))
    (tmp_path / "data" / "a" / "circle").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "broken.png").symlink_to(tmp_path / "nowhere")
    assert read(tmp_path / "data").row_ids == ["a/0.png", "b/0.png"]


def table_bytes(ending, folder):
    write_table(TABLE, folder / f"whole{ending}")
    return (folder / f"whole{ending}").read_bytes()


def image_bytes(ending):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(pixels).save(stream, {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending))
    return stream.getvalue()


def mutated(whole, random):
    """The bytes with one to eight of them changed, or cut short, or with a piece missing."""
    kind = random.integers(4)
    if kind == 0:
        return whole[: random.integers(1, len(whole))]
    if kind == 1:
        start, stop = sorted(random.integers(0, len(whole), 2))
        return whole[:start] + whole[stop:]
    changed = bytearray(whole)
    for position in random.integers(0, len(whole), random.integers(1, 9)):
        changed[position] = random.integers(256) if kind == 2 else changed[position] ^ (1 << random.integers(8))
    return bytes(changed)


@pytest.mark.parametrize("name", [
    "rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet", "rows.arrow", "rows.npz", "rows.npy",
    "folder/a.png", "folder/a.jpg", "folder/a.webp", "folder/a.bmp", "folder/a.gif", "folder/a.tif",
])  # fmt: skip
@pytest.mark.slow
def test_mutated_files_are_read_or_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAXIMUM_PIXELS", 10**6)  # Else most of the time goes to decoding large claims.
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if name.startswith("folder"):
        whole = image_bytes(path.suffix[1:])
    elif path.suffix == ".npz":
        whole = npz(x=np.arange(60.0).reshape(20, 3), y=np.arange(20))
    elif path.suffix == ".npy":
        whole = npy(np.arange(60.0).reshape(20, 3))
    else:
        whole = table_bytes(path.suffix, tmp_path)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        path.write_bytes(mutated(whole, random))
        try:
            rows = read(path.parent if name.startswith("folder") else path).rows
        except DataError as failure:
            refused += 1
            assert str(failure).isprintable() and name.partition("/")[0] in str(failure)
            continue
        # What is accepted can be used to the last cell.
        assert len(rows.to_pylist() if isinstance(rows, pa.Table) else rows.astype(float)) > 0
    assert refused > 40, "a cut alone is a quarter of the cases, and most readers must notice it"


@pytest.mark.parametrize("ending", [".arrow", ".parquet"])
def test_no_byte_of_a_binary_table_can_end_the_process(ending, tmp_path):
    """Arrow trusts the lengths in a file; a batch that is used before it is checked is a segmentation fault."""
    path = tmp_path / f"rows{ending}"
    whole = table_bytes(ending, tmp_path)
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x7F]) + whole[position + 1 :])
        try:
            read(path).rows.to_pylist()
        except DataError as failure:
            assert str(failure).isprintable()


def test_members_of_an_archive_that_lie_about_themselves(tmp_path):
    path = tmp_path / "rows.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(ONE) + b"more")
    assert "longer than its shape" in one_line(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(ONE)[:-1])
    assert "cut short" in one_line(path)
