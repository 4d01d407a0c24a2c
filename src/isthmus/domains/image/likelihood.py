"""How likely images are given their codes: every pixel by itself, and where sizes differ the height and the width."""

import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from ...parts.distributions import Bernoulli, BetaBinomial, DiscretisedLogistic, Distribution, Gaussian
from ...parts.likelihood import Likelihood
from .sizes import Canvas, SizeRanks

# How many numbers a decoder gives for each value of a pixel.
OUTPUTS_PER_VALUE = {"bernoulli": 1, "gaussian": 1, "discretised_logistic": 2, "beta_binomial": 2}
INTEGER_LIKELIHOODS = ("discretised_logistic", "beta_binomial")
# And how many for the height and the width, where they differ.
OUTPUTS_FOR_SIZES = 4
# Beyond this many times the range a Gaussian's density would be that of infinity.
LARGEST_INTENSITY = 1e4


class ImageHead(nn.Module):
    """Decoder outputs (..., values · outputs per value) → the likelihood of images."""

    def __init__(self, family: str, event: tuple[int, int, int], low: float, high: float):
        super().__init__()
        self.family, self.event = family, event
        self.low, self.range = low, (high - low) or 1.0
        if family == "gaussian":
            # One noise scale for all pixels, learned (σ-VAE, Rybkin et al., 2021, https://arxiv.org/abs/2006.13202).
            self.log_scale = nn.Parameter(torch.tensor(-1.0))

    def forward(self, outputs: Tensor) -> "ImageLikelihood":
        return ImageLikelihood(self, self.distribution(outputs))

    def distribution(self, outputs: Tensor) -> Distribution:
        """The distributions of intensities; for the beta-binomial, of steps from the lowest."""
        if self.family == "bernoulli":
            return Bernoulli(outputs)
        if self.family == "gaussian":
            return Gaussian(outputs, self.log_scale.clamp(-6.0, 4.0))
        first, second = outputs.chunk(2, dim=-1)
        if self.family == "beta_binomial":
            return BetaBinomial(round(self.range), first.clamp(-8.0, 8.0), second.clamp(-8.0, 8.0))
        # Starting at half the range, an eighth of it wide, every pixel value is likely enough to learn from.
        return DiscretisedLogistic(first + 0.5, (second - 2.0).clamp(-8.0, 3.0), 1.0 / self.range, 0.0, 1.0)


class ImageLikelihood(Likelihood):
    """Pixels independent given the codes."""

    def __init__(self, head: ImageHead, pixels: Distribution):
        self.head, self.pixels = head, pixels
        # Beta-binomials count steps; the others speak of intensities.
        self.per_intensity = head.range if head.family == "beta_binomial" else 1.0

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        intensities = (x.to(torch.float32) - self.head.low) / self.head.range
        if self.head.family == "gaussian":
            intensities = intensities.clamp(-LARGEST_INTENSITY, LARGEST_INTENSITY)
        else:
            # A mass has nothing beyond black and white: what lies there counts as the nearest.
            intensities = intensities.clamp(0.0, 1.0)
        return self.pixels.log_prob((intensities * self.per_intensity).flatten(-3))

    def sample(self, randomness: Randomness) -> Tensor:
        return self._images(self.pixels.sample(randomness))

    def mode(self) -> Tensor:
        return self._images(self.pixels.mean)

    def _images(self, values: Tensor) -> Tensor:
        intensities = (values.to(torch.float32) / self.per_intensity).clamp(0.0, 1.0)
        return intensities.unflatten(-1, self.head.event) * self.head.range + self.head.low


class SizedImageHead(nn.Module):
    """Decoder outputs (..., values · outputs per value + those for sizes) → the likelihood of images of many sizes."""

    def __init__(self, pixels: ImageHead, canvas: Canvas):
        super().__init__()
        self.pixels, self.canvas, self.ranks = pixels, canvas, SizeRanks(canvas)

    @property
    def more(self) -> int:
        """How many outputs stand after those of pixels."""
        return OUTPUTS_FOR_SIZES if self.canvas.varied else 0

    def forward(self, outputs: Tensor) -> "SizedImageLikelihood":
        pixels, of_sizes = outputs[..., : outputs.shape[-1] - self.more], outputs[..., outputs.shape[-1] - self.more :]
        return SizedImageLikelihood(self, self.pixels(pixels), self._sides(of_sizes))

    def _sides(self, outputs: Tensor) -> list[Distribution | None]:
        """The distributions of the ranks of height and width; None where there is but one."""
        sides: list[Distribution | None] = []
        for place, fitted in enumerate((self.canvas.heights, self.canvas.widths)):
            if len(fitted) == 1:
                sides.append(None)
                continue
            own = outputs[..., 2 * place : 2 * place + 2]
            # Starting at the middle size, an eighth of all ranks wide.
            log_scale = (own[..., 1:] - 2.0).clamp(-8.0, 3.0)
            sides.append(DiscretisedLogistic(own[..., :1] + 0.5, log_scale, 1.0 / (len(fitted) - 1), 0.0, 1.0))
        return sides


class SizedImageLikelihood(Likelihood):
    """Height, width and pixels independent given the codes; what lies beyond a picture has log-probability 0."""

    def __init__(
        self,
        head: SizedImageHead,
        pixels: ImageLikelihood,
        sides: list[Distribution | None],
        known: Tensor | None = None,
    ):
        self.head, self.pixels, self.sides = head, pixels, sides
        self.known = known  # sizes (rows, 2) that are not to be drawn

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        sizes, pixels = self.head.canvas.split(x)
        nothing = pixels.isnan()
        shown = pixels.masked_fill(nothing, self.head.pixels.low).unflatten(-1, self.head.canvas.event)
        of_pixels = self.pixels.log_prob_per_feature(shown).masked_fill(nothing, 0.0)
        ranks = self.head.ranks(sizes)
        of_sizes = [
            torch.zeros_like(of_pixels[..., :1])
            if side is None
            else side.log_prob(ranks[..., place : place + 1]).masked_fill(sizes[..., place : place + 1].isnan(), 0.0)
            for place, side in enumerate(self.sides)
        ]
        return torch.cat([*of_sizes, of_pixels], -1)

    def given(self, x: Tensor) -> "SizedImageLikelihood":
        """The distribution of pictures as large as those of x."""
        return SizedImageLikelihood(self.head, self.pixels, self.sides, self.head.canvas.split(x)[0])

    def sample(self, randomness: Randomness) -> Tensor:
        pixels = self.pixels.sample(randomness).flatten(-3)
        ranks = [torch.zeros_like(pixels[..., :1]) if side is None else side.sample(randomness) for side in self.sides]
        sizes = self._own_or(self.head.ranks.sizes(torch.cat(ranks, -1)))
        return torch.cat([sizes.to(pixels.dtype), self.head.canvas.ended(sizes, pixels)], -1)

    def mode(self) -> Tensor:
        pixels = self.pixels.mode().flatten(-3)
        ranks = [torch.zeros_like(pixels[..., :1]) if side is None else side.mode for side in self.sides]
        sizes = self._own_or(self.head.ranks.sizes(torch.cat(ranks, -1)))
        return torch.cat([sizes.to(pixels.dtype), self.head.canvas.ended(sizes, pixels)], -1)

    def _own_or(self, sizes: Tensor) -> Tensor:
        """The known sizes, and these where none is known."""
        if self.known is None:
            return sizes
        return torch.where(self.known.isnan(), sizes, self.known.to(sizes.dtype))
