"""Pictures of sizes of their own ↔ the corner of one canvas, whole or reduced; and sizes ↔ their ranks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

# The numbers before the pixels of a row: the picture's own height and width.
SIZE_NUMBERS = 2
# With largest_side="auto", pictures that are reduced are to this.
AUTO_LARGEST_SIDE = 64


def extents(sizes: Tensor, largest_side: int | None, canvas: tuple[int, int] | None = None) -> Tensor:
    """How many pixels (…, 2), down and across, pictures of these own sizes (…, 2) are worked on with; float64.

    A longer side beyond `largest_side` is reduced to it, and what is still larger than the canvas, as no fitted picture
    is, until it fits; proportions are kept up to rounding.
    """
    held = sizes.double().nan_to_num(1.0).clamp(min=1.0)
    if largest_side is not None:
        held = (held * (largest_side / held.amax(-1, keepdim=True)).clamp(max=1.0)).round().clamp(min=1.0)
    if canvas is not None:
        room = held.new_tensor(canvas)
        held = torch.minimum((held * (room / held).amin(-1, keepdim=True).clamp(max=1.0)).round().clamp(min=1.0), room)
    return held


@dataclass(frozen=True)
class Canvas:
    """One canvas for pictures of many sizes, each in its top left corner. A row is the picture's own height and width,
    then its pixels (channels · height · width of the canvas), NaN beyond the picture."""

    channels: int
    height: int
    width: int
    largest_side: int | None
    heights: tuple[int, ...]  # of the fitted pictures, their own, each once, rising
    widths: tuple[int, ...]

    @property
    def event(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    @property
    def varied(self) -> bool:
        """Whether sizes are something to be learned."""
        return len(self.heights) > 1 or len(self.widths) > 1

    @property
    def reduces(self) -> bool:
        """Whether some fitted picture was reduced."""
        return self.largest_side is not None and max(self.heights[-1], self.widths[-1]) > self.largest_side

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Own sizes (…, 2) and pixels (…, channels · height · width)."""
        return x[..., :SIZE_NUMBERS], x[..., SIZE_NUMBERS:]

    def extents(self, sizes: Tensor) -> Tensor:
        return extents(sizes, self.largest_side, (self.height, self.width))

    def inside(self, sizes: Tensor) -> Tensor:
        """Which pixels belong to pictures of these sizes: boolean (…, channels · height · width)."""
        held = self.extents(sizes)
        down = torch.arange(self.height, device=sizes.device) < held[..., :1]
        across = torch.arange(self.width, device=sizes.device) < held[..., 1:]
        plane = (down.unsqueeze(-1) & across.unsqueeze(-2)).flatten(-2)
        return plane.repeat(*[1] * (plane.dim() - 1), self.channels)

    def ended(self, sizes: Tensor, pixels: Tensor) -> Tensor:
        """The pixels with NaN beyond each picture."""
        return pixels.masked_fill(~self.inside(sizes), torch.nan)


class SizeRanks(nn.Module):
    """Own heights and widths ↔ where they stand among the fitted ones, 0 for the smallest to 1; others count as the
    nearest."""

    heights: Tensor
    widths: Tensor

    def __init__(self, canvas: Canvas):
        super().__init__()
        for name, sides in (("heights", canvas.heights), ("widths", canvas.widths)):
            self.register_buffer(name, torch.tensor(sides, dtype=torch.float64), persistent=False)

    def forward(self, sizes: Tensor) -> Tensor:
        pairs = zip((self.heights, self.widths), sizes.split(1, -1), strict=True)
        return torch.cat([_rank(fitted, sides) for fitted, sides in pairs], -1)

    def sizes(self, ranks: Tensor) -> Tensor:
        pairs = zip((self.heights, self.widths), ranks.split(1, -1), strict=True)
        return torch.cat([_side(fitted, rank) for fitted, rank in pairs], -1)


def _rank(fitted: Tensor, sides: Tensor) -> Tensor:
    middles = (fitted[1:] + fitted[:-1]) / 2
    places = torch.bucketize(sides.nan_to_num(0.0).double().contiguous(), middles)
    return places.float() / max(1, len(fitted) - 1)


def _side(fitted: Tensor, rank: Tensor) -> Tensor:
    places = (rank * (len(fitted) - 1)).round().long().clamp(0, len(fitted) - 1)
    return fitted[places].float()


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture (height, width, channels) in another size, in float32: smaller by the mean over the area that each
    pixel covers, larger by straight lines between the pixels' middles; as it is if it has that size."""
    if picture.shape[:2] == (height, width):
        return picture
    if height < picture.shape[0] or width < picture.shape[1]:
        picture = _smaller(picture, min(height, picture.shape[0]), min(width, picture.shape[1]))
    if picture.shape[:2] == (height, width):
        return picture
    tensor = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None]
    larger = interpolate(tensor, size=(height, width), mode="bilinear", align_corners=False)
    return larger[0].permute(1, 2, 0).numpy()


def _smaller(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    # Whole pictures in floats could be larger than memory: one row of the result after the other.
    bands = (_mean(picture[rows], shares) for rows, shares in _bands(picture.shape[0], height))
    columns = _bands(picture.shape[1], width)
    return np.stack([np.stack([_mean(band[part], shares) for part, shares in columns]) for band in bands])


def _bands(before: int, after: int) -> list[tuple[slice, np.ndarray]]:
    """For each of `after` pixels those of `before` that it covers, and the share that each has of it."""
    edges = np.arange(after + 1) * (before / after)
    bands = []
    for start, end in pairwise(edges.tolist()):
        first, last = int(start), min(before, int(np.ceil(end - 1e-9)))
        pixels = np.arange(first, last)
        covered = np.minimum(end, pixels + 1) - np.maximum(start, pixels)
        bands.append((slice(first, last), (covered / covered.sum()).astype(np.float32)))
    return bands


def _mean(part: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.tensordot(shares, part.astype(np.float32), axes=1)
