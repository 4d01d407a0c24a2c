"""Parquet files a slice at a time: what a file says it holds, its rows in slices, and rows in slices to a file."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from ..core.errors import DataError
from . import tables
from .atomic import replacing
from .chunks import ParquetChunks
from .failures import damage_named, shown
from .limits import check_bytes

# What our own facts are called in a file's metadata.
_KEY = "isthmus"


@dataclass(frozen=True)
class ParquetFacts:
    """What the end of a Parquet file says of it.

    `row_groups` are their numbers of rows, `facts` what `write_slices` was given to keep, `footer` the SHA-256 of the
    file's own description, which holds every column's place and bounds: files of other rows differ in it.
    """

    size: int
    row_groups: tuple[int, ...]
    schema: pa.Schema
    footer: str
    facts: dict[str, Any]

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return sum(self.row_groups)


def inspect(path: Path) -> ParquetFacts:
    """What the file says of itself, of which only the end is read. Raises DataError if that is damaged."""
    with damage_named(path, "Parquet"), pyarrow.parquet.ParquetFile(path) as file:
        metadata = file.metadata
        size = path.stat().st_size
        with path.open("rb") as stream:
            stream.seek(max(0, size - 8 - metadata.serialized_size))
            footer = hashlib.sha256(stream.read()).hexdigest()
        groups = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
        schema = file.schema_arrow.remove_metadata()
        facts = json.loads((metadata.metadata or {}).get(_KEY.encode(), b"{}"))
    return ParquetFacts(size, groups, schema, footer, facts if isinstance(facts, dict) else {})


def slices(path: Path, row_groups: Sequence[int], columns: Sequence[str], most_rows: int) -> Iterator[pa.Table]:
    """The rows of these row groups, in order, in tables of at most `most_rows`; one table is in memory at a time.

    Only `columns` are read, if the file has them all. Raises DataError naming the file if it is damaged.
    """
    file = ParquetChunks(path)
    known = set(columns) <= set(file.schema.names)
    for group in row_groups:
        for table in file.slices(group, most_rows, columns if known else None):
            check_bytes(path, table.nbytes)
            yield tables.checked(table, path)[0]


def write_slices(rows: Iterable[pa.Table], path: Path, facts: dict[str, Any]) -> None:
    """Write tables of one schema to one Parquet file, whole or not at all, with `facts` (JSON) in its metadata.

    `facts` are read when the last table has been written, so what is counted on the way may be among them.
    """
    with replacing(path) as temporary:
        writer: pyarrow.parquet.ParquetWriter | None = None
        try:
            for table in rows:
                if writer is None:
                    writer = pyarrow.parquet.ParquetWriter(temporary, table.schema, write_page_checksum=True)
                writer.write_table(table.cast(writer.schema))
            if writer is None:
                raise DataError(f"{shown(path)}: there are no rows to write; give at least one")
            writer.add_key_value_metadata({_KEY: json.dumps(facts, allow_nan=False)})
        finally:
            if writer is not None:
                writer.close()
