"""Images of one size, eight bits a value or two values in all: a causal network and the coder.

The encoder knows all pixels, so it asks the network for a whole row at once; the decoder asks pixel after pixel, of all
images of a block at the same time. What is pushed last is popped first, so the encoder goes from the last row to the
first.
"""

import lzma
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from threadpoolctl import threadpool_limits

from ...core.errors import DataError
from ..codec import Codec
from ..coder import Stack
from .network import (
    HALF,
    LARGEST_PIXEL,
    MOST_PIXELS,
    NO_DISTANCE,
    CausalNetwork,
    Line,
    Plan,
    bit_weights,
    packed,
    unpacked,
    weights_of,
)
from .training import trained

# A block has at most this many images, and its arrays at most so many numbers. Chunks are written by blocks: with
# others, what was written can no longer be read.
_BLOCK_NUMBERS = 2**23
_BLOCK_IMAGES = 1024

# Rows and exceptions of a chunk, bytes of the exceptions; the bytes of each block follow.
_HEADER = struct.Struct("<III")

_PLAN = "plan"
_VIEW = "view"

# Up to so many values in all images, networks of these sizes: what a larger one saves would not pay for itself.
_SIZES: list[tuple[float, dict[str, int]]] = [
    (2e4, {"above": 2, "side": 2, "first": 8, "value": 0, "second": 8, "flag": 4, "low": 8, "summary": 0, "spread": 0}),
    (
        3e5,
        {"above": 3, "side": 3, "first": 16, "value": 0, "second": 16, "flag": 8, "low": 16, "summary": 0, "spread": 0},
    ),
    (
        3e6,
        {
            "above": 4,
            "side": 4,
            "first": 32,
            "value": 16,
            "second": 24,
            "flag": 16,
            "low": 32,
            "summary": 0,
            "spread": 0,
        },
    ),
    (
        2e7,
        {
            "above": 6,
            "side": 6,
            "first": 64,
            "value": 48,
            "second": 48,
            "flag": 24,
            "low": 48,
            "summary": 64,
            "spread": 12,
        },
    ),
    (
        np.inf,
        {
            "above": 7,
            "side": 7,
            "first": 96,
            "value": 96,
            "second": 96,
            "flag": 32,
            "low": 64,
            "summary": 128,
            "spread": 16,
        },
    ),
]

# Rows of more values are not summarised, but for the window.
_WIDEST_SUMMARY = 100

# A value this frequent is background, and asked for first.
_BACKGROUND_SHARE = 0.3


# Images of more pixels than a tile of this edge, and fewer than would keep a block busy, are cut into tiles.
_TILE = 64
_FEW_IMAGES = 512


@dataclass(frozen=True)
class View:
    """How the network sees images (height, width), if `grey`, or (height, width, channels).

    Two `values` are seen as 0 and 255, others as their distance from the `background`. Large images are cut into
    `rows` × `columns` tiles, which the network takes for images, so that many pixels are computed at a time.
    """

    height: int
    width: int
    channels: int
    grey: bool
    values: tuple[int, int] | None
    background: int
    rows: int
    columns: int

    @classmethod
    def of(cls, images: np.ndarray) -> "View":
        height, width = images.shape[1:3]
        counts = np.bincount(images.reshape(-1), minlength=256) if images.size else np.zeros(256, np.int64)
        present = np.flatnonzero(counts)
        values, background = None, int(np.argmax(counts))
        if 1 <= len(present) <= 2:
            values = (background, int(present[present != background][0]) if len(present) == 2 else 255 - background)
        elif counts[background] < _BACKGROUND_SHARE * images.size:
            background = -1
        many = len(images) >= _FEW_IMAGES or height * width <= _TILE**2
        rows, columns = (1, 1) if many else (-(-height // _TILE), -(-width // _TILE))
        channels = images.shape[3] if images.ndim == 4 else 1
        return cls(height, width, channels, images.ndim == 3, values, background, rows, columns)

    @classmethod
    def restored(cls, settings: dict[str, Any], plan: Plan) -> "View":
        """The view of JSON settings; it must be one of `plan`'s images."""
        values = settings["values"]
        given: dict[str, Any] = settings | {"values": None if values is None else tuple(values)}
        view = cls(**given)
        numbers = [view.height, view.width, view.channels, view.background, view.rows, view.columns]
        if any(type(number) is not int for number in [*numbers, *(view.values or ())]) or type(view.grey) is not bool:
            raise TypeError("a view of other than whole numbers")
        if min(view.height, view.width, view.rows, view.columns) < 1 or (view.grey and view.channels != 1):
            raise ValueError("a view of no images")
        if view.height * view.width * view.channels > MOST_PIXELS or view.tile != (plan.height, plan.width):
            raise ValueError("a view of other images")
        if view.channels != plan.channels or view.rows > view.height or view.columns > view.width:
            raise ValueError("a view of other images")
        if not -1 <= view.background <= 255 or (view.background >= 0) != plan.background:
            raise ValueError("a view of another background")
        if (view.values is not None) != plan.binary:
            raise ValueError("binary images have two values, others none in particular")
        if view.values is not None and (
            len(set(view.values)) != 2 or not all(0 <= value <= 255 for value in view.values)
        ):
            raise ValueError("binary images have two values")
        return view

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.height, self.width) if self.grey else (self.height, self.width, self.channels)

    @property
    def tile(self) -> tuple[int, int]:
        return -(-self.height // self.rows), -(-self.width // self.columns)

    @property
    def tiles(self) -> int:
        return self.rows * self.columns

    def seen(self) -> np.ndarray:
        """(256,) what the network sees of each value; 1 of those that are not of the two it knows."""
        if self.values is not None:
            seen = np.ones(256, np.uint8)
            seen[list(self.values)] = 0, 255
            return seen
        values, away = np.arange(256, dtype=np.uint8), np.uint8(max(self.background, 0))
        return values - away if self.background < 128 else away - values

    def drawn(self, images: np.ndarray) -> np.ndarray:
        """Images as the network sees them, (count × tiles, height, width × channels) of a tile; the last row and column
        are repeated where tiles reach beyond them."""
        height, width = self.tile
        images = images.reshape(len(images), self.height, self.width, self.channels)
        if (height * self.rows, width * self.columns) != (self.height, self.width):
            beyond = (height * self.rows - self.height, width * self.columns - self.width)
            images = np.pad(images, ((0, 0), (0, beyond[0]), (0, beyond[1]), (0, 0)), "edge")
        images = images.reshape(len(images), self.rows, height, self.columns, width * self.channels)
        images = images.transpose(0, 1, 3, 2, 4).reshape(len(images) * self.tiles, height, width * self.channels)
        return np.ascontiguousarray(self.seen()[images])

    def undrawn(self, drawn: np.ndarray) -> np.ndarray:
        """The images of what `drawn` gave."""
        height, width = self.tile
        if self.values is None:
            images = np.argsort(self.seen()).astype(np.uint8)[drawn]
        else:
            images = np.where(drawn != 0, np.uint8(self.values[1]), np.uint8(self.values[0]))
        count = len(drawn) // self.tiles
        images = images.reshape(count, self.rows, self.columns, height, width, self.channels).transpose(
            0, 1, 3, 2, 4, 5
        )
        images = images.reshape(count, self.rows * height, self.columns * width, self.channels)
        return np.ascontiguousarray(images[:, : self.height, : self.width]).reshape(count, *self.shape)


class ImagesCodec(Codec):
    """Images (count, height, width) or (count, height, width, channels), uint8."""

    kind: ClassVar[str] = "images"

    def __init__(self, network: CausalNetwork, view: View):
        self.network = network
        self.plan = network.plan
        self.view = view

    @classmethod
    def fit(
        cls,
        images: np.ndarray,
        budget_seconds: float = 60.0,
        seed: int = 0,
        progress: Callable[[float], None] | None = None,
        steps: int | None = None,
    ) -> "ImagesCodec":
        """A codec for images like these: `steps` of training, or as many as fit into `budget_seconds`."""
        images = np.asarray(images)
        _check_kind(images)
        view = View.of(images)
        drawn = view.drawn(images)
        plan = planned(drawn, view.channels, binary=view.values is not None, background=view.background >= 0)
        return cls(CausalNetwork(plan, trained(plan, drawn, seed, budget_seconds, steps, progress)), view)

    def settings(self) -> dict[str, Any]:
        view = asdict(self.view)
        return {_PLAN: asdict(self.plan), _VIEW: view | {"values": view["values"] and list(view["values"])}}

    def parameters(self) -> bytes:
        return packed(self.plan, self.network.weights)

    @classmethod
    def restored(cls, settings: dict[str, Any], parameters: bytes) -> "ImagesCodec":
        plan = Plan(**settings[_PLAN])
        return cls(CausalNetwork(plan, unpacked(plan, parameters)), View.restored(settings[_VIEW], plan))

    def encode(self, rows: np.ndarray) -> bytes:
        images = np.asarray(rows)
        self._check(images)
        drawn = self.view.drawn(images)
        odd = np.zeros(0, np.int64)
        if self.plan.binary:
            odd = np.unique(np.flatnonzero((drawn == 1).any((1, 2))) // self.view.tiles)
        exceptions = b""
        if len(odd):
            exceptions = odd.astype("<u4").tobytes() + images[odd].tobytes()
            exceptions = lzma.compress(exceptions, format=lzma.FORMAT_ALONE)
            drawn.reshape(len(images), self.view.tiles, -1)[odd] = 0
        blocks = list(self._blocks(len(drawn)))
        coded = _side_by_side(lambda block: self._pushed(drawn[block]), blocks)
        header = _HEADER.pack(len(images), len(odd), len(exceptions))
        lengths = np.array([len(each) for each in coded], "<u4").tobytes()
        return b"".join([header, lengths, exceptions, *coded])

    def decode(self, chunk: bytes, count: int) -> np.ndarray:
        if len(chunk) < _HEADER.size:
            raise ValueError("a chunk too short")
        stored, odd, length = _HEADER.unpack_from(chunk)
        # A block, of which there are many images, has at least the four bytes of its length.
        if stored != count or odd > count or count * self.view.tiles > len(chunk) * _BLOCK_IMAGES:
            raise ValueError("a chunk of other images")
        plan = self.plan
        blocks = list(self._blocks(count * self.view.tiles))
        start = _HEADER.size + 4 * len(blocks)
        if start > len(chunk):
            raise ValueError("a chunk too short")
        lengths = np.frombuffer(chunk[_HEADER.size : start], "<u4").astype(np.int64)
        ends = start + length + np.cumsum(lengths)
        if len(chunk) != (ends[-1] if len(blocks) else start + length):
            raise ValueError("a chunk of other images")
        places, exceptions = self._exceptions(chunk[start : start + length], odd, count)
        stacks = [Stack.from_bytes(chunk[end - size : end]) for end, size in zip(ends, lengths, strict=True)]
        drawn = np.empty((count * self.view.tiles, plan.height, plan.width * plan.channels), np.uint8)

        def pop(number: int) -> None:
            block = blocks[number]
            drawn[block] = self._popped(stacks[number], block.stop - block.start)

        _side_by_side(pop, range(len(blocks)))
        if not all(stack.empty for stack in stacks):
            raise ValueError("a chunk with more than its images")
        images = self.view.undrawn(drawn)
        images[places] = exceptions
        return images

    def canonical(self, rows: np.ndarray) -> bytes:
        images = np.asarray(rows)
        self._check(images)
        return images.tobytes()

    def joined(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts) if parts else np.zeros((0, *self.view.shape), np.uint8)

    def part(self, rows: np.ndarray, start: int, stop: int) -> np.ndarray:
        return rows[start:stop]

    def _check(self, images: np.ndarray) -> None:
        if images.dtype != np.uint8 or images.shape[1:] != self.view.shape:
            expected = " × ".join(map(str, self.view.shape))
            raise DataError(f"images of {images.dtype}, shape {images.shape}: expected uint8, each of {expected}")

    def _blocks(self, count: int) -> Iterator[slice]:
        """Images (or tiles) that are coded together, each block to a stack of its own. Their number does not depend on
        how many there are in all."""
        plan = self.plan
        numbers = plan.pitch * (plan.margin + plan.height + plan.above + plan.spread) + 256 * plan.channels
        size = min(max(_BLOCK_NUMBERS // numbers, 1), _BLOCK_IMAGES)
        for start in range(0, count, size):
            yield slice(start, min(start + size, count))

    def _exceptions(self, data: bytes, odd: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Places (odd,) and images (odd, …) of those that are kept as they are."""
        if not odd and not data:
            return np.zeros(0, np.int64), np.zeros((0, *self.view.shape), np.uint8)
        size = odd * (4 + int(np.prod(self.view.shape)))
        if not odd or not self.plan.binary or size > 2**31:
            raise ValueError("damaged exceptions")
        try:
            plain = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=2**28).decompress(data, size + 1)
        except (lzma.LZMAError, EOFError) as error:
            raise ValueError("damaged exceptions") from error
        if len(plain) != size:
            raise ValueError("damaged exceptions")
        places = np.frombuffer(plain[: 4 * odd], "<u4").astype(np.int64)
        if (places >= count).any():
            raise ValueError("damaged exceptions")
        return places, np.frombuffer(plain[4 * odd :], np.uint8).reshape(odd, *self.view.shape)

    def _popped(self, stack: Stack, count: int) -> np.ndarray:
        """`count` images as the network sees them."""
        plan, network = self.plan, self.network
        canvas = network.canvas(count)
        often = np.zeros((count, plan.channels, HALF, HALF) if plan.counts else (0,) * 4, np.int32)
        images = np.arange(count)
        for row, column, channel, line in self._places(canvas, forwards=True):
            predicted = network.predicted(canvas, row, column, channel)
            first = network.first(line, column, channel, predicted)
            place = (column + plan.side) * plan.channels + channel
            if plan.binary:
                bits = stack.pop(bit_weights(network.bit(network.second(first, channel), channel)))
                pixel, which = bits * LARGEST_PIXEL, images
            else:
                which = images
                if plan.background:
                    which = np.flatnonzero(stack.pop(bit_weights(network.flag(first, channel))))
                second = network.valued(first, line, column, channel, which)
                high = stack.pop(weights_of(network.high(second, channel)))
                around = seen = None
                if plan.counts:
                    around = network.neighbours(canvas, which, row, column, channel)
                    seen = often[which, channel, high]
                low = stack.pop(weights_of(network.low(second, channel, high, seen, around)))
                if plan.counts:
                    often[which, channel, high, low] += 1
                pixel = high * HALF + low
                if predicted is not None:
                    pixel = pixel - NO_DISTANCE + predicted.astype(np.int64) & 255
            canvas[which, plan.margin + row, place] = pixel
            line.rows[which, column + plan.side, plan.above, channel] = pixel
        return network.inside(canvas).astype(np.uint8)

    def _pushed(self, drawn: np.ndarray) -> bytes:
        """A stack of what `_popped` pops, pushed in the opposite order."""
        stack = Stack()
        plan, network = self.plan, self.network
        canvas = network.canvas(len(drawn))
        network.inside(canvas)[...] = drawn
        symbols = network.symbols(canvas)
        often = self._counted(symbols) if plan.counts else np.zeros((0,) * 4, np.int32)
        images = np.arange(len(drawn))
        for row, column, channel, line in self._places(canvas, forwards=False):
            pixel = symbols[:, row, column, channel].astype(np.int64)
            first = network.first(line, column, channel, network.predicted(canvas, row, column, channel))
            if plan.binary:
                stack.push(pixel >> 7, bit_weights(network.bit(network.second(first, channel), channel)))
                continue
            which = np.flatnonzero(pixel) if plan.background else images
            high, low = pixel[which] >> 4, pixel[which] & (HALF - 1)
            second = network.valued(first, line, column, channel, which)
            around = seen = None
            if plan.counts:
                around = network.neighbours(canvas, which, row, column, channel)
                often[which, channel, high, low] -= 1
                seen = often[which, channel, high]
            stack.push(low, weights_of(network.low(second, channel, high, seen, around)))
            stack.push(high, weights_of(network.high(second, channel)))
            if plan.background:
                stack.push((pixel != 0).astype(np.int64), bit_weights(network.flag(first, channel)))
        return stack.to_bytes()

    def _places(self, canvas: np.ndarray, forwards: bool) -> Iterator[tuple[int, int, int, Line]]:
        """Rows, columns and channels in their order, or its opposite; each row's line is made as it begins."""
        plan = self.plan
        step = 1 if forwards else -1
        for row in range(plan.height)[::step]:
            line = self.network.line(canvas, row)
            for column in range(plan.width)[::step]:
                for channel in range(plan.channels)[::step]:
                    yield row, column, channel, line

    def _counted(self, drawn: np.ndarray) -> np.ndarray:
        """How often each value occurs in each channel of each image, (count, channels, 16, 16)."""
        count, channels = len(drawn), self.plan.channels
        offset = (np.arange(count)[:, None] * channels + np.arange(channels))[:, None, None] * 256
        found = np.bincount((drawn + offset).ravel(), minlength=count * channels * 256)
        often = found.astype(np.int32).reshape(count, channels, HALF, HALF)
        if self.plan.background:
            often[:, :, 0, 0] = 0  # those that have no halves
        return often


def _side_by_side(work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
    """The work on each part, on all cores. Matrix products are so small that threads of their own would only wait for
    each other."""
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        return list(threads.map(work, parts))


def planned(drawn: np.ndarray, channels: int, binary: bool, background: bool) -> Plan:
    """The sizes of a network for what it is to see: the more values, the larger."""
    height, width = drawn.shape[1], drawn.shape[2] // channels
    sizes = dict(next(sizes for most, sizes in _SIZES if drawn.size <= most))
    sizes["above"] = min(sizes["above"], height - 1)
    sizes["side"] = max(min(sizes["side"], width - 1), 1)
    if width * channels > _WIDEST_SUMMARY or height == 1:
        sizes["summary"] = sizes["spread"] = 0
    relative = not binary and not background and _smooth(drawn.reshape(len(drawn), height, width, channels))
    if binary or not background:
        sizes["first"] += sizes["value"] // 3
        sizes["value"] = 0
    if relative:
        sizes["summary"] = sizes["spread"] = 0
        sizes["above"], sizes["side"] = min(sizes["above"], 3), min(sizes["side"], 3)
    return Plan(height, width, channels, binary=binary, background=background, relative=relative, **sizes)


def _smooth(drawn: np.ndarray) -> bool:
    """Whether differences from the left neighbour cost less than values do."""
    drawn = drawn[:: max(drawn.size // 2**24, 1)]
    if drawn.size < 2 or drawn.shape[2] < 2:
        return False
    return _entropy(np.diff(drawn, axis=2)) < 0.95 * _entropy(drawn)


def _entropy(values: np.ndarray) -> float:
    """Bits per value of uint8 values, each on its own."""
    shares = np.bincount(values.reshape(-1), minlength=256) / values.size
    shares = shares[shares > 0]
    return float(-(shares @ np.log2(shares)))


def _check_kind(images: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        expected = "uint8, (count, height, width) or (count, height, width, channels)"
        raise DataError(f"images of {images.dtype}, shape {images.shape}: expected {expected}")
    if 0 in images.shape[1:] or np.prod(images.shape[1:]) > MOST_PIXELS or (images.ndim == 4 and images.shape[3] > 16):
        raise DataError(f"images of shape {images.shape[1:]}: expected 1 … {MOST_PIXELS} values, 1 … 16 channels")
