"""Images under a decoder's likelihood, pixel by pixel."""

from typing import Any

import numpy as np
from torch import Tensor

from ...core.errors import DataError
from ...domains.image import Image
from ...domains.image.likelihood import ImageHead
from ..coder import MOST_SYMBOLS, Stack
from . import curves
from .intervals import FARTHEST, Intervals, intervals
from .network import ONE, to_whole
from .numbers import Grid, Scales, plain_scale
from .observations import MARGIN, Observations, Rows, Symbols, kept_noise, noise_of, two_weights_of, weights_of


def image_facts(domain: Image, head: ImageHead, x: Tensor) -> dict[str, Any]:
    if domain.family != "gaussian":
        return {}
    values = x.double().numpy().ravel()
    type_ = domain.dtype if domain.dtype in ("float64", "float32", "float16") else "float64"
    return {
        "grid": Grid.of(values, type_, float(values.std())).settings(),
        "log_scale": kept_noise(head.log_scale.clamp(-6.0, 4.0)[None]),
    }


class ImageObservations(Observations):
    """Pixels; symbols are (n, channels · height · width): steps from the darkest, black or white, or values."""

    def __init__(self, domain: Image, settings: dict[str, Any]):
        self.domain, self._image, self._settings = domain, domain, settings
        channels, height, width = domain.event
        self._values = channels * height * width
        self.feature_count = self._values
        self._range = (domain.high - domain.low) or 1.0
        if not (np.isfinite(domain.low) and 0 < self._range < 1e300):
            raise ValueError("an image has a range that is none")
        self._family = domain.family
        self.output_count = self._values * (2 if self._family in ("discretised_logistic", "beta_binomial") else 1)
        self._levels = round(self._range)
        if self._family == "beta_binomial" and self._levels >= MOST_SYMBOLS:
            raise DataError(f"beta-binomial pixels of more than {MOST_SYMBOLS} levels cannot be coded")
        if self._family in ("discretised_logistic", "beta_binomial") and self._levels > FARTHEST:
            raise ValueError("an image has more levels than can be coded")
        if self._family == "gaussian":
            self._grid = Grid.restored(settings["grid"])
            self._scale = curves.exponential(noise_of(settings, "log_scale", 1, -6.0, 4.0))[0]
            self._scales = Scales([plain_scale(domain.low, self._range)], [self._grid.unit])
            ends = np.array([domain.low - MARGIN * self._range, domain.high + MARGIN * self._range]) * self._grid.unit
            self._ends = np.clip(np.rint(ends), -FARTHEST, FARTHEST)

    def settings(self) -> dict[str, Any]:
        return self._settings

    def _flat(self, rows: Rows) -> np.ndarray:
        """Images → (n, channels · height · width) of their own numbers, in float64 or integers."""
        images = self._settled(rows)
        channels = images.reshape(len(images), *self._image.event[1:], self._image.event[0])
        return channels.transpose(0, 3, 1, 2).reshape(len(images), self._values)

    def symbols(self, rows: Rows) -> Symbols:
        values = self._flat(rows).astype(np.float64)
        if self._family == "bernoulli":
            return (values - self._image.low > self._range / 2).astype(np.float64)
        if self._family == "gaussian":
            values = self._grid.nearest(values)
            wholes = self._grid.wholes(values.ravel())[0].reshape(values.shape)
            inside = (wholes >= self._ends[0]) & (wholes <= self._ends[1])
            return np.where(inside, values, np.clip(0.0, *self._ends) / self._grid.unit)
        return np.clip(np.rint(values - self._image.low), 0.0, self._levels)

    def rows(self, symbols: Symbols) -> Rows:
        dtype = np.dtype(self._image.dtype)
        if self._family != "gaussian":
            symbols = symbols * (self._range if self._family == "bernoulli" else 1.0) + self._image.low
        if dtype.kind in "ui":
            bounds = np.iinfo(dtype)
            symbols = np.clip(symbols, max(float(bounds.min), -(2.0**62)), min(float(bounds.max), 2.0**62))
        channels, height, width = self._image.event
        images = symbols.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        with np.errstate(over="ignore"):
            return images.reshape(-1, *self._image.shape).astype(dtype)

    def features(self, symbols: Symbols) -> np.ndarray:
        if self._family == "bernoulli":
            return to_whole(symbols)
        offset = self._image.low if self._family == "gaussian" else 0.0
        return to_whole(np.clip((symbols - offset) / self._range, -1.0, 2.0))

    def push(self, stack: Stack, outputs: np.ndarray, symbols: Symbols) -> None:
        flat = symbols.ravel()
        if self._family == "gaussian":
            counts, rests, sizes = self._grid.wholes(flat)
            stack.push_equal(rests.astype(np.int64), sizes)
            self._intervals(outputs).push(stack, counts)
        elif self._family == "discretised_logistic":
            self._intervals(outputs).push(stack, flat)
        else:
            stack.push(flat.astype(np.int64), self._weights(outputs))

    def pop(self, stack: Stack, outputs: np.ndarray) -> Symbols:
        if self._family == "gaussian":
            counts = self._intervals(outputs).pop(stack)
            flat = self._grid.values(counts, stack.pop_equal(self._grid.sizes(counts)).astype(np.float64))
        elif self._family == "discretised_logistic":
            flat = self._intervals(outputs).pop(stack)
        else:
            flat = stack.pop(self._weights(outputs)).astype(np.float64)
        return flat.reshape(len(outputs), self._values)

    def _weights(self, outputs: np.ndarray) -> np.ndarray:
        """Weights (n · values, levels) of black and white, or of a beta-binomial's levels."""
        if self._family == "bernoulli":
            return two_weights_of(outputs.ravel())
        alpha, beta = (
            curves.exponential(np.clip(piece.ravel() / ONE, -8.0, 8.0))[:, None]
            for piece in np.split(outputs, 2, axis=1)
        )
        # P(x + 1) / P(x) = (count − x)(α + x) / ((x + 1)(β + count − x − 1))
        x, count = np.arange(self._levels, dtype=np.float64), float(self._levels)
        ratio = ((count - x) * (alpha + x)) / ((x + 1.0) * (beta + (count - x - 1.0)))
        steps = np.rint(curves.logarithm(ratio) * 2.0**32).astype(np.int64)  # summed as whole numbers
        logits = np.cumsum(np.concatenate([np.zeros((len(steps), 1), np.int64), steps], axis=1), axis=1)
        logits -= logits.max(axis=1, keepdims=True)
        return weights_of(np.maximum(logits >> 20, -(2**20)).astype(np.float64))

    def _intervals(self, outputs: np.ndarray) -> Intervals:
        if self._family == "gaussian":
            which = np.zeros(outputs.size, np.intp)
            return intervals(
                outputs.reshape(-1, 1) / ONE,
                np.full((outputs.size, 1), self._scale),
                None,
                curves.normal(),
                lambda scaled: self._scales.places(scaled, which),
                lambda places: self._scales.scaled(places, which),
                self._ends[0],
                self._ends[1],
            )
        location, log_scale = (piece.reshape(-1, 1) / ONE for piece in np.split(outputs, 2, axis=1))
        return intervals(
            location + 0.5,
            curves.exponential(np.clip(log_scale - 2.0, -8.0, 3.0)),
            None,
            curves.logistic(),
            lambda scaled: scaled * self._range,
            lambda places: places / self._range,
            0.0,
            float(self._levels),
        )

    def _settled(self, rows: Rows) -> np.ndarray:
        images, dtype = np.asarray(rows), np.dtype(self._image.dtype)
        if images.shape[1:] != self._image.shape:
            sizes = ["×".join(str(side) for side in shape) for shape in (images.shape[1:], self._image.shape)]
            raise DataError(f"images of {sizes[0]}; the model was fitted to images of {sizes[1]}")
        if images.dtype.kind not in "uifb":
            raise DataError(f"images should hold numbers; these hold {images.dtype}")
        if images.dtype.kind == "f" and not np.isfinite(images).all():
            raise DataError("an image holds NaN or infinity, which cannot be coded")
        with np.errstate(all="ignore"):
            own = images.astype(dtype)
            if images.dtype != dtype and not np.array_equal(own.astype(images.dtype), images):
                raise DataError(f"images hold {images.dtype}; the model was fitted to {dtype}: convert them")
        return own

    def patch(self, rows: Rows, coded: Rows) -> dict[str, Any]:
        own, other = (self._bits(self._settled(images)) for images in (rows, coded))
        places = np.flatnonzero(own != other)
        return {"0": [np.diff(places, prepend=0).tolist(), own[places].tolist()]} if len(places) else {}

    def patched(self, coded: Rows, patch: dict[str, Any]) -> Rows:
        if not patch:
            return coded
        ((steps, values),) = patch.values()
        places = np.cumsum(np.array(steps, np.int64))
        bits = self._bits(coded).copy()
        if len(places) != len(values) or places[0] < 0 or places[-1] >= len(bits) or np.any(np.diff(places) <= 0):
            raise ValueError("pixels are listed for places that are none")
        bits[places] = np.array(values, bits.dtype)
        return bits.view(self._image.dtype).reshape(-1, *self._image.shape)

    def _bits(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images).reshape(-1).view(f"u{images.dtype.itemsize}")

    def canonical(self, rows: Rows) -> bytes:
        images = self._settled(rows)
        return images.astype(images.dtype.newbyteorder("<")).tobytes()

    def joined(self, parts: list[Rows]) -> Rows:
        empty = np.empty((0, *self._image.shape), self._image.dtype)
        return np.concatenate([empty, *(self._settled(part) for part in parts)])
