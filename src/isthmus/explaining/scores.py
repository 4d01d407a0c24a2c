"""Which columns make a row unusual."""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.sparse import dense
from ..domains.image import Image
from ..estimator.base import Estimator
from ..estimator.inference import as_input, batch_rows, in_batches
from ..estimator.places import place_scores, unusual_stretches
from ..estimator.regions import unusual_regions
from ..estimator.unusual_cells import the_cells_left_out, unusual_cells, without_each_cell

# Generated rows that say what is usual for a column, and draws of the codes for each score.
USUAL_ROWS = 256
SURPRISE_DRAWS = 4
# Rows, each without one of its cells, that are decoded at a time.
EXPLAINED_ROWS = 4096


def excess_surprise(estimator: Estimator, x: Tensor) -> np.ndarray:
    """For tables: how much more surprising each cell is than its column usually is, in nats, shape (rows, columns).

    A cell's surprise given the rest of its row, −log p(cell | others) = log p(others) − log p(row), is found by scoring
    the row with the cell and without it. What is usual for a column is the median over rows that the model itself
    generates, so a row's numbers depend on the row alone. Missing cells have 0.
    """
    generated = dense(estimator.sample_tensors(USUAL_ROWS, estimator._seed))
    usual = np.median(_surprise(estimator, generated), axis=0)
    return np.where(x.isnan().numpy(), 0.0, _surprise(estimator, x) - usual)


def explained_scores(estimator: Estimator, x: Tensor, scores: np.ndarray, most_columns: int = 3) -> pa.Table:
    """The columns that make each row of a table unusual, in the form of `unusual_cells`; the excess is in nats.

    What was expected instead of a cell is decoded from the row without it. Of series, stretches of steps are told, of
    images regions of pixels.
    """
    if estimator.domain_.place_name == "step":
        return _stretches(estimator, x, scores, most_columns)
    if isinstance(estimator.domain_, Image):
        of_pixels = place_scores(estimator.model_, estimator.domain_, x, estimator._device, estimator.pixel_threshold())
        return unusual_regions(
            estimator.domain_,
            x,
            estimator.reconstruct_tensors(x),
            scores,
            of_pixels,
            estimator.pixel_threshold(),
            most_columns,
        )
    columns = x.shape[1]
    domain, size = estimator.domain_, max(1, EXPLAINED_ROWS // columns)
    guesses = np.empty(x.shape)
    for start in range(0, len(x), size):
        rest = without_each_cell(x[start : start + size])
        decoded = domain.matrix(estimator.decode_tensors(estimator.encode_tensors(rest)))
        guesses[start : start + size] = the_cells_left_out(decoded, columns)
    excess = excess_surprise(estimator, x)
    return unusual_cells(domain, x, scores, excess, domain.from_matrix(guesses), most_columns)


def _stretches(estimator: Estimator, x: Tensor, scores: np.ndarray, most: int) -> pa.Table:
    domain = estimator.domain_
    model = estimator.model_

    def guesses(rows: Tensor) -> Tensor:
        rows = as_input(rows)
        return model.likelihood(model.posterior(rows).mean).guess_beside(rows)

    expected = in_batches(guesses, x, batch_rows(x.shape[1] * domain.numbers_per_cell), estimator._device)
    of_steps = place_scores(estimator.model_, domain, x, estimator._device, estimator.step_offset_)
    return unusual_stretches(domain, x, expected, scores, of_steps, estimator.step_offset_, most)


def _surprise(estimator: Estimator, x: Tensor) -> np.ndarray:
    whole = estimator.score_tensors(x, SURPRISE_DRAWS)
    surprise = np.empty(x.shape)
    for column in range(x.shape[1]):
        rest = x.clone()
        rest[:, column] = torch.nan
        surprise[:, column] = estimator.score_tensors(rest, SURPRISE_DRAWS) - whole
    return surprise
