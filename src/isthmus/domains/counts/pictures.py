"""A row of counts as a small bar chart."""

import base64
import io

import numpy as np
import PIL.Image

# Square, as the places are where pictures of rows stand.
MOST_BARS = 24
SIDE = 96  # pixels
GAP = 1
BACKGROUND, INK = 0, 235


def bar_chart(counts: np.ndarray, highest: float) -> str:
    """Bars of log(1 + count), as high as the picture at `highest`, as a PNG file in base64; counts (columns,)."""
    pixels = np.full((SIDE, SIDE), BACKGROUND, np.uint8)
    shares = np.log1p(np.clip(counts, 0.0, highest)) / np.log1p(max(highest, 1.0))
    width = SIDE // len(counts)
    for place, share in enumerate(shares):
        left = place * width
        pixels[SIDE - round(float(share) * SIDE) :, left : left + max(1, width - GAP)] = INK
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
