"""What networks see of images, and networks for images of many sizes."""

import math

import torch
from torch import Tensor, nn

from .sizes import Canvas, SizeRanks

# What lies beyond black (0) and white (1) ends here, so that no network meets numbers it cannot bear.
DARKEST, BRIGHTEST = -1.0, 2.0


class Intensities(nn.Module):
    """Images of their own numbers → flat intensities (rows, channels · height · width).

    Black is 0 and white is 1. What lies beyond ends at −1 and 2.
    """

    def __init__(self, low: float, high: float):
        super().__init__()
        self.low, self.range = low, (high - low) or 1.0

    def forward(self, x: Tensor) -> Tensor:
        return ((x.to(torch.float32) - self.low) / self.range).clamp(DARKEST, BRIGHTEST).flatten(1)


class SizedIntensities(nn.Module):
    """Images of many sizes → floats: intensities, 0 beyond a picture; and where sizes differ, a plane that says which
    pixels there are, and the ranks of the own height and width."""

    def __init__(self, canvas: Canvas, low: float, high: float):
        super().__init__()
        self.canvas, self.intensities, self.ranks = canvas, Intensities(low, high), SizeRanks(canvas)

    @property
    def planes(self) -> int:
        """Planes of the canvas that come first."""
        return self.canvas.channels + self.canvas.varied

    @property
    def count(self) -> int:
        return self.planes * self.canvas.height * self.canvas.width + 2 * self.canvas.varied

    def forward(self, x: Tensor) -> Tensor:
        sizes, pixels = self.canvas.split(x)
        seen = [self.intensities(pixels).nan_to_num(0.0)]
        if self.canvas.varied:
            plane = self.canvas.height * self.canvas.width
            seen += [(~pixels[..., :plane].isnan()).float(), self.ranks(sizes)]
        return torch.cat(seen, -1)


class BesidePlanes(nn.Module):
    """A network of planes (channels, height, width), to whose outputs what a linear map makes of the numbers that stand
    after the planes is added."""

    def __init__(self, planes: tuple[int, int, int], numbers: int, outputs: int, network: nn.Module):
        super().__init__()
        self.values = math.prod(planes)
        self.network = network
        self.numbers = nn.Linear(numbers, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.network(features[..., : self.values]) + self.numbers(features[..., self.values :])


class WithNumbers(nn.Module):
    """A decoder of planes, and after them a few numbers that a linear map makes of the codes."""

    def __init__(self, latent_dim: int, numbers: int, network: nn.Module):
        super().__init__()
        self.network = network
        self.numbers = nn.Linear(latent_dim, numbers)

    def forward(self, z: Tensor) -> Tensor:
        return torch.cat([self.network(z), self.numbers(z)], -1)
