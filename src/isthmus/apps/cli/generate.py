"""`isthmus generate`: new rows like those that the model was trained on."""

from typing import Annotated

import typer

from . import arguments
from .screen import print_result


def generate(
    model: arguments.Model,
    out: arguments.Rows,
    rows: Annotated[int, typer.Option("-n", "--rows", metavar="N", help="How many rows.", min=1)] = 1000,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Another seed gives other rows.  [default: the model's own]", show_default=False
        ),
    ] = None,
    as_json: arguments.Json = False,
) -> None:
    """Write new rows, drawn from the model."""
    arguments.check_place(out, folder=out.is_dir())

    from ...files.writing import write_rows
    from ...saving import load

    estimator = load(model)
    write_rows(estimator.sample(rows, random_state=seed), out)
    print_result({"rows": rows, "out": str(out)}, f"{rows:,} new rows. Written to {out}", as_json)
