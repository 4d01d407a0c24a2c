"""Series as small line charts, over the band in which most fitted ones lie."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw

# A chart has a strip for each of the first channels. It is square, as the reports' frames are.
MOST_STRIPS = 4
SIDE, MARGIN = 96, 3
BACKGROUND, BAND, INK = 255, 222, 40
# The band is told at so many places along the series, between these quantiles of the fitted ones.
PLACES = 64
BAND_QUANTILES = (0.05, 0.95)


@dataclass(frozen=True)
class Band:
    """Quantiles of fitted series, scaled, at places evenly along them: low and high are (channels, places)."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, scaled: np.ndarray) -> "Band":
        """The band of series (rows, steps, channels); 0 where none has a value."""
        steps = scaled.shape[1]
        at = np.linspace(0, steps - 1, min(PLACES, steps)).round().astype(int)
        some = scaled[: max(1, 2**24 // (len(at) * MOST_STRIPS)), at, :MOST_STRIPS]
        empty = np.isnan(some).all(0)
        low, high = np.nanquantile(np.where(empty, 0.0, some), BAND_QUANTILES, axis=0)
        return cls(low.T, high.T)

    def facts(self) -> dict[str, Any]:
        return {"low": np.round(self.low, 4).tolist(), "high": np.round(self.high, 4).tolist()}

    @classmethod
    def from_facts(cls, facts: dict[str, Any], steps: int, channels: int) -> "Band":
        band = cls(np.array(facts["low"], np.float64), np.array(facts["high"], np.float64))
        shape = (min(channels, MOST_STRIPS), min(PLACES, steps))
        if not band.low.shape == band.high.shape == shape:
            raise ValueError(f"a band of {channels} channels and {steps} steps has the shape {shape}")
        return band


def chart(series: np.ndarray, steps: int, band: Band) -> str:
    """A scaled series (its steps, channels) as a PNG file in base64; the whole width is `steps` long.

    A gap in the line is a missing value. Values beyond twice the band are drawn at the edge.
    """
    strips = len(band.low)
    height = SIDE // strips
    picture = PIL.Image.new("L", (SIDE, SIDE), BACKGROUND)
    pen = PIL.ImageDraw.Draw(picture)
    for channel in range(strips):
        low, high = band.low[channel], band.high[channel]
        middle, reach = (high.max() + low.min()) / 2, max(high.max() - low.min(), 1e-9)
        scale = (middle - reach, 2 * reach, channel * height, height)
        across = np.linspace(MARGIN, SIDE - 1 - MARGIN, len(low))
        edge = [
            *zip(across, _down(low, *scale), strict=True),
            *zip(across[::-1], _down(high, *scale)[::-1], strict=True),
        ]
        if len(edge) > 2:
            pen.polygon(edge, fill=BAND)
        values = series[:, channel]
        x = MARGIN + np.arange(len(values)) * (SIDE - 1 - 2 * MARGIN) / max(1, steps - 1)
        y = _down(values, *scale)
        for run in _runs(~np.isnan(values)):
            points = list(zip(x[run].tolist(), y[run].tolist(), strict=True))
            if len(points) > 1:
                pen.line(points, fill=INK, width=2)
            else:
                pen.point(points, fill=INK)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _down(values: np.ndarray, bottom: float, span: float, top: int, height: int) -> np.ndarray:
    """Values as pixels from the picture's top, in the strip of this height that begins at `top`."""
    shares = np.clip((values - bottom) / span, 0.0, 1.0)
    return top + MARGIN + (1 - shares) * (height - 1 - 2 * MARGIN)


def _runs(observed: np.ndarray) -> list[slice]:
    """Stretches of what is observed."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], observed, [False]])))
    return [slice(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
