"""`isthmus score`: how usual each row is, and which columns make it unusual."""

from . import arguments
from .parts import wants_parts, write_folder
from .screen import print_result


def score(
    model: arguments.Model,
    data: arguments.Data,
    out: arguments.Rows,
    engine: arguments.Engine = None,
    workers: arguments.Workers = None,
    as_json: arguments.Json = False,
) -> None:
    """Write how usual each row is, and why.

    Columns of the result: `row` (its number from 0, or the image's file), `score` (higher is more usual: of a detector
    the log of the share of usual rows that are as unusual, of other models log p(x) in nats), `flag` (true for
    outliers: scores below the threshold that was fitted), and for tables `column_1`, `value_1`, `expected_1` to
    `expected_3`: the columns that made a flagged row one, whose cells are most unusual beside the rest of the row, the
    cells, and what was expected instead. From a folder of Parquet to a folder, memory stays bounded, and the same
    command goes on where an earlier one was ended.
    """
    if wants_parts(data, out, engine, workers):
        arguments.check_place(out, folder=True, read=[model, data])
        write_folder("score", model, data, out, engine, workers, as_json)
        return
    arguments.check_place(out, read=[model, data])

    from ...files.writing import write_table
    from ...saving import load
    from ..results import scores_of
    from .inputs import read_rows_for, row_ids

    estimator = load(model)
    source, rows = read_rows_for(estimator, data)
    table = scores_of(estimator, rows, row_ids(source, rows.shape[0]))
    write_table(table, out)
    scores, flags = table.column("score").to_numpy(), table.column("flag").to_numpy()
    facts = {
        "rows": len(scores),
        "flagged": int(flags.sum()),
        "threshold": estimator.offset_,
        "mean_score": float(scores.mean()),
        "unit": "nats per row",
        "out": str(out),
    }
    flagged = f"{facts['flagged']:,} of {len(scores):,} rows flagged: scores below {estimator.offset_:.4g} nats"
    print_result(facts, f"{flagged}. Written to {out}", as_json)
