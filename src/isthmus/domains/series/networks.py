"""What networks see of series, and convolutions along time."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...parts.networks import ACTIVATIONS, Residual
from .likelihood import Scale

# What lies farther out, in standard deviations, ends here, so that no network meets numbers it cannot bear.
FARTHEST_SEEN = 20.0


class SeriesFeatures(nn.Module):
    """Series → floats: the length's rank where lengths differ, scaled values, and with `masked` which are observed."""

    def __init__(self, scale: Scale, masked: bool):
        super().__init__()
        self.scale, self.masked = scale, masked

    @property
    def count(self) -> int:
        cells = self.scale.steps * self.scale.channels
        return self.scale.varied + cells * (1 + self.masked)

    def forward(self, x: Tensor) -> Tensor:
        lengths, values = self.scale.split(x)
        seen = [self.scale.scaled(values).float().clamp(-FARTHEST_SEEN, FARTHEST_SEEN)]
        if lengths is not None and self.scale.varied:
            seen = [self.scale.rank(lengths), *seen]
        if self.masked:
            seen.append((~values.isnan()).float())
        return torch.cat(seen, -1)


def halvings(steps: int, widths: Sequence[int]) -> list[int]:
    """The number of steps before each stride-2 convolution and after the last."""
    sizes = [steps]
    for _ in widths:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


class SeriesEncoder(nn.Module):
    """Features → outputs: stride-2 convolutions along time with a residual block after each, then a dense layer."""

    def __init__(self, features: SeriesFeatures, widths: Sequence[int], outputs: int, activation: str):
        super().__init__()
        scale = features.scale
        self.steps, self.channels, self.skipped = scale.steps, scale.channels, int(scale.varied)
        maps = scale.channels * (1 + features.masked)
        layers: list[nn.Module] = []
        for before, after in pairwise([maps, *widths]):
            layers += [nn.Conv1d(before, after, 5, stride=2, padding=2), *_followed(after, activation)]
            layers += [_block(after, activation)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.out = nn.Linear(widths[-1] * halvings(self.steps, widths)[-1], outputs)

    def forward(self, features: Tensor) -> Tensor:
        # The length is told by the mask. (rows, channels [+ masks], steps)
        planes = features[:, self.skipped :].unflatten(-1, (-1, self.steps, self.channels)).movedim(-1, 2)
        return self.out(self.layers(planes.flatten(1, 2)))


class SeriesDecoder(nn.Module):
    """Codes (..., latent_dim) → (..., steps · channels + more): the mirror image of `SeriesEncoder`."""

    def __init__(self, latent_dim: int, widths: Sequence[int], scale: Scale, more: int, activation: str):
        super().__init__()
        sizes = halvings(scale.steps, widths)
        self.start = nn.Sequential(nn.Linear(latent_dim, widths[-1] * sizes[-1]), ACTIVATIONS[activation]())
        self.shape = (widths[-1], sizes[-1])
        layers: list[nn.Module] = []
        wide = list(reversed(widths))
        for place, (before, after) in enumerate(pairwise([*wide, wide[-1]])):
            small, large = sizes[-1 - place], sizes[-2 - place]
            # A stride-2 transposed convolution of 5 gives 2n − 1 steps, or 2n with output_padding 1.
            layers += [_block(before, activation)]
            layers += [nn.ConvTranspose1d(before, after, 5, 2, padding=2, output_padding=large - (2 * small - 1))]
            layers += _followed(after, activation)
        self.layers = nn.Sequential(*layers, nn.Conv1d(wide[-1], scale.channels, 5, padding=2))
        self.more = nn.Linear(latent_dim, more) if more else None

    def forward(self, z: Tensor) -> Tensor:
        flat = z.reshape(-1, z.shape[-1])
        values = self.layers(self.start(flat).unflatten(-1, self.shape)).transpose(1, 2).flatten(1)
        if self.more is not None:
            values = torch.cat([values, self.more(flat)], -1)
        return values.reshape(*z.shape[:-1], -1)


def _followed(maps: int, activation: str) -> list[nn.Module]:
    """What stands after a convolution. Groups are the most up to 8 that divide the maps."""
    groups = max(groups for groups in range(1, 9) if maps % groups == 0)
    return [nn.GroupNorm(groups, maps), ACTIVATIONS[activation]()]


def _block(maps: int, activation: str) -> Residual:
    return Residual(nn.Sequential(nn.Conv1d(maps, maps, 3, padding=1), *_followed(maps, activation)))
