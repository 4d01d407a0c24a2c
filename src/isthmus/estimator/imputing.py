"""Missing cells of tables and series, filled in by what the observed ones say.

Codes are drawn from q(z|observed cells), and weighted by p(observed cells|z) p(z) / q(z|observed cells), so that they
stand for p(z|observed cells) even where the encoder is wrong about it (MIWAE: Mattei & Frellsen, 2019,
https://arxiv.org/abs/1812.02633, Eq. 12 to 14). Where columns depend on one another given the codes, missing cells are
drawn with them, in the table's order, and weighted by the observed cells that come after; best guesses then take each
cell's distribution given all others, drawn or left missing (`AutoregressiveLikelihood.expected`).
"""

from typing import Any

import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.randomness import EvenRandomness, Randomness
from ..domains.base import Domain
from ..domains.table import Table
from ..domains.table.evidence import Evidence, Expectations
from ..variants.base import Variant
from .inference import as_input, in_batches, scoring_rows

# Draws of each row's codes, and numbers that each cell takes meanwhile, about.
DRAWS, NUMBERS_PER_CELL = 64, 16


def imputed(model: Variant, domain: Domain, x: Tensor, copies: int | None, seed: int, device: torch.device) -> Tensor:
    """The rows x (rows, cells) of a table or of series with missing cells filled in: (copies, rows, cells), float64.

    Without `copies`, one copy of best guesses, which for each row depend on that row alone: the mean of numbers, the
    most probable category. With, draws of all missing cells of a row together.
    """
    filled = x.double().expand(copies or 1, *x.shape).clone()
    incomplete = torch.nonzero(x.isnan().any(-1)).flatten()
    if not len(incomplete):
        return filled
    size = scoring_rows(x.shape[1] * NUMBERS_PER_CELL, DRAWS)
    gaps = x[incomplete]
    if copies is None:

        def guesses(rows: Tensor) -> Tensor:
            randomness = EvenRandomness(seed, "impute", device=device)
            if isinstance(domain, Table):
                return _guesses(model, rows, Expectations(domain.columns), randomness)
            return _expected(model, rows, randomness)

        made = in_batches(guesses, gaps, size, device).unsqueeze(0)
    else:
        randomness = Randomness(seed, "impute", device=device)
        draws = _draws if isinstance(domain, Table) else _independent_draws
        made = in_batches(lambda rows: draws(model, rows, copies, randomness), gaps, size, device).movedim(1, 0)
    filled[:, incomplete] = torch.where(gaps.isnan(), made, gaps.double())
    return filled


def table_of(domain: Domain) -> Table:
    """The domain, which has to be that of a table."""
    if not isinstance(domain, Table):
        raise DataError(f"missing cells are those of tables and series; the model was fitted to {domain.called}")
    return domain


def filled(domain: Domain, rows: Any, tensor: Tensor) -> Any:
    """Rows as they were given, with the missing cells of the tensor."""
    return domain.filled(rows, tensor) if isinstance(domain, Table) else domain.rows(tensor)


def check_imputable(domain: Domain) -> None:
    """Raises DataError unless cells of such rows can be missing and filled in: those of tables and of series."""
    if domain.place_name != "step" or not domain.side_by_side:
        table_of(domain)


def _guesses(model: Variant, x: Tensor, expectations: Expectations, randomness: Randomness) -> Tensor:
    """Best guesses of all cells of rows x, (rows, columns)."""
    log_ratio, likelihood = _weighted_codes(model, x, randomness)
    return expectations.guess(likelihood.expected(Evidence.of_rows(x), log_ratio, randomness))


def _draws(model: Variant, x: Tensor, copies: int, randomness: Randomness) -> Tensor:
    """Draws of all cells of rows x, (rows, copies, columns): of the weighted ones, one for each copy by its weight."""
    log_weights, likelihood = _weighted_codes(model, x, randomness)
    cells, of_observed = likelihood.completed(Evidence.of_rows(x), randomness)  # (draws, rows, columns)
    chosen = _chosen(log_weights + of_observed, copies, randomness)
    return cells.movedim(0, 1).gather(1, chosen.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def _chosen(log_weights: Tensor, copies: int, randomness: Randomness) -> Tensor:
    """For each row and copy the number of a draw, by the weights (draws, rows); shape (rows, copies)."""
    weights = log_weights.double().softmax(0).T.contiguous()
    at = randomness.uniform(weights.shape[0], copies).double()
    return torch.searchsorted(weights.cumsum(-1), at).clamp(max=DRAWS - 1)


# Where cells are independent of one another given the codes.


def _expected(model: Variant, x: Tensor, randomness: Randomness) -> Tensor:
    """The mean of all cells of rows x given the observed ones, (rows, cells)."""
    log_ratio, likelihood = _weighted_codes(model, x, randomness)
    weights = (log_ratio + likelihood.log_prob(as_input(x))).double().softmax(0)
    return (weights.unsqueeze(-1) * likelihood.given(as_input(x)).mode().double()).sum(0)


def _independent_draws(model: Variant, x: Tensor, copies: int, randomness: Randomness) -> Tensor:
    """Draws of all cells of rows x given the observed ones, (rows, copies, cells)."""
    x = as_input(x)
    posterior = model.posterior(x)
    z = posterior.sample(randomness, DRAWS)  # (draws, rows, units)
    log_weights = posterior.log_ratio(model.prior(), z) + model.likelihood(z).log_prob(x)
    chosen = _chosen(log_weights, copies, randomness)
    codes = z.movedim(0, 1).gather(1, chosen.unsqueeze(-1).expand(-1, -1, z.shape[-1])).movedim(0, 1)
    return model.likelihood(codes).given(x).sample(randomness).double().movedim(0, 1)


def _weighted_codes(model: Variant, x: Tensor, randomness: Randomness) -> tuple[Tensor, Any]:
    """log p(z) − log q(z|x) of codes from the posterior, (draws, rows), and p(x|z) of a table."""
    posterior = model.posterior(as_input(x))
    z = posterior.sample(randomness, DRAWS)
    return posterior.log_ratio(model.prior(), z), model.likelihood(z)
