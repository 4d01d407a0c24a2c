"""How many bits a row would take: the ideal code length, before any bytes are written.

A model with density p(x|z) p(z) and a posterior q(z|x) can code a row in −log₂ p(x, z) + log₂ q(z|x) bits on average:
the negative evidence lower bound, reached by bits-back coding (Townsend et al., 2019,
https://arxiv.org/abs/1901.04866). A deterministic code gets a Gaussian around it, as wide as pays best on the
validation rows: a narrow one costs bits for the code, a wide one for the row. Real numbers cost what their own
precision needs.
"""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..core.randomness import Randomness
from ..core.sparse import HeldRows
from ..domains.base import Domain
from ..estimator.base import Estimator
from ..estimator.inference import as_input, in_batches
from ..parts.posteriors import GaussianPosterior

# Widths tried, in standard deviations of each code over the validation rows.
WIDTHS = tuple(2.0**-power for power in range(0, 11))
BATCH = 256
DECIMALS = 6


def negative_bound(estimator: Estimator, validation: HeldRows, x: HeldRows) -> np.ndarray:
    """The negative evidence lower bound of each row in nats, in the tensor's own units, shape (rows,)."""
    if not estimator.model_.point_codes or estimator.model_.prior().discrete:
        return _losses(estimator, x, None)
    spread = estimator.encode_tensors(validation).std(0)
    costs = [_losses(estimator, validation, _log_scale(spread, width)).mean() for width in WIDTHS]
    return _losses(estimator, x, _log_scale(spread, WIDTHS[int(np.argmin(costs))]))


def _log_scale(spread: Tensor, width: float) -> Tensor:
    return (spread.clamp(min=1e-6) * width).log()


def _losses(estimator: Estimator, x: HeldRows, log_scale: Tensor | None) -> np.ndarray:
    model, device = estimator.model_, estimator._device
    randomness = Randomness(estimator._seed, "code length", device=device)

    def loss(batch: Tensor) -> Tensor:
        posterior = model.posterior(batch)
        if log_scale is not None:
            posterior = GaussianPosterior(posterior.mean, log_scale.to(device).expand_as(posterior.mean))
        z = posterior.sample(randomness)
        return -(model.likelihood(z).log_prob(batch) + model.prior().log_prob(z) - posterior.log_prob(z))

    return in_batches(loss, as_input(x), BATCH, device).double().numpy()


@dataclass(frozen=True)
class Precision:
    """How finely the rows' own numbers are given.

    `steps`, shape (columns,): the step of the values in columns with a density; 1 in others, whose values have a
    probability each. `fixed_width_bits`: bits per row when each cell is a whole number of fixed width, without a model.
    """

    steps: np.ndarray
    fixed_width_bits: float

    def log_volume(self, values: np.ndarray) -> np.ndarray:
        """log of the volume of the grid's cell around each row (rows, columns), in nats; missing cells have none."""
        return ~np.isnan(values) @ np.log(self.steps)


def precision(domain: Domain, train: Tensor) -> Precision:
    """The precision of training rows.

    The step of a column is the coarsest 10⁻ᵏ that all observed values are multiples of, k up to 6; values with no such
    step, or that all lie within it, get 24 bits of their range. Pixels share one step: a pixel that is black in every
    training image was as finely given as the others.
    """
    if domain.picture_kind == "text" and not domain.side_by_side:
        return Precision(np.ones(train.shape[1]), 8 * _bytes_of_texts(domain.pictures(train)))
    values, density, categorical = domain.values(train), domain.density, domain.categorical
    steps, bits = np.ones(values.shape[1]), 0.0
    for column in range(values.shape[1]):
        observed = values[~np.isnan(values[:, column]), column]
        if not len(observed):
            continue
        step = _step(observed)
        steps[column] = step if density[column] else 1.0
        levels = len(np.unique(observed)) if categorical[column] else np.ptp(observed) / step + 1
        bits += math.log2(levels + (len(observed) < len(values)))
    if not domain.named_columns:
        steps[density] = steps.min()  # a constant pixel, whose step is unknown, has 1
    return Precision(steps, bits)


def _bytes_of_texts(texts: list[str]) -> float:
    """Of each in UTF-8, on average, with the end of its line."""
    return 1 + sum(len(text.encode()) for text in texts) / max(1, len(texts))


def _step(values: np.ndarray) -> float:
    extent = float(np.ptp(values))
    for decimals in range(DECIMALS + 1):
        if 0 < extent < 10.0**-decimals:
            continue  # all within one step: rounding would leave nothing of them
        if np.allclose(values, np.round(values, decimals), rtol=1e-12, atol=10.0 ** -(decimals + 6)):
            return 10.0**-decimals
    return extent / 2**24 or 1.0
