"""`isthmus score`: how usual each row is, and which columns make it unusual."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import DataError, OptionError
from . import arguments
from .parts import wants_parts, write_folder
from .screen import print_result

if TYPE_CHECKING:
    import pyarrow as pa

    from ...estimator.base import Estimator


def score(
    model: arguments.Model,
    data: arguments.Data,
    out: arguments.Rows,
    engine: arguments.Engine = None,
    workers: arguments.Workers = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            "--maps",
            metavar="DIR",
            help="Of images: a picture of each flagged one, in red where it is unusual.",
            show_default=False,
        ),
    ] = None,
    as_json: arguments.Json = False,
) -> None:
    """Write how usual each row is, and why.

    Columns of the result: `row` (its number from 0, or the image's file), `score` (higher is more usual: of a detector
    the log of the share of usual rows that are as unusual, of other models log p(x) in nats), `flag` (true for
    outliers: scores below the threshold that was fitted), and `column_1`, `value_1`, `expected_1` to
    `expected_3`: the columns that made a flagged row one, whose cells are most unusual beside the rest of the row, the
    cells, and what was expected instead; of series stretches of steps, and of images regions of pixels, with means over
    them. From a folder of Parquet to a folder, memory stays bounded, and the same
    command goes on where an earlier one was ended.
    """
    if maps is not None:
        arguments.check_place(maps, folder=True)
        if maps.resolve() == out.resolve():
            raise OptionError(f"--maps {maps}: is the place of --out as well; give each a place of its own")
    if wants_parts(data, out, engine, workers):
        arguments.check_place(out, folder=True, read=[model, data])
        write_folder("score", model, data, out, engine, workers, as_json)
        return
    arguments.check_place(out, read=[model, data])

    from ...estimator.detector import Detector
    from ...files.writing import write_table
    from ...saving import load
    from ..results import scores_of
    from .inputs import read_rows_for, row_ids

    estimator = load(model)
    if maps is not None and (isinstance(estimator, Detector) or estimator.domain_.place_name != "pixel"):
        raise DataError(f"--maps: {model} is no model of images; leave it out")
    source, rows = read_rows_for(estimator, data)
    table = scores_of(estimator, rows, row_ids(source, rows.shape[0]))
    if maps is not None:
        _write_maps(estimator, rows, table, maps)
    write_table(table, out)
    scores, flags = table.column("score").to_numpy(), table.column("flag").to_numpy()
    facts = {
        "rows": len(scores),
        "flagged": int(flags.sum()),
        "threshold": estimator.offset_,
        "mean_score": float(scores.mean()),
        "unit": "nats per row",
        "out": str(out),
    } | ({} if maps is None else {"maps": str(maps)})
    flagged = f"{facts['flagged']:,} of {len(scores):,} rows flagged: scores below {estimator.offset_:.4g} nats"
    print_result(facts, f"{flagged}. Written to {out}{f' and {maps}' if maps is not None else ''}", as_json)


def _write_maps(estimator: "Estimator", rows: Any, table: "pa.Table", maps: Path) -> None:
    """A PNG file for each flagged image, by its own file's name or its number."""
    import numpy as np
    import torch
    from PIL import Image

    from ...core.sparse import dense
    from ...explaining.unusual import heat_maps_of
    from ...files.atomic import replacing

    flagged = np.flatnonzero(table.column("flag").to_numpy())
    names = table.column("row").to_pylist()
    x = dense(estimator.domain_.tensors(rows))
    with replacing(maps) as folder:
        folder.mkdir()
        for row, drawn in zip(flagged, heat_maps_of(estimator, x[torch.from_numpy(flagged)]), strict=True):
            place = folder / f"{Path(str(names[row])).with_suffix('')}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn).save(place)
