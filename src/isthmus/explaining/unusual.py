"""The least usual of some images, and at which pixels they are so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.sparse import HeldRows, dense
from ..domains.image import Image
from ..domains.image.pictures import png
from ..estimator.base import Estimator
from ..estimator.places import place_scores
from ..estimator.regions import heat
from .readout import short

# Images that are shown, of the first so many.
SHOWN, MOST_LOOKED_AT = 8, 1_000


def unusual_images(estimator: Estimator, x: HeldRows) -> list[dict[str, Any]] | None:
    """The least usual rows, the worst first: [{row, score, picture, expected, map}], PNG files in base64; None for rows
    that are no images."""
    domain = estimator.domain_
    if not isinstance(domain, Image):
        return None
    looked_at = dense(x[:MOST_LOOKED_AT])
    scores = estimator.score_tensors(looked_at)
    worst = np.argsort(scores, kind="stable")[:SHOWN]
    shown = looked_at[torch.from_numpy(worst)]
    maps = [png(image) for image in _heat_maps(estimator, domain, shown, whole=False)]
    parts = zip(worst, domain.pictures(shown), domain.pictures(estimator.reconstruct_tensors(shown)), maps, strict=True)
    return [
        {"row": int(row), "score": short(scores[row]), "picture": picture, "expected": expected, "map": drawn}
        for row, picture, expected, drawn in parts
    ]


def heat_maps_of(estimator: Estimator, x: Tensor) -> Sequence[np.ndarray]:
    """Images x in grey and their own sizes, unusual pixels in red: bytes (height, width, 3) each."""
    domain = estimator.domain_
    assert isinstance(domain, Image)
    return _heat_maps(estimator, domain, x, whole=True)


def _heat_maps(estimator: Estimator, domain: Image, x: Tensor, whole: bool) -> list[np.ndarray]:
    threshold = estimator.pixel_threshold()
    scores = place_scores(estimator.model_, domain, x, estimator._device, threshold)
    return domain.heated(x, heat(scores, threshold), whole)
