"""Which regions of a picture are unusual."""

import numpy as np
import pyarrow as pa
from scipy import ndimage
from torch import Tensor

from ..domains.image import Image

# Unusual pixels that touch once each has grown by so many pixels on all sides are one region.
GROWN_BY = 1
# So many nats below the threshold, a pixel of a heat map has two thirds of the full heat.
NATS_OF_HEAT = 5.0


def unusual_regions(
    domain: Image, x: Tensor, expected: Tensor, row_scores: np.ndarray, scores: np.ndarray, threshold: float, most: int
) -> pa.Table:
    """One row for each region of unusual pixels, of each picture's `most` worst, worst first; columns as
    `unusual_cells`.

    `column` says where the region is, in the picture's own rows and columns counted from 0. `value` and `expected` are
    the means of its unusual pixels, channel by channel; its `excess` is how far their scores (rows, pixels) lie below
    the threshold, in nats, summed.
    """
    channels, height, width = domain.event
    below = np.nan_to_num(threshold - scores).clip(min=0.0).reshape(-1, height, width)
    values, instead = (domain.values(part)[:, -channels * height * width :] for part in (x, expected))
    values, instead = (part.reshape(-1, channels, height, width) for part in (values, instead))
    scale = domain.own_scale(x)  # (rows, 2): own pixels in each that is worked on
    found: list[tuple[int, float, str, str, str, float]] = []
    for row, heat in enumerate(below):
        regions = [(float(heat[where].sum()), where) for where in _regions(heat > 0)]
        for excess, where in sorted(regions, key=lambda each: -each[0])[:most]:
            value, guess = (_text(part[row][:, where]) for part in (values, instead))
            found.append((row, float(row_scores[row]), _named(where, scale[row]), value, guess, excess))
    kinds = [pa.int64(), pa.float64(), pa.string(), pa.string(), pa.string(), pa.float64()]
    names = ["row", "score", "column", "value", "expected", "excess"]
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    return pa.table([pa.array(cells, kind) for cells, kind in zip(columns, kinds, strict=True)], names=names)


def heat(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Scores of pixels as heat: 0 at the threshold and above, towards 1 far below it."""
    return 1.0 - np.exp(-np.nan_to_num(threshold - scores).clip(min=0.0) / NATS_OF_HEAT)


def _regions(unusual: np.ndarray) -> list[np.ndarray]:
    """Masks of the unusual pixels that lie together."""
    if not unusual.any():
        return []
    together = ndimage.binary_dilation(unusual, np.ones((3, 3), bool), iterations=GROWN_BY)
    labels = np.zeros(together.shape, np.int32)
    ndimage.label(together, np.ones((3, 3), bool), output=labels)
    return [(labels == label) & unusual for label in range(1, int(labels.max()) + 1)]


def _named(where: np.ndarray, scale: np.ndarray) -> str:
    ends = [np.flatnonzero(where.any(axis)) for axis in (1, 0)]
    spans = [_span(int(places[0]), int(places[-1]), own) for places, own in zip(ends, scale, strict=True)]
    return f"rows {spans[0]}, columns {spans[1]}"


def _span(first: int, last: int, scale: float) -> str:
    """From where to where, in own pixels."""
    first, last = int(first * scale), max(int(first * scale), int(np.ceil((last + 1) * scale)) - 1)
    return f"{first}" if first == last else f"{first}–{last}"


def _text(pixels: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in pixels.mean(1))
