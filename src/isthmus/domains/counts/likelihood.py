"""p(counts | code, total of the row)."""

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.distributions import Distribution, Multinomial, NegativeBinomial, Poisson, ZeroInflated
from ...parts.likelihood import Likelihood
from .totals import Totals

FAMILIES = ("multinomial", "poisson", "negative_binomial", "zero_inflated_negative_binomial")
# The logarithm of the inverse dispersion stays within this, either way: 3,000 is a Poisson distribution to all
# purposes, and differences of log-gamma functions of larger numbers lose digits.
LARGEST_LOG_DISPERSION = 8.0
# Below this share of a row's total no column's rate counts.
LEAST_LOG_SHARE = -30.0


class CountHead(nn.Module):
    """Decoder outputs (..., rows, columns · outputs per column) → the likelihood of counts.

    Outputs are added to the logarithm of each column's share in all fitted counts, so that training starts from there.
    """

    log_shares: Tensor  # (columns,)

    def __init__(self, family: str, log_shares: Tensor, totals: Totals):
        super().__init__()
        self.family, self.totals = family, totals
        self.register_buffer("log_shares", log_shares.float(), persistent=False)
        if "negative_binomial" in family:
            # One for each column, as of single cells' genes (Lopez et al. 2018).
            self.log_inverse_dispersion = nn.Parameter(torch.zeros(len(log_shares)))

    @property
    def outputs_per_column(self) -> int:
        return 2 if self.family == "zero_inflated_negative_binomial" else 1

    def forward(self, outputs: Tensor) -> "CountLikelihood":
        return CountLikelihood(self, outputs, None)


class CountLikelihood(Likelihood):
    """A row's total, times shares that sum to 1 over the columns, are the rates of its counts.

    A row's own total is taken as known wherever the row is: log_prob is log p(row | code, total), and for all but the
    multinomial, which is exact, below it: Σ over rows of that total is less than 1. Rows that are drawn have totals
    drawn from the fitted ones, and the best guess has the median total, unless `given` says which.
    """

    def __init__(self, head: CountHead, outputs: Tensor, totals: Tensor | None):
        self.head, self.outputs, self.totals = head, outputs, totals

    def given(self, x: Tensor) -> "CountLikelihood":
        return CountLikelihood(self.head, self.outputs, _totals(x))

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        return self._counts(_totals(x)).log_prob(x.to(self.outputs.dtype))

    def sample(self, randomness: Randomness) -> Tensor:
        totals = self.totals
        if totals is None:
            totals = self.head.totals.sample((*self.outputs.shape[:-1], 1), randomness)
        return self._counts(totals).sample(randomness)

    def mode(self) -> Tensor:
        typical = self.outputs.new_full((1,), self.head.totals.typical)
        return self._counts(typical if self.totals is None else self.totals).mean

    def _counts(self, totals: Tensor) -> Distribution | Multinomial:
        head, columns = self.head, len(self.head.log_shares)
        logits = self.outputs[..., :columns] + head.log_shares
        if head.family == "multinomial":
            return Multinomial(totals, logits)
        log_shares = torch.log_softmax(logits, -1).clamp_min(LEAST_LOG_SHARE)
        log_rates = totals.clamp_min(1e-6).log() + log_shares
        if head.family == "poisson":
            return Poisson(log_rates)
        dispersion = head.log_inverse_dispersion.clamp(-LARGEST_LOG_DISPERSION, LARGEST_LOG_DISPERSION)
        counts = NegativeBinomial(log_rates, dispersion)
        if head.family == "negative_binomial":
            return counts
        # Few zeros too many at the start: the counts are learnt first.
        return ZeroInflated(counts, self.outputs[..., columns:] - 3.0)


def _totals(x: Tensor) -> Tensor:
    """(rows, 1), float32."""
    return x.sum(-1, keepdim=True).to(torch.float32)
