"""Pictures as files in a report."""

import base64
import io

import numpy as np
import PIL.Image

from .sizes import resized

# How much of a picture shines through where the heat is greatest.
LEAST_SEEN = 0.1
HOT = np.array([225.0, 20.0, 20.0])
# Luma of red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])


def png(image: np.ndarray) -> str:
    """Bytes (height, width, channels) as a PNG file in base64."""
    file = io.BytesIO()
    PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def as_bytes(intensities: np.ndarray) -> np.ndarray:
    """Intensities from 0 to 1 as bytes."""
    return np.rint(intensities.clip(0.0, 1.0) * 255).astype(np.uint8)


def within(picture: np.ndarray, most: int) -> np.ndarray:
    """A picture, reduced if it has more pixels than so many a side."""
    scale = max(1.0, max(picture.shape[:2]) / most)
    return resized(picture, *(max(1, round(side / scale)) for side in picture.shape[:2]))


def heated(intensities: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture (height, width, channels), 0 to 1, in grey, and over it heat (height, width), 0 to 1, in red: bytes
    (height, width, 3)."""
    seen = intensities.clip(0.0, 1.0)
    grey = seen[..., :3] @ LUMA if seen.shape[-1] > 2 else seen[..., 0]
    share = (1 - LEAST_SEEN) * heat[..., None]
    return np.rint(255 * grey[..., None] * (1 - share) + HOT * share).astype(np.uint8)
