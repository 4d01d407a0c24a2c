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
    `column_3`: the columns that made a flagged row one, whose cells the rest of the row makes most surprising, measured
    against what is usual for each column.
    """
    arguments.check_place(out, read=[model, data])

    import pyarrow as pa

    from ...files.writing import write_table
    from ...saving import load
    from .inputs import read_rows_for, row_ids

    estimator = load(model)
    source, rows = read_rows_for(estimator, data)
    scores = estimator.score_samples(rows)
    flags = scores < estimator.offset_
    columns = {"row": row_ids(source, len(scores)), "score": pa.array(scores), "flag": pa.array(flags)}
    write_table(pa.table(columns | _blamed(estimator, rows, flags)), out)
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


def _blamed(estimator: "Estimator", rows: Any, flags: "np.ndarray") -> "dict[str, pa.Array]":
    """The columns that made each flagged row one, the worst first; none for images, whose columns are pixels."""
    import numpy as np
    import pyarrow as pa
    import torch

    from ...explaining import excess_surprise

    domain = estimator.domain_
    if domain.picture_kind == "image":
        return {}
    named = np.full((len(flags), min(NAMED_COLUMNS, len(domain.column_names))), None, dtype=object)
    if flags.any():
        surprise = excess_surprise(estimator, domain.tensors(rows)[torch.from_numpy(flags)])
        worst = np.argsort(-surprise, axis=1, kind="stable")[:, : named.shape[1]]
        names = np.array(domain.column_names, dtype=object)[worst]
        names[np.take_along_axis(surprise, worst, axis=1) <= 0] = None
        named[flags] = names
    return {f"column_{place + 1}": pa.array(column, pa.string()) for place, column in enumerate(named.T)}
