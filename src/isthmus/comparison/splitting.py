"""Rows to train on, rows to stop by, rows to measure on."""

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse

from ..core.errors import DataError
from ..core.parts import Parts
from ..core.randomness import Randomness
from ..core.rows import taken
from ..domains.base import Rows

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
FEWEST_ROWS = 20
# More test rows than this would only make measuring slower: a share's standard error is below 0.005 already.
MOST_TEST_ROWS = 10_000


@dataclass(frozen=True)
class Part:
    """Some of the rows, and their target values if there are any."""

    rows: Rows
    target: np.ndarray | None

    def __len__(self) -> int:
        return self.rows.shape[0]


def split_target(rows: Rows, target: Any) -> tuple[Rows, np.ndarray | None, str | None]:
    """Rows without the target, its values, and its name; `target` is a column's name or an array of values."""
    if isinstance(rows, dict):
        rows = Parts(rows)
    if target is None:
        return rows, None, None
    if not isinstance(target, str):
        values = np.asarray(target)
        if len(values) != rows.shape[0]:
            raise DataError(f"{len(values)} target values for {rows.shape[0]} rows; give as many")
        return rows, values, "target"
    if isinstance(rows, Parts):
        return _split_target_of_a_part(rows, target)
    if isinstance(rows, np.ndarray) or scipy.sparse.issparse(rows):
        raise DataError(f"target '{target}': an array has no named columns; give the target's values as an array")
    frame = nw.from_native(rows, eager_only=True)
    if target not in frame.columns:
        raise DataError(
            f"there is no column '{target}' to be the target; the columns are {', '.join(frame.columns[:12])}"
        )
    return frame.drop(target).to_native(), frame[target].to_numpy(), target


def _split_target_of_a_part(parts: Parts, target: str) -> tuple[Parts, np.ndarray, str]:
    """The target is a column of one part's table; a table of nothing else is left out."""
    for name, rows in parts.items():
        if target in getattr(rows, "column_names", getattr(rows, "columns", ())):
            rest, values, _ = split_target(rows, target)
            assert values is not None
            others = {key: part for key, part in parts.items() if key != name}
            return Parts(others | ({name: rest} if rest.shape[1] else {})), values, target
    raise DataError(f"no part has a column '{target}' to be the target; the parts are {', '.join(parts)}")


def split(whole: Part, test: Part | None, seed: int) -> tuple[Part, Part, Part]:
    """Training, validation and test parts; with a test part of its own, all other rows are for the first two.

    Each part is in random order: files are often sorted, by class or by date, and measures that look at some rows of a
    part take the first ones.
    """
    if len(whole) < FEWEST_ROWS:
        raise DataError(f"{len(whole)} rows are too few to split and compare on; give at least {FEWEST_ROWS}")
    order = Randomness(seed, "split").numpy().permutation(len(whole))
    held_out = 0 if test is not None else min(MOST_TEST_ROWS, round(len(whole) * TEST_SHARE))
    stopping = max(2, min(MOST_TEST_ROWS, round((len(whole) - held_out) * VALIDATION_SHARE)))
    pieces = np.split(order, [held_out, held_out + stopping])
    if test is not None:
        held_out_part = _picked(test, Randomness(seed, "test order").numpy().permutation(len(test)))
    else:
        held_out_part = _picked(whole, pieces[0])
    return _picked(whole, pieces[2]), _picked(whole, pieces[1]), held_out_part


def _picked(part: Part, index: np.ndarray) -> Part:
    return Part(taken(part.rows, index), None if part.target is None else part.target[index])
