"""Rows through a fitted model: codes under its prior, rows under its likelihood, whole numbers throughout.

Bits-back coding (Townsend et al., 2019, https://arxiv.org/abs/1901.04866) draws each row's code from q(z|x) by popping
bits that are on the stack already; the decoder pushes them back. A row so costs −log₂ p(x|z) p(z) + log₂ q(z|x) bits,
on average the negative evidence lower bound. Rows come in batches that grow: the first row pops from an empty stack,
and each batch finds on the stack what it needs. Few rows take their codes' nearest grid points instead ("plain"), which
costs nothing at the start.
"""

import json
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from ... import domains
from ...core.errors import DataError
from ...core.sparse import HeldRows, dense
from ...domains.base import Domain
from ...domains.image import Image
from ...domains.image.likelihood import ImageHead
from ...domains.table import Table
from ...domains.table.autoregressive import AutoregressiveHead
from ...domains.table.likelihood import TableHead
from ...parts.networks import Decoder
from ...parts.posteriors import GaussianPosterior
from ...variants.autoencoder import Autoencoder
from ...variants.base import GaussianVariant, Variant
from ...variants.fsq import FSQ
from ..codec import MOST_CHUNK_ROWS, Codec, Rows
from ..coder import MOST_SYMBOLS, Stack
from .codes import CodePrior, LevelPrior, MixturePrior, NormalPrior, posterior_intervals
from .intervals import INTERVALS, Intervals
from .network import MOST_WEIGHTS, ONE, Network, packed, quantised, to_whole, unpacked
from .observations import Observations
from .observed_images import ImageObservations, image_facts
from .observed_tables import TableObservations, table_facts

# Rows in the largest batch, numbers that its networks and weights may hold, and cells of one chunk.
LARGEST_BATCH = 256
BATCH_NUMBERS = 2**24
MOST_CELLS = 2**28
# Rows that precisions are chosen on.
CALIBRATION_ROWS = 512
# Of more rows than this, a sample tells whether plain coding would be shorter.
COMPARED_ROWS = 256
HARDLY_LONGER = 1.01
# Roundings of weights that are tried; the coarsest of those is taken that code rows nearly as well as any.
NOISES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
NEARLY = 1.004
# A posterior's deviation is at least this many steps of the grid.
STEPS_PER_DEVIATION = 4
LEAST_BITS, MOST_BITS = -20, 12
# Precisions of plain codes that are tried, as bits beyond those of a spread.
OFFSETS = range(-2, 7)
# Widths of drawn points that are tried, in eighths of a power of two below their spread.
WIDTHS = range(8, 84, 4)
EIGHTH_OF_LN2 = 0.08664339756999316
MOST_PATCH_BYTES = 2**30

_HEAD = struct.Struct("<BI")
_BITS_BACK, _PLAIN = 0, 1


class LatentCodec(Codec):
    """Rows of a domain through one model: its encoder, its decoder, its prior."""

    kind: ClassVar[str] = "latent"

    def __init__(
        self,
        rows: Observations,
        encoder: Network,
        decoder: Network,
        prior: CodePrior,
        posterior: str,
        plan: dict[str, Any],
    ):
        """`posterior` is "gaussian" (the encoder gives means and log scales), "point" (codes) or "levels".

        `plan` has for each unit the grid's bits of drawn codes ("drawn") and of plain ones ("plain"), and for points
        the log₂ of the deviation that is drawn around them, in eighths ("width"); and, in sixteenths, how many rows
        may follow each row that is on the stack ("growth").
        """
        self._rows, self._encoder, self._decoder, self._prior = rows, encoder, decoder, prior
        self._posterior, self._plan = posterior, plan
        units = prior.units
        for name, most in (("drawn", 64), ("plain", 64), ("width", 512)):
            values = plan[name]
            if len(values) != units or any(type(value) is not int or abs(value) > most for value in values):
                raise ValueError("a precision of codes is missing")
        self._growth = plan["growth"]
        if type(self._growth) is not int or not 1 <= self._growth <= 16:
            raise ValueError("a growth of batches that is none")
        widest = max(encoder.widest, decoder.widest, INTERVALS * max(rows.output_count, rows.feature_count, units))
        self._largest = min(LARGEST_BATCH, max(1, BATCH_NUMBERS // widest))
        self._most_rows = max(1, MOST_CELLS // max(rows.output_count, units))
        self._drawn, self._plain = (np.array(plan[name], np.int32) for name in ("drawn", "plain"))
        if posterior not in ("gaussian", "point", "levels") or (posterior == "levels") != isinstance(prior, LevelPrior):
            raise ValueError(f"unknown kind of codes {posterior!r}")
        if posterior != "levels" and np.any(prior.ends(self._drawn) < INTERVALS / 2):
            raise ValueError("a grid of codes is too coarse to draw from")
        if (
            encoder.inputs != rows.feature_count
            or encoder.outputs != units * (2 if posterior == "gaussian" else 1)
            or decoder.inputs != units
            or decoder.outputs != rows.output_count
        ):
            raise ValueError("the networks do not fit the rows")

    @property
    def most_rows(self) -> int:
        return min(MOST_CHUNK_ROWS, self._most_rows)

    # From a model, and from an archive.

    @classmethod
    def from_model(
        cls,
        model: Variant,
        domain: Domain,
        calibration_rows: HeldRows,
        count: int | None = None,
        noises: Sequence[float] = NOISES,
    ) -> "LatentCodec":
        """The codec of a fitted model; precisions are chosen on some rows, as a tensor of the domain.

        `count` says how many rows there will be: the fewer, the fewer bits are spent on the weights. Without it, rows
        are coded about as well as the model can. `noises` are the roundings of weights that are tried: fewer take less
        time.
        Raises DataError for models whose codes or networks cannot be coded with.
        """
        x = dense(calibration_rows[:CALIBRATION_ROWS])
        if not len(x):
            raise DataError("no rows to choose a codec's precision on; give some")
        _posterior_kind(model)  # refuses those that have none
        decoder = model.decoder
        if not isinstance(decoder, Decoder):
            raise DataError(f"a model of {domain.called} has no exact decoder, by which rows could be coded")
        with np.errstate(all="ignore"):
            rows = _learned(domain, decoder.head, x)
            symbols = rows.symbols(domain.rows(x))
            made = [cls._made(model.encoder.network, decoder.network, model, rows, symbols, noise) for noise in noises]
            few = symbols[:: -(-len(symbols) // COMPARED_ROWS)]
            bits = np.array([codec._bits(few) for codec in made])
        if count is None:
            return made[int(np.flatnonzero(bits <= NEARLY * bits.min())[-1])]
        costs = [len(codec.parameters()) + own / 8 / len(few) * count for codec, own in zip(made, bits, strict=True)]
        return made[int(np.argmin(costs))]

    @classmethod
    def _made(
        cls,
        encoding: nn.Module,
        decoding: nn.Module,
        model: Variant,
        rows: Observations,
        symbols: np.ndarray,
        noise: float,
    ) -> "LatentCodec":
        """The codec whose weights' rounding adds so much noise."""
        posterior, features = _posterior_kind(model), rows.features(symbols)
        encoder = quantised(nn.Sequential(encoding, nn.Tanh()) if posterior == "levels" else encoding, features, noise)
        outputs = encoder(features) / ONE
        prior = _prior_of(model, outputs)
        mean, deviation = outputs[:, : prior.units], None
        if posterior == "gaussian":
            deviation = np.exp(np.clip(outputs[:, prior.units :], *GaussianPosterior.LOG_SCALE_BOUNDS))
        # Only to see what the decoder will see; any draws would do.
        draws = 0.0 if deviation is None else deviation * np.random.default_rng(0).standard_normal(mean.shape)
        decoder = quantised(decoding, to_whole(mean + draws), noise)

        def made(offset: int, width: int, growth: int = 16) -> LatentCodec:
            plan = {**_plan(mean, deviation, offset, width), "growth": growth}
            return cls(rows, encoder, decoder, prior, posterior, plan)

        if posterior == "levels":
            return made(0, 0)
        few = symbols[:: -(-len(symbols) // 128)]
        offset = min(OFFSETS, key=lambda tried: made(tried, 0)._plain_stack(few).bits)
        # Only points are drawn with a width of our choice.
        width = min(WIDTHS, key=lambda tried: made(offset, tried)._in_company(few)[1]) if deviation is None else 0
        return made(offset, width, made(offset, width)._found_growth(few))

    def settings(self) -> dict[str, Any]:
        domain = self._rows.domain
        return {
            "domain": {"name": domain.name, "schema": domain.schema()},
            "rows": self._rows.settings(),
            "posterior": self._posterior,
            "plan": self._plan,
            "encoder": self._encoder.settings(),
            "decoder": self._decoder.settings(),
            "prior": {
                "kind": _PRIOR_NAMES[type(self._prior)],
                "units": self._prior.units,
                "shape": [list(array.shape) for array in self._prior.arrays()],
                "spread": getattr(self._prior, "_spread", np.zeros(0, np.int32)).tolist(),
            },
        }

    def parameters(self) -> bytes:
        return packed([*self._encoder.arrays, *self._decoder.arrays, *self._prior.arrays()])

    @classmethod
    @np.errstate(all="ignore")
    def restored(cls, settings: dict[str, Any], parameters: bytes) -> "LatentCodec":
        stored = settings["domain"]
        if stored["name"] not in domains.names():
            raise ValueError(f"unknown kind of data {stored['name']!r}")
        try:
            domain = domains.find(stored["name"]).from_schema(stored["schema"])
            rows = _restored_rows(domain, settings["rows"])
            encoder, decoder, prior = (settings[name] for name in ("encoder", "decoder", "prior"))
            sizes = [_shapes(part) for part in (encoder["sizes"], decoder["sizes"], prior["shape"])]
            arrays = unpacked(parameters, [shape for part in sizes for shape in part])
            first, second = len(sizes[0]), len(sizes[0]) + len(sizes[1])
            return cls(
                rows,
                Network(encoder["inputs"], encoder["steps"], arrays[:first]),
                Network(decoder["inputs"], decoder["steps"], arrays[first:second]),
                _restored_prior(prior, arrays[second:]),
                settings["posterior"],
                settings["plan"],
            )
        except (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError) as failure:
            raise ValueError(f"a model that is none: {' '.join(str(failure).split())}") from None

    # Rows to bytes and back.

    @np.errstate(all="ignore")
    def encode(self, rows: Rows) -> bytes:
        if not len(rows):
            return _HEAD.pack(_PLAIN, 0)
        if len(rows) > self._most_rows:
            raise DataError(f"{len(rows)} rows are too many for one chunk; the most are {self._most_rows}")
        symbols = self._rows.symbols(rows)
        patch = self._patch(rows, self._rows.rows(symbols))
        mode, stack = self._shortest(symbols)
        return _HEAD.pack(mode, len(patch)) + patch + stack.to_bytes()

    @np.errstate(all="ignore")
    def decode(self, chunk: bytes, count: int) -> Rows:
        if len(chunk) < _HEAD.size or not 0 <= count <= self._most_rows:
            raise ValueError("a chunk that is none")
        mode, length = _HEAD.unpack(chunk[: _HEAD.size])
        patch, rest = chunk[_HEAD.size : _HEAD.size + length], chunk[_HEAD.size + length :]
        if mode not in (_BITS_BACK, _PLAIN) or len(patch) < length:
            raise ValueError("a chunk that is none")
        try:
            return self._decoded(mode, patch, Stack.from_bytes(rest), count)
        # The bytes are not to be trusted: whatever they make NumPy and Arrow raise is the chunk's fault.
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            MemoryError,
            NotImplementedError,
            TypeError,
        ) as failure:
            raise ValueError(f"a chunk that is none: {' '.join(str(failure).split())}") from None

    def _decoded(self, mode: int, patch: bytes, stack: Stack, count: int) -> Rows:
        pop = self._pop_drawn if mode == _BITS_BACK and self._posterior != "levels" else self._pop_plain
        parts = [pop(stack, size) for size in reversed(self._batches(count))]
        if not stack.empty:
            raise ValueError("a chunk holds more than its rows")
        if not parts:
            return self._rows.joined([])
        return self._rows.patched(self._rows.rows(np.concatenate(parts[::-1])), _read_patch(patch))

    def canonical(self, rows: Rows) -> bytes:
        return self._rows.canonical(rows)

    def joined(self, parts: list[Rows]) -> Rows:
        return self._rows.joined(parts)

    def part(self, rows: Rows, start: int, stop: int) -> Rows:
        if hasattr(rows, "iloc"):
            return rows.iloc[start:stop]
        return rows.slice(start, stop - start) if hasattr(rows, "slice") else rows[start:stop]

    def _patch(self, rows: Rows, coded: Rows) -> bytes:
        patch = self._rows.patch(rows, coded)
        if not patch:
            return b""
        if self._rows.patch(rows, self._rows.patched(coded, patch)):
            raise DataError("these rows hold cells that the model's own table cannot hold; fit a model to them too")
        return zlib.compress(json.dumps(patch, separators=(",", ":")).encode(), 9)

    def _shortest(self, symbols: np.ndarray) -> tuple[int, Stack]:
        """The shorter way of coding; of many rows, plain coding is measured on some."""
        if self._posterior == "levels":
            return _PLAIN, self._plain_stack(symbols)
        drawn = self._drawn_stack(symbols)
        if len(symbols) > COMPARED_ROWS:
            few = symbols[:: len(symbols) // COMPARED_ROWS]
            if self._plain_stack(few).bits > HARDLY_LONGER * self._in_company(few)[1]:
                return _BITS_BACK, drawn
        plain = self._plain_stack(symbols)
        return (_PLAIN, plain) if plain.bits < drawn.bits else (_BITS_BACK, drawn)

    def _plain_stack(self, symbols: np.ndarray) -> Stack:
        stack = Stack()
        for part in self._parted(symbols):
            mean = self._encoder(self._rows.features(part))[:, : self._prior.units] / ONE
            k = self._prior.nearest(mean, self._plain)
            self._push_rows(stack, part, k, self._plain)
            self._prior.push(stack, k, self._plain)
        return stack

    def _pop_plain(self, stack: Stack, rows: int) -> np.ndarray:
        k = self._prior.pop(stack, rows, self._plain)
        return self._pop_rows(stack, k, self._plain)

    def _drawn_stack(self, symbols: np.ndarray) -> Stack:
        stack = Stack()
        for part in self._parted(symbols):
            k = self._drawn_codes(part).pop(stack, part.shape[0] * self._prior.units).reshape(len(part), -1)
            self._push_rows(stack, part, k, self._drawn)
            self._prior.push(stack, k, self._drawn)
        return stack

    def _pop_drawn(self, stack: Stack, rows: int) -> np.ndarray:
        k = self._prior.pop(stack, rows, self._drawn)
        symbols = self._pop_rows(stack, k, self._drawn)
        self._drawn_codes(symbols).push(stack, k.ravel())
        return symbols

    def _bits(self, symbols: np.ndarray) -> float:
        """Bits of so many rows in company, whose start is paid for."""
        if self._posterior == "levels":
            return float(self._plain_stack(symbols).bits)
        return float(min(self._in_company(symbols)[1], self._plain_stack(symbols).bits))

    def _found_growth(self, symbols: np.ndarray) -> int:
        """How many sixteenths of a row can be drawn with the bits that a row adds to the stack."""
        drawn, net = self._in_company(symbols)
        # Nine tenths, since some rows take more than others.
        return int(np.clip(0.9 * 16 * net / max(drawn, 1), 1, 16))

    def _in_company(self, symbols: np.ndarray) -> tuple[int, int]:
        """The bits that drawing rows' codes pops from a full stack, and those it has more when the rows are on it."""
        words = 4 * symbols.size + 64 * len(symbols)
        stack = Stack(np.random.default_rng(0).integers(1, 2**32, words, dtype=np.uint32))
        full = stack.bits
        k = self._drawn_codes(symbols).pop(stack, len(symbols) * self._prior.units).reshape(len(symbols), -1)
        drawn = full - stack.bits
        self._push_rows(stack, symbols, k, self._drawn)
        self._prior.push(stack, k, self._drawn)
        return drawn, stack.bits - full

    def _batches(self, count: int) -> list[int]:
        """The rows of each batch: one, then as many as those before have left bits for, up to the largest batch."""
        sizes: list[int] = []
        done = 0
        while done < count:
            sizes.append(min(max(1, done * self._growth // 16), self._largest, count - done))
            done += sizes[-1]
        return sizes

    def _parted(self, symbols: np.ndarray) -> list[np.ndarray]:
        return np.split(symbols, np.cumsum(self._batches(len(symbols)))[:-1])

    def _drawn_codes(self, symbols: np.ndarray) -> Intervals:
        """q(z|x) for some rows."""
        outputs = self._encoder(self._rows.features(symbols)) / ONE
        units = self._prior.units
        if self._posterior == "gaussian":
            log_scale = np.clip(outputs[:, units:], *GaussianPosterior.LOG_SCALE_BOUNDS)
        else:
            log_scale = np.broadcast_to(np.array(self._plan["width"]) * EIGHTH_OF_LN2, outputs.shape)
        return posterior_intervals(outputs[:, :units], log_scale, self._drawn, self._prior.ends(self._drawn))

    def _push_rows(self, stack: Stack, symbols: np.ndarray, k: np.ndarray, bits: np.ndarray) -> None:
        self._rows.push(stack, self._decoder(self._prior.codes(k, bits)), symbols)

    def _pop_rows(self, stack: Stack, k: np.ndarray, bits: np.ndarray) -> np.ndarray:
        return self._rows.pop(stack, self._decoder(self._prior.codes(k, bits)))


def _read_patch(data: bytes) -> dict[str, Any]:
    if not data:
        return {}
    unzip = zlib.decompressobj()
    try:
        patch = json.loads(unzip.decompress(data, MOST_PATCH_BYTES))
    except (zlib.error, RecursionError) as failure:
        raise ValueError(f"listed cells that are none: {failure}") from None
    if not isinstance(patch, dict):
        raise ValueError("listed cells that are none")
    return patch


# How rows are coded.


def _learned(domain: Domain, head: nn.Module, rows: Tensor) -> Observations:
    """The observations of a fitted decoder's head, grids and frequencies found on some rows (a tensor)."""
    if isinstance(head, TableHead) and head.missing is not None:
        raise DataError(
            "missing='modelled': rows cannot be coded through such a model; fit with missing='ignored', or compress "
            "without a model, whose archives are smaller"
        )
    if isinstance(domain, Table) and isinstance(head, TableHead):
        return TableObservations(domain, table_facts(domain, head, rows.detach().cpu().double().numpy()))
    if isinstance(domain, Image) and not domain.whole:
        raise DataError(
            "images of sizes of their own, and those that are reduced, cannot be coded through a model, which knows "
            "them reduced; compress them as files"
        )
    if isinstance(domain, Image) and isinstance(head, ImageHead):
        return ImageObservations(domain, image_facts(domain, head, rows.detach().cpu()))
    if isinstance(head, AutoregressiveHead):
        raise DataError(
            "likelihood='autoregressive': rows cannot be coded through its codes; fit with likelihood='gaussian', or "
            "compress without a model, whose archives are smaller"
        )
    raise DataError(f"rows of kind '{domain.name}' cannot be coded through a model")


def _restored_rows(domain: Domain, settings: dict[str, Any]) -> Observations:
    if isinstance(domain, Table):
        return TableObservations(domain, settings)
    if isinstance(domain, Image) and domain.whole:
        return ImageObservations(domain, settings)
    raise ValueError(f"rows of kind '{domain.name}' cannot be coded through a model")


# What a model's codes are.


def _posterior_kind(model: Variant) -> str:
    if isinstance(model, GaussianVariant):
        return "gaussian"
    if isinstance(model, Autoencoder):
        return "point"
    if isinstance(model, FSQ):
        if model.options.levels > MOST_SYMBOLS:
            raise DataError(f"levels={model.options.levels}: rows can be coded with at most {MOST_SYMBOLS} levels")
        return "levels"
    raise DataError(f"a {model.title} cannot code rows yet: take a VAE, an autoencoder or FSQ")


def _prior_of(model: Variant, outputs: np.ndarray) -> CodePrior:
    if isinstance(model, Autoencoder):
        if not model.density.fitted:
            raise DataError("the autoencoder has no density of codes yet; fit it to rows first")
        spread = np.frexp(np.maximum(outputs.std(0), 2.0**-8))[1].astype(np.int32)
        weights, means, factors = (
            tensor.detach().double().cpu().numpy()
            for tensor in (model.density.weights, model.density.means, model.density.factors)
        )
        # Codes that lie far from 0 need a wide grid.
        farthest = np.abs(means).max(0) + 16 * np.abs(factors).sum(2).max(0)
        spread = np.maximum(spread, np.frexp(farthest / 64.0)[1]).astype(np.int32)
        return MixturePrior.fitted(weights, means, factors, spread)
    if isinstance(model, FSQ):
        if not model.classes.fitted:
            raise DataError("the model has no prior over its levels yet; fit it to rows first")
        weights, tables = (
            tensor.detach().double().cpu().numpy() for tensor in (model.classes.weights, model.classes.tables)
        )
        return LevelPrior.fitted(weights, tables)
    return NormalPrior(model.latent_dim)


def _plan(mean: np.ndarray, deviation: np.ndarray | None, offset: int, narrower: int) -> dict[str, list[int]]:
    """The bits of each unit's grid: as many as its deviation asks for, and `offset` more for plain codes.

    A point is drawn with the deviation of its unit's codes over all rows, less `narrower` eighths of a power of two.
    """
    if deviation is None:
        spread = np.log2(np.maximum(mean.std(0), 2.0**-8))
        plain = np.clip(np.ceil(-spread) + offset, LEAST_BITS, MOST_BITS)
        width = np.rint(8 * spread) - narrower
        drawn = np.clip(np.ceil(math.log2(STEPS_PER_DEVIATION) - width / 8), LEAST_BITS, MOST_BITS)
    else:
        narrow = np.quantile(deviation, 0.05, axis=0)
        drawn = np.clip(np.ceil(np.log2(STEPS_PER_DEVIATION / narrow)), 2, MOST_BITS)
        plain = np.clip(np.rint(-np.log2(np.median(deviation, axis=0))) + offset - 2, -3, MOST_BITS)
        width = np.zeros(len(drawn))
    return {
        name: [int(value) for value in values]
        for name, values in (("drawn", drawn), ("plain", plain), ("width", width))
    }


_PRIOR_NAMES: dict[type[CodePrior], str] = {NormalPrior: "normal", MixturePrior: "mixture", LevelPrior: "levels"}


def _restored_prior(stored: dict[str, Any], arrays: list[np.ndarray]) -> CodePrior:
    if stored["kind"] == "normal":
        units = stored["units"]
        if type(units) is not int or not 1 <= units <= MOST_WEIGHTS or arrays:
            raise ValueError("a prior of codes that is none")
        return NormalPrior(units)
    if stored["kind"] == "mixture":
        spread = stored["spread"]
        if any(type(value) is not int or abs(value) > 64 for value in spread):
            raise ValueError("a prior of codes that is none")
        return MixturePrior(np.array(spread, np.int32), arrays)
    if stored["kind"] == "levels":
        return LevelPrior(arrays)
    raise ValueError(f"unknown kind of prior {stored['kind']!r}")


def _shapes(stored: Any) -> list[tuple[int, ...]]:
    shapes = [tuple(shape) for shape in stored]
    for shape in shapes:
        if len(shape) > 4 or any(type(side) is not int or not 0 <= side <= MOST_WEIGHTS for side in shape):
            raise ValueError("a shape that is none")
    return shapes
