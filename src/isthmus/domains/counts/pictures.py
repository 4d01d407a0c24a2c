"""A row of counts as a small bar chart."""

import base64
import io

import numpy as np
import PIL.Image

MOST_BARS = 48
HEIGHT = 48
BAR, GAP = 3, 1  # pixels
BACKGROUND, INK, GROUND = 255, 60, 200


def bar_chart(counts: np.ndarray, highest: float) -> str:
    """Bars of log(1 + count), as high as the picture at `highest`, as a PNG file in base64; counts (columns,)."""
    pixels = np.full((HEIGHT, len(counts) * (BAR + GAP)), BACKGROUND, np.uint8)
    pixels[-1] = GROUND
    shares = np.log1p(np.clip(counts, 0.0, highest)) / np.log1p(max(highest, 1.0))
    for place, share in enumerate(shares):
        height = round(float(share) * HEIGHT)
        left = place * (BAR + GAP)
        pixels[HEIGHT - height :, left : left + BAR] = INK
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
