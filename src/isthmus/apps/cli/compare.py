"""`isthmus compare`: the main job."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import DataError
from . import arguments
from .screen import number, print_table

if TYPE_CHECKING:
    from ...comparison.compare import Progress
    from ...comparison.result import Comparison
    from ...files.source import Source

# A label that lies beside arrays under its usual name is used without being asked for: it cannot be a feature.
USUAL_LABEL = "target"
NO_TARGET = "none"


def compare(
    context: typer.Context,
    data: arguments.Data,
    out: arguments.Folder,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="What to probe the codes with, never shown to the models: a column of the table, or labels beside the "
            f"array. Labels called {USUAL_LABEL} (as digits has) are used without asking, unless this is {NO_TARGET}.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="Models to compare; pca, detector and those that `isthmus models` lists, but for generator.",
        ),
    ] = "pca,ae,vae,detector",
    latent: Annotated[
        str | None,
        typer.Option(
            metavar="N,…", help="Latent sizes to try.  [default: powers of two that suit the data]", show_default=False
        ),
    ] = None,
    epochs: arguments.Epochs = None,
    seeds: Annotated[int, typer.Option(metavar="K", help="Trainings of each model at each size.")] = 2,
    seed: arguments.Seed = 0,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Rows to measure on, instead of a fifth of DATA held out.", show_default=False
        ),
    ] = None,
    drop: arguments.Drop = None,
    device: arguments.Device = "auto",
    set_: arguments.Settings = None,
    as_json: arguments.Json = False,
) -> None:
    """Say which model to use for what, and at which size.

    Every model is trained at every size, more than once, and measured on rows that it has not seen: at compressing,
    reducing, generating and detecting. DIR gets report.html, facts.json and the fitted models.
    """
    arguments.check_place(out, folder=True)
    names = arguments.separated([models])
    latents = None if latent is None else arguments.whole_numbers(latent, "--latent")
    options = arguments.settings(set_)

    from ... import domains
    from ...comparison.compare import compare as run
    from .inputs import check_kind, read_rows, text_columns

    source = read_rows(data, _kept_apart(drop, target))
    chosen = _target(source, target)
    test_source = None if test is None else read_rows(test, [], text_columns(source.rows))
    if test is not None and test_source is not None:
        check_kind(test, test_source.rows, domains.choose(source.rows).name, f"{data} holds")
        _check_columns(test, test_source.rows, source.rows)
    with _progress() as progress:
        comparison = run(
            source.rows,
            target=_target_of(source, chosen),
            test=None if test_source is None else test_source.rows,
            test_target=None if test_source is None else _target_of(test_source, chosen),
            models=names,
            latents=latents,
            epochs=epochs,
            seeds=seeds,
            seed=seed,
            device=device,
            options=options,
            name=source.name,
            source=data,
            command=(context.obj or {}).get("command", ""),
            notes=source.notes,
            progress=progress,
        )
    comparison.save(out)
    if as_json:
        print(json.dumps(comparison.facts, ensure_ascii=False, allow_nan=False))
    else:
        _show(comparison)
        print(f"The report: {out / 'report.html'}")


def _kept_apart(drop: list[str] | None, target: str | None) -> list[str]:
    columns = arguments.separated(drop)
    if target in columns:
        raise DataError(f"column '{target}' is both the target and dropped; choose one")
    return columns


def _target(source: "Source", asked: str | None) -> str | None:
    """The target's name, if there is to be one."""
    if asked is None and USUAL_LABEL in source.labels:
        return USUAL_LABEL
    return None if asked == NO_TARGET else asked


def _check_columns(test: str, rows: Any, training: Any) -> None:
    """Refuse test rows that lack a column, the target included, and say in which file."""
    import pyarrow as pa

    if isinstance(rows, pa.Table) and isinstance(training, pa.Table):
        for name in training.column_names:
            if name not in rows.column_names:
                has = ", ".join(rows.column_names[:8]) + (", …" if rows.num_columns > 8 else "")
                raise DataError(
                    f"{test}: column '{name}' is missing; the training rows have it, and the file has {has}"
                )


def _target_of(source: "Source", target: str | None) -> Any:
    """The target as the comparison takes it: a table's by its column's name, an array's as values."""
    import pyarrow as pa

    from ...core.parts import Parts
    from ...files.target import labelled

    if target is None or isinstance(source.rows, pa.Table | Parts):
        return target
    return labelled(source, target)[1]


@contextmanager
def _progress() -> "Iterator[Progress | None]":
    """A bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("comparing"), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda what, share: bar.update(task, completed=share, description=what)


def _show(comparison: "Comparison") -> None:
    """The measurements as a table, and the verdicts."""
    headings = (
        "model",
        "reconstruction",
        "likelihood",
        "probe",
        "generation",
        "detection",
        "bits",
        "seconds",
        "parameters",
    )
    rows = [
        [
            row["name"],
            number(row["reconstruction"]),
            number(row["likelihood"], 1),
            number(row["probe"]),
            number(row["generation"]),
            number(row["detection"]),
            number(row["bits_per_row"], 1),
            number(row["fit_seconds"], 1),
            number(row["parameters"], 0),
        ]
        for row in comparison.table()
    ]
    print_table(headings, rows)
    for line in _legend(comparison.facts):
        print(line)
    print()
    for job, verdict in comparison.facts["verdict"].items():
        print(f"{job.capitalize() + ':':<10}{verdict['headline']}")
    print()


def _legend(facts: dict[str, Any]) -> list[str]:
    """What the columns mean, and which way is better."""
    contenders = facts["contenders"]
    metric = next((found["probe"]["metric"] for found in contenders if found["probe"]), None)
    target = (facts["data"]["target"] or {}).get("name") or "the target"
    return [
        f"reconstruction: error on held-out rows, {contenders[0]['reconstruction']['unit']} (lower is better)",
        "likelihood: of held-out rows, nats per row (higher)",
        *([f"probe: {metric} of {target}, never shown to the models, told from the codes (higher)"] if metric else []),
        "generation: how well a classifier tells generated rows from real ones, AUROC (0.5 is best)",
        "detection: how well unusual rows are told from usual ones, AUROC (higher)",
        "bits: ideal code length of held-out rows, bits per row (lower)",
    ]
