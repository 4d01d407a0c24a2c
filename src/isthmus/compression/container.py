"""The archive's file: sections with a checksum each, chunks that can be read alone, and an index at the end.

The format is described in docs/format.md, well enough to write another reader.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, BinaryIO

from ..core.errors import ArchiveError, DataError
from .codec import MOST_CHUNK_ROWS
from .packing import packed, unpacked

MAGIC = b"\x89ISTH\r\n\x1a"
END = b"\nHTSI"
VERSION = 1

HEADER, MODEL, CHUNK, INDEX = b"H", b"M", b"C", b"I"
_SECTION = struct.Struct("<cQI")  # tag, length of what follows, checksum of both and of what follows
_CHUNK = struct.Struct("<QI32s")  # first row, rows, digest of the rows
_TRAILER = struct.Struct("<QI")  # where the index begins, checksum of that

# What a reader of a damaged or hostile archive may be made to hold: JSON, the canonical form of a chunk.
LARGEST_JSON = 2**24
LARGEST_CHUNK = 2**28


@dataclass(frozen=True)
class Entry:
    """Where one chunk is, and which rows it holds."""

    offset: int
    first: int
    rows: int


@dataclass(frozen=True)
class Chunk:
    """A chunk as it lies in the file."""

    first: int
    rows: int
    digest: bytes
    payload: bytes


class Writer:
    """Writes an archive to a stream from front to back; nothing is kept but the index."""

    def __init__(self, stream: BinaryIO, header: dict[str, Any], parameters: bytes | None):
        self._stream, self._position = stream, 0
        self._entries: list[Entry] = []
        self._digests = sha256()
        self.rows = 0
        self._write(MAGIC)
        self.header_bytes = self._section(HEADER, packed(_json({"version": VERSION, **header})))
        self.model_bytes = 0 if parameters is None else self._section(MODEL, parameters)

    def chunk(self, rows: int, digest: bytes, payload: bytes) -> None:
        """Add the next chunk; `digest` is the SHA-256 of its rows in canonical form."""
        self._entries.append(Entry(self._position, self.rows, rows))
        self._section(CHUNK, _CHUNK.pack(self.rows, rows, digest) + payload)
        self._digests.update(digest)
        self.rows += rows

    def close(self, notes: dict[str, Any]) -> int:
        """Write the index, with `notes` for whoever asks what is inside; gives the archive's size in bytes."""
        where = self._position
        entries = [[entry.offset, entry.rows] for entry in self._entries]
        index = {"rows": self.rows, "chunks": entries, "digest": self._digests.hexdigest(), "notes": notes}
        self._section(INDEX, packed(_json(index)))
        place = struct.pack("<Q", where)
        self._write(_TRAILER.pack(where, zlib.crc32(place)) + END)
        return self._position

    def _section(self, tag: bytes, content: bytes) -> int:
        start = self._position
        self._write(_SECTION.pack(tag, len(content), _checksum(tag, content)) + content)
        return self._position - start

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._position += len(data)


class Reader:
    """Reads an archive from a seekable stream. Raises ArchiveError, naming it and the place, where it is damaged."""

    def __init__(self, stream: BinaryIO, name: str):
        self._stream, self.name = stream, name
        self.size = stream.seek(0, 2)
        start = self._bytes(0, min(len(MAGIC), self.size))
        if start != MAGIC:
            if not start or (not MAGIC.startswith(start[:5]) and start[1:5] != MAGIC[1:5]):
                raise ArchiveError(f"{name}: is not an archive of isthmus; give a file that `isthmus compress` wrote")
            raise self.damaged("its beginning")
        try:
            self.header, self.parameters, self._model_end = self._beginning()
            self.index, self.entries = self._end()
        except ArchiveError:
            raise
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            raise self.damaged(self._first_damage()) from error

    @property
    def rows(self) -> int:
        return self.index["rows"]

    def damaged(self, place: str) -> ArchiveError:
        """The error that says where the archive is damaged."""
        return ArchiveError(f"{self.name}: {place} is damaged or cut short; get the file again")

    def chunk(self, number: int) -> Chunk:
        """One chunk, its checksum verified."""
        entry = self.entries[number]
        try:
            content, _ = self._section(entry.offset, CHUNK)
            first, rows, digest = _CHUNK.unpack_from(content)
            if (first, rows) != (entry.first, entry.rows):
                raise ValueError("not the rows of the index")
        except (ValueError, struct.error) as error:
            raise self.damaged(self.place_of(number)) from error
        return Chunk(first, rows, digest, content[_CHUNK.size :])

    def place_of(self, number: int) -> str:
        entry = self.entries[number]
        return f"chunk {number} (rows {entry.first:,} to {entry.first + entry.rows:,})"

    def chunks_of(self, start: int, stop: int) -> Iterator[int]:
        """The numbers of the chunks that hold rows from `start` to before `stop`."""
        for number, entry in enumerate(self.entries):
            if entry.first < stop and start < entry.first + entry.rows:
                yield number

    def sizes(self) -> dict[str, int]:
        """Bytes of the model, of the chunks, and of all else."""
        model = 0 if self.parameters is None else len(self.parameters) + _SECTION.size
        offsets = [*(entry.offset for entry in self.entries), self._index_at]
        chunks = sum(after - before for before, after in pairwise(offsets))
        return {"model": model, "rows": chunks, "overhead": self.size - model - chunks}

    def _beginning(self) -> tuple[dict[str, Any], bytes | None, int]:
        content, end = self._section(len(MAGIC), HEADER)
        header = json.loads(unpacked(content, LARGEST_JSON))
        if type(header["version"]) is not int or type(header["kind"]) is not str or type(header["model"]) is not str:
            raise ValueError("a header that is none")
        if header["version"] != VERSION:
            raise ArchiveError(
                f"{self.name}: is of version {header['version']}, this program reads {VERSION}; install a newer one"
            )
        if header["model"] != "inside":
            return header, None, end
        parameters, end = self._section(end, MODEL)
        return header, parameters, end

    def _end(self) -> tuple[dict[str, Any], list[Entry]]:
        trailer = self._bytes(self.size - _TRAILER.size - len(END), _TRAILER.size + len(END))
        where, checksum = _TRAILER.unpack_from(trailer)
        if trailer[_TRAILER.size :] != END or zlib.crc32(trailer[:8]) != checksum:
            raise ValueError("no end")
        content, after = self._section(where, INDEX)
        if after != self.size - len(trailer):
            raise ValueError("bytes after the index")
        self._index_at = where
        index = json.loads(unpacked(content, LARGEST_JSON))
        entries, first, position = [], 0, self._model_end
        for offset, rows in index["chunks"]:
            if type(offset) is not int or type(rows) is not int:
                raise ValueError("chunks that are none")
            if offset < position or offset >= where or not 0 <= rows <= MOST_CHUNK_ROWS:
                raise ValueError("chunks out of place")
            entries.append(Entry(offset, first, rows))
            first, position = first + rows, offset + _SECTION.size + _CHUNK.size
        if type(index["rows"]) is not int or first != index["rows"]:
            raise ValueError("rows that do not add up")
        _check_notes(index["notes"])
        if type(index["digest"]) is not str:
            raise ValueError("no digest")
        return index, entries

    def _section(self, offset: int, tag: bytes) -> tuple[bytes, int]:
        """(content, where it ends). Raises ValueError if there is no whole section of that kind."""
        found, length, checksum = _SECTION.unpack(self._bytes(offset, _SECTION.size))
        start = offset + _SECTION.size
        if found != tag or length > self.size - start:
            raise ValueError("not a section")
        content = self._bytes(start, length)
        if _checksum(tag, content) != checksum:
            raise ValueError("a wrong checksum")
        return content, start + length

    def _bytes(self, offset: int, count: int) -> bytes:
        if offset < 0 or offset + count > self.size:
            raise ValueError("beyond the end")
        self._stream.seek(offset)
        data = self._stream.read(count)
        if len(data) != count:
            raise ValueError("beyond the end")
        return data

    def _first_damage(self) -> str:
        """The first section, from the front, that is not whole."""
        position, chunk = len(MAGIC), 0
        for name, tag in (("its header", HEADER), ("its model", MODEL)):
            try:
                _, end = self._section(position, tag)
            except ValueError:
                if tag == MODEL and self._tag(position) in (CHUNK, INDEX):
                    break  # the model is in another file
                return name
            position = end
        while self._tag(position) == CHUNK:
            try:
                _, end = self._section(position, CHUNK)
            except ValueError:
                return f"chunk {chunk}"
            position, chunk = end, chunk + 1
        try:
            self._section(position, INDEX)
        except ValueError:
            return f"what follows chunk {chunk - 1}" if chunk else "what follows its model"
        return "its end"

    def _tag(self, offset: int) -> bytes:
        try:
            return self._bytes(offset, 1)
        except ValueError:
            return b""


def _check_notes(notes: dict[str, Any]) -> None:
    """Raises ValueError or TypeError for notes that nobody can be told."""
    spent = [size for name, size in notes.get("spent", ()) if type(name) is str]
    if len(spent) != len(notes.get("spent", ())) or type(notes.get("input_bytes", 0)) is not int:
        raise ValueError("notes that are none")
    if not all(type(size) in (int, float) and 0 <= size < 2**63 for size in [*spent, notes.get("input_bytes", 0)]):
        raise ValueError("notes that are none")


def model_digest(kind: str, settings: dict[str, Any], parameters: bytes) -> str:
    """The SHA-256 of a model, by which an archive without one names it."""
    return sha256(_json([kind, settings]) + parameters).hexdigest()


def _checksum(tag: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(tag + struct.pack("<Q", len(content))))


def _json(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    if len(text) > LARGEST_JSON:
        raise DataError(f"names of columns and chunks take {len(text):,} bytes; the most are {LARGEST_JSON:,}")
    return text
