"""One run over a folder: what is left to do is done, and what is there at the end is counted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DataError, IsthmusError
from ...files.failures import shown
from .lock import alone_in
from .manifest import Manifest
from .parts import Job, PartWriter, found

# Told of how many parts are done and how many there are.
Watcher = Callable[[int, int], None]


@dataclass(frozen=True)
class Finished:
    """A run that has been counted: `kept` parts are those that an earlier run had written."""

    rows: int
    parts: int
    kept: int
    flagged: int
    notes: list[str]


def run(
    manifest: Manifest, job: Job, engine: str = "local", workers: int | None = None, watch: Watcher | None = None
) -> Finished:
    """Write all parts that are not there yet, then make sure that no row is missing and none is there twice.

    Raises DataError for input that cannot be used, for a folder of another run, and for what is missing at the end.
    """
    from . import ray_data

    if engine == "ray":
        ray_data.check_installed()
    writer = PartWriter(job)  # before anything is written: what is wrong with the model is wrong with every part
    with alone_in(Path(job.out)):
        return _run(manifest, job, writer, engine, workers, watch)


def _run(
    manifest: Manifest, job: Job, writer: PartWriter, engine: str, workers: int | None, watch: Watcher | None
) -> Finished:
    from . import local, ray_data

    out = Path(job.out)
    manifest.claim(out)
    kept = {part.number for part in manifest.parts if found(job, part) is not None}
    left = [part for part in manifest.parts if part.number not in kept]
    notes: list[str] = []
    try:
        done = ray_data.write(job, left, workers) if engine == "ray" and left else local.write(writer, left)
        for count, written in enumerate(done, len(kept) + 1):
            notes += written.notes
            if watch is not None:
                watch(count, len(manifest.parts))
    except IsthmusError:
        manifest.withdraw(out)
        raise
    return Finished(manifest.rows, len(manifest.parts), len(kept), _counted(manifest, job), notes)


def _counted(manifest: Manifest, job: Job) -> int:
    """Count rows and files on the disk against the manifest; how many rows were flagged."""
    out = Path(job.out)
    flagged = 0
    for part in manifest.parts:
        written = found(job, part)
        if written is None:
            place = shown(out / part.name)
            raise DataError(f"{place}: is missing or damaged; repeat the command, which writes it anew")
        flagged += written.flagged
    names = {part.name for part in manifest.parts}
    for path in sorted(out.glob("*.parquet")):
        if path.name not in names:
            raise DataError(f"{shown(path)}: is none of the parts, and its rows would be read too; remove it")
    return flagged
