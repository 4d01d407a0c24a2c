"""How likely series are given their codes: every value by itself, around what the decoder expects."""

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.distributions import DiscretisedLogistic, Distribution, Gaussian, StudentT
from ...parts.likelihood import Likelihood

FAMILIES = ("gaussian", "student_t")
# Beyond so many standard deviations a Gaussian's density would be that of infinity.
LARGEST = 1e4
# Degrees of freedom that heavy tails start from, and the fewest: there is a variance above 2.
DEGREES, LEAST_DEGREES = 5.0, 2.0


class Scale(nn.Module):
    """Series' own numbers ↔ standard deviations of their channels; and lengths ↔ their ranks among the fitted ones.

    Cells are (rows, steps · channels), step by step; with `lengths` the length comes first.
    """

    mean: Tensor
    spread: Tensor
    lengths: Tensor

    def __init__(self, steps: int, mean: list[float], spread: list[float], lengths: list[int] | None):
        super().__init__()
        self.steps, self.channels = steps, len(mean)
        self.has_lengths = lengths is not None
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64), persistent=False)
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float64), persistent=False)
        self.register_buffer("lengths", torch.tensor(lengths or [steps], dtype=torch.float64), persistent=False)

    @property
    def varied(self) -> bool:
        """Whether lengths are something to be learned."""
        return len(self.lengths) > 1

    def split(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        """The lengths (..., 1) and the values (..., steps · channels)."""
        return (x[..., :1], x[..., 1:]) if self.has_lengths else (None, x)

    def joined(self, lengths: Tensor, values: Tensor) -> Tensor:
        return torch.cat([lengths.to(values.dtype), values], -1) if self.has_lengths else values

    def scaled(self, values: Tensor) -> Tensor:
        """Standard deviations from the channel's mean; 0 where a value is missing. Subtracted in the values' type."""
        mean, spread = self._each(self.mean, values), self._each(self.spread, values)
        return ((values - mean) / spread).nan_to_num(0.0, LARGEST, -LARGEST)

    def unscaled(self, scaled: Tensor) -> Tensor:
        return scaled * self._each(self.spread, scaled) + self._each(self.mean, scaled)

    def _each(self, of_channels: Tensor, like: Tensor) -> Tensor:
        """A number of each channel as one of each cell."""
        return of_channels.to(like.dtype).repeat(self.steps)

    def rank(self, lengths: Tensor) -> Tensor:
        """Where lengths stand among the fitted ones, 0 for the shortest to 1; others count as the nearest."""
        middles = (self.lengths[1:] + self.lengths[:-1]) / 2
        places = torch.bucketize(lengths.nan_to_num(0.0).double().contiguous(), middles)
        return places.float() / max(1, len(self.lengths) - 1)

    def length(self, rank: Tensor) -> Tensor:
        places = (rank * (len(self.lengths) - 1)).round().long().clamp(0, len(self.lengths) - 1)
        return self.lengths[places].float()

    def ended(self, lengths: Tensor, values: Tensor) -> Tensor:
        """The values with NaN beyond each series' end."""
        step = torch.arange(self.steps, device=values.device).repeat_interleave(self.channels)
        return values.masked_fill(step >= lengths, torch.nan)


class SeriesHead(nn.Module):
    """Decoder outputs (..., outputs) → the likelihood of series.

    One noise scale for each channel is learned, or one for all (σ-VAE, Rybkin et al., 2021,
    https://arxiv.org/abs/2006.13202).
    """

    def __init__(self, family: str, scale: Scale, shared_noise: bool):
        super().__init__()
        self.family, self.scale = family, scale
        self.log_noise = nn.Parameter(torch.full((1 if shared_noise else scale.channels,), -1.0))
        if family == "student_t":
            self.log_degrees = nn.Parameter(torch.full_like(self.log_noise, DEGREES - LEAST_DEGREES).log())

    @property
    def outputs(self) -> int:
        return self.scale.steps * self.scale.channels + 2 * self.scale.varied

    def forward(self, outputs: Tensor) -> "SeriesLikelihood":
        cells = self.scale.steps * self.scale.channels
        values, lengths = outputs[..., :cells], outputs[..., cells:]
        return SeriesLikelihood(self.scale, self._values(values), self._lengths(lengths))

    def _values(self, location: Tensor) -> Distribution:
        log_noise = self._each(self.log_noise.clamp(-6.0, 4.0))
        if self.family == "gaussian":
            return Gaussian(location, log_noise)
        return StudentT(self._each(LEAST_DEGREES + self.log_degrees.clamp(-6.0, 6.0).exp()), location, log_noise)

    def _each(self, of_channels: Tensor) -> Tensor:
        return of_channels.expand(self.scale.channels).repeat(self.scale.steps)

    def _lengths(self, outputs: Tensor) -> Distribution | None:
        if not self.scale.varied:
            return None
        # Starting at the middle length, an eighth of all ranks wide.
        step = 1.0 / (len(self.scale.lengths) - 1)
        return DiscretisedLogistic(outputs[..., :1] + 0.5, (outputs[..., 1:] - 2.0).clamp(-8.0, 3.0), step, 0.0, 1.0)


class SeriesLikelihood(Likelihood):
    """Values are independent given the codes; a missing one, or one beyond the end, has log-probability 0.

    The length is drawn among the fitted ones.
    """

    def __init__(self, scale: Scale, values: Distribution, lengths: Distribution | None, known: Tensor | None = None):
        self.scale, self.values, self.lengths = scale, values, lengths
        self.known = known  # lengths (rows, 1) that are not to be drawn

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        lengths, values = self.scale.split(x)
        scaled = self.scale.scaled(values).clamp(-LARGEST, LARGEST)
        log_prob = self.values.log_prob(scaled).masked_fill(values.isnan(), 0.0)
        if lengths is None:
            return log_prob
        if self.lengths is None:
            return torch.cat([torch.zeros_like(log_prob[..., :1]), log_prob], -1)
        of_length = self.lengths.log_prob(self.scale.rank(lengths)).masked_fill(lengths.isnan(), 0.0)
        return torch.cat([of_length, log_prob], -1)

    def given(self, x: Tensor) -> "SeriesLikelihood":
        """The distribution of series that are as long as those of x."""
        return SeriesLikelihood(self.scale, self.values, self.lengths, self.scale.split(x)[0])

    def sample(self, randomness: Randomness) -> Tensor:
        values = self.scale.unscaled(self.values.sample(randomness))
        rank = torch.zeros_like(values[..., :1]) if self.lengths is None else self.lengths.sample(randomness)
        lengths = self._own_or(self.scale.length(rank))
        return self.scale.joined(lengths, self.scale.ended(lengths, values) if self.scale.has_lengths else values)

    def mode(self) -> Tensor:
        """The expected values, also beyond the expected length, for series that are longer."""
        values = self.scale.unscaled(self.values.mean)
        rank = torch.zeros_like(values[..., :1]) if self.lengths is None else self.lengths.mode
        return self.scale.joined(self._own_or(self.scale.length(rank)), values)

    def _own_or(self, lengths: Tensor) -> Tensor:
        """The known lengths, and these where none is known."""
        if self.known is None:
            return lengths
        return torch.where(self.known.isnan(), lengths, self.known.to(lengths.dtype))
