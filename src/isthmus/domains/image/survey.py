"""What a schema must know of all images, learned from one pass over them."""

import numpy as np

from ..base import Rows, Survey
from .checking import checked


class ImageSurvey(Survey):
    """The darkest image and the brightest, and one that holds a shade between, if there is any."""

    def __init__(self) -> None:
        self.extremes: np.ndarray | None = None  # (2, …): the darkest and the brightest
        self.shaded: np.ndarray | None = None  # (1, …)

    def add(self, rows: Rows, first: int) -> None:
        images = checked(np.asarray(rows))
        if self.extremes is not None:
            images = np.concatenate([self.extremes, images])
        pixels = images.reshape(len(images), -1)
        lows, highs = pixels.min(1), pixels.max(1)
        self.extremes = images[[lows.argmin(), highs.argmax()]]
        if self.shaded is None:
            between = np.any((pixels != lows.min()) & (pixels != highs.max()), axis=1)
            # A shade stays between when the ends move apart.
            self.shaded = images[[between.argmax()]] if between.any() else None

    def witnesses(self) -> np.ndarray:
        return np.concatenate([images for images in (self.extremes, self.shaded) if images is not None])
