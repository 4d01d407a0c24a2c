"""One part: the rows it names in, one file out. Whoever calls it, and however often, writes the same file."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ...core.errors import DataError, IsthmusError
from ...estimator.inference import BATCH
from ...files.failures import shown
from ...files.parquet_parts import inspect, slices, write_slices
from ...files.writing import table_of
from ...saving import load, load_estimator
from ..results import codes_of, numbers_of, own_columns, scores_of
from .manifest import Part

# A slice is what is in memory at once: at most so many rows, and at most so many cells.
SLICE_ROWS = 2**16
SLICE_CELLS = 2**22
# What surprises in a part is told in at most so many sentences.
MOST_NOTES = 4


@dataclass(frozen=True)
class Job:
    """What every part of a run has in common; plain values, so that any process can be told."""

    command: str
    model: str
    folder: str
    out: str
    identity: str
    where: dict[str, str] | None = None


@dataclass
class Written:
    """A part that is on the disk: its number, its rows, how many of them were flagged, and what should be noted."""

    number: int
    rows: int
    flagged: int = 0
    notes: list[str] = field(default_factory=list)


class PartWriter:
    """Writes parts of one job; the model is loaded once."""

    def __init__(self, job: Job):
        self.job = job
        self.estimator = load(job.model) if job.command == "score" else load_estimator(job.model)
        domain = self.estimator.domain_
        if domain.picture_kind != "table":
            raise DataError(f"{job.model}: was fitted to {domain.called}; a folder of Parquet holds the rows of tables")
        self.names = [] if job.command == "score" else [str(name) for name in self.estimator.get_feature_names_out()]
        widest = max(len(domain.column_names), len(self.names), 1)
        # Whole batches of the model, so that no slice is computed in part.
        self.slice_rows = max(BATCH, min(SLICE_ROWS, SLICE_CELLS // widest) // BATCH * BATCH)

    def write(self, part: Part) -> Written:
        """Write the part's file. Raises DataError naming the input file and the rows if they cannot be used."""
        written = Written(part.number, 0)
        facts: dict[str, Any] = {"run": self.job.identity}

        def counted() -> Iterator[pa.Table]:
            for table in self._tables(part, written):
                written.rows += table.num_rows
                yield table
            if written.rows != part.rows:
                raise DataError(
                    f"{shown(Path(self.job.folder, part.file or ''))}: held {part.rows:,} rows when the run began and "
                    f"{written.rows:,} now; leave the input as it is until the run has ended"
                )
            facts.update(asdict(written))

        write_slices(counted(), Path(self.job.out, part.name), facts)
        return written

    def _tables(self, part: Part, written: Written) -> Iterator[pa.Table]:
        """The part's results, slice by slice."""
        if part.file is None:
            new = self.estimator.sample(part.rows, where=self.job.where, random_state=part.seed)
            yield table_of(new, self.job.out)
            return
        path = Path(self.job.folder, part.file)
        columns = self.names if self.job.command == "decode" else self.estimator.domain_.column_names
        first_row = part.first_row
        for rows in slices(path, part.row_groups, columns, self.slice_rows):
            try:
                yield self._result(rows, first_row, str(path), written)
            except IsthmusError as failure:
                last_row = first_row + rows.num_rows - 1
                raise DataError(f"{shown(path)}: among rows {first_row} to {last_row} of all: {failure}") from failure
            first_row += rows.num_rows

    def _result(self, rows: pa.Table, first_row: int, place: str, written: Written) -> pa.Table:
        """What the command makes of these rows, the first of which has the number `first_row` among all."""
        if self.job.command == "decode":
            return table_of(self.estimator.inverse_transform(numbers_of(self.estimator, rows, place)), self.job.out)
        rows = own_columns(self.estimator, rows)
        for note in self.estimator.domain_.surprises(rows):
            if len(written.notes) < MOST_NOTES:
                written.notes.append(f"{place}: {note}")
        if self.job.command == "encode":
            return codes_of(self.estimator, rows)
        scores = scores_of(self.estimator, rows, pa.array(np.arange(first_row, first_row + len(rows))))
        written.flagged += scores.column("flag").combine_chunks().true_count
        return scores


def found(job: Job, part: Part) -> Written | None:
    """The part as an earlier run left it; None if it is not there, not whole, or of another run."""
    path = Path(job.out, part.name)
    if not path.exists():
        return None
    try:
        facts = inspect(path)
        kept = {name: value for name, value in facts.facts.items() if name != "run"}
        written = Written(**kept)
    except (DataError, TypeError):  # cut short, or not a part
        return None
    whole = facts.facts.get("run") == job.identity and facts.rows == written.rows == part.rows
    return written if whole and written.number == part.number else None


def one_thread() -> None:
    """Compute with one thread: for processes that share a machine."""
    torch.set_num_threads(1)
