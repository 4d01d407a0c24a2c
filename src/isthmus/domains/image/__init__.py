"""Images: arrays n×h×w or n×h×w×c of one size, or pictures one by one, each of a size of its own."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ...core.errors import DataError, OptionError
from ...core.randomness import Randomness
from ...parts.networks import ConvolutionalDecoder, ConvolutionalEncoder, Decoder, Encoder, Perceptron
from ..base import Domain, NetworkOptions, Rows
from .augmenting import AUGMENTATIONS, augmented
from .checking import (
    MOST_CHANNELS,
    Pictures,
    are_surely_pictures,
    checked,
    held_as,
    indexed,
    is_list_of_pictures,
    pictures_of,
)
from .fitting import range_and_family, worked_on
from .likelihood import OUTPUTS_PER_VALUE, ImageHead, SizedImageHead
from .networks import BesidePlanes, Intensities, SizedIntensities, WithNumbers
from .pictures import as_bytes, heated, png, within
from .placing import all_resized, cast, placed, taken, whole
from .sizes import AUTO_LARGEST_SIDE, SIZE_NUMBERS, Canvas, SizeRanks, extents, resized
from .survey import ImageSurvey

# Up to this many values an image goes through dense layers; above, through convolutions.
MOST_DENSE_VALUES = 1024

# A picture in a report is no larger.
MOST_SHOWN_SIDE = 160
CHANNEL_NAMES = {1: "", 2: ", grey and opacity", 3: ", in colour", 4: ", in colour, with opacity"}


class Image(Domain):
    """Pictures. Those that come in one array have one size; tensors are (rows, channels, height, width) of their own
    numbers. Those that come one by one have sizes of their own; tensors are then (rows, 2 + channels · height · width):
    each picture's own height and width, then one canvas for all, the picture in its top left corner, NaN beyond it.
    Pictures too large for the canvas lie there reduced, and come back from it in their own sizes.

    Networks see intensities: numbers scaled to 0–1. With likelihood "bernoulli" an intensity is the probability of a
    white pixel, drawn afresh at each pass; "discretised_logistic" and "beta_binomial" give each whole number a
    probability; "gaussian" is a density of intensities.
    """

    name: ClassVar[str] = "image"
    called: ClassVar[str] = "images"
    picture_kind: ClassVar[str] = "image"
    checks_rows: ClassVar[bool] = True
    column_word: ClassVar[str] = "pixel"
    effect_unit: ClassVar[str] = "shares of black to white"
    place_name: ClassVar[str] = "pixel"
    likelihoods: ClassVar[tuple[str, ...]] = tuple(OUTPUTS_PER_VALUE)
    fit_options: ClassVar[tuple[str, ...]] = ("largest_side",)
    augmentations: ClassVar[tuple[str, ...]] = AUGMENTATIONS

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: str,
        low: float,
        high: float,
        family: str,
        own_shape: tuple[int, ...] | None = None,
        canvas: Canvas | None = None,
    ):
        self.shape = shape  # (height, width) or (height, width, channels), as they are worked on
        self.dtype = dtype
        self.low, self.high = low, high
        self.family = family
        self.own_shape = own_shape or shape  # of images of one size, as they come
        self.canvas = canvas  # of images of many sizes

    @property
    def event(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        height, width, *channels = self.shape
        return (channels[0] if channels else 1, height, width)

    @property
    def whole(self) -> bool:
        """Whether tensors hold images of one size, as they came."""
        return self.canvas is None and self.own_shape == self.shape

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        if isinstance(rows, np.ndarray) and rows.dtype != object:
            return rows.ndim in (3, 4)
        return is_list_of_pictures(rows)

    @classmethod
    def claims(cls, rows: Rows) -> bool:
        if isinstance(rows, np.ndarray) and rows.dtype != object:
            return cls.accepts(rows)
        return are_surely_pictures(rows)

    @classmethod
    def indexed(cls, rows: Rows) -> Rows:
        return indexed(rows)

    @classmethod
    def numbers_per_row(cls, rows: Rows) -> int:
        if not is_list_of_pictures(rows):
            return super().numbers_per_row(rows)
        return max(each.size for each in rows)

    @classmethod
    def fit(
        cls,
        rows: Rows,
        likelihood: str = "auto",
        strict: bool = True,
        missing: str = "auto",
        largest_side: int | str = "auto",
    ) -> "Image":
        if missing == "modelled":
            raise OptionError("missing='modelled' is for tables: images have no missing cells; leave it at 'auto'")
        if is_list_of_pictures(rows):
            return cls._fit_many_sizes(pictures_of(rows), likelihood, strict, largest_side)
        images = checked(np.asarray(rows))
        if images.ndim == 4 and images.shape[-1] > MOST_CHANNELS:
            raise DataError(
                f"images of shape {images.shape[1:]}: the last dimension should be at most {MOST_CHANNELS} channels"
            )
        own_shape = images.shape[1:]
        shape = worked_on(own_shape, largest_side)
        images = all_resized(images, shape)
        low, high, family = range_and_family([images], images.dtype, likelihood, strict)
        return cls(shape, images.dtype.name, low, high, family, own_shape)

    @classmethod
    def _fit_many_sizes(cls, given: Pictures, likelihood: str, strict: bool, largest_side: int | str) -> "Image":
        largest = AUTO_LARGEST_SIDE if isinstance(largest_side, str) else largest_side
        own = given.sizes
        held = extents(torch.from_numpy(own), largest).long().numpy()
        height, width = (int(side) for side in held.max(0))
        heights, widths = (tuple(np.unique(sides).tolist()) for sides in own.T)
        canvas = Canvas(given.channels, height, width, largest, heights, widths)
        parts = [whole(resized(each, *side), given.dtype) for each, side in zip(given.each, held, strict=True)]
        low, high, family = range_and_family(parts, given.dtype, likelihood, strict)
        shape = (height, width) if given.flat else (height, width, given.channels)
        return cls(shape, given.dtype.name, low, high, family, canvas=canvas)

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Image", list[Tensor]]:
        if not any(is_list_of_pictures(rows) for rows in sets.values()):
            domain, tensors = super().fit_together(sets)
            assert isinstance(domain, Image)
            return domain, tensors
        listed = {name: pictures_of(list(rows)) for name, rows in sets.items()}
        first, *others = listed
        for other in others:
            channels = [listed[name].channels for name in (first, other)]
            if channels[0] != channels[1]:
                raise DataError(f"{other}: of {channels[1]} channels, where {first} have {channels[0]}")
        domain = cls.fit([picture for each in listed.values() for picture in each.each], strict=False)
        return domain, [domain.tensors(each.each) for each in listed.values()]

    @classmethod
    def survey(cls) -> ImageSurvey:
        return ImageSurvey()

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Image":
        if schema["family"] not in cls.likelihoods:
            raise ValueError(f"unknown likelihood {schema['family']!r}")
        shape, own_shape = (_shape(schema.get(name, schema["shape"])) for name in ("shape", "own_shape"))
        if len(shape) != len(own_shape) or shape[2:] != own_shape[2:]:
            raise ValueError(f"images of shape {own_shape} are not worked on as {shape}")
        dtype = np.dtype(str(schema["dtype"]))
        if dtype.kind not in "uifb":
            raise ValueError(f"no image holds {dtype}")
        canvas = None if schema.get("sizes") is None else _canvas(schema["sizes"], shape)
        return cls(shape, dtype.name, float(schema["low"]), float(schema["high"]), schema["family"], own_shape, canvas)

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "shape": list(self.shape),
            "dtype": self.dtype,
            "low": self.low,
            "high": self.high,
            "family": self.family,
        }
        if self.own_shape != self.shape:
            schema["own_shape"] = list(self.own_shape)
        if self.canvas is not None:
            schema["sizes"] = {
                "largest_side": self.canvas.largest_side,
                "heights": list(self.canvas.heights),
                "widths": list(self.canvas.widths),
            }
        return schema

    def tensors(self, rows: Rows) -> Tensor:
        if self.canvas is not None:
            given = pictures_of(self._one_by_one(rows))
            if given.channels != self.canvas.channels:
                raise DataError(f"images of {given.channels} channels; the model was fitted to {self.canvas.channels}")
            return placed(given, self.canvas, np.dtype(self.dtype))
        if is_list_of_pictures(rows):
            rows = self._stacked(list(rows))
        images = checked(np.asarray(rows))
        if images.shape[1:] != self.own_shape:
            raise DataError(
                f"images of {_size(images.shape[1:])}; the model was fitted to images of {_size(self.own_shape)}"
            )
        images = all_resized(images, self.shape)
        values = images.astype(held_as(images))
        if values.ndim == 3:
            values = values[..., None]
        return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))

    def _one_by_one(self, rows: Rows) -> list[np.ndarray]:
        if is_list_of_pictures(rows):
            return list(rows)
        images = checked(np.asarray(rows))
        return list(images)

    def _stacked(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Pictures of one size that came one by one, for a model of one size."""
        for place, picture in enumerate(pictures):
            if picture.shape != self.own_shape:
                raise DataError(
                    f"image {place}: of {_size(picture.shape)}; the model was fitted to images of "
                    f"{_size(self.own_shape)}"
                )
        return np.stack(pictures)

    def rows(self, tensor: Tensor) -> Rows:
        dtype = np.dtype(self.dtype)
        if self.canvas is not None:
            pictures = taken(tensor, self.canvas, dtype, self.low)
            return [picture[..., 0] for picture in pictures] if len(self.shape) == 2 else pictures
        values = tensor.detach().cpu().numpy().transpose(0, 2, 3, 1).reshape(-1, *self.shape)
        return cast(all_resized(values, self.own_shape), dtype)

    def notes(self) -> list[str]:
        if self.canvas is not None:
            high, wide = (_span(sides) for sides in (self.canvas.heights, self.canvas.widths))
            notes = [f"images {high} pixels high and {wide} wide; sizes are modelled too"] if self.canvas.varied else []
            if self.canvas.reduces:
                side = self.canvas.largest_side
                notes.append(
                    f"images with a side above {side} pixels are worked on reduced to it, by the mean over areas, and "
                    "come back in their own sizes; largest_side=N sets another bound"
                )
            return notes
        if self.own_shape != self.shape:
            return [
                f"images of {_size(self.own_shape)} are worked on as {_size(self.shape)}, by the mean over areas, and "
                "come back in their own size; largest_side=N sets another bound"
            ]
        return []

    def surprises(self, rows: Rows) -> list[str]:
        images = self._one_by_one(rows)
        outside = sum(int(np.sum((image < self.low) | (image > self.high))) for image in images)
        what = "1 pixel" if outside == 1 else f"{outside} pixels"
        found = [f"{what} outside {self.low:g} … {self.high:g}, the range that was fitted"] if outside else []
        if self.canvas is not None:
            fitted = self.canvas.heights, self.canvas.widths
            unseen = sum(any(side not in known for side, known in zip(i.shape, fitted, strict=False)) for i in images)
            if unseen:
                pictures = "1 image" if unseen == 1 else f"{unseen:,} images"
                found.append(f"{pictures} of a height or width that no fitted one has; they count as the nearest")
        return found

    def draw(self, x: Tensor, randomness: Randomness) -> Tensor:
        if self.family != "bernoulli" or self._black_and_white:
            return x
        if self.canvas is None:
            return self._drawn(x, randomness)
        sizes, pixels = self.canvas.split(x)
        drawn = self._drawn(pixels, randomness)
        return torch.cat([sizes, torch.where(pixels.isnan(), pixels, drawn.to(pixels.dtype))], -1)

    def _drawn(self, pixels: Tensor, randomness: Randomness) -> Tensor:
        white = randomness.uniform(*pixels.shape) < self._intensities(pixels)
        return white.to(torch.float32) * (self.high - self.low) + self.low

    def augmented(self, x: Tensor, kinds: tuple[str, ...], randomness: Randomness) -> Tensor:
        if self.canvas is None:
            held = x.new_tensor(self.event[1:], dtype=torch.float32).expand(len(x), 2)
            return augmented(x, held, kinds, randomness)
        sizes, pixels = self.canvas.split(x)
        held = self.canvas.extents(sizes).float()
        changed = augmented(pixels.unflatten(-1, self.event), held, kinds, randomness)
        return torch.cat([sizes, changed.flatten(-3)], -1)

    @property
    def _black_and_white(self) -> bool:
        """Whether pixels are 0 and 1 and can be nothing between: a draw would give them back."""
        return np.dtype(self.dtype).kind in "bui" and (self.low, self.high) == (0.0, 1.0)

    def _intensities(self, x: Tensor) -> Tensor:
        # Bytes are exact in single precision; larger numbers, less their lowest, need not be.
        exact = x.float() if x.dtype == torch.uint8 else x.double()
        return ((exact - self.low) / (self.high - self.low or 1.0)).float()

    @property
    def places(self) -> np.ndarray:
        channels, height, width = self.event
        pixels = np.tile(np.arange(height * width), channels)
        return pixels if self.canvas is None else np.concatenate([[-1] * SIZE_NUMBERS, pixels])

    def maps(self, shares: np.ndarray) -> list[str]:
        channels, height, width = self.event
        of_pixels = shares[:, -channels * height * width :].reshape(-1, channels, height, width)
        return [png(as_bytes(image)) for image in of_pixels.transpose(0, 2, 3, 1)]

    # Pictures in their own sizes, and as they are worked on.

    def _held(self, x: Tensor) -> list[list[int]]:
        """How many pixels down and across of each row are the picture's."""
        if self.canvas is None:
            return [list(self.event[1:])] * len(x)
        return self.canvas.extents(self.canvas.split(x.cpu())[0]).long().tolist()

    def _own(self, x: Tensor) -> list[list[int]]:
        """Each picture's own height and width."""
        if self.canvas is None:
            return [list(self.own_shape[:2])] * len(x)
        return self.canvas.split(x.cpu())[0].long().tolist()

    def _shown(self, x: Tensor) -> list[np.ndarray]:
        """Intensities of each picture as it is worked on, (height, width, channels)."""
        pixels = x.cpu() if self.canvas is None else self.canvas.split(x.cpu())[1].unflatten(-1, self.event)
        planes = self._intensities(pixels.nan_to_num(self.low)).clamp(0.0, 1.0).permute(0, 2, 3, 1).numpy()
        return [plane[:tall, :wide] for plane, (tall, wide) in zip(planes, self._held(x), strict=True)]

    def as_worked_on(self, x: Tensor) -> list[np.ndarray]:
        """The pictures of their own type, each (height, width, channels) as it is worked on."""
        pixels = x.cpu() if self.canvas is None else self.canvas.split(x.cpu())[1].unflatten(-1, self.event)
        planes = cast(pixels.nan_to_num(self.low).permute(0, 2, 3, 1).numpy(), np.dtype(self.dtype))
        return [plane[:tall, :wide] for plane, (tall, wide) in zip(planes, self._held(x), strict=True)]

    def own_scale(self, x: Tensor) -> np.ndarray:
        """How many of its own pixels, down and across, each pixel of a picture stands for, (rows, 2)."""
        return np.divide(self._own(x), self._held(x))

    def on_own_pixels(self, x: Tensor, of_pixels: np.ndarray) -> list[np.ndarray]:
        """What is told of each pixel that is worked on, (rows, height · width), as float32 planes (height, width) of
        the pictures x in their own sizes."""
        planes = of_pixels.reshape(-1, *self.event[1:], 1)
        return [
            resized(plane[:tall, :wide], *own)[..., 0].astype(np.float32)
            for plane, (tall, wide), own in zip(planes, self._held(x), self._own(x), strict=True)
        ]

    def heated(self, x: Tensor, heat: np.ndarray, whole: bool) -> list[np.ndarray]:
        """Pictures in grey, and over them in red the heat (rows, height · width), 0 to 1, of each pixel: bytes (height,
        width, 3), with `whole` in their own sizes, else as they are worked on."""
        if whole:
            pictures = [self._shares(np.asarray(picture)) for picture in self.rows(x)]
            return [heated(picture, each) for picture, each in zip(pictures, self.on_own_pixels(x, heat), strict=True)]
        planes = heat.reshape(-1, *self.event[1:])
        pairs = zip(self._shown(x), planes, strict=True)
        return [heated(picture, plane[: len(picture), : picture.shape[1]]) for picture, plane in pairs]

    def _shares(self, picture: np.ndarray) -> np.ndarray:
        """Intensities (height, width, channels) of a picture of its own numbers."""
        shares = (picture.astype(np.float64) - self.low) / (self.high - self.low or 1.0)
        return shares.reshape(*picture.shape[:2], -1)

    def squares(self, x: Tensor, side: int) -> np.ndarray:
        """Pictures stretched to squares, in intensities: (rows, channels, side, side), float32."""
        squares = [resized(picture, side, side) for picture in self._shown(x)]
        return np.stack(squares).transpose(0, 3, 1, 2).astype(np.float32)

    def pictures(self, x: Tensor) -> list[str]:
        return [png(as_bytes(within(picture, MOST_SHOWN_SIDE))) for picture in self._shown(x)]

    # What networks see, and what the decoder says.

    def features(self) -> Intensities | SizedIntensities:
        if self.canvas is not None:
            return SizedIntensities(self.canvas, self.low, self.high)
        return Intensities(self.low, self.high)

    def from_features(self, features: Tensor) -> Tensor:
        if self.canvas is None:
            return features.unflatten(-1, self.event) * (self.high - self.low) + self.low
        pixels = features[..., : math.prod(self.event)] * (self.high - self.low) + self.low
        ranks = features[..., -SIZE_NUMBERS:] if self.canvas.varied else torch.zeros_like(pixels[..., :SIZE_NUMBERS])
        sizes = SizeRanks(self.canvas).sizes(ranks)
        return torch.cat([sizes.to(pixels.dtype), self.canvas.ended(sizes, pixels)], -1)

    def _convolutional(self, options: NetworkOptions) -> bool:
        if options.network == "attention":
            raise OptionError("network='attention' is for tables; for images leave it at 'auto'")
        if options.network == "auto":
            return math.prod(self.event) > MOST_DENSE_VALUES
        return options.network in ("convolutional", "residual")

    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        if hides_cells:
            raise OptionError("mask_fraction hides cells of tables, and images have none; leave it at 0")
        widths, features = self._widths(options), self.features()
        _, height, width = self.event
        planes = features.planes if isinstance(features, SizedIntensities) else self.event[0]
        if not self._convolutional(options):
            count = features.count if isinstance(features, SizedIntensities) else math.prod(self.event)
            return Encoder(features, Perceptron(count, widths, outputs, options.activation))
        residual = options.network == "residual"
        network: nn.Module = ConvolutionalEncoder(planes, height, width, widths, outputs, options.activation, residual)
        if self.canvas is not None and self.canvas.varied:
            network = BesidePlanes((planes, height, width), SIZE_NUMBERS, outputs, network)
        return Encoder(features, network)

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> Decoder:
        channels, height, width = self.event
        maps = channels * OUTPUTS_PER_VALUE[self.family]
        widths = self._widths(options)
        network: nn.Module
        if self._convolutional(options):
            residual = options.network == "residual"
            network = ConvolutionalDecoder(inputs, widths, maps, height, width, options.activation, residual)
        else:
            network = Perceptron(inputs, widths[::-1], maps * height * width, options.activation)
        head = ImageHead(self.family, self.event, self.low, self.high)
        if self.canvas is None:
            return Decoder(network, head)
        sized = SizedImageHead(head, self.canvas)
        return Decoder(WithNumbers(inputs, sized.more, network) if sized.more else network, sized)

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
        if self.canvas is None:
            return torch.full((len(x),), per_value * math.prod(self.event), dtype=torch.float64)
        return per_value * (~self.canvas.split(x.cpu())[1].isnan()).sum(-1).double()

    def matrix(self, x: Tensor) -> np.ndarray:
        """Intensities; own heights and widths as shares of the largest fitted ones."""
        if self.canvas is None:
            return self._intensities(x.cpu()).flatten(1).double().numpy()
        sizes, pixels = self.canvas.split(x.cpu())
        shares = sizes.double() / torch.tensor([self.canvas.heights[-1], self.canvas.widths[-1]])
        return torch.cat([shares, self._intensities(pixels).double()], -1).numpy()

    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        if self.canvas is not None:
            return self._from_sized_matrix(torch.tensor(matrix, dtype=torch.float64), self.canvas)
        images = self.from_features(torch.tensor(matrix, dtype=torch.float64))
        if np.dtype(self.dtype).kind == "f":
            return images
        values = cast(images.numpy(), np.dtype(self.dtype))
        return torch.from_numpy(values.astype(held_as(values)))

    def _from_sized_matrix(self, matrix: Tensor, canvas: Canvas) -> Tensor:
        shares, intensities = canvas.split(matrix)
        largest = torch.tensor([canvas.heights[-1], canvas.widths[-1]], dtype=torch.float64)
        sizes = (shares * largest).round().clamp(min=1.0)
        pixels = intensities * (self.high - self.low) + self.low
        if np.dtype(self.dtype).kind != "f":
            pixels = pixels.round()
        return torch.cat([sizes, canvas.ended(sizes, pixels)], -1)

    def values(self, x: Tensor) -> np.ndarray:
        return x.cpu().flatten(1).double().numpy()

    @property
    def density(self) -> np.ndarray:
        of_pixels = np.full(math.prod(self.event), self.family == "gaussian")
        return of_pixels if self.canvas is None else np.concatenate([[False] * SIZE_NUMBERS, of_pixels])

    @property
    def categorical(self) -> np.ndarray:
        return np.zeros(len(self.density), dtype=bool)

    @property
    def column_names(self) -> list[str]:
        channels, height, width = self.event
        names = [f"pixel {row},{column}" for row in range(height) for column in range(width)]
        names = names if channels == 1 else [f"{name},{channel}" for channel in range(channels) for name in names]
        return names if self.canvas is None else ["height", "width", *names]

    def describe(self) -> dict[str, Any]:
        channels, height, width = self.event
        shape = f"{height} × {width} pixels"
        if self.canvas is not None:
            shape = f"{_span(self.canvas.heights)} × {_span(self.canvas.widths)} pixels"
            if self.canvas.reduces:
                shape += f", worked on within {height} × {width}"
        elif self.own_shape != self.shape:
            shape = f"{self.own_shape[0]} × {self.own_shape[1]} pixels, worked on as {height} × {width}"
        return {"shape": shape + CHANNEL_NAMES[channels], "columns": []}


def _shape(given: Any) -> tuple[int, ...]:
    shape = tuple(int(size) for size in given)
    if not (len(shape) in (2, 3) and all(size > 0 for size in shape)):
        raise ValueError(f"no image has shape {shape}")
    return shape


def _canvas(facts: dict[str, Any], shape: tuple[int, ...]) -> Canvas:
    """The canvas of a schema, whose pictures are worked on as `shape`."""
    sides = [tuple(int(side) for side in facts[name]) for name in ("heights", "widths")]
    if any(not each or each[0] < 1 or (np.diff(each) <= 0).any() for each in sides):
        raise ValueError("heights and widths are from 1 on and rise")
    largest = None if facts["largest_side"] is None else int(facts["largest_side"])
    if largest is not None and largest < 1:
        raise ValueError("pictures are reduced to a side of 1 or more")
    channels = shape[2] if len(shape) == 3 else 1
    return Canvas(channels, shape[0], shape[1], largest, *sides)


def _span(sides: tuple[int, ...]) -> str:
    return f"{sides[0]}" if len(sides) == 1 else f"{sides[0]}–{sides[-1]}"


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)
