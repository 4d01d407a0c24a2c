"""`isthmus score`: how usual each row is, and which columns make it unusual."""

from typing import TYPE_CHECKING, Any

from . import arguments
from .screen import print_result

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ...estimator.base import Estimator

# Columns named for each row.
NAMED_COLUMNS = 3


def score(model: arguments.Model, data: arguments.Data, out: arguments.Rows, as_json: arguments.Json = False) -> None:
    """Write how usual each row is, and why.

    Columns of the result: `row` (its number from 0, or the image's file), `score` (log p(x) in nats, higher is more
    usual), `flag` (true for outliers: scores below the threshold that was fitted), and for tables `column_1` to
    `column_3`: the columns that lower the score most, measured against what is usual for each column.
    """
    arguments.check_place(out)

    import pyarrow as pa

    from ...files.writing import write_table
    from ...saving import load
    from .inputs import read_rows_for, row_ids

    estimator = load(model)
    source, rows = read_rows_for(estimator, data)
    scores = estimator.score_samples(rows)
    flags = scores < estimator.offset_
    columns = {"row": row_ids(source, len(scores)), "score": pa.array(scores), "flag": pa.array(flags)}
    write_table(pa.table(columns | _blamed(estimator, rows)), out)
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


def _blamed(estimator: "Estimator", rows: Any) -> "dict[str, pa.Array]":
    """The columns that lower each row's score most, the worst first; none for images, whose columns are pixels."""
    import numpy as np
    import pyarrow as pa

    from ...explaining import excess_surprise

    if estimator.domain_.picture_kind == "image":
        return {}
    surprise = excess_surprise(estimator, estimator.domain_.tensors(rows))
    names = np.array(estimator.domain_.column_names, dtype=object)
    order = np.argsort(-surprise, axis=1, kind="stable")
    return {
        f"column_{place + 1}": pa.array(_names_at(names, surprise, order[:, place]), pa.string())
        for place in range(min(NAMED_COLUMNS, len(names)))
    }


def _names_at(names: "np.ndarray", surprise: "np.ndarray", columns: "np.ndarray") -> list[str | None]:
    """One column's name for each row, None where it is no more surprising than usual."""
    return [str(names[column]) if surprise[row, column] > 0 else None for row, column in enumerate(columns)]
