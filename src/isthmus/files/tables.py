"""Readers of table files: each takes a path and returns a `pyarrow.Table` and notes about what it decided."""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from ..core.errors import DataError
from .failures import damage_named, reason, shown
from .folders import PARQUET, refuse_partitions
from .limits import check_bytes

Notes = tuple[str, ...]

_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
# Some well-known files separate cells with a comma and a blank, so that a missing cell reads " ?".
MISSING_WORDS = [*_MISSING, *(f" {word}" for word in _MISSING)]

_BLOCK = 2**24  # bytes; a row must fit in a block
_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?(e[+-]?\d+)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"(^|;)-?\d+,\d+(;|\r?$)", re.MULTILINE)
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_csv(path: Path, text: Sequence[str] = (), separator: str = ",") -> tuple[pa.Table, Notes]:
    """A file of separated values with a header line, in UTF-8; types are inferred, dates included, but those of the
    columns named by `text`."""
    with damage_named(path, "separated values"):
        check_bytes(path, path.stat().st_size)
        check_utf8(path)
        separator, decimal, notes = _spelling(path, separator)
        table, renamed = _named_columns(_parse_csv(path, separator, decimal, text))
        return checked(table, path, (*notes, *renamed, *_numbers_as_names(table)))


def read_tsv(path: Path, text: Sequence[str] = ()) -> tuple[pa.Table, Notes]:
    """A file of tab-separated values with a header line, in UTF-8."""
    return read_csv(path, text, separator="\t")


def read_jsonl(path: Path, text: Sequence[str] = ()) -> tuple[pa.Table, Notes]:
    """A file with one JSON object a line, in UTF-8; texts that look like dates are, but in columns named by `text`."""
    with damage_named(path, "JSON lines"):
        check_bytes(path, path.stat().st_size)
        check_utf8(path)
        table = _parse_jsonl(path, pa.schema([]))
        # Known once it has been read: a column that the schema names is made up where the file has none.
        dates = [name for name in text if name in table.column_names and pa.types.is_temporal(table.field(name).type)]
        if dates:
            table = _parse_jsonl(path, pa.schema([(name, pa.string()) for name in dates])).select(table.column_names)
        return checked(table, path)


def _parse_jsonl(path: Path, known: pa.Schema) -> pa.Table:
    return pyarrow.json.read_json(
        path,
        read_options=pyarrow.json.ReadOptions(block_size=_BLOCK),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=known),
    )


def read_parquet(path: Path) -> tuple[pa.Table, Notes]:
    """A Parquet file; checksums of its pages are verified where it has them."""
    with damage_named(path, "Parquet"), pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        check_bytes(path, declared_bytes(file))
        table = _collected(file.iter_batches(), file.schema_arrow, path)
        return checked(table, path)


def read_arrow(path: Path) -> tuple[pa.Table, Notes]:
    """An Arrow file (Feather version 2) or stream."""
    with damage_named(path, "Arrow"), pa.OSFile(str(path)) as stream:
        magic = stream.read(6)
        stream.seek(0)
        if magic.startswith(b"FEA1"):
            raise DataError(f"{shown(path)}: is Feather version 1, which is no longer read; write it as Parquet")
        if magic == b"ARROW1":
            reader = pa.ipc.open_file(stream)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            batches = reader = pa.ipc.open_stream(stream)
        table = _collected(batches, reader.schema, path)
        return checked(table, path)


def read_table_folder(folder: Path, files: list[Path], kind: str) -> tuple[pa.Table, Notes]:
    """Parquet or Arrow files with the same columns, one after another; columns may stand in another order."""
    tables: list[pa.Table] = []
    notes: Notes = ()
    refuse_partitions(folder, files)
    for path in files:
        table, notes = (read_parquet if kind == PARQUET else read_arrow)(path)
        if tables:
            check_same_columns(table.schema, tables[0].schema, path, files[0])
            table = table.select(tables[0].column_names)
        tables.append(table)
        check_bytes(folder, sum(each.nbytes for each in tables))
    return pa.concat_tables(tables), (*notes, f"{len(files)} {kind} were read one after another")


def checked(table: pa.Table, path: str | Path, notes: Notes = ()) -> tuple[pa.Table, Notes]:
    """The table without a nameless pandas index; DataError if it has no rows, no columns, or one name twice."""
    # Without metadata: else pandas would turn a column that it once had as index back into one.
    table = table.replace_schema_metadata(None)
    names, more = checked_names(table.column_names, table.num_rows, path)
    return table.select(names) if more else table, (*notes, *more)


def checked_names(columns: list[str], rows: int, path: str | Path) -> tuple[list[str], Notes]:
    """The names of a table's columns without a nameless pandas index, and a note if there was one; DataError if the
    table has no rows, no columns, or one name twice."""
    names = [name for name in columns if not _PANDAS_INDEX.fullmatch(name)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{shown(path)}: column {twice[0]!r} occurs {names.count(twice[0])} times; "
            "give every column a name of its own (a file without a header line needs one)"
        )
    if not names:
        raise DataError(f"{shown(path)}: has no columns; a table needs at least one")
    if not rows:
        raise DataError(f"{shown(path)}: has columns but no rows; add rows below the header")
    left_out = ("the pandas index that was stored as a column was left out",) if len(names) < len(columns) else ()
    return names, left_out


def _parse_csv(path: Path, separator: str, decimal: str, text: Sequence[str]) -> pa.Table:
    def parse(threads: bool) -> pa.Table:
        return pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK, use_threads=threads),
            parse_options=pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=MISSING_WORDS,
                strings_can_be_null=True,
                decimal_point=decimal,
                column_types=dict.fromkeys(text, pa.string()),
            ),
        )

    try:
        return parse(threads=True)
    except pa.ArrowInvalid:
        pass
    # Only the reader with one thread knows the number of the row that is wrong.
    try:
        return parse(threads=False)
    except pa.ArrowInvalid as failure:
        if "cannot infer number of columns" in str(failure):
            raise DataError(f"{shown(path)}: has no rows; add rows below a header line") from failure
        if "Expected" not in str(failure):
            raise
        advice = "every row needs as many cells as the header"
        raise DataError(f"{shown(path)}: {reason(failure).removeprefix('CSV parse error: ')}; {advice}") from failure


def _spelling(path: Path, expected: str) -> tuple[str, str, Notes]:
    """The separator of cells and the decimal sign: as expected, or what stands in their place at the file's start."""
    with path.open("rb") as stream:
        start = stream.read(2**16).decode("utf-8", "replace")
    header = re.sub(r'"[^"]*"', "", start.partition("\n")[0])
    if expected != "," or "," in header:
        return expected, ".", ()
    if ";" in header:
        if _DECIMAL_COMMA.search(start):
            return ";", ",", ("cells are separated by semicolons", "numbers have a decimal comma")
        return ";", ".", ("cells are separated by semicolons",)
    return ("\t", ".", ("cells are separated by tabs",)) if "\t" in header else (",", ".", ())


def _named_columns(table: pa.Table) -> tuple[pa.Table, Notes]:
    """Columns without a name (row numbers, mostly) are named by their position, counted from 1."""
    nameless = [position for position, name in enumerate(table.column_names, 1) if not name.strip()]
    if not nameless:
        return table, ()
    names = [name if name.strip() else f"column {position}" for position, name in enumerate(table.column_names, 1)]
    places = ", ".join(map(str, nameless))
    return table.rename_columns(names), (f"columns without a name were named by position: {places}",)


def _numbers_as_names(table: pa.Table) -> Notes:
    """A note if the header looks like a row; the names 0, 1, 2 … are what programs give to columns without names."""
    names = table.column_names
    if names == [str(position) for position in range(len(names))]:
        return ()
    numbers = [name for name in names if _NUMBER.fullmatch(name.strip())]
    if not numbers:
        return ()
    return (f"the first line was taken as the names of the columns, although {numbers[0].strip()!r} in it is a number",)


def check_utf8(path: Path) -> None:
    """Raise DataError naming the first byte and line that are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line = 0, 1
    with path.open("rb") as stream:
        while True:
            block = stream.read(_BLOCK)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as failure:
                # The decoder may have kept the first bytes of a character from the block before.
                start = offset + len(block) - len(failure.object) + failure.start
                line += failure.object[: failure.start].count(b"\n")
                raise DataError(_encoding_advice(path, start, line)) from None
            if not block:
                return
            offset += len(block)
            line += block.count(b"\n")


def _encoding_advice(path: Path, offset: int, line: int) -> str:
    with path.open("rb") as stream:
        marked_utf16 = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if marked_utf16 else "latin1"
    return (
        f"{shown(path)}: line {line} (byte {offset}) is not UTF-8; save the file as UTF-8, "
        f"for example with iconv -f {encoding} -t utf-8"
    )


def declared_bytes(file: pyarrow.parquet.ParquetFile) -> int:
    """At least how many bytes the table takes in memory, by what the file's metadata say."""
    metadata = file.metadata
    encoded = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    return max(encoded, sum(_width(each) for each in file.schema_arrow.types) * metadata.num_rows // 8)


def _width(data_type: pa.DataType) -> int:
    """Bits per cell; for types without a fixed width, the 32 bits of an offset."""
    try:
        return data_type.bit_width
    except ValueError:
        return 32


def _collected(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> pa.Table:
    """The batches as one table that has been checked down to its last offset.

    Arrow trusts offsets and lengths: even asking a damaged batch for its size can end the process.
    """
    kept, size = [], 0
    for batch in batches:
        batch.validate(full=True)
        size += batch.nbytes
        check_bytes(path, size)
        kept.append(batch)
    return pa.Table.from_batches(kept, schema=schema)


def check_same_columns(schema: pa.Schema, first: pa.Schema, path: Path, first_path: Path) -> None:
    """Raise DataError if names or types of columns differ from those of the first file."""
    unequal = set(schema.names) ^ set(first.names)
    if unequal:
        name = min(unequal)
        has, lacks = (path, first_path) if name in schema.names else (first_path, path)
        raise DataError(f"{shown(lacks)}: has no column {name!r}, which {shown(has)} has; give files of equal columns")
    for name, expected in zip(first.names, first.types, strict=True):
        given = schema.field(name).type
        if given != expected:
            types = f"column {name!r} is {given} but {expected} in {shown(first_path)}"
            raise DataError(f"{shown(path)}: {types}; write them as one type")
