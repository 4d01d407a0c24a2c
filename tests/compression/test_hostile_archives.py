"""Archives with right checksums that no writer wrote are refused as damaged, in little time and memory."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from isthmus.compression import archive, container
from isthmus.compression.archive import Archive, Options, chunks, codec_for, write
from isthmus.compression.container import Writer
from isthmus.compression.packing import framed, integer_bytes, packed
from isthmus.core.errors import ArchiveError, DataError

NO_DIGEST = b"\0" * 32


def forged(
    kind: str, settings: Any, parameters: bytes, payload: bytes, rows: int, times: int = 1, **notes: Any
) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream, {"kind": kind, "model": "inside", "settings": settings}, parameters)
    for _ in range(times):
        writer.chunk(rows, NO_DIGEST, payload)
    writer.close({"spent": [], **notes})
    return stream.getvalue()


def forged_table(column: dict[str, Any], parameters: list[bytes], payload: bytes, rows: int, columns: int = 1) -> bytes:
    settings = {
        "columns": [{**column, "form": {**column["form"], "name": str(index)}} for index in range(columns)],
        "positions": list(range(columns)),
        "hidden": 1,
    }
    weights = b"\0\0" * 4 * columns
    return forged("table", settings, framed([packed(framed([framed(parameters)] * columns)), weights]), payload, rows)


def assert_refused(data: bytes, match: str = "damaged") -> None:
    with pytest.raises(ArchiveError, match=match) as caught:
        Archive(io.BytesIO(data), "a.isth").read()
    assert "\n" not in str(caught.value)


WHOLE = {"form": {"type": {"simple": "int64"}, "kind": "whole"}}
WORDS = {"form": {"type": {"simple": "large_string"}, "kind": "words"}}
ONE_BIN = integer_bytes(np.array([0, 0]))


def test_a_bomb_is_not_unpacked() -> None:
    bomb = b"\2" + struct.pack("<Q", 2**40) + b"BZh"
    assert_refused(forged("array", {"dtype": "<f8", "shape": [2**37]}, b"", bomb, 1))
    assert_refused(forged("array", {"dtype": "<f8", "shape": [2**31 - 1] * 3}, b"", bomb, 2**20))


def test_more_rows_than_a_chunk_of_so_many_columns_may_have() -> None:
    assert_refused(forged_table(WHOLE, [b"", ONE_BIN, b""], framed([b""] * 3), 2**20, columns=100), "chunk 0")


def test_a_long_word_in_every_row() -> None:
    word = framed([b"", integer_bytes(np.array([2**20])), b"x" * 2**20])
    payload = framed([b"", packed(integer_bytes(np.zeros(1, np.int64))), packed(framed([b""]))])
    assert_refused(forged_table(WORDS, [word, ONE_BIN, b""], payload, 2**16), "chunk 0")


def test_too_many_words() -> None:
    words = framed([b"", b"\0" * (5 * 2**22 + 1), b""])
    assert_refused(forged_table(WORDS, [words, ONE_BIN, b""], b"", 1), "its model")


def test_contexts_that_take_hours() -> None:
    column = {**WHOLE, "recall": [[[0, 1]] * 9]}
    assert_refused(forged_table(column, [b"", ONE_BIN, b""], b"", 1, columns=2), "its model")
    column = {**WHOLE, "recall": [[[0, 10**30]]]}
    assert_refused(forged_table(column, [b"", ONE_BIN, b""], b"", 1, columns=2), "its model")


@pytest.mark.parametrize("settings", [None, [], {}, {"columns": 1, "positions": [], "hidden": 1}, "x", 1e300])
@pytest.mark.parametrize("kind", ["table", "array", "images", "latent", "os"])
def test_settings_that_are_none(kind: str, settings: Any) -> None:
    assert_refused(forged(kind, settings, framed([packed(framed([])), b""]), b"", 1))


@pytest.mark.parametrize(
    "notes",
    [
        {"spent": 1},
        {"spent": [["a"]]},
        {"spent": [["a", float("nan")]]},
        {"spent": [[1, 2]]},
        {"input_bytes": "x"},
        {"spent": [["a", {}]]},
    ],
)
def test_notes_that_nobody_can_be_told(notes: dict[str, Any]) -> None:
    assert_refused(forged("array", {"dtype": "<f8", "shape": []}, b"", b"\0" * 9, 1, **notes))


@pytest.mark.parametrize("header", [[], {"kind": 1, "model": "inside"}, {"kind": "array", "model": []}, {"kind": "x"}])
def test_headers_that_are_none(header: Any, monkeypatch: Any) -> None:
    stream = io.BytesIO()
    real = container._json
    monkeypatch.setattr(container, "_json", lambda value: real(header if "version" in value else value))
    Writer(stream, {"kind": "array"}, b"").close({})
    assert_refused(stream.getvalue())


def test_an_index_that_names_one_chunk_many_times() -> None:
    data = forged("array", {"dtype": "<f8", "shape": []}, b"", b"\0", 0)
    place = int.from_bytes(data[-17:-9], "little")
    offset = place - 17 - 13 - len(b"\0") - 4 - 40
    index = {"rows": 0, "chunks": [[offset, 0]] * 1000, "digest": "", "notes": {}}
    content = packed(container._json(index))
    head = container._SECTION.pack(b"I", len(content), container._checksum(b"I", content))
    end = container._TRAILER.pack(place, zlib.crc32(data[-17:-9])) + container.END
    assert_refused(data[:place] + head + content + end)


def test_chunks_that_a_reader_would_refuse_are_cut(monkeypatch: Any) -> None:
    monkeypatch.setattr(archive, "LARGEST_CHUNK", 2000)
    for rows in (np.arange(2000.0).reshape(100, 4, 5), pa.table({"c": ["a" * 50, "b" * 60] * 50})):
        stream = io.BytesIO()
        write(stream, codec_for(rows, 100, Options(budget=0.0)), chunks(rows), options=Options(budget=0.0))
        opened = Archive(io.BytesIO(stream.getvalue()), "a.isth")
        assert len(opened.reader.entries) > 2
        back = opened.read()
        assert np.array_equal(back, rows) if isinstance(rows, np.ndarray) else back.equals(rows)
    row = np.zeros((1, 50, 50))
    with pytest.raises(DataError, match="a row takes 20,000 bytes"):
        write(io.BytesIO(), codec_for(row, 1, Options(budget=0.0)), chunks(row))
