"""What a fit to a stream holds in memory: the schema of all its rows, and a random sample of them."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import domains
from ..core.errors import DataError
from ..core.randomness import Randomness
from ..core.sparse import dense
from ..domains.base import Domain, Rows, Survey
from ..files.streaming import Slice, Stream, rows_joined, rows_taken
from .checking import fitted_domain
from .fitting import FEWEST_VALIDATION_ROWS
from .inference import as_input
from .options import SharedOptions

# The sample: at most this many rows, and about this many bytes.
MOST_ROWS = 200_000
MOST_BYTES = 64 * 2**20
# Of the sample, at most this many rows are held out to stop by, are what a prior is fitted to, and what sizes are
# tried on.
MOST_HELD_OUT = 50_000
MOST_PRIOR_ROWS = 100_000
MOST_SEARCH_ROWS = 50_000
# What slices give to the sample is joined after so many of them.
MOST_PARTS = 64


@dataclass(frozen=True)
class Sample:
    """A domain, and a random sample of a stream's rows in random order, as the domain's exact tensor.

    The first `held_out` of them are never trained on; `numbers` are the rows' numbers in the stream.
    """

    domain: Domain
    x: Tensor
    numbers: np.ndarray
    held_out: int

    @property
    def validation(self) -> Tensor | None:
        return self.x[: self.held_out] if self.held_out else None

    @property
    def learned(self) -> Tensor:
        return self.x[self.held_out :]

    def tensors(self, rows: Rows) -> Tensor:
        """Other rows of the stream as models take them, in the one type that holds all of the stream."""
        return as_input(dense(self.domain.tensors(rows))).to(as_input(self.x[:1]).dtype)

    def digest(self, stream: Stream) -> str:
        """What a checkpoint must agree on: the files, by their footers, and the cells of the sample."""
        cells = np.ascontiguousarray(self.x.numpy()).tobytes()
        return sha256(stream.fingerprint().encode() + cells).hexdigest()


def sampled(stream: Stream, shared: SharedOptions, seed: int, checked: Callable[[Rows], Rows]) -> Sample:
    """One pass over a stream: its schema, exact but for the scales of numbers, which are the sample's, and the sample.

    `checked` is given the sample's rows before anything is fitted to them. Raises DataError naming the file.
    """
    count = min(stream.rows, MOST_ROWS, max(2, MOST_BYTES // stream.row_bytes))
    drawn = Randomness(seed, "sample of a stream").numpy().choice(stream.rows, count, replace=False)
    order = drawn.argsort()
    numbers = drawn[order]
    survey: Survey | None = None
    parts: list[Rows] = []
    for part in stream.slices():
        survey = survey or _survey(part.rows, shared)
        _look(survey, part)
        start, end = np.searchsorted(numbers, (part.first, part.first + len(part.rows)))
        if start < end:
            parts.append(rows_taken(part.rows, numbers[start:end] - part.first))
        if len(parts) == MOST_PARTS:
            parts = [rows_joined(parts)]
    assert survey is not None
    rows = checked(rows_joined(parts))
    if count == stream.rows:
        domain, fitted = fitted_domain(rows, shared), rows
    else:
        fitted = rows_joined([rows, survey.witnesses()])
        try:
            domain = survey.refined(fitted_domain(fitted, shared))
        except DataError as failure:
            raise DataError(f"{stream.name}, a sample of {count:,} rows: {failure}") from None
    # With the witnesses: the tensor's type must hold the largest number.
    x = dense(domain.tensors(fitted))[:count][torch.from_numpy(order.argsort())]
    return Sample(domain, x, drawn, _held_out(stream.rows, count, shared.validation_fraction))


def _held_out(rows: int, sample: int, share: float) -> int:
    """How many rows are held out of a sample of all: none where that share would be too few to say much."""
    count = min(round(rows * share), MOST_HELD_OUT)
    if sample < rows:
        count = min(count, sample // 2)
    return count if count >= FEWEST_VALIDATION_ROWS else 0


def _survey(rows: Rows, shared: SharedOptions) -> Survey:
    kind = domains.choose(rows) if shared.data == "auto" else domains.find(shared.data)
    if not kind.accepts(rows):
        raise DataError(f"data='{kind.name}' does not suit rows of shape {rows.shape[1:]}; leave it at data='auto'")
    return kind.survey()


def _look(survey: Survey, part: Slice) -> None:
    """Show a slice to the survey; what cannot be modelled is named by its place."""
    rows: Any = part.rows
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "f" and not np.isfinite(rows).all():
        place = np.argwhere(~np.isfinite(rows))[0]
        value = "NaN" if np.isnan(rows[tuple(place)]) else "infinity"
        row = part.row + int(place[0])
        raise DataError(f"{part.place}: row {row} holds {value}; remove it, or give a table with empty cells")
    try:
        survey.add(rows, part.row)
    except DataError as failure:
        raise DataError(f"{part.place}: {failure}") from None
