"""From a score of any unit to the share of usual rows that would have it: what makes an alarm rate a promise."""

from dataclasses import dataclass

import numpy as np

# Beyond the held-out rows the tail is an exponential; its scale is told by this share of them, the highest.
TAIL_SHARE = 0.1


@dataclass(frozen=True)
class Tail:
    """How often held-out rows reach a score: `levels`, rising, and the natural logarithm of the share at each.

    Beyond the highest level the share falls by e with every `scale`.
    """

    levels: np.ndarray
    log_shares: np.ndarray
    scale: float

    @classmethod
    def of(cls, scores: np.ndarray) -> "Tail":
        """The tail of the scores of rows that the model has not learnt from, shape (rows,), at least one.

        Among n such rows and one more of their kind, the share of rows that score as high as the new one, itself
        counted, is below a rate with at most that probability, whatever the scores' distribution (split conformal
        prediction: Vovk et al., 2005; for outliers Bates et al., 2023, https://arxiv.org/abs/2104.08279). Between
        two levels the share is interpolated from above, so that the promise stays true down to a rate of 2 / (n + 1).
        """
        levels, counts = np.unique(scores, return_counts=True)
        reaching = counts[::-1].cumsum()[::-1]
        log_shares = np.log(np.minimum(1.0, (reaching + 1) / (len(scores) + 1)))
        highest = np.sort(scores)[-max(2, round(TAIL_SHARE * len(scores))) :]
        excess = float(highest.mean() - highest.min())
        # Where all of them are equal nothing is known of the scale, but its order of magnitude.
        return cls(levels, log_shares, excess or max(1e-3 * abs(float(levels[-1])), 1e-9))

    def log_share(self, scores: np.ndarray) -> np.ndarray:
        """The logarithm of the share of usual rows that score as high, at most 0, shape (rows,)."""
        beyond = np.maximum(scores - self.levels[-1], 0.0) / self.scale
        return np.interp(scores, self.levels, self.log_shares) - beyond
