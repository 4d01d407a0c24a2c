"""Pictures as files in a report."""

import base64
import io

import numpy as np
import PIL.Image


def png(image: np.ndarray) -> str:
    """Bytes (height, width, channels) as a PNG file in base64."""
    file = io.BytesIO()
    PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
