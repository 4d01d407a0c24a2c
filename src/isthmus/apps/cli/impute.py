"""`isthmus impute`: rows with their missing cells filled in."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import arguments
from .screen import print_result


def impute(
    model: arguments.Model,
    data: arguments.Data,
    out: arguments.OneFile,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            metavar="K",
            min=1,
            help="Draw what is missing K times, and write all K completed tables one below the other, with the columns "
            "`draw` and `row` in front.  [default: the best guess of each cell]",
            show_default=False,
        ),
    ] = None,
    seed: arguments.SeedOfDraws = None,
    as_json: arguments.Json = False,
) -> None:
    """Fill in the missing cells of a table.

    Of a number the mean given the row's observed cells is written, of a category the most probable one, or, with
    --draws, draws of all missing cells of a row together. Observed cells stay as they are. The file has the columns and
    types that the model was fitted to.
    """
    arguments.check_place(out, read=[model, data])

    from ...files.writing import write_rows, write_table
    from ...saving import load_estimator
    from .inputs import read_rows_for

    estimator = load_estimator(model)
    _, rows = read_rows_for(estimator, data)
    made = estimator.impute(rows, draws, seed)
    missing = _missing_cells(rows)
    if draws is None:
        write_rows(made, out)
    else:
        write_table(_stacked(made, out), out)
    facts = {"rows": len(rows), "filled": missing, "draws": draws, "out": str(out)}
    how = "" if draws is None else f", {draws} times"
    print_result(facts, f"{missing:,} missing cells of {len(rows):,} rows filled in{how}. Written to {out}", as_json)


def _missing_cells(rows: Any) -> int:
    """How many cells of a table or of series are missing."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(rows, pa.Table):
        # An array of numbers, or of series one by one.
        return sum(int(np.isnan(np.asarray(row, np.float64)).sum()) for row in rows)
    gaps = (pc.call_function("is_null", [column], pc.NullOptions(nan_is_null=True)) for column in rows.columns)
    return sum(pc.call_function("sum", [gap]).as_py() or 0 for gap in gaps)


def _stacked(copies: list[Any], out: Path) -> Any:
    """Completed tables one below the other, with the numbers of the draw, from 1, and of the row, from 0, in front."""
    import pyarrow as pa

    from ...files.writing import table_of

    tables = []
    for draw, copy in enumerate(copies, start=1):
        table = table_of(copy, out)
        row = pa.array(range(table.num_rows), pa.int64())
        numbers = pa.array([draw] * table.num_rows, pa.int64())
        tables.append(table.add_column(0, "row", row).add_column(0, "draw", numbers))
    return pa.concat_tables(tables)
