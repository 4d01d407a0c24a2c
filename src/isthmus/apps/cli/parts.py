"""From a folder of Parquet to a folder of Parquet: the commands' side of `apps.batch`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import OptionError
from .screen import print_notes, print_result

if TYPE_CHECKING:
    from ..batch.manifest import Manifest
    from ..batch.running import Watcher

# Sentences about what surprises in the input that are printed; a billion rows would have many.
MOST_NOTES = 8


def wants_parts(data: str, out: Path, engine: str | None, workers: int | None) -> bool:
    """Whether a folder of Parquet is to become a folder; raises OptionError if an engine is given for anything else."""
    from ...files.reading import parquet_files

    _check_workers(engine, workers)
    found = not out.suffix and bool(parquet_files(data))
    if engine is not None and not found:
        raise OptionError(
            f"--engine {engine}: takes a folder of Parquet files to a folder; give DATA and --out (without an ending) "
            "as folders, or leave the option away"
        )
    return found


def wants_new_parts(out: Path, engine: str | None, workers: int | None, images: bool) -> bool:
    """The same for new rows: whether they are to become a folder of Parquet files."""
    _check_workers(engine, workers)
    if engine is not None and (images or out.suffix):
        what = "this model makes no rows of a table" if images else "give --out (without an ending) as a folder"
        raise OptionError(f"--engine {engine}: writes rows to a folder of Parquet files; {what}")
    return not out.suffix and not images


def write_folder(
    command: str, model: str, folder: str, out: Path, engine: str | None, workers: int | None, as_json: bool
) -> None:
    """Encode, decode or score a folder."""
    from ..batch.planning import plan_folder

    if out.absolute().resolve().is_relative_to(Path(folder).resolve()):
        raise OptionError(f"--out {out}: lies in the folder that is read, {folder}; name a folder outside it")
    _write(plan_folder(command, model, folder), model, folder, out, engine, workers, None, as_json)


def write_new(
    manifest: "Manifest",
    model: str,
    out: Path,
    engine: str | None,
    workers: int | None,
    where: dict[str, str] | None,
    as_json: bool,
) -> None:
    """Generate a folder."""
    _write(manifest, model, "", out, engine, workers, where, as_json)


def _write(
    manifest: "Manifest",
    model: str,
    folder: str,
    out: Path,
    engine: str | None,
    workers: int | None,
    where: dict[str, str] | None,
    as_json: bool,
) -> None:
    from ..batch.parts import Job
    from ..batch.running import run

    # Workers of a cluster start in folders of their own.
    model, folder, place = str(Path(model).absolute()), str(Path(folder).absolute()), str(out.absolute())
    job = Job(manifest.command, model, folder, place, manifest.identity, where)
    with _progress(manifest.command) as watch:
        finished = run(manifest, job, engine or "local", workers, watch)
    print_notes(finished.notes[:MOST_NOTES])
    if len(finished.notes) > MOST_NOTES:
        print_notes([f"{len(finished.notes) - MOST_NOTES} more sentences like these"])
    facts: dict[str, Any] = {"rows": finished.rows, "parts": finished.parts, "kept_parts": finished.kept}
    sentence = f"{finished.rows:,} rows in {finished.parts:,} part{'s' if finished.parts > 1 else ''}"
    if finished.kept:
        sentence += f", {finished.kept:,} of them from an earlier run"
    sentence += "; none is missing, none is there twice"
    if manifest.command == "score":
        facts["flagged"] = finished.flagged
        sentence += f"; {finished.flagged:,} rows flagged"
    print_result(facts | {"out": str(out)}, f"{sentence}. Written to {out}", as_json)


def _check_workers(engine: str | None, workers: int | None) -> None:
    if workers is not None and engine != "ray":
        raise OptionError(f"--workers {workers}: only the engine ray has workers; add --engine ray")


@contextmanager
def _progress(command: str) -> "Iterator[Watcher | None]":
    """A bar of parts, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(f"{command}, parts", total=None)
        yield lambda done, all_parts: bar.update(task, completed=done, total=all_parts)
