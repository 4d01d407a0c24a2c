"""Where along its steps, or at which of its pixels, a row is unusual."""

import math

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..domains.base import Domain
from ..parts.likelihood import Likelihood
from ..variants.base import Variant
from .inference import as_input, in_batches, scoring_rows

# The share of the fitted rows' steps or pixels that count as unusual.
UNUSUAL_SHARE = 0.001
# Fitted rows whose pixels say what is unusual: each has many.
MOST_PICTURES = 500
# How often the unusual part of a row is replaced before it is scored, and the largest share that is.
ROUNDS, MOST_REPLACED = 5, 0.25
# Unusual steps with fewer usual ones between them are one stretch.
BRIDGED_STEPS = 3


def place_scores(
    model: Variant, domain: Domain, x: Tensor, device: torch.device, threshold: float = -math.inf
) -> np.ndarray:
    """log p of the values at each step or pixel given the row's code, (rows, steps), in nats; NaN where there are none.

    The code is the posterior mean. Values with a density count in the domain's scaled units. With a `threshold`, the
    code is that of the row's usual part: the worst steps below it, at most a quarter, are replaced by what is expected
    of them, and the row is encoded anew, some times over. Else one odd stretch would spoil what is expected elsewhere.
    """
    places = _places(domain)
    steps = int(places.max()) + 1
    counted = torch.from_numpy(places >= 0).to(device)
    at = torch.from_numpy(places[places >= 0]).to(device)

    def scored(rows: Tensor, given: Tensor) -> tuple[Tensor, Likelihood]:
        """The scores of `rows` by the codes of `given`, and the likelihood by those codes."""
        likelihood = model.likelihood(model.posterior(given).mean)
        log_prob = likelihood.log_prob_per_feature(rows)[:, counted]
        observed = (~rows.flatten(1)[:, counted].isnan()).to(log_prob.dtype)
        sums = log_prob.new_zeros(2, len(rows), steps).index_add_(2, at, torch.stack([log_prob, observed]))
        return sums[0].masked_fill(sums[1] == 0, torch.nan), likelihood

    def of_batch(rows: Tensor) -> Tensor:
        rows = as_input(rows)
        scores, likelihood = scored(rows, rows)
        for _ in range(ROUNDS if threshold > -math.inf else 0):
            worst = scores.nan_to_num(torch.inf).argsort(dim=1).argsort(dim=1) < steps * MOST_REPLACED
            odd = torch.zeros_like(rows, dtype=torch.bool).flatten(1)
            odd[:, counted] = (worst & (scores < threshold))[:, at]
            replaced = odd.view_as(rows) & ~rows.isnan()
            scores, likelihood = scored(rows, torch.where(replaced, likelihood.guess_beside(rows), rows))
        return scores

    numbers = math.prod(x.shape[1:]) * domain.numbers_per_cell
    return in_batches(of_batch, x, scoring_rows(numbers, ROUNDS + 1), device).double().numpy()


def unusual_threshold(scores: np.ndarray) -> float:
    """The score of a step or a pixel below which it is unusual, from the scores of fitted rows."""
    return float(np.nanquantile(scores, UNUSUAL_SHARE))


def unusual_stretches(
    domain: Domain, x: Tensor, expected: Tensor, row_scores: np.ndarray, scores: np.ndarray, threshold: float, most: int
) -> pa.Table:
    """One row for each stretch of unusual steps, of each row's `most` worst, worst first; columns as `unusual_cells`.

    `value` and `expected` are those of the stretch's worst step, or of texts the stretch; its `excess` is how far its
    steps' scores lie below the threshold, in nats, summed.
    """
    values, instead = domain.values(x), domain.values(expected)
    found: list[tuple[int, float, str, str, str, float]] = []
    for row, own in enumerate(scores):
        below = np.nan_to_num(threshold - own).clip(min=0.0)
        stretches = [(float(below[stretch].sum()), stretch) for stretch in _stretches(below > 0)]
        for excess, stretch in sorted(stretches, key=lambda each: -each[0])[:most]:
            worst = stretch.start + int(below[stretch].argmax())
            last = stretch.stop - 1
            name = f"step {worst}" if stretch.start == last else f"steps {stretch.start}–{last}"
            steps = range(stretch.start, stretch.stop)
            texts = (domain.told(values[row], steps, worst), domain.told(instead[row], steps, worst))
            found.append((row, float(row_scores[row]), name, *texts, excess))
    kinds = [pa.int64(), pa.float64(), pa.string(), pa.string(), pa.string(), pa.float64()]
    names = ["row", "score", "column", "value", "expected", "excess"]
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    return pa.table([pa.array(cells, kind) for cells, kind in zip(columns, kinds, strict=True)], names=names)


def _places(domain: Domain) -> np.ndarray:
    places = domain.places
    assert places is not None
    return places


def _stretches(unusual: np.ndarray) -> list[slice]:
    steps = np.flatnonzero(unusual)
    parts = np.split(steps, np.flatnonzero(np.diff(steps) > BRIDGED_STEPS) + 1)
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]
