"""p(x|z): what a decoder says about rows, given their codes."""

from abc import ABC, abstractmethod

from torch import Tensor

from ..core.randomness import Randomness


class Likelihood(ABC):
    """The distribution of rows given codes. Leading dimensions of the codes (draws) come before the rows everywhere.

    Features are what a domain's rows are made of: columns of a table, pixels of an image. A missing cell (NaN) is no
    evidence, its log-probability is 0, unless a likelihood says how probable it is that a cell is missing.
    """

    @abstractmethod
    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        """Log-probability in nats of each feature, shape (..., rows, features)."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability in nats of each row, shape (..., rows)."""
        return self.log_prob_per_feature(x).sum(-1)

    def objective(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """What training raises, in nats, shape (..., rows): `log_prob`, where a likelihood does not say otherwise.

        `seen` are the rows as the encoder saw them, if cells were hidden from it.
        """
        return self.log_prob(x)

    def given(self, x: Tensor) -> "Likelihood":
        """The distribution of rows that agree with `x` in what the likelihood takes as known, such as a row's total.

        The same, where it takes nothing.
        """
        return self

    def without_context(self) -> "Likelihood":
        """Each feature given the codes alone: the same, where features do not depend on one another."""
        return self

    def shares(self) -> Tensor | None:
        """For rows of symbols: how frequent each symbol is in a row, given the codes alone, (..., rows, symbols)."""
        return None

    def guess_beside(self, x: Tensor) -> Tensor:
        """The best single guess of each feature of rows x, given the codes and, where features depend on one another,
        those of x that come before."""
        return self.given(x).mode()

    @abstractmethod
    def sample(self, randomness: Randomness) -> Tensor:
        """Rows drawn from the distribution, in the domain's tensor form."""

    @abstractmethod
    def mode(self) -> Tensor:
        """The best single guess of each row: the expected value of numbers, the most probable category."""
