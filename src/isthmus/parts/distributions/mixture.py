"""Finite mixtures."""

import torch
from torch import Tensor

from ...core.randomness import Randomness
from .base import Distribution
from .categorical import Categorical
from .symmetric import Symmetric


class Mixture(Distribution):
    """K components with weights softmax(logits).

    The last dimension of `logits` (..., K) and the last batch dimension of `components` (..., K) number the components;
    the mixture's batch shape is what is left.
    """

    def __init__(self, logits: Tensor, components: Symmetric):
        self.logits = logits
        self.components = components

    def log_prob(self, x: Tensor) -> Tensor:
        log_weights = torch.log_softmax(self.logits, dim=-1)
        return torch.logsumexp(log_weights + self.components.log_prob(x.unsqueeze(-1)), dim=-1)

    def sample(self, randomness: Randomness) -> Tensor:
        """Draws from one component each, differentiable as the component's draws are, but not in the weights."""
        draws = self.components.sample(randomness)
        shape = torch.broadcast_shapes(draws.shape, self.logits.shape)
        chosen = Categorical(self.logits.expand(shape)).sample(randomness).long()
        return draws.expand(shape).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """log P(low ≤ x ≤ high) in nats."""
        return self._log_masses(low, high).logsumexp(-1)

    def sample_within(self, low: Tensor, high: Tensor, randomness: Randomness) -> Tensor:
        """Draws given low ≤ x ≤ high: of a component by its mass there, then from within it."""
        draws = self.components.sample_within(low.unsqueeze(-1), high.unsqueeze(-1), randomness)
        # Without any mass in any of them, the component does not matter, but has to be one.
        chosen = Categorical(self._log_masses(low, high).clamp(min=-1e300)).sample(randomness).long()
        return draws.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)

    def _log_masses(self, low: Tensor, high: Tensor) -> Tensor:
        """log P(component, low ≤ x ≤ high), (..., K)."""
        masses = self.components.log_mass(low.unsqueeze(-1), high.unsqueeze(-1))
        return torch.log_softmax(self.logits, dim=-1).double() + masses

    @property
    def mean(self) -> Tensor:
        return (torch.softmax(self.logits, dim=-1) * self.components.mean).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The likeliest under the mixture of its components' modes; the mixture's own peak lies near it."""
        modes = self.components.mode
        modes = modes.expand(torch.broadcast_shapes(modes.shape, self.logits.shape)).movedim(-1, 0)  # (K, ...)
        likeliest = self.log_prob(modes).argmax(0, keepdim=True)
        return modes.gather(0, likeliest).squeeze(0)
