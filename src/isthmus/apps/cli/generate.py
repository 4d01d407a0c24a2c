"""`isthmus generate`: new rows like those that the model was trained on."""

from typing import Annotated

import typer

from ...core.errors import OptionError
from . import arguments
from .parts import wants_new_parts, write_new
from .screen import print_result


def generate(
    model: arguments.Model,
    out: arguments.Rows,
    rows: Annotated[int, typer.Option("-n", "--rows", metavar="N", help="How many rows.", min=1)] = 1000,
    where: arguments.Where = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Another seed gives other rows.  [default: the model's own]", show_default=False
        ),
    ] = None,
    engine: arguments.Engine = None,
    workers: arguments.Workers = None,
    as_json: arguments.Json = False,
) -> None:
    """Write new rows, drawn from the model.

    To a folder they are drawn part by part, each part with a seed of its own: the rows are other ones than in a file,
    and the same whoever draws them. Memory stays bounded, and the same command goes on where an earlier one was ended.
    """
    arguments.check_place(out, folder=out.is_dir(), read=[model])
    conditions = arguments.conditions(where)

    from ...files.limits import MAXIMUM_BYTES
    from ...files.writing import write_rows
    from ...saving import load_estimator

    estimator = load_estimator(model)
    if wants_new_parts(out, engine, workers, images=estimator.domain_.picture_kind == "image"):
        from ..batch.planning import plan_rows

        own_seed = estimator._seed if seed is None else seed
        manifest = plan_rows(model, rows, estimator.n_features_in_, own_seed, conditions)
        write_new(manifest, model, out, engine, workers, conditions, as_json)
        return
    most = MAXIMUM_BYTES // (8 * estimator.n_features_in_)
    if rows > most:
        raise OptionError(f"--rows {rows}: at most {most:,} rows of this model are made at once; give fewer")
    write_rows(estimator.sample(rows, where=conditions, random_state=seed), out)
    print_result({"rows": rows, "out": str(out)}, f"{rows:,} new rows. Written to {out}", as_json)
