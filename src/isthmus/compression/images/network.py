"""A small network of whole numbers that says, of every pixel, how probable its values are given the pixels before it.

Pixels follow one another in raster order, the channels of one pixel after another (van den Oord et al., 2016,
https://arxiv.org/abs/1601.06759). The first layer sees a window of earlier pixels, where in the image it is, and a
summary of whole rows above, which a network of its own spreads over the columns of a row; so all that rows above tell
is computed for a row at once, and only the pixels to the left remain for each pixel in turn.

A pixel is a sequence of small symbols: whether it is background, its high four bits, its low four bits. Of what is not
background, `value` neurons see the window once more. The low bits also see how often each of their values occurred
before in this image, and the low bits of neighbours whose high bits are the same: scaled drawings and rendered images
repeat their values.

Of smooth images the symbols are not those of the pixel but of its distance from a prediction, the median edge
detector's (Weinberger et al., 2000, https://doi.org/10.1109/83.855427); the window shows the distances of its pixels
from that, and digits tell nothing of each other.

Weights are whole numbers in units of 1/64, so are what neurons hand on, 0 … 1023; a pixel is 0 … 255. Sums are bounded
by the weights, and a network whose sums could leave the whole numbers that float32 holds is refused.
"""

from dataclasses import dataclass, fields
from functools import cache
from math import prod
from typing import Any

import numpy as np

from ..coder import Stack
from ..exact import EXACT_IN_FLOAT32, LOGIT_UNIT, exponentials, softmax_weights

UNIT = 64
LARGEST_PIXEL = 255
LARGEST_ACTIVATION = 1023
LARGEST_WEIGHT = 127

# Both halves of a pixel's eight bits.
HALF = 16

# Distances from a prediction are shown this many times as large, up to 255; no distance is the symbol in the middle of
# those that share its high bits.
NEARER = 4
NO_DISTANCE = 136

# How often a value occurred is told up to this often; an activation of 1/4 stands for once.
MOST_OFTEN = 15
OFTEN_UNIT = UNIT // 4

# Positions are told apart up to this many in each direction.
MOST_PLACES = 64

# What a plan may ask for, so that no damaged one can ask for all the memory there is.
_MOST = {"height": 2**16, "width": 2**16, "channels": 16, "above": 32, "side": 32, "summary": 1024, "spread": 128}
_MOST_UNITS = 1024
MOST_PIXELS = 2**26
MOST_WEIGHTS = 2**23


@dataclass(frozen=True)
class Plan:
    """The sizes of a network for images of height × width × channels.

    `binary` images have pixels 0 and 255 only. `background` says that value 0 is so frequent as to be asked for first,
    `relative` that pixels are coded by their distance from a prediction.
    The window reaches `above` rows up and `side` columns to both sides. `summary` units see whole rows above, and give
    `spread` units to each column; 0 where rows are too wide.
    """

    height: int
    width: int
    channels: int
    binary: bool
    background: bool
    relative: bool
    above: int
    side: int
    summary: int
    spread: int
    first: int
    value: int
    second: int
    flag: int
    low: int

    def __post_init__(self) -> None:
        """Raises TypeError and ValueError for what no plan is."""
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not (bool if field.name in ("binary", "background", "relative") else int):
                raise TypeError(f"{field.name}: {value!r}")
            least = 0 if field.name in ("above", "summary", "spread", "value") else 1
            if type(value) is int and not least <= value <= _MOST.get(field.name, _MOST_UNITS):
                raise ValueError(f"{field.name}: {value}")
        if self.relative and (self.binary or self.background or self.value):
            raise ValueError("distances from a prediction have no background")
        if self.height * self.width * self.channels > MOST_PIXELS or self.weights > MOST_WEIGHTS:
            raise ValueError("a plan too large")

    @property
    def behind(self) -> int:
        """How many values of the same row the window sees, the channels before this one among them."""
        return self.side * self.channels

    @property
    def summarised(self) -> int:
        """How many rows above the summary sees."""
        return min(self.height - 1, 32) if self.summary else 0

    @property
    def margin(self) -> int:
        """Rows of zeros above an image on its canvas."""
        return max(self.above, self.summarised, 1)

    @property
    def pitch(self) -> int:
        """Values in a row of the canvas: `side` columns of zeros on both sides."""
        return (self.width + 2 * self.side) * self.channels

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays of weights, by name; most are one matrix per channel."""
        channels, first, second = self.channels, self.first, self.second
        shapes: dict[str, tuple[int, ...]] = {
            "above": (channels, self.above * (2 * self.side + 1) * channels, first),
            "behind": (channels, self.behind, first),
            "first": (channels, 1, first),
            "row": (min(self.height, MOST_PLACES), first),
            "column": (min(self.width, MOST_PLACES), first),
        }
        if self.relative:
            shapes["predicted"] = (channels, 1, first)
        if self.summary:
            shapes |= {
                "summary": (self.summarised * self.width * channels, self.summary),
                "summary row": (min(self.height, MOST_PLACES), self.summary),
                "spread": (self.summary, self.width * self.spread),
                "spread constant": (1, self.width * self.spread),
                "told": (channels, self.spread, first),
            }
        shapes |= {"second": (channels, first, second), "second constant": (channels, 1, second)}
        if self.binary:
            return shapes | {"bit": (channels, second, 1), "bit constant": (channels, 1, 1)}
        if self.background:
            shapes |= {
                "flag": (channels, first, self.flag),
                "flag constant": (channels, 1, self.flag),
                "flag bit": (channels, self.flag, 1),
                "flag bit constant": (channels, 1, 1),
            }
        if self.value:
            shapes |= {
                "value above": (channels, self.above * (2 * self.side + 1) * channels, self.value),
                "value behind": (channels, self.behind, self.value),
                "value constant": (channels, 1, self.value),
                "second value": (channels, self.value, second),
            }
        shapes |= {
            "high": (channels, second, HALF),
            "high constant": (channels, 1, HALF),
            "low": (channels, second, self.low),
            "low high": (channels, HALF, self.low),
            "low logits": (channels, self.low, HALF),
            "low logits high": (channels, HALF, HALF),
        }
        if self.relative:
            return shapes
        return shapes | {
            "low often": (channels, HALF, self.low),
            "low logits often": (channels, HALF, HALF),
            "low logits like": (channels, self.neighbours, HALF, HALF),
        }

    @property
    def counts(self) -> bool:
        """Whether the low bits see how often their values came before."""
        return not self.binary and not self.relative

    @property
    def weights(self) -> int:
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def neighbours(self) -> int:
        """Those whose low bits may be repeated: left, above, and both beside it; the channel before."""
        return 4 + (self.channels > 1)

    def places(self, name: str) -> np.ndarray:
        """Which row of `row` or `column` each row or column has."""
        size = self.height if name == "row" else self.width
        return np.arange(size) * min(size, MOST_PLACES) // size


# Arrays of which one row is chosen, as by an input of 1, instead of all being summed.
CHOSEN = frozenset({"row", "column", "summary row", "low high", "low logits high", "low logits like"})


def limit(plan: Plan, name: str) -> int:
    """The largest weight of an array: those of many inputs get smaller ones, so that no sum can reach 2²⁴."""
    inputs = plan.shapes[name][-2]
    if name in CHOSEN or not inputs:
        return LARGEST_WEIGHT
    largest = LARGEST_PIXEL if name.endswith(("above", "behind", "summary", "predicted")) else LARGEST_ACTIVATION
    share = 4 if name.endswith(("above", "behind", "told", "value")) else 2  # up to three are added to one sum
    return min(LARGEST_WEIGHT, EXACT_IN_FLOAT32 // share // (largest * inputs))


def check_bounds(plan: Plan, weights: dict[str, np.ndarray]) -> None:
    """Raises ValueError where a sum could reach 2²⁴, whatever the pixels."""

    def most(name: str, largest: int) -> np.ndarray:
        """The largest sum of each of an array's outputs."""
        return largest * np.abs(weights[name].astype(np.int64)).sum(-2)

    def worst(name: str) -> np.ndarray:
        """A row of an array is chosen, which goes in with the activation of 1."""
        return UNIT * np.abs(weights[name].astype(np.int64)).max(-2)

    sums = {
        "first": most("above", LARGEST_PIXEL)
        + most("behind", LARGEST_PIXEL)
        + worst("first")
        + worst("row")
        + worst("column"),
        "second": most("second", LARGEST_ACTIVATION) + worst("second constant"),
    }
    if plan.relative:
        sums["first"] = sums["first"] + most("predicted", LARGEST_PIXEL)
    if plan.summary:
        sums["first"] = sums["first"] + most("told", LARGEST_ACTIVATION)
        sums["summary"] = most("summary", LARGEST_PIXEL) + worst("summary row")
        sums["spread"] = most("spread", LARGEST_ACTIVATION) + worst("spread constant")
    if plan.binary:
        sums["bit"] = most("bit", LARGEST_ACTIVATION) + worst("bit constant")
    else:
        often = MOST_OFTEN * OFTEN_UNIT
        if plan.value:
            sums["value"] = most("value above", LARGEST_PIXEL) + most("value behind", LARGEST_PIXEL)
            sums["value"] = sums["value"] + worst("value constant")
            sums["second"] = sums["second"] + most("second value", LARGEST_ACTIVATION)
        sums["high"] = most("high", LARGEST_ACTIVATION) + worst("high constant")
        sums["low"] = most("low", LARGEST_ACTIVATION) + worst("low high")
        sums["low logits"] = most("low logits", LARGEST_ACTIVATION) + worst("low logits high")
        if plan.counts:
            sums["low"] = sums["low"] + most("low often", often)
            sums["low logits"] = sums["low logits"] + most("low logits often", often) + worst("low logits like").sum(1)
        if plan.background:
            sums["flag"] = most("flag", LARGEST_ACTIVATION) + worst("flag constant")
            sums["flag bit"] = most("flag bit", LARGEST_ACTIVATION) + worst("flag bit constant")
    for name, sum_ in sums.items():
        if sum_.size and sum_.max() >= EXACT_IN_FLOAT32:
            raise ValueError(f"{name}: sums up to {sum_.max()}, which float32 does not hold exactly")


# The weights of an array cost what a Laplace distribution asks, of one of these falls per unit, in 1/256 nat.
_FALLS = np.unique(np.round(np.geomspace(1, 2816, 96)).astype(np.int64))


@cache
def _laplace(fall: int) -> np.ndarray:
    values = np.abs(np.arange(-LARGEST_WEIGHT, LARGEST_WEIGHT + 1)).astype(np.float32)
    return weights_of(np.float32(-fall) * values)


def packed(plan: Plan, weights: dict[str, np.ndarray]) -> bytes:
    """Weights → bytes: of each array which fall fits it best, and what the weights cost then."""
    falls = []
    for name in plan.shapes:
        counts = np.bincount(weights[name].ravel().astype(np.int64) + LARGEST_WEIGHT, minlength=2 * LARGEST_WEIGHT + 1)
        tables = (_laplace(int(fall)).astype(np.float64) for fall in _FALLS)
        falls.append(int(np.argmin([counts @ -np.log2(table / table.sum()) for table in tables])))
    stack = Stack()
    for name, fall in reversed(list(zip(plan.shapes, falls, strict=True))):
        stack.push(weights[name].ravel().astype(np.int64) + LARGEST_WEIGHT, _laplace(int(_FALLS[fall])))
    return bytes(falls) + stack.to_bytes()


def unpacked(plan: Plan, data: bytes) -> dict[str, np.ndarray]:
    """Raises ValueError for bytes that `packed` did not give."""
    shapes = plan.shapes
    falls = data[: len(shapes)]
    if len(falls) < len(shapes) or any(fall >= len(_FALLS) for fall in falls):
        raise ValueError("damaged weights")
    stack = Stack.from_bytes(data[len(shapes) :])
    weights = {}
    for (name, shape), fall in zip(shapes.items(), falls, strict=True):
        values = stack.pop(_laplace(int(_FALLS[fall])), prod(shape)) - LARGEST_WEIGHT
        weights[name] = values.astype(np.int8).reshape(shape)
    if not stack.empty:
        raise ValueError("damaged weights")
    return weights


def activations(sums: np.ndarray) -> np.ndarray:
    """Rectified, whole, and held below 1024; in place."""
    np.floor(sums, out=sums)
    return np.clip(sums, 0, LARGEST_ACTIVATION, out=sums)


def logits(sums: np.ndarray) -> np.ndarray:
    return np.floor(sums, out=sums)


def weights_of(logits: np.ndarray) -> np.ndarray:
    """Weights (..., alphabet) of logits (..., alphabet). None is 0: the coder may round the last symbol's away then."""
    weights = softmax_weights(logits)
    return np.maximum(weights, 1, out=weights)


@cache
def _bit_weights() -> np.ndarray:
    """The weights of 0 and 1 for all logits of 1 from −(the least that tells) to that."""
    least = len(exponentials()) - 1
    logit = np.arange(-least, least + 1, dtype=np.float32)
    return weights_of(np.stack([np.zeros_like(logit), logit], -1))


def bit_weights(logit: np.ndarray) -> np.ndarray:
    """(..., 2) weights of 0 and 1 for logits (...) of 1."""
    table = _bit_weights()
    least = len(table) // 2
    return table[np.clip(logit, -least, least).astype(np.int32) + least]


# Arrays whose sums are logits.
_OUTPUTS = ("bit", "flag bit", "high", "low logits")


@dataclass(frozen=True)
class Line:
    """A row of a block of images, as the first layer sees it.

    `rows` (count, columns, above + 1, channels) are those above and, last, the row itself; `told` (count, width,
    spread + 1) what the summary tells each column, and 1; `teller` (channels, spread + 1, first) its weights, and room
    for a column's constant; `constant` (channels, first) is the row's.
    """

    rows: np.ndarray
    told: np.ndarray
    teller: np.ndarray
    constant: np.ndarray


def predictions(left: Any, above: Any, corner: Any, now: Any = None, *before: Any) -> np.ndarray:
    """What three neighbours predict: a plane through them, but no more or less than both others.

    Of a later channel, its difference from the channel before is predicted, whose pixels `now` and `before` are.
    """
    if now is not None:
        left, above, corner = (each - other for each, other in zip((left, above, corner), before, strict=True))
    most, least = np.maximum(left, above), np.minimum(left, above)
    plane = np.clip(left + above - corner, least, most)
    return plane if now is None else np.clip(now + plane, 0, LARGEST_PIXEL)


class CausalNetwork:
    """The network of a plan and its weights, whole numbers by name; what it gives is the same on every machine."""

    def __init__(self, plan: Plan, weights: dict[str, np.ndarray]):
        for name, shape in plan.shapes.items():
            if weights[name].shape != shape or weights[name].dtype.kind != "i":
                raise ValueError(f"{name}: not whole numbers of shape {shape}")
        check_bounds(plan, weights)
        self.plan = plan
        self.weights = weights
        self._weights = {}
        for name in plan.shapes:
            # Powers of two, which change no digit: sums come in the units of activations and of logits.
            unit = LOGIT_UNIT / UNIT**2 if name.startswith(_OUTPUTS) else 1 / UNIT
            if name in CHOSEN or name == "first" or name.endswith("constant"):
                unit *= UNIT  # they go in with the activation of 1
            self._weights[name] = weights[name].astype(np.float32) * np.float32(unit)
        self._window = self._windowed("above", "behind", plan.first)
        if not plan.binary and plan.value:
            self._value_window = self._windowed("value above", "value behind", plan.value)
        self._rows, self._columns = plan.places("row"), plan.places("column")
        if plan.counts:
            # One more low value, which none of the neighbours' has: of those that are no help.
            like = self._weights["low logits like"]
            self._like = np.concatenate([like, np.zeros_like(like[:, :, :1])], axis=2)

    def _windowed(self, above: str, behind: str, units: int) -> np.ndarray:
        """(channels, window, units) weights of the window's columns × rows × channels; 0 for what is still to come."""
        plan, weights = self.plan, self._weights
        channels, columns, rows = plan.channels, 2 * plan.side + 1, plan.above + 1
        window = np.zeros((channels, columns, rows, channels, units), np.float32)
        upper = weights[above].reshape(channels, plan.above, columns, channels, units)
        window[:, :, : plan.above] = upper.transpose(0, 2, 1, 3, 4)
        for channel in range(channels):
            before = np.arange(plan.behind) + channel
            window[channel, before // channels, plan.above, before % channels] = weights[behind][channel]
        return window.reshape(channels, -1, units)

    def canvas(self, count: int) -> np.ndarray:
        """(count, margin + height, pitch) zeros, on which images are drawn."""
        return np.zeros((count, self.plan.margin + self.plan.height, self.plan.pitch), np.float32)

    def inside(self, canvas: np.ndarray) -> np.ndarray:
        """The images on a canvas, (count, height, width × channels), a view."""
        side = self.plan.side * self.plan.channels
        return canvas[:, self.plan.margin :, side : self.plan.pitch - side]

    def line(self, canvas: np.ndarray, row: int) -> "Line":
        """What the first layer sees of a row's pixels; those to the left of each may still be to come."""
        plan, weights = self.plan, self._weights
        count = len(canvas)
        rows = canvas[:, plan.margin + row - plan.above : plan.margin + row + 1]
        rows = rows.reshape(count, plan.above + 1, plan.width + 2 * plan.side, plan.channels)
        rows = np.ascontiguousarray(rows.transpose(0, 2, 1, 3))
        told = np.ones((count, plan.width, plan.spread + 1), np.float32)
        if plan.summary:
            told[:, :, :-1] = self._told(canvas, row).reshape(count, plan.width, plan.spread)
        teller = np.empty((plan.channels, plan.spread + 1, plan.first), np.float32)
        if plan.summary:
            teller[:, :-1] = weights["told"]
        return Line(rows, told, teller, weights["first"][:, 0] + weights["row"][self._rows[row]])

    def _told(self, canvas: np.ndarray, row: int) -> np.ndarray:
        """What the summary of the rows above spreads over the columns: (count, width × spread) activations."""
        plan, weights = self.plan, self._weights
        side = plan.side * plan.channels
        seen = min(row, plan.summarised)  # rows above the image are 0, and add nothing
        lines = canvas[:, plan.margin + row - seen : plan.margin + row, side : plan.pitch - side]
        lines = np.ascontiguousarray(lines).reshape(len(canvas), seen * plan.width * plan.channels)
        sums = lines @ weights["summary"][len(weights["summary"]) - lines.shape[1] :]
        sums += weights["summary row"][self._rows[row]]
        sums = activations(sums) @ weights["spread"]
        sums += weights["spread constant"]
        return activations(sums)

    def predicted(self, canvas: np.ndarray, row: int, column: int, channel: int) -> np.ndarray | None:
        """(count,) predictions of a pixel, of relative plans."""
        if not self.plan.relative:
            return None
        channels = self.plan.channels
        line, place = self.plan.margin + row, (column + self.plan.side) * channels + channel
        around = [(line, place - channels), (line - 1, place), (line - 1, place - channels)]
        before = [(each, at - 1) for each, at in [(line, place), *around]] if channel else []
        return predictions(*(canvas[:, each, at] for each, at in around + before))

    def symbols(self, canvas: np.ndarray) -> np.ndarray:
        """What is coded of images on a canvas, (count, height, width, channels) uint8."""
        plan = self.plan
        shape = (len(canvas), plan.height, plan.width, plan.channels)
        if not plan.relative:
            return self.inside(canvas).astype(np.uint8).reshape(shape)
        symbols = np.empty(shape, np.uint8)
        for column in range(plan.width):
            for channel in range(plan.channels):
                place = (column + plan.side) * plan.channels + channel
                left = place - plan.channels
                now, above = slice(plan.margin, None), slice(plan.margin - 1, -1)
                around = [(now, left), (above, place), (above, left)]
                before = [(each, at - 1) for each, at in [(now, place), *around]] if channel else []
                predicted = predictions(*(canvas[:, each, at] for each, at in around + before))
                distance = canvas[:, now, place] - predicted + NO_DISTANCE
                symbols[:, :, column, channel] = distance.astype(np.int32) & 255
        return symbols

    def first(self, line: "Line", column: int, channel: int, predicted: np.ndarray | None = None) -> np.ndarray:
        """The first layer's activations (count, first)."""
        seen = self._seen(line, column)
        if predicted is not None:
            seen = seen - predicted[:, None]
            seen *= NEARER
            np.clip(seen, -LARGEST_PIXEL, LARGEST_PIXEL, out=seen)
        sums = seen @ self._window[channel]
        if predicted is not None:
            sums += predicted[:, None] * self._weights["predicted"][channel]
        line.teller[channel, -1] = line.constant[channel] + self._weights["column"][self._columns[column]]
        sums += line.told[:, column] @ line.teller[channel]
        return activations(sums)

    def _layer(self, name: str, channel: int, inputs: np.ndarray) -> np.ndarray:
        sums = inputs @ self._weights[name][channel]
        sums += self._weights[name + " constant"][channel]
        return sums

    def _seen(self, line: "Line", column: int) -> np.ndarray:
        """(count, window) pixels, a view."""
        plan = self.plan
        size = (plan.above + 1) * plan.channels
        return line.rows.reshape(len(line.rows), -1)[:, column * size : (column + 2 * plan.side + 1) * size]

    def second(self, first: np.ndarray, channel: int) -> np.ndarray:
        """The second layer's activations (count, second) of binary images."""
        return activations(self._layer("second", channel, first))

    def valued(self, first: np.ndarray, line: "Line", column: int, channel: int, which: np.ndarray) -> np.ndarray:
        """The second layer's activations of the images `which`."""
        plan = self.plan
        some = len(which) < len(first)
        sums = self._layer("second", channel, first[which] if some else first)
        if plan.value:
            seen = self._seen(line, column)
            value = (seen[which] if some else seen) @ self._value_window[channel]
            value += self._weights["value constant"][channel]
            sums += activations(value) @ self._weights["second value"][channel]
        return activations(sums)

    def bit(self, second: np.ndarray, channel: int) -> np.ndarray:
        """(count,) logits of binary images' 255."""
        return logits(self._layer("bit", channel, second)[:, 0])

    def flag(self, first: np.ndarray, channel: int) -> np.ndarray:
        """(count,) logits of not being background."""
        return logits(self._layer("flag bit", channel, activations(self._layer("flag", channel, first)))[:, 0])

    def high(self, second: np.ndarray, channel: int) -> np.ndarray:
        """(count, 16) logits of the high four bits."""
        return logits(self._layer("high", channel, second))

    def low(
        self, second: np.ndarray, channel: int, high: np.ndarray, often: np.ndarray | None, around: np.ndarray | None
    ) -> np.ndarray:
        """(count, 16) logits of the low four bits.

        Given the high ones and, where the plan counts, how often each pixel of these high bits came before (count, 16)
        and the pixels around (count, neighbours), −1 where there is none.
        """
        weights = self._weights
        sums = second @ weights["low"][channel]
        sums += weights["low high"][channel][high]
        if often is not None:
            often = np.minimum(often, MOST_OFTEN).astype(np.float32)
            often *= OFTEN_UNIT
            sums += often @ weights["low often"][channel]
        sums = activations(sums) @ weights["low logits"][channel]
        sums += weights["low logits high"][channel][high]
        if often is not None and around is not None:
            sums += often @ weights["low logits often"][channel]
            alike = around >> 4 == high[:, None]
            if self.plan.background:
                alike &= around != 0
            place = np.where(alike, around & (HALF - 1), HALF)
            for neighbour in range(self.plan.neighbours):
                sums += self._like[channel, neighbour][place[:, neighbour]]
        return logits(sums)

    def neighbours(self, canvas: np.ndarray, which: Any, row: int, column: int, channel: int) -> np.ndarray:
        """(count, neighbours) pixels around this one, of the images `which`."""
        channels = self.plan.channels
        line, place = self.plan.margin + row, (column + self.plan.side) * channels + channel
        around = [
            (line, place - channels),
            (line - 1, place),
            (line - 1, place - channels),
            (line - 1, place + channels),
        ]
        found = [canvas[which, *each] for each in around]
        if channels > 1:
            found.append(canvas[which, line, place - 1] if channel else np.full_like(found[0], -1))
        return np.stack(found, -1).astype(np.int32)
