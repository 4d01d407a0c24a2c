"""Series: numbers step by step in one channel or several, of one length or of many, with values missing or not."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ...core.errors import DataError, OptionError
from ...parts.networks import Decoder, Encoder, Perceptron
from ..base import Domain, NetworkOptions, Rows, Survey
from .checking import Block, block, indexed, is_list_of_arrays
from .likelihood import FAMILIES, Scale, SeriesHead
from .networks import SeriesDecoder, SeriesEncoder, SeriesFeatures
from .pictures import Band, chart

CONTAINERS = ("array", "list", "table")
# Up to this many values a series goes through dense layers; above, through convolutions along time.
MOST_DENSE_VALUES = 1024
# Convolutions halve the time until about so many steps are left.
FEWEST_STEPS = 8


class Series(Domain):
    """Time series; tensors are (rows, steps · channels), step by step, NaN where a value is missing and beyond the end.

    Series that come in a list have lengths of their own: the length is then the first number of a row, and lengths are
    modelled with the values. Networks see each channel in its own standard deviations, and which values are observed
    where any was missing.
    """

    name: ClassVar[str] = "series"
    called: ClassVar[str] = "series"
    picture_kind: ClassVar[str] = "image"
    checks_rows: ClassVar[bool] = True
    column_word: ClassVar[str] = "step"
    effect_unit: ClassVar[str] = "standard deviations of the channel"
    place_name: ClassVar[str] = "step"
    likelihoods: ClassVar[tuple[str, ...]] = FAMILIES
    checks_rows: ClassVar[bool] = True

    def __init__(
        self,
        container: str,
        flat: bool,
        dtype: str,
        names: tuple[str, ...],
        steps: int,
        lengths: list[int] | None,
        mean: np.ndarray,
        spread: np.ndarray,
        gaps: bool,
        family: str,
        band: Band,
    ):
        self.container, self.flat, self.dtype, self.names = container, flat, dtype, names
        self.steps = steps  # of the longest series
        self.lengths = lengths  # those that were fitted, each once, rising; None where all are `steps` by their type
        self.mean, self.spread = np.asarray(mean, np.float64), np.asarray(spread, np.float64)  # (channels,)
        self.gaps = gaps  # whether any value inside a fitted series was missing
        self.family = family
        self.band = band

    @property
    def channels(self) -> int:
        return len(self.mean)

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        if isinstance(rows, np.ndarray) and rows.dtype != object:
            return rows.ndim in (2, 3)
        return isinstance(rows, pa.Table) or is_list_of_arrays(rows)

    @classmethod
    def claims(cls, rows: Rows) -> bool:
        return is_list_of_arrays(rows)

    @classmethod
    def indexed(cls, rows: Rows) -> Rows:
        return indexed(rows)

    @classmethod
    def numbers_per_row(cls, rows: Rows) -> int:
        if not is_list_of_arrays(rows):
            return super().numbers_per_row(rows)
        return max(1, max(each.size for each in rows))

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Series":
        if missing == "modelled":
            raise OptionError("missing='modelled' is for tables: in series what is missing is no evidence")
        given = block(rows)
        values = given.values.astype(np.float64)
        observed = ~np.isnan(values)
        if not observed.any():
            raise DataError("every value of every series is missing: there is nothing to learn")
        mean, spread = _moments(values, observed)
        if strict and not (spread > 0).any():
            raise DataError("no channel of the series ever changes: there is nothing to learn")
        inside = observed.shape[0] * observed.shape[1] if given.lengths is None else int(given.lengths.sum())
        spread = np.where(spread > 0, spread, 1.0)
        return cls(
            given.container,
            given.flat,
            given.dtype.name,
            given.names,
            values.shape[1],
            None if given.lengths is None else np.unique(given.lengths).tolist(),
            mean,
            spread,
            int(observed.sum()) < inside * values.shape[2],
            "gaussian" if likelihood == "auto" else likelihood,
            Band.of((values - mean) / spread),
        )

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Series", list[Tensor]]:
        first, *others = sets
        channels = {name: block(rows).values.shape[2] for name, rows in sets.items()}
        for other in others:
            if channels[other] != channels[first]:
                raise DataError(f"{other}: of {channels[other]} channels, where {first} are of {channels[first]}")
        domain = cls.fit(np.concatenate([indexed(rows) for rows in sets.values()]), strict=False)
        return domain, [domain.tensors(rows) for rows in sets.values()]

    @classmethod
    def survey(cls) -> Survey:
        raise DataError("series are not read a part at a time; fit takes them whole, or as windows of isthmus.windows")

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Series":
        if schema["family"] not in FAMILIES or schema["container"] not in CONTAINERS:
            raise ValueError(f"unknown likelihood or container: {schema['family']!r}, {schema['container']!r}")
        dtype = np.dtype(str(schema["dtype"]))
        if dtype.kind not in "buif":
            raise ValueError(f"no series holds {dtype}")
        mean, spread = np.array(schema["mean"], np.float64), np.array(schema["spread"], np.float64)
        steps = int(schema["steps"])
        if not (mean.ndim == 1 and len(mean) and mean.shape == spread.shape and steps > 0 and (spread > 0).all()):
            raise ValueError("series have steps, and channels of a mean and a spread above 0")
        lengths = schema["lengths"]
        if (lengths is None) == (schema["container"] == "list"):
            raise ValueError("series of a list have lengths, and others have none")
        if lengths is not None:
            lengths = [int(length) for length in lengths]
            if not lengths or lengths[0] < 1 or lengths[-1] != steps or (np.diff(lengths) <= 0).any():
                raise ValueError("lengths are from 1 on and rise to the longest")
        names = tuple(str(name) for name in schema["names"])
        if schema["container"] == "table" and len(names) != steps:
            raise ValueError(f"{len(names)} names for {steps} steps")
        return cls(
            schema["container"],
            bool(schema["flat"]),
            dtype.name,
            names,
            steps,
            lengths,
            mean,
            spread,
            bool(schema["gaps"]),
            schema["family"],
            Band.from_facts(schema["band"], steps, len(mean)),
        )

    def schema(self) -> dict[str, Any]:
        return {
            "container": self.container,
            "flat": self.flat,
            "dtype": self.dtype,
            "names": list(self.names),
            "steps": self.steps,
            "lengths": self.lengths,
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
            "gaps": self.gaps,
            "family": self.family,
            "band": self.band.facts(),
        }

    def tensors(self, rows: Rows) -> Tensor:
        given = self._fitting(block(rows))
        values = given.values.reshape(len(given.values), -1)
        if self.lengths is None:
            return torch.from_numpy(np.ascontiguousarray(values))
        assert given.lengths is not None
        beyond = np.full((len(values), self.steps * self.channels), np.nan, values.dtype)
        beyond[:, : values.shape[1]] = values
        return torch.from_numpy(np.concatenate([given.lengths[:, None].astype(values.dtype), beyond], axis=1))

    def _fitting(self, given: Block) -> Block:
        """The same series, if they are like those that were fitted."""
        if (given.lengths is None) != (self.lengths is None):
            kinds = {True: "one by one (a list of arrays, a long table)", False: "as one array of equal lengths"}
            raise DataError(
                f"the series came {kinds[self.lengths is not None]} when the model was fitted; give them so"
            )
        _, steps, channels = given.values.shape
        if channels != self.channels:
            raise DataError(f"series of {channels} channels; the model was fitted to {self.channels}")
        if self.lengths is None and steps != self.steps:
            raise DataError(
                f"series of {steps} steps; the model was fitted to {self.steps}: cut them with isthmus.windows, or fit "
                "to a list of arrays, which may have lengths of their own"
            )
        if given.lengths is not None and steps > self.steps:
            place = int(given.lengths.argmax())
            raise DataError(
                f"series {place}: {steps} steps; the longest that was fitted has {self.steps}: cut it with "
                f"isthmus.windows(series, {self.steps})"
            )
        return given

    def rows(self, tensor: Tensor) -> Rows:
        numbers = tensor.detach().cpu().numpy()
        lengths, values = (None, numbers) if self.lengths is None else (numbers[:, 0], numbers[:, 1:])
        values = _cast(values, np.dtype(self.dtype)).reshape(len(values), self.steps, self.channels)
        if self.flat:
            values = values[..., 0]
        if self.container == "table":
            cells = [pa.array(column, pa.float64(), from_pandas=True) for column in values.T]
            return pa.table(cells, names=list(self.names))
        if lengths is None:
            return values
        kept = lengths.astype(np.int64).clip(1, self.steps)
        return [series[:length].copy() for series, length in zip(values, kept, strict=True)]

    def notes(self) -> list[str]:
        notes = []
        if self.lengths is not None and len(self.lengths) > 1:
            notes.append(f"series of {self.lengths[0]} to {self.lengths[-1]} steps; lengths are modelled too")
        if self.gaps:
            notes.append("some values are missing: they are no evidence, and networks are told which")
        return notes

    def surprises(self, rows: Rows) -> list[str]:
        given = block(rows)
        empty = int(np.isnan(given.values).all((1, 2)).sum())
        sentences = [f"{_counted(empty)} without any value: their scores say nothing of them"] if empty else []
        if self.lengths is None or given.lengths is None:
            return sentences
        if unseen := int((~np.isin(given.lengths, self.lengths)).sum()):
            sentences.append(f"{_counted(unseen)} of lengths that no fitted one has; they count as the nearest")
        return sentences

    @property
    def places(self) -> np.ndarray:
        cells = np.arange(self.steps).repeat(self.channels)
        return cells if self.lengths is None else np.concatenate([[-1], cells])

    def _scale(self) -> Scale:
        return Scale(self.steps, self.mean.tolist(), self.spread.tolist(), self.lengths)

    def features(self) -> SeriesFeatures:
        return self._features()

    def _features(self, hides_cells: bool = False) -> SeriesFeatures:
        varied = self.lengths is not None and len(self.lengths) > 1
        return SeriesFeatures(self._scale(), self.gaps or varied or hides_cells)

    def from_features(self, features: Tensor) -> Tensor:
        scale = self._scale()
        skipped = int(scale.varied)
        values = scale.unscaled(features[..., skipped : skipped + self.steps * self.channels])
        if self.lengths is None:
            return values
        rank = features[..., :1] if skipped else torch.zeros_like(values[..., :1])
        lengths = scale.length(rank)
        return scale.joined(lengths, scale.ended(lengths, values))

    def _convolutional(self, options: NetworkOptions) -> bool:
        if options.network in ("attention", "residual"):
            raise OptionError(f"network='{options.network}' is not for series; leave it at 'auto'")
        if options.network == "auto":
            return self.steps * self.channels > MOST_DENSE_VALUES
        return options.network == "convolutional"

    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        features, widths = self._features(hides_cells), self._widths(options)
        if self._convolutional(options):
            return Encoder(features, SeriesEncoder(features, widths, outputs, options.activation))
        return Encoder(features, Perceptron(features.count, widths, outputs, options.activation))

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> Decoder:
        head, widths = SeriesHead(self.family, self._scale(), shared_noise), self._widths(options)
        if self._convolutional(options):
            more = head.outputs - self.steps * self.channels
            return Decoder(SeriesDecoder(inputs, widths, head.scale, more, options.activation), head)
        return Decoder(Perceptron(inputs, widths[::-1], head.outputs, options.activation), head)

    def _widths(self, options: NetworkOptions) -> tuple[int, ...]:
        convolutional = self._convolutional(options)
        if (given := options.given_widths(convolutional)) is not None:
            return given
        if convolutional:
            halvings = max(1, min(8, round(math.log2(max(self.steps, 2) / FEWEST_STEPS))))
            return tuple(min(128, 16 * 2**step) for step in range(halvings))
        return (400, 200) if self.steps * self.channels > 256 else (256, 128)

    def log_volume(self, x: Tensor) -> Tensor:
        _, values = self._scale().split(x.cpu())
        # One of a channel's own units is 1 / spread of its standard deviations.
        per_value = torch.from_numpy(-np.log(self.spread)).repeat(self.steps)
        return (~values.isnan()).double() @ per_value

    def matrix(self, x: Tensor) -> np.ndarray:
        """Values in standard deviations of their channels; a length is a share of the longest."""
        values = self.values(x)
        if self.lengths is None:
            return (values - self._each(self.mean)) / self._each(self.spread)
        scaled = (values[:, 1:] - self._each(self.mean)) / self._each(self.spread)
        return np.concatenate([values[:, :1] / self.steps, scaled], axis=1)

    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        scaled = matrix if self.lengths is None else matrix[:, 1:]
        values = scaled * self._each(self.spread) + self._each(self.mean)
        if self.lengths is not None:
            values = np.concatenate([(matrix[:, :1] * self.steps).round().clip(1, self.steps), values], axis=1)
        return torch.from_numpy(np.ascontiguousarray(values, np.float64))

    def _each(self, of_channels: np.ndarray) -> np.ndarray:
        return np.tile(of_channels, self.steps)

    def values(self, x: Tensor) -> np.ndarray:
        return x.cpu().double().numpy()

    @property
    def density(self) -> np.ndarray:
        return self.places >= 0

    @property
    def categorical(self) -> np.ndarray:
        return np.zeros(len(self.places), dtype=bool)

    @property
    def column_names(self) -> list[str]:
        if self.container == "table":
            return list(self.names)
        ends = [""] if self.channels == 1 else [f", channel {channel}" for channel in range(self.channels)]
        names = [f"step {step}{end}" for step in range(self.steps) for end in ends]
        return names if self.lengths is None else ["length", *names]

    def describe(self) -> dict[str, Any]:
        steps = f"{self.steps} steps"
        if self.lengths is not None and len(self.lengths) > 1:
            steps = f"{self.lengths[0]} to {self.steps} steps"
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return {"shape": f"{steps}, {channels}", "columns": []}

    def maps(self, shares: np.ndarray) -> list[str]:
        # What is at no step is the length: the whole one.
        return self.pictures(self.from_matrix(np.where(self.places < 0, 1.0, shares)))

    def pictures(self, x: Tensor) -> list[str]:
        matrix = self.matrix(x)
        if self.lengths is None:
            lengths = np.full(len(matrix), self.steps)
        else:
            lengths = np.nan_to_num(self.values(x)[:, 0], nan=self.steps).astype(np.int64).clip(1, self.steps)
            matrix = matrix[:, 1:]
        series = matrix.reshape(len(matrix), self.steps, self.channels)
        return [chart(each[:length], self.steps, self.band) for each, length in zip(series, lengths, strict=True)]


def _counted(series: int) -> str:
    return "1 series" if series == 1 else f"{series:,} series"


def _moments(values: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of (rows, steps, channels); 0 and 0 of one that has no values."""
    count = np.maximum(observed.sum((0, 1)), 1)
    mean = np.where(observed, values, 0.0).sum((0, 1)) / count
    apart = np.where(observed, values - mean, 0.0)
    spread = np.sqrt(np.square(apart).sum((0, 1)) / count)
    # What is left of a constant by rounding is no spread.
    return mean, np.where(spread > 1e-12 * np.abs(mean), spread, 0.0)


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as the type that was fitted; whole numbers are the nearest that it holds."""
    if dtype.kind == "f":
        return values.astype(dtype)
    whole = np.nan_to_num(values)
    if dtype.kind == "b":
        return whole > 0.5
    bounds = np.iinfo(dtype)
    # In 64-bit floats the largest 64-bit integer is one more than that, which would wrap.
    high = np.nextafter(float(bounds.max), 0) if dtype.itemsize == 8 else float(bounds.max)
    return np.rint(whole.astype(np.float64)).clip(float(bounds.min), high).astype(dtype)
