"""`isthmus generate`: new rows like those that the model was trained on."""

from typing import Annotated

import typer

from ...core.errors import OptionError
from . import arguments
from .evaluate import Holdout
from .parts import wants_new_parts, write_new
from .screen import print_result


def generate(
    model: arguments.Model,
    out: arguments.Rows,
    rows: Annotated[int, typer.Option("-n", "--rows", metavar="N", help="How many rows.", min=1)] = 1000,
    where: arguments.Where = None,
    seed: arguments.SeedOfDraws = None,
    real: Annotated[
        str | None,
        typer.Option(
            "--real",
            metavar="DATA",
            help="The rows that the model learned from: says what the new rows give away of them.",
            show_default=False,
        ),
    ] = None,
    holdout: Holdout = None,
    engine: arguments.Engine = None,
    workers: arguments.Workers = None,
    as_json: arguments.Json = False,
) -> None:
    """Write new rows, drawn from the model.

    To a folder they are drawn part by part, each part with a seed of its own: the rows are other ones than in a file,
    and the same whoever draws them. Memory stays bounded, and the same command goes on where an earlier one was ended.
    With --real, and better with --holdout too, privacy figures follow; `isthmus evaluate` tells likeness as well.
    """
    known = [] if real is None else [real, *([] if holdout is None else [holdout])]
    arguments.check_place(out, folder=out.is_dir(), read=[model, *known])
    if holdout is not None and real is None:
        raise OptionError("--holdout is compared with the rows that the model learned from; give them with --real")
    conditions = arguments.conditions(where)

    from ...files.limits import MAXIMUM_BYTES
    from ...files.writing import write_rows
    from ...saving import load_estimator
    from .inputs import read_rows_for

    estimator = load_estimator(model)
    if wants_new_parts(out, engine, workers, images=estimator.domain_.picture_kind != "table"):
        from ..batch.planning import plan_rows

        if real is not None:
            raise OptionError(f"--real is for one file; write the parts first, then: isthmus evaluate {real} {out}")
        own_seed = estimator._seed if seed is None else seed
        manifest = plan_rows(model, rows, estimator.n_features_in_, own_seed, conditions)
        write_new(manifest, model, out, engine, workers, conditions, as_json)
        return
    most = MAXIMUM_BYTES // (8 * estimator.n_features_in_)
    if rows > most:
        raise OptionError(f"--rows {rows}: at most {most:,} rows of this model are made at once; give fewer")
    # Read before rows are drawn: what is wrong with them should not cost the time to draw.
    sets = [read_rows_for(estimator, place)[1] for place in known]
    new = estimator.sample(rows, where=conditions, random_state=seed)
    write_rows(new, out)
    facts, sentence = {"rows": rows, "out": str(out)}, f"{rows:,} new rows. Written to {out}"
    if sets:
        from ...evaluating import privacy_of

        found = privacy_of(sets[0], new, *sets[1:], random_state=estimator._seed if seed is None else seed)
        facts, sentence = facts | {"privacy": found.facts}, f"{sentence}\n\n{found}"
    print_result(facts, sentence, as_json)
