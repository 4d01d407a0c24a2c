"""Trained networks in whole numbers: the same outputs to the last bit on every machine, for every batch and thread.

Activations are whole numbers of 2⁻¹², held in float64, weights those of a power of two chosen layer by layer. Matrix
products are sums of whole numbers that a bound, computed from the weights, keeps below 2⁵³: there no order of summation
changes anything. All else is done element by element (see curves.py). Only NumPy computes here.
"""

import math
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.errors import DataError
from ...parts.networks import ConvolutionalDecoder, Residual
from ..coder import MOST_SYMBOLS, Stack
from . import curves

FRACTION_BITS = 12
ONE = 2.0**FRACTION_BITS
# Activations end here: 16,384.
LIMIT = 2.0**26
EXACT_IN_FLOAT64 = 2.0**53
# How much of a layer's spread the rounding of its weights adds as noise, where nothing else is asked for.
WEIGHT_NOISE = 0.02
# No network of ours has more weights; where the bytes are few, no more than so many for each of them.
MOST_WEIGHTS = 2**28
# Nor one that holds more numbers of one row at a time.
MOST_NUMBERS = 2**26
WEIGHTS_PER_BYTE = 64
ALWAYS_ALLOWED = 2**22

_ACTIVATIONS = {nn.ReLU: "relu", nn.SiLU: "silu", nn.GELU: "gelu", nn.Tanh: "tanh", nn.Identity: "identity"}


def to_whole(x: np.ndarray) -> np.ndarray:
    """Numbers → whole numbers of 2⁻¹² within the limit."""
    return np.clip(np.rint(x * ONE), -LIMIT, LIMIT)


class Network:
    """A network in whole numbers. `steps` say what is done in which order, `arrays` are the whole numbers for it.

    Raises ValueError, KeyError or TypeError if they are no network, or one whose sums could reach 2⁵³.
    """

    def __init__(self, inputs: int, steps: list[dict[str, Any]], arrays: list[np.ndarray]):
        self.inputs, self.steps, self.arrays = inputs, steps, arrays
        rest = list(arrays)
        self._layers, shape = _built(steps, (_size(inputs),), rest)
        if rest or len(shape) != 1:
            raise ValueError("the network's numbers do not fit its layers")
        self.outputs = shape[0]
        # The most numbers that are held of one row.
        self.widest = max([self.inputs, *(layer.work for layer in self._layers)])
        if self.widest > MOST_NUMBERS:
            raise ValueError("a network that holds more numbers of a row than can be computed with")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Whole numbers (n, inputs) in float64 → (n, outputs)."""
        for layer in self._layers:
            x = layer(x)
        return x

    def settings(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "steps": self.steps, "sizes": [list(array.shape) for array in self.arrays]}

    def parameters(self) -> bytes:
        return packed(self.arrays)

    @classmethod
    def restored(cls, settings: dict[str, Any], parameters: bytes) -> "Network":
        sizes = [tuple(_size(side) for side in size) for size in settings["sizes"]]
        return cls(_size(settings["inputs"]), settings["steps"], unpacked(parameters, sizes))


# The layers: each is made from its step and takes the arrays it needs from the front of `arrays`.


def _built(
    steps: list[dict[str, Any]], shape: tuple[int, ...], arrays: list[np.ndarray]
) -> tuple[list[Any], tuple[int, ...]]:
    if not isinstance(steps, list):
        raise TypeError("the network's steps are no list")
    layers = []
    for step in steps:
        layer = _KINDS[step["kind"]](step, shape, arrays)
        layer.work = max(math.prod(layer.shape), getattr(layer, "work", 0))
        layers.append(layer)
        shape = layer.shape
    return layers, shape


class _Linear:
    """⌊(W x + b) / 2^bits + ½⌋, W in units of 2^−bits."""

    def __init__(self, step: dict[str, Any], shape: tuple[int, ...], arrays: list[np.ndarray]):
        (inputs,) = shape
        weight, bias = _taken(arrays), _taken(arrays)
        if weight.ndim != 2 or weight.shape[1] != inputs or bias.shape != weight.shape[:1]:
            raise ValueError("a dense layer's weights do not fit its input")
        _check_bound(weight, bias)
        self._weight, self._bias, self._unit = np.ascontiguousarray(weight.T), bias, _unit(step)
        self.shape = (len(bias),)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return _shortened(x @ self._weight + self._bias, self._unit)


class _Convolution:
    """A convolution, as one product of patches (n, places, inputs · taps) with the weights."""

    def __init__(self, step: dict[str, Any], shape: tuple[int, ...], arrays: list[np.ndarray]):
        channels, tall, wide = shape
        weight, bias = _taken(arrays), _taken(arrays)
        self._stride, self._padding = _size(step["stride"]), _size(step["padding"], least=0, most=64)
        if weight.ndim != 4 or weight.shape[1] != channels or bias.shape != weight.shape[:1]:
            raise ValueError("a convolution's weights do not fit its input")
        _check_bound(weight.reshape(len(weight), -1), bias)
        self._taps = weight.shape[2:]
        padded = (tall + 2 * self._padding, wide + 2 * self._padding)
        sides = [(side - taps) // self._stride + 1 for side, taps in zip(padded, self._taps, strict=True)]
        if min(sides) < 1 or math.prod(sides) > MOST_WEIGHTS:
            raise ValueError("a convolution is larger than its picture")
        self._sides = sides
        self._weight, self._bias = np.ascontiguousarray(weight.reshape(len(weight), -1).T), bias
        self._unit = _unit(step)
        self.shape = (len(bias), *sides)
        self.work = math.prod([channels, *self._taps, *sides])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        p, s, (tall, wide) = self._padding, self._stride, self._sides
        x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        patches = np.stack(
            [
                x[:, :, i : i + s * (tall - 1) + 1 : s, j : j + s * (wide - 1) + 1 : s]
                for i in range(self._taps[0])
                for j in range(self._taps[1])
            ],
            axis=2,
        )  # (n, channels, taps, tall, wide)
        patches = patches.reshape(len(x), -1, tall * wide).transpose(0, 2, 1)
        sums = patches.reshape(-1, patches.shape[-1]) @ self._weight + self._bias
        return _shortened(sums, self._unit).reshape(len(x), tall, wide, -1).transpose(0, 3, 1, 2)


class _TransposedConvolution:
    """Each input value adds its kernel, times itself, to the output around it."""

    def __init__(self, step: dict[str, Any], shape: tuple[int, ...], arrays: list[np.ndarray]):
        channels, tall, wide = shape
        weight, bias = _taken(arrays), _taken(arrays)
        self._stride, self._padding = _size(step["stride"]), _size(step["padding"], least=0, most=64)
        if weight.ndim != 4 or weight.shape[0] != channels or bias.shape != weight.shape[1:2]:
            raise ValueError("a transposed convolution's weights do not fit its input")
        _check_bound(weight.transpose(1, 0, 2, 3).reshape(len(bias), -1), bias)
        self._taps, self._bias, self._unit = weight.shape[2:], bias, _unit(step)
        self._weight = np.ascontiguousarray(weight.reshape(channels, -1))
        extra = [_size(side, least=0) for side in step["extra"]]
        sides = [
            (side - 1) * self._stride - 2 * self._padding + taps + more
            for side, taps, more in zip((tall, wide), self._taps, extra, strict=True)
        ]
        if min(sides) < 1 or math.prod(sides) > MOST_WEIGHTS or max(extra) >= self._stride:
            raise ValueError("a transposed convolution gives no picture")
        self._sides = sides
        self.shape = (len(bias), *sides)
        self.work = math.prod([len(bias), *self._taps, tall, wide])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        n, channels, tall, wide = x.shape
        s, p = self._stride, self._padding
        products = x.transpose(0, 2, 3, 1).reshape(-1, channels) @ self._weight
        products = products.reshape(n, tall, wide, len(self._bias), *self._taps)
        sums = np.zeros((n, len(self._bias), self._sides[0] + 2 * p, self._sides[1] + 2 * p))
        for i in range(self._taps[0]):
            for j in range(self._taps[1]):
                target = sums[:, :, i : i + s * (tall - 1) + 1 : s, j : j + s * (wide - 1) + 1 : s]
                target += products[..., i, j].transpose(0, 3, 1, 2)[:, :, : target.shape[2], : target.shape[3]]
        sums = sums[:, :, p : p + self._sides[0], p : p + self._sides[1]] + self._bias[:, None, None]
        return _shortened(sums, self._unit)


class _Normalisation:
    """Layer and group normalisation: (x − mean) / √(variance + ε) · w + b over each of some groups of values."""

    def __init__(self, step: dict[str, Any], shape: tuple[int, ...], arrays: list[np.ndarray]):
        self._weight, self._bias = _taken(arrays), _taken(arrays)
        self._groups, self._least = _size(step["groups"]), _number(step["epsilon"]) * ONE * ONE
        channels = shape[0]
        # Layer normalisation has a weight for each value of its one group, group normalisation one for each channel.
        if channels % self._groups or self._weight.shape != (channels,) or self._bias.shape != (channels,):
            raise ValueError("a normalisation does not fit its input")
        self._members = math.prod(shape) // self._groups
        if self._members > 2**16 or not 0 < self._least < LIMIT or self._over(self._weight) or self._over(self._bias):
            raise ValueError("a normalisation's sums could be inexact")
        self.shape = shape

    @staticmethod
    def _over(array: np.ndarray) -> bool:
        return bool(np.abs(array).max(initial=0) > LIMIT)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        groups = x.reshape(len(x), self._groups, self._members)
        centred = np.rint(groups - groups.sum(axis=2, keepdims=True) / self._members)
        # Squares of at most 18 bits each: their sum is exact.
        power = np.maximum(np.frexp(np.abs(centred).max(axis=2, keepdims=True))[1] - 18, 0)
        short = np.rint(np.ldexp(centred, -power))
        square = np.ldexp((short * short).sum(axis=2, keepdims=True) / self._members, 2 * power)
        standard = (centred * (ONE / np.sqrt(square + self._least))).reshape(x.shape)
        side = (-1,) + (1,) * (x.ndim - 2)
        return np.clip(np.rint(standard * (self._weight / ONE).reshape(side) + self._bias.reshape(side)), -LIMIT, LIMIT)


class _Activation:
    """relu as it is; silu(x) = relu(x) − |x| σ(−|x|) and gelu(x) = relu(x) − |x| Φ(−|x|) by a table of what is taken
    off, tanh by a table."""

    def __init__(self, step: dict[str, Any], shape: tuple[int, ...], arrays: list[np.ndarray]):
        self._name = str(step["name"])
        if self._name not in _ACTIVATIONS.values():
            raise ValueError(f"unknown activation {self._name!r}")
        self.shape = shape

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._name == "identity":
            return x
        if self._name == "relu":
            return np.maximum(x, 0.0)
        table = _table(self._name)
        found = table[np.minimum(np.abs(x), len(table) - 1).astype(np.int32)]
        return np.copysign(found, x) if self._name == "tanh" else np.maximum(x, 0.0) - found


@cache
def _table(name: str) -> np.ndarray:
    size = np.arange(16 * int(ONE)) / ONE
    if name == "tanh":
        return np.rint((1.0 - 2.0 / (1.0 + curves.exponential(2.0 * size))) * ONE)
    below = 1.0 / (1.0 + curves.exponential(size)) if name == "silu" else curves.normal()(-size)
    return np.rint(size * below * ONE)


class _Residual:
    """x + block(x)."""

    def __init__(self, step: dict[str, Any], shape: tuple[int, ...], arrays: list[np.ndarray]):
        if any(inner["kind"] == "residual" for inner in step["steps"]):
            raise ValueError("a residual block within another")
        self._layers, self.shape = _built(step["steps"], shape, arrays)
        if self.shape != shape:
            raise ValueError("a residual block changes its input's shape")
        self.work = max((layer.work for layer in self._layers), default=0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        inner = x
        for layer in self._layers:
            inner = layer(inner)
        return np.clip(x + inner, -LIMIT, LIMIT)


class _Reshape:
    def __init__(self, step: dict[str, Any], shape: tuple[int, ...], arrays: list[np.ndarray]):
        self.shape = tuple(_size(side) for side in step["shape"])
        if math.prod(self.shape) != math.prod(shape) or len(self.shape) not in (1, 3):
            raise ValueError("a shape does not hold the numbers it is given")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), *self.shape)


_KINDS: dict[str, Any] = {
    "linear": _Linear,
    "convolution": _Convolution,
    "transposed": _TransposedConvolution,
    "normalisation": _Normalisation,
    "activation": _Activation,
    "residual": _Residual,
    "reshape": _Reshape,
}


def _shortened(sums: np.ndarray, unit: float) -> np.ndarray:
    """Sums in units of 2^−(12 + bits) → whole numbers of 2⁻¹², halves rounded up."""
    return np.clip(np.floor(sums * unit + 0.5), -LIMIT, LIMIT)


def _check_bound(weight: np.ndarray, bias: np.ndarray) -> None:
    """Whether no sum of |w| · limit + |b| reaches 2⁵³, for weights (outputs, inputs)."""
    largest = np.abs(weight.astype(np.float64)).sum(axis=1) * LIMIT + np.abs(bias)
    if largest.max(initial=0.0) * (1 + 1e-9) >= EXACT_IN_FLOAT64 / 2:
        raise ValueError("a layer's weights are so large that its sums could be inexact")


def _unit(step: dict[str, Any]) -> float:
    return 2.0 ** -_size(step["bits"], least=0, most=40)


def _size(value: Any, least: int = 1, most: int = MOST_WEIGHTS) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r} is no whole number from {least} to {most}")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _taken(arrays: list[np.ndarray]) -> np.ndarray:
    if not arrays:
        raise ValueError("a layer has no numbers")
    return arrays.pop(0)


# From torch's networks.


def quantised(module: nn.Module, rows: np.ndarray, noise: float = WEIGHT_NOISE) -> Network:
    """The network of a trained module, its weights' precision chosen on some inputs, whole numbers (n, inputs).

    Rounding the weights adds about `noise` to each layer's outputs, as a share of their spread.

    Raises DataError for networks that whole numbers cannot carry: unknown layers, weights that are huge or not finite.
    """
    x = torch.from_numpy(rows / ONE)
    maker = _Maker(noise)
    with torch.inference_mode():
        steps = maker.steps(module, x)[0]
    try:
        return Network(rows.shape[1], steps, maker.arrays)
    except ValueError as failure:
        raise DataError(f"this network cannot code rows: {failure}; train it anew with smaller weights") from None


class _Maker:
    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.arrays: list[np.ndarray] = []

    def steps(self, module: nn.Module, x: torch.Tensor) -> tuple[list[dict[str, Any]], torch.Tensor]:
        """The steps of a module for float64 inputs, and its outputs."""
        if isinstance(module, nn.Sequential | ConvolutionalDecoder):
            steps: list[dict[str, Any]] = []
            for child in module if isinstance(module, nn.Sequential) else module.layers:
                more, x = self.steps(child, x)
                steps += more
            return steps, x
        if isinstance(module, Residual):
            inner, y = self.steps(module.block, x)
            return [{"kind": "residual", "steps": inner}], x + y
        return [self._step(module, x)], (y := _applied(module, x))

    def _step(self, module: nn.Module, x: torch.Tensor) -> dict[str, Any]:
        if type(module) in _ACTIVATIONS:
            if isinstance(module, nn.GELU) and module.approximate != "none":
                raise DataError("this network cannot code rows: its GELU is an approximate one; use the exact one")
            return {"kind": "activation", "name": _ACTIVATIONS[type(module)]}
        if isinstance(module, nn.Flatten | nn.Unflatten):
            return {"kind": "reshape", "shape": list(module(x).shape[1:])}
        if isinstance(module, nn.Linear):
            return {"kind": "linear", "bits": self._weights(module, x)}
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and _plain(module):
            own = {"bits": self._weights(module, x), "stride": module.stride[0], "padding": int(module.padding[0])}
            if isinstance(module, nn.Conv2d):
                return {"kind": "convolution", **own}
            return {"kind": "transposed", **own, "extra": [int(side) for side in module.output_padding]}
        if isinstance(module, nn.LayerNorm | nn.GroupNorm) and module.weight is not None and module.bias is not None:
            for values in (module.weight, module.bias):
                self.arrays.append(_whole(values, FRACTION_BITS))
            groups = module.num_groups if isinstance(module, nn.GroupNorm) else 1
            return {"kind": "normalisation", "groups": groups, "epsilon": module.eps}
        raise DataError(f"this network cannot code rows: it has a layer of kind {type(module).__name__}")

    def _weights(self, module: Any, x: torch.Tensor) -> int:
        """Keeps the layer's numbers; gives the bits after the point of its weights."""
        y = _applied(module, x)
        if not y.isfinite().all():
            raise DataError("this network cannot code rows: its outputs are not finite; train it anew")
        # Rounded to 2^−bits, each weight is off by 2^−bits/√12 (one deviation), a sum of products by that times ‖x‖.
        taps = math.prod(getattr(module, "kernel_size", (1,)))
        length = float(x.square().mean()) * (x[0].numel() if x.dim() == 2 else x.shape[1] * taps)
        noise = math.sqrt(length / 12) + 1e-9
        spread = max(float(y.std(0).square().mean().sqrt()) if len(y) > 1 else 1.0, 2.0**-6)
        bits = min(20, max(2, math.ceil(math.log2(noise / (self.noise * spread)))))
        self.arrays.append(_whole(module.weight, bits))
        outputs = module.weight.shape[1 if isinstance(module, nn.ConvTranspose2d) else 0]
        bias = module.bias if module.bias is not None else torch.zeros(outputs)
        # A bias needs no finer steps than activations have.
        self.arrays.append(_whole(bias, FRACTION_BITS) * 2.0**bits)
        return bits


def _plain(module: Any) -> bool:
    """Whether a convolution is one of square strides, undilated and with all channels in one group."""
    same = all(len(set(side)) == 1 for side in (module.stride, module.padding))
    return same and set(module.dilation) == {1} and module.groups == 1 and module.padding_mode == "zeros"


def _applied(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    parameters = {name: value.detach().double().cpu() for name, value in module.named_parameters()}
    return torch.func.functional_call(module, parameters, (x,))


def _whole(values: torch.Tensor, bits: int) -> np.ndarray:
    numbers = np.rint(values.detach().double().cpu().numpy() * 2.0**bits)
    if not np.isfinite(numbers).all() or np.abs(numbers).max(initial=0.0) >= EXACT_IN_FLOAT64 / LIMIT:
        raise DataError("this network cannot code rows: its weights are huge or not finite; train it anew")
    return numbers


# Whole numbers as bytes.


def packed(arrays: list[np.ndarray]) -> bytes:
    """Arrays of whole numbers, below 2⁵² in size, as bytes: each by the frequencies of its own numbers."""
    stack, head = Stack(), b""
    for array in reversed(arrays):
        values = array.ravel().astype(np.int64)
        low = int(values.min(initial=0))
        span = int(values.max(initial=0)) - low
        most = min(MOST_SYMBOLS, max(2, len(values) // 16))
        shift = max(0, span.bit_length() - (most.bit_length() - 1))
        digits = (values - low) >> shift
        counts = np.bincount(digits, minlength=(span >> shift) + 1)
        weights = np.where(counts > 0, np.maximum(counts * 65_000 // max(1, counts.max()), 1), 0).astype("<u2")
        if not len(values):
            weights[:] = 1
        stack.push_equal((values - low) & ((1 << shift) - 1), np.full(len(values), 1 << shift))
        stack.push(digits, weights.astype(np.float32))
        head = struct.pack("<qBH", low, shift, len(weights)) + weights.tobytes() + head
    head = zlib.compress(head, 9)
    return struct.pack("<I", len(head)) + head + stack.to_bytes()


def unpacked(data: bytes, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """The arrays of these shapes, float64. Raises ValueError where the bytes are no such arrays."""
    total = sum(math.prod(shape) for shape in shapes)
    if total > min(MOST_WEIGHTS, max(ALWAYS_ALLOWED, len(data) * WEIGHTS_PER_BYTE)):
        raise ValueError("more numbers are announced than the bytes can hold")
    if len(data) < 4:
        raise ValueError("the numbers are cut short")
    length = struct.unpack("<I", data[:4])[0]
    unzip, most = zlib.decompressobj(), len(shapes) * (11 + 512)
    try:
        head = unzip.decompress(data[4 : 4 + length], most + 1)
    except zlib.error as failure:
        raise ValueError(str(failure)) from None
    stack = Stack.from_bytes(data[4 + length :])
    arrays = []
    for shape in shapes:
        if len(head) < 11:
            raise ValueError("the numbers are cut short")
        low, shift, alphabet = struct.unpack("<qBH", head[:11])
        weights = np.frombuffer(head[11 : 11 + 2 * alphabet], "<u2").astype(np.float32)
        head = head[11 + 2 * alphabet :]
        if (
            not 1 <= alphabet <= MOST_SYMBOLS
            or len(weights) != alphabet
            or shift > 52
            or abs(low) > 2**52
            or not weights.sum()
        ):
            raise ValueError("frequencies that are none")
        count = math.prod(shape)
        digits = stack.pop(weights, count)
        rest = stack.pop_equal(np.full(count, 1 << shift))
        arrays.append((low + (digits << shift) + rest).astype(np.float64).reshape(shape))
    if head or not stack.empty:
        raise ValueError("more numbers than there should be")
    return arrays
