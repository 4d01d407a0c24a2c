"""`isthmus compress` and `isthmus decompress`: rows to an archive and back."""

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import DataError, OptionError
from . import arguments
from .screen import print_notes, print_result

if TYPE_CHECKING:
    from ...compression.codec import Codec

ENDING = ".isth"

Archive = Annotated[str, typer.Argument(metavar="A", help="An archive, as `isthmus compress` writes it.")]
External = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="M",
        help="An archive whose model is used, and not written again: decompress needs it, too. Or a model that "
        "`isthmus fit` wrote, which goes into the archive.",
        show_default=False,
    ),
]


def compress(
    data: arguments.Data,
    out: Annotated[Path, typer.Option("--out", metavar="A", help="The archive to write, such as rows.isth.")],
    model: External = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHARE",
            help="How far numbers may be off, as a share of their column's range, such as 0.01; or of one column: "
            "COLUMN=SHARE, which may be given again.  [default: not at all]",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a model may be trained; the longer, the smaller the file."),
    ] = 60.0,
    verify: Annotated[
        bool, typer.Option(help="Decode every chunk before it is written, and compare it with the rows.")
    ] = True,
    seed: arguments.Seed = 0,
    as_json: arguments.Json = False,
) -> None:
    """Write rows to an archive that gives them back bit for bit.

    The model that makes it small is trained on the rows and lies inside. Archives are checked as they are written, and
    open on any machine; any range of rows can be read alone.
    """
    arguments.check_place(out, read=[data, *([str(model)] if model else [])])
    tolerances = _tolerances(tolerance)

    from ...compression.archive import Options, codec_for, opened, write
    from ...files.atomic import replacing

    options = Options(budget=budget, tolerance=tolerances, verify=verify, seed=seed)
    first, total, parts, notes, size = _parts(data, options.chunk_rows)
    began = time.perf_counter()
    inside = True
    if model is not None:
        if tolerances is not None:
            raise OptionError("--tolerance is part of a model; with --model, that of the model is used")
        inside = model.suffix.lower() != ENDING
        codec = _fitted_codec(model, first, total) if inside else opened(model).codec
    else:
        codec = codec_for(first, total, options, _progress)
    with replacing(out) as temporary, temporary.open("wb") as stream:
        summary = write(
            stream,
            codec,
            parts,
            model_inside=inside,
            notes={**notes, "input_bytes": size},
            options=options,
            progress=lambda rows: _progress("write", rows / max(total, 1)),
        )
    facts = {
        "rows": summary.rows,
        "bytes": summary.bytes,
        "model_bytes": summary.model_bytes,
        "input_bytes": size,
        "seconds": round(time.perf_counter() - began, 2),
        "out": str(out),
    }
    ratio = f", {size / summary.bytes:.2f} times smaller than {data}" if size > summary.bytes else ""
    inside = f" ({summary.model_bytes:,} of them the model)" if summary.model_bytes else ""
    print_result(facts, f"{summary.rows:,} rows in {summary.bytes:,} bytes{inside}{ratio}. Written to {out}", as_json)


def decompress(
    archive: Archive,
    out: arguments.Rows,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", metavar="A:B", help="Only the rows from A to before B, counted from 0.", show_default=False
        ),
    ] = None,
    model: External = None,
    as_json: arguments.Json = False,
) -> None:
    """Write the rows of an archive, each verified to be what was put in."""
    arguments.check_place(out, folder=out.is_dir(), read=[archive])

    from ...compression.archive import opened
    from ...compression.rows import given_back
    from ...files.writing import table_endings, write_rows, write_table_parts

    source = opened(archive, opened(model) if model is not None else None)
    start, stop = _range(rows, source.rows)
    if source.codec.kind == "table" and out.suffix.lower() in table_endings():
        write_table_parts(source.codec.joined([]).schema, source.parts(start, stop), out)
    else:
        write_rows(given_back(source.read(start, stop), source.notes), out)
    print_result({"rows": stop - start, "out": str(out)}, f"{stop - start:,} rows. Written to {out}", as_json)


def _fitted_codec(model: Path, rows: Any, total: int) -> "Codec":
    """The codec of a model that `isthmus fit` wrote; it lies inside the archive."""
    from ...compression.latent.codec import LatentCodec
    from ...saving import load_estimator

    estimator = load_estimator(model)
    return LatentCodec.from_model(estimator.model_, estimator.domain_, estimator.domain_.tensors(rows), total)


def _parts(data: str, chunk_rows: int) -> tuple[Any, int, Iterator[Any], dict[str, Any], int]:
    """(rows to make a model of, how many there are in all, all in chunks, notes, bytes of the file or folder)."""
    from ...compression.archive import chunks
    from ...compression.rows import taken
    from ...files import streaming
    from ...files.reading import read

    path = Path(data)
    size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) if path.is_dir() else 0
    size = path.stat().st_size if path.is_file() else size
    if streaming.is_larger_than_memory(data):
        whole = streaming.stream(data)
        print_notes([*whole.notes, f"{whole.rows:,} rows stay in their files and are read a few at a time"])
        slices = (taken(each.rows)[0] for each in whole.slices())
        first, notes = taken(next(iter(whole.slices())).rows)
        return first, whole.rows, (part for each in slices for part in chunks(each, chunk_rows)), notes, size
    source = read(data)
    left_out = [f"labels {', '.join(source.labels)} lie beside the rows and are not archived"] if source.labels else []
    print_notes([*source.notes, *left_out])
    rows, notes = taken(source.rows)
    return rows, len(rows), chunks(rows, chunk_rows), notes, size


def _tolerances(texts: list[str] | None) -> float | dict[str, float] | None:
    """`0.01`, or `column=0.01` once for each column."""
    shares: dict[str, float] = {}
    for text in texts or []:
        name, equals, value = text.rpartition("=")
        try:
            share = float(value)
        except ValueError:
            raise OptionError(f"--tolerance {text!r}: give a share such as 0.01, or COLUMN=0.01") from None
        if not equals:
            if len(texts or []) > 1:
                raise OptionError("--tolerance: give one share for all columns, or COLUMN=SHARE for each")
            return share
        shares[name] = share
    return shares or None


def _range(text: str | None, rows: int) -> tuple[int, int]:
    """`10:20` → (10, 20); either may be left out."""
    if text is None:
        return 0, rows
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if not match:
        raise OptionError(f"--rows {text!r}: write A:B, such as 0:1000")
    start, stop = int(match[1] or 0), int(match[2] or rows)
    if not start <= stop <= rows:
        raise DataError(f"--rows {text}: the archive has rows 0 to {rows:,}; give a range within them")
    return start, stop


def _progress(what: str, share: float) -> None:
    """One line on a terminal, written over as work goes on."""
    if sys.stderr.isatty():
        words = {"train": "training", "write": "writing"}
        print(f"\r{words[what]}: {share:4.0%} ", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)
