"""Images of one size: arrays n×h×w or n×h×w×c, of integers or floats."""

import base64
import io
import math
from typing import Any, ClassVar

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

from ..core.errors import DataError, OptionError
from ..core.randomness import Randomness
from ..parts.distributions import Bernoulli, BetaBinomial, DiscretisedLogistic, Distribution, Gaussian
from ..parts.likelihood import Likelihood
from ..parts.networks import ConvolutionalDecoder, ConvolutionalEncoder, Decoder, Encoder, Perceptron
from .base import Domain, NetworkOptions, Rows, Survey

# Up to this many values an image goes through dense layers; above, through convolutions.
MOST_DENSE_VALUES = 1024

# How many numbers a decoder gives for each value of a pixel.
OUTPUTS_PER_VALUE = {"bernoulli": 1, "gaussian": 1, "discretised_logistic": 2, "beta_binomial": 2}
CHANNEL_NAMES = {1: "", 2: ", grey and opacity", 3: ", in colour", 4: ", in colour, with opacity"}
# Beyond this many times the range a Gaussian's density would be that of infinity.
LARGEST_INTENSITY = 1e4
INTEGER_LIKELIHOODS = ("discretised_logistic", "beta_binomial")
# A beta-binomial is drawn trial by trial.
MOST_BETA_BINOMIAL_LEVELS = 1024
# Bytes seen up to here only are few levels of their own, such as 0 … 16; others are shades of 0 … 255.
MOST_FEW_LEVELS = 16


class Image(Domain):
    """Pictures; tensors are (rows, channels, height, width) of the picture's own numbers.

    Networks see intensities: numbers scaled to 0–1. With likelihood "bernoulli" an intensity is the probability of a
    white pixel, drawn afresh at each pass; "discretised_logistic" and "beta_binomial" give each whole number a
    probability; "gaussian" is a density of intensities.
    """

    name: ClassVar[str] = "image"
    called: ClassVar[str] = "images"
    picture_kind: ClassVar[str] = "image"
    column_word: ClassVar[str] = "pixel"
    effect_unit: ClassVar[str] = "share of black to white"
    likelihoods: ClassVar[tuple[str, ...]] = tuple(OUTPUTS_PER_VALUE)

    def __init__(self, shape: tuple[int, ...], dtype: str, low: float, high: float, family: str):
        self.shape = shape  # (height, width) or (height, width, channels)
        self.dtype = dtype
        self.low, self.high = low, high
        self.family = family

    @property
    def event(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        height, width, *channels = self.shape
        return (channels[0] if channels else 1, height, width)

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        return isinstance(rows, np.ndarray) and rows.ndim in (3, 4)

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Image":
        if missing == "modelled":
            raise OptionError("missing='modelled' is for tables: images have no missing cells; leave it at 'auto'")
        images = _checked(np.asarray(rows))
        if images.ndim == 4 and images.shape[-1] > 4:
            raise DataError(f"images of shape {images.shape[1:]}: the last dimension should be at most 4 channels")
        low, high = float(images.min()), float(images.max())
        if low == high and strict:
            raise DataError(f"every pixel of every image is {low:g}: there is nothing to learn")
        low, high = _range(images.dtype, low, high)
        family = _auto_family(images, low, high) if likelihood == "auto" else likelihood
        if family in INTEGER_LIKELIHOODS and images.dtype.kind not in "ui":
            raise DataError(f"likelihood '{family}' is for whole numbers; these images hold {images.dtype}")
        if family == "beta_binomial" and high - low >= MOST_BETA_BINOMIAL_LEVELS:
            raise DataError(
                f"likelihood 'beta_binomial' is for at most {MOST_BETA_BINOMIAL_LEVELS} levels; these images span "
                f"{low:g} … {high:g}: take 'discretised_logistic'"
            )
        return cls(images.shape[1:], images.dtype.name, low, high, family)

    @classmethod
    def survey(cls) -> "ImageSurvey":
        return ImageSurvey()

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Image":
        if schema["family"] not in cls.likelihoods:
            raise ValueError(f"unknown likelihood {schema['family']!r}")
        shape = tuple(int(size) for size in schema["shape"])
        if not (len(shape) in (2, 3) and all(size > 0 for size in shape)):
            raise ValueError(f"no image has shape {shape}")
        dtype = np.dtype(str(schema["dtype"]))
        if dtype.kind not in "uifb":
            raise ValueError(f"no image holds {dtype}")
        return cls(shape, dtype.name, float(schema["low"]), float(schema["high"]), schema["family"])

    def schema(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "dtype": self.dtype,
            "low": self.low,
            "high": self.high,
            "family": self.family,
        }

    def tensors(self, rows: Rows) -> Tensor:
        images = _checked(np.asarray(rows))
        if images.shape[1:] != self.shape:
            raise DataError(
                f"images of {_size(images.shape[1:])}; the model was fitted to images of {_size(self.shape)}"
            )
        values = images.astype(_held_as(images))
        if values.ndim == 3:
            values = values[..., None]
        return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))

    def rows(self, tensor: Tensor) -> Rows:
        values = tensor.detach().cpu().numpy().transpose(0, 2, 3, 1).reshape(-1, *self.shape)
        dtype = np.dtype(self.dtype)
        if dtype.kind == "b":
            return values >= 0.5
        if dtype.kind in "ui" and values.dtype.kind == "f":
            bounds = np.iinfo(dtype)
            values = np.clip(np.round(values), bounds.min, bounds.max)
        return values.astype(dtype)

    def surprises(self, rows: Rows) -> list[str]:
        images = np.asarray(rows)
        outside = int(np.sum((images < self.low) | (images > self.high)))
        what = "1 pixel" if outside == 1 else f"{outside} pixels"
        return [f"{what} outside {self.low:g} … {self.high:g}, the range that was fitted"] if outside else []

    def draw(self, x: Tensor, randomness: Randomness) -> Tensor:
        if self.family != "bernoulli" or self._black_and_white:
            return x
        white = randomness.uniform(*x.shape) < self._intensities(x)
        return white.to(torch.float32) * (self.high - self.low) + self.low

    @property
    def _black_and_white(self) -> bool:
        """Whether pixels are 0 and 1 and can be nothing between: a draw would give them back."""
        return np.dtype(self.dtype).kind in "bui" and (self.low, self.high) == (0.0, 1.0)

    def _intensities(self, x: Tensor) -> Tensor:
        # Bytes are exact in single precision; larger numbers, less their lowest, need not be.
        exact = x.float() if x.dtype == torch.uint8 else x.double()
        return ((exact - self.low) / (self.high - self.low or 1.0)).float()

    def features(self) -> "Intensities":
        return Intensities(self.low, self.high)

    def from_features(self, features: Tensor) -> Tensor:
        return features.unflatten(-1, self.event) * (self.high - self.low) + self.low

    def _convolutional(self, options: NetworkOptions) -> bool:
        if options.network == "attention":
            raise OptionError("network='attention' is for tables; for images leave it at 'auto'")
        if options.network == "auto":
            return math.prod(self.event) > MOST_DENSE_VALUES
        return options.network == "convolutional"

    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        if hides_cells:
            raise OptionError("mask_fraction hides cells of tables, and images have none; leave it at 0")
        widths = self._widths(options)
        if self._convolutional(options):
            return Encoder(self.features(), ConvolutionalEncoder(*self.event, widths, outputs, options.activation))
        return Encoder(self.features(), Perceptron(math.prod(self.event), widths, outputs, options.activation))

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> Decoder:
        channels, height, width = self.event
        per_value = OUTPUTS_PER_VALUE[self.family]
        widths = self._widths(options)
        if self._convolutional(options):
            maps = channels * per_value
            network = ConvolutionalDecoder(inputs, widths, maps, height, width, options.activation)
        else:
            network = Perceptron(inputs, widths[::-1], per_value * math.prod(self.event), options.activation)
        return Decoder(network, ImageHead(self.family, self.event, self.low, self.high))

    def _widths(self, options: NetworkOptions) -> tuple[int, ...]:
        convolutional = self._convolutional(options)
        if (given := options.given_widths(convolutional)) is not None:
            return given
        if convolutional:
            # Halve the picture until about four pixels a side are left.
            halvings = max(1, min(5, round(math.log2(max(self.shape[:2]) / 4))))
            return tuple(min(256, 32 * 2**step) for step in range(halvings))
        return (400, 200) if math.prod(self.event) > 256 else (256, 128)

    def log_volume(self, x: Tensor) -> Tensor:
        # A Gaussian's density is that of intensities; one step of the image's own numbers is 1 / (high − low) of them.
        per_value = -math.log(self.high - self.low) if self.family == "gaussian" and self.high > self.low else 0.0
        return torch.full((len(x),), per_value * math.prod(self.event), dtype=torch.float64)

    def matrix(self, x: Tensor) -> np.ndarray:
        return self._intensities(x.cpu()).flatten(1).double().numpy()

    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        images = self.from_features(torch.tensor(matrix, dtype=torch.float64))
        if np.dtype(self.dtype).kind == "f":
            return images
        return self.tensors(self.rows(images))

    def values(self, x: Tensor) -> np.ndarray:
        return x.cpu().flatten(1).double().numpy()

    @property
    def density(self) -> np.ndarray:
        return np.full(math.prod(self.event), self.family == "gaussian")

    @property
    def categorical(self) -> np.ndarray:
        return np.zeros(math.prod(self.event), dtype=bool)

    @property
    def column_names(self) -> list[str]:
        channels, height, width = self.event
        names = [f"pixel {row},{column}" for row in range(height) for column in range(width)]
        return names if channels == 1 else [f"{name},{channel}" for channel in range(channels) for name in names]

    def describe(self) -> dict[str, Any]:
        channels, height, width = self.event
        return {"shape": f"{height} × {width} pixels" + CHANNEL_NAMES[channels], "columns": []}

    def pictures(self, x: Tensor) -> list[str]:
        bytes_ = (self._intensities(x.cpu()).clamp(0.0, 1.0) * 255).round().to(torch.uint8)
        return [_png(image) for image in bytes_.permute(0, 2, 3, 1).numpy()]

    def effect_pictures(self, shares: np.ndarray) -> list[str]:
        return self.pictures(self.from_features(torch.from_numpy(shares).to(torch.float32)))


def _png(image: np.ndarray) -> str:
    """Bytes (height, width, channels) as a PNG file in base64."""
    file = io.BytesIO()
    PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _range(dtype: np.dtype, low: float, high: float) -> tuple[float, float]:
    """What counts as black and as white. The scale of bytes is known, however dark the pictures; that of other numbers
    is what was seen, from 0, and for shares of one to 1."""
    if dtype == np.uint8 and high > MOST_FEW_LEVELS:
        return 0.0, 255.0
    if low < 0:
        return low, high
    return 0.0, max(high, 1.0)


def _auto_family(images: np.ndarray, low: float, high: float) -> str:
    if images.dtype.kind == "b" or bool(np.isin(images, (low, high)).all()):
        return "bernoulli"
    return "discretised_logistic" if images.dtype.kind in "ui" else "gaussian"


def _held_as(images: np.ndarray) -> type[np.generic]:
    """The smallest type that torch computes with and that holds these numbers exactly."""
    kind, size = images.dtype.kind, images.dtype.itemsize
    if kind == "f":
        return np.float32 if size <= 4 else np.float64
    if kind == "b" or images.dtype == np.uint8:
        return np.uint8
    bounds = np.iinfo(np.int32)
    return np.int32 if images.min() >= bounds.min and images.max() <= bounds.max else np.int64


def _checked(images: np.ndarray) -> np.ndarray:
    """The images, if they are an array of numbers with rows first."""
    if images.ndim not in (3, 4) or images.dtype.kind not in "uifb":
        raise DataError(
            f"images should be an array n×h×w or n×h×w×c of numbers; this one has shape {images.shape} and holds "
            f"{images.dtype}"
        )
    if 0 in images.shape:
        raise DataError(f"the array of images is empty: its shape is {images.shape}")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        place = np.argwhere(~np.isfinite(images))[0]
        raise DataError(f"image {place[0]}, pixel {tuple(int(i) for i in place[1:])}: the value is NaN or infinity")
    return images


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)


class ImageSurvey(Survey):
    """The darkest image and the brightest, and one that holds a shade between, if there is any."""

    def __init__(self) -> None:
        self.extremes: np.ndarray | None = None  # (2, …): the darkest and the brightest
        self.shaded: np.ndarray | None = None  # (1, …)

    def add(self, rows: Rows, first: int) -> None:
        images = _checked(np.asarray(rows))
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


class Intensities(nn.Module):
    """Images of their own numbers → flat intensities (rows, channels · height · width).

    Black is 0 and white is 1. What lies beyond ends at −1 and 2, so that no network meets numbers it cannot bear.
    """

    def __init__(self, low: float, high: float):
        super().__init__()
        self.low, self.range = low, (high - low) or 1.0

    def forward(self, x: Tensor) -> Tensor:
        return ((x.to(torch.float32) - self.low) / self.range).clamp(-1.0, 2.0).flatten(1)


class ImageHead(nn.Module):
    """Decoder outputs (..., values · outputs per value) → the likelihood of images."""

    def __init__(self, family: str, event: tuple[int, int, int], low: float, high: float):
        super().__init__()
        self.family, self.event = family, event
        self.low, self.range = low, (high - low) or 1.0
        if family == "gaussian":
            # One noise scale for all pixels, learned (σ-VAE, Rybkin et al., 2021, https://arxiv.org/abs/2006.13202).
            self.log_scale = nn.Parameter(torch.tensor(-1.0))

    def forward(self, outputs: Tensor) -> "ImageLikelihood":
        return ImageLikelihood(self, self.distribution(outputs))

    def distribution(self, outputs: Tensor) -> Distribution:
        """The distributions of intensities; for the beta-binomial, of steps from the lowest."""
        if self.family == "bernoulli":
            return Bernoulli(outputs)
        if self.family == "gaussian":
            return Gaussian(outputs, self.log_scale.clamp(-6.0, 4.0))
        first, second = outputs.chunk(2, dim=-1)
        if self.family == "beta_binomial":
            return BetaBinomial(round(self.range), first.clamp(-8.0, 8.0), second.clamp(-8.0, 8.0))
        # Starting at half the range, an eighth of it wide, every pixel value is likely enough to learn from.
        return DiscretisedLogistic(first + 0.5, (second - 2.0).clamp(-8.0, 3.0), 1.0 / self.range, 0.0, 1.0)


class ImageLikelihood(Likelihood):
    """Pixels independent given the codes."""

    def __init__(self, head: ImageHead, pixels: Distribution):
        self.head, self.pixels = head, pixels
        # Beta-binomials count steps; the others speak of intensities.
        self.per_intensity = head.range if head.family == "beta_binomial" else 1.0

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        intensities = (x.to(torch.float32) - self.head.low) / self.head.range
        if self.head.family == "gaussian":
            intensities = intensities.clamp(-LARGEST_INTENSITY, LARGEST_INTENSITY)
        else:
            # A mass has nothing beyond black and white: what lies there counts as the nearest.
            intensities = intensities.clamp(0.0, 1.0)
        return self.pixels.log_prob((intensities * self.per_intensity).flatten(-3))

    def sample(self, randomness: Randomness) -> Tensor:
        return self._images(self.pixels.sample(randomness))

    def mode(self) -> Tensor:
        return self._images(self.pixels.mean)

    def _images(self, values: Tensor) -> Tensor:
        intensities = (values.to(torch.float32) / self.per_intensity).clamp(0.0, 1.0)
        return intensities.unflatten(-1, self.head.event) * self.head.range + self.head.low
