"""What the commands write of rows: codes, scores, rows decoded; the same for a whole file and for a slice of it."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..core.errors import DataError
from ..core.sparse import dense
from ..estimator.base import Estimator
from ..estimator.detector import Detector
from ..explaining import explained_scores

# Columns named for each row that is unusual.
NAMED_COLUMNS = 3


def codes_of(estimator: Estimator, rows: Any) -> pa.Table:
    """The codes of rows, one column for each latent unit."""
    # Models compute in single precision: nothing is lost, and files are half as large.
    codes = np.asarray(estimator.transform(rows), np.float32)
    names = [str(name) for name in estimator.get_feature_names_out()]
    return pa.table([pa.array(column) for column in codes.T], names=names)


def scores_of(estimator: Estimator | Detector, rows: Any, row_ids: pa.Array) -> pa.Table:
    """`row`, `score`, `flag` and, for tables, the columns that made a flagged row one, the worst first.

    Of each such column its name (`column_1`), the cell (`value_1`) and what was expected instead (`expected_1`).
    """
    scores = estimator.score_samples(rows)
    flags = scores < estimator.offset_
    columns = {"row": row_ids, "score": pa.array(scores), "flag": pa.array(flags)}
    return pa.table(columns | _blamed(estimator, rows, scores, flags))


def numbers_of(estimator: Estimator, rows: Any, place: str) -> np.ndarray:
    """Codes (rows, latent_dim): the columns of a table that hold them, by name; a matrix as it is.

    Raises DataError, naming `place`, if a column is missing or holds something else than a number in every row.
    """
    if not isinstance(rows, pa.Table):
        return rows
    columns = []
    names = [str(name) for name in estimator.get_feature_names_out()]
    following = f"{names[0].removesuffix('0')}{len(names)}"
    if following in rows.column_names:
        raise DataError(
            f"{place}: holds codes of more than {len(names)} units, and this model has {len(names)}; decode them with "
            "the model that made them"
        )
    for name in names:
        if name not in rows.column_names:
            has = ", ".join(rows.column_names[:8])
            raise DataError(f"{place}: column '{name}' is missing; codes of this model need it, and the file has {has}")
        column = rows.column(str(name))
        if column.null_count or not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise DataError(f"{place}: column '{name}' should hold a number in every row; make the codes with encode")
        columns.append(column.to_numpy())
    return np.stack(columns, axis=1)


def own_columns(estimator: Estimator, rows: Any) -> Any:
    """The columns that the model was fitted to, in its order, if the table has them all; else the rows as they are."""
    names = estimator.domain_.column_names
    return rows.select(names) if isinstance(rows, pa.Table) and set(names) <= set(rows.column_names) else rows


def _blamed(estimator: Estimator | Detector, rows: Any, scores: np.ndarray, flags: np.ndarray) -> dict[str, pa.Array]:
    """What made each flagged row one, the worst first; of series stretches of steps and of images regions of pixels,
    which only a model names."""
    domain = estimator.domain_
    if not domain.explicable and (domain.place_name is None or isinstance(estimator, Detector)):
        return {}
    named = min(NAMED_COLUMNS, len(domain.column_names))
    texts = np.full((len(flags), named, 3), None, dtype=object)
    if flags.any():
        x, flagged = dense(domain.tensors(rows))[torch.from_numpy(flags)], np.flatnonzero(flags)
        if isinstance(estimator, Detector):
            cells = estimator.explain_tensors(x, scores[flags], named)
        else:
            cells = explained_scores(estimator, x, scores[flags], named)
        row = cells.column("row").to_numpy()
        # Cells of one row follow one another: its first one is where its number first stands.
        place = np.arange(len(row)) - np.searchsorted(row, row)
        for part, name in enumerate(("column", "value", "expected")):
            texts[flagged[row], place, part] = cells.column(name).to_pylist()
    return {
        f"{name}_{place + 1}": pa.array(texts[:, place, part], pa.string())
        for place in range(named)
        for part, name in enumerate(("column", "value", "expected"))
    }
