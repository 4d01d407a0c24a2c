"""Pictures changed at random, as training sees them: mirrored, shifted, cut out and enlarged."""

import torch
from torch import Tensor

from ...core.randomness import Randomness

AUGMENTATIONS = ("flip", "shift", "crop")
# A shift is at most this share of a side, and a crop keeps at least that share of it.
FARTHEST_SHIFT, LEAST_KEPT = 1 / 8, 3 / 4


def augmented(x: Tensor, held: Tensor, kinds: tuple[str, ...], randomness: Randomness) -> Tensor:
    """Images x (rows, channels, height, width), each changed in its own way; `held` (rows, 2) is how many of the pixels
    down and across are the picture's, what lies beyond stays as it is.

    "flip" mirrors every second picture, left to right; "shift" moves each by up to an eighth of its sides, and its edge
    fills what it leaves; "crop" enlarges a part of at least three quarters of both sides to the whole. Pixels are taken
    from the nearest place, so that numbers stay those of the picture (as Shorten & Khoshgoftaar, 2019, review,
    https://doi.org/10.1186/s40537-019-0197-0).
    """
    draws = randomness.uniform(len(x), 6)
    rows, columns = torch.arange(x.shape[-2], device=x.device), torch.arange(x.shape[-1], device=x.device)
    kept = LEAST_KEPT + (1 - LEAST_KEPT) * draws[:, 0:1] if "crop" in kinds else torch.ones_like(draws[:, 0:1])
    down = _sources(rows, held[:, 0:1], kept, draws[:, 1:2], draws[:, 2:3], "shift" in kinds)
    across = _sources(columns, held[:, 1:2], kept, draws[:, 3:4], draws[:, 4:5], "shift" in kinds)
    if "flip" in kinds:
        mirrored = torch.where(columns < held[:, 1:2], held[:, 1:2].long() - 1 - across, across)
        across = torch.where(draws[:, 5:6] < 0.5, mirrored, across)
    x = x.gather(2, down[:, None, :, None].expand(*x.shape[:3], x.shape[3]))
    return x.gather(3, across[:, None, None, :].expand(*x.shape[:3], x.shape[3]))


def _sources(places: Tensor, held: Tensor, kept: Tensor, start: Tensor, shift: Tensor, shifts: bool) -> Tensor:
    """From which place along one side each place takes its pixel, (rows, places)."""
    moved = ((2 * shift - 1) * FARTHEST_SHIFT * held).round() if shifts else torch.zeros_like(held)
    source = (start * (1 - kept) * held + (places + 0.5) * kept).floor() - moved
    source = torch.minimum(source.clamp(min=0), held - 1)
    return torch.where(places < held, source, places).long()
