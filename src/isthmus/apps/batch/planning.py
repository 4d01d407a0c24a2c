"""Cuts the work into parts: row groups of the input's files, or counts of new rows."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...core.errors import DataError, ModelFileError, OptionError
from ...core.randomness import Randomness
from ...files import tables
from ...files.failures import shown
from ...files.folders import refuse_partitions
from ...files.parquet_parts import inspect
from ...files.reading import parquet_files
from .manifest import InputFile, Manifest, Part

# Row groups of a file are joined until a part has this many rows: few files for a billion rows, little lost by a kill.
PART_ROWS = 2**18
# New rows of a part are in memory at once: at most so many, and at most so many cells.
GENERATED_ROWS = 100_000
GENERATED_CELLS = 2**23
# The manifest names every part: so many take some ten megabytes of it.
MOST_PARTS = 100_000


def plan_folder(command: str, model: str, folder: str) -> Manifest:
    """The manifest of a command over a folder of Parquet. Only the end of each file is read.

    Raises DataError for a damaged file, files of unequal columns, and a folder without rows.
    """
    root = Path(folder)
    paths = parquet_files(folder)
    files: list[InputFile] = []
    parts: list[Part] = []
    first_row, first_schema = 0, None
    refuse_partitions(root, paths)
    for path in paths:
        facts = inspect(path)
        first_schema = facts.schema if first_schema is None else first_schema
        tables.check_same_columns(facts.schema, first_schema, path, paths[0])
        name = path.relative_to(root).as_posix()
        files.append(InputFile(name, facts.size, facts.rows, facts.footer))
        for groups in _joined(facts.row_groups):
            rows = sum(facts.row_groups[group] for group in groups)
            parts.append(Part(len(parts), first_row, rows, name, groups))
            first_row += rows
    if not parts:
        raise DataError(f"{shown(folder)}: its Parquet files have no rows; give files with rows")
    return Manifest(command, digest_of(model), {}, tuple(files), tuple(parts))


def plan_rows(model: str, rows: int, features: int, seed: int, where: dict[str, str] | None) -> Manifest:
    """The manifest of so many new rows, of `features` columns each.

    A part's seed depends on the seed and the part's number only, so that its rows are the same whoever draws it.
    """
    size = max(1, min(GENERATED_ROWS, GENERATED_CELLS // features))
    if rows > MOST_PARTS * size:
        raise OptionError(
            f"{rows:,} rows: at most {MOST_PARTS * size:,} of this model are written to one folder; "
            "give fewer, and another folder with another seed for more"
        )
    starts = range(0, rows, size)
    parts = [
        Part(number, start, min(size, rows - start), seed=Randomness(seed, "part", number).seed)
        for number, start in enumerate(starts)
    ]
    options: dict[str, Any] = {"rows": rows, "seed": seed, "where": where}
    return Manifest("generate", digest_of(model), options, (), tuple(parts))


def digest_of(model: str) -> str:
    """The SHA-256 of a model file."""
    try:
        return hashlib.sha256(Path(model).read_bytes()).hexdigest()
    except OSError as failure:
        raise ModelFileError(f"{model}: cannot be read: {failure.strerror or failure}") from None


def _joined(row_groups: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Numbers of neighbouring row groups that together have at least `PART_ROWS` rows; the last ones may have fewer."""
    together: list[int] = []
    rows = 0
    for number, count in enumerate(row_groups):
        if not count:
            continue
        together.append(number)
        rows += count
        if rows >= PART_ROWS:
            yield tuple(together)
            together, rows = [], 0
    if together:
        yield tuple(together)
