"""Networks of rows of several parts: each part's own, that meet in one code."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.likelihood import Likelihood
from ...parts.networks import ACTIVATIONS

# What each part says of a row to the layer where all meet.
SAID_BY_A_PART = 64


class Layout:
    """Where each part's cells stand in a tensor (…, cells), and the shape that the part's own tensors have."""

    def __init__(self, events: Sequence[Sequence[int]]):
        self.events = [tuple(event) for event in events]
        self.sizes = [int(torch.Size(event).numel()) for event in self.events]

    def split(self, x: Tensor) -> list[Tensor]:
        """Each part's own tensor (…, *event)."""
        parts = x.split(self.sizes, dim=-1)
        return [part.unflatten(-1, event) for part, event in zip(parts, self.events, strict=True)]

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Parts side by side, (…, cells)."""
        flat = [part.flatten(-len(event)) for part, event in zip(parts, self.events, strict=True)]
        kind = torch.float64 if any(part.dtype == torch.float64 for part in flat) else torch.float32
        return torch.cat([part.to(kind) for part in flat], dim=-1)


class PartFeatures(nn.Module):
    """Each part's features, side by side."""

    def __init__(self, layout: Layout, features: Sequence[nn.Module]):
        super().__init__()
        self.layout = layout
        self.features = nn.ModuleList(features)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([each(part) for each, part in zip(self.features, self.layout.split(x), strict=True)], dim=-1)


class PartEncoder(nn.Module):
    """Features (…, features) → outputs: every part's own network says something, and one layer hears them all."""

    def __init__(self, counts: Sequence[int], networks: Sequence[nn.Module], outputs: int, activation: str):
        super().__init__()
        self.counts = list(counts)
        self.networks = nn.ModuleList(networks)
        self.together = nn.Sequential(ACTIVATIONS[activation](), nn.Linear(SAID_BY_A_PART * len(self.counts), outputs))

    def forward(self, features: Tensor) -> Tensor:
        said = zip(self.networks, features.split(self.counts, dim=-1), strict=True)
        return self.together(torch.cat([network(own) for network, own in said], dim=-1))


class PartDecoder(nn.Module):
    """Codes (…, latent_dim) → every part's likelihood: independent of one another, given the code."""

    def __init__(self, layout: Layout, decoders: Sequence[nn.Module]):
        super().__init__()
        self.layout = layout
        self.decoders = nn.ModuleList(decoders)

    def forward(self, z: Tensor) -> "PartLikelihood":
        return PartLikelihood(self.layout, [decoder(z) for decoder in self.decoders])


class PartLikelihood(Likelihood):
    """log p(row|z) = Σ log p(part|z)."""

    def __init__(self, layout: Layout, likelihoods: Sequence[Likelihood]):
        self.layout = layout
        self.likelihoods = list(likelihoods)

    def _each(self, x: Tensor) -> list[tuple[Likelihood, Tensor]]:
        return list(zip(self.likelihoods, self.layout.split(x), strict=True))

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        return torch.cat([own.log_prob_per_feature(part) for own, part in self._each(x)], dim=-1)

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.stack([own.log_prob(part) for own, part in self._each(x)]).sum(0)

    def objective(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        parts = [None] * len(self.likelihoods) if seen is None else self.layout.split(seen)
        pairs = zip(self._each(x), parts, strict=True)
        return torch.stack([own.objective(part, seen_part) for (own, part), seen_part in pairs]).sum(0)

    def given(self, x: Tensor) -> "PartLikelihood":
        return PartLikelihood(self.layout, [own.given(part) for own, part in self._each(x)])

    def without_context(self) -> "PartLikelihood":
        return PartLikelihood(self.layout, [own.without_context() for own in self.likelihoods])

    def guess_beside(self, x: Tensor) -> Tensor:
        return self.layout.joined([own.guess_beside(part) for own, part in self._each(x)])

    def sample(self, randomness: Randomness) -> Tensor:
        return self.layout.joined([own.sample(randomness) for own in self.likelihoods])

    def mode(self) -> Tensor:
        return self.layout.joined([own.mode() for own in self.likelihoods])
