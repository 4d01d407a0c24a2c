"""Texts: strings in any language, as bytes or as pairs of bytes, one symbol after another."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...core.errors import DataError, OptionError
from ...parts.networks import Decoder, Encoder, Perceptron
from ..base import Domain, NetworkOptions, Rows, Survey
from .checking import checked, indexed, is_text
from .likelihood import TextHead
from .networks import TextEncoder, TextFeatures
from .pictures import pieces
from .symbols import ALPHABETS, Symbols, learned, revived

# What is beyond this many symbols of a text is not looked at.
MOST_SYMBOLS = 1024
WIDTH = 192
# Texts are compared by how often each has these many of the most frequent symbols.
COUNTED_SYMBOLS = 256


class Text(Domain):
    """Texts; tensors are (rows, 1 + steps) 32-bit floats: the number of a text's symbols, then the symbols, NaN after
    its end.

    The length is NaN where a text is longer than all that were fitted: what is beyond is not looked at.
    """

    name: ClassVar[str] = "text"
    called: ClassVar[str] = "texts"
    picture_kind: ClassVar[str] = "text"
    place_name: ClassVar[str] = "step"
    column_word: ClassVar[str] = "symbol"
    effect_unit: ClassVar[str] = "per cent of the symbols"
    likelihoods: ClassVar[tuple[str, ...]] = ALPHABETS
    checks_rows: ClassVar[bool] = True
    side_by_side: bool = False
    free_bits: float = 0.2
    detectable: ClassVar[bool] = False
    calibration_rows: ClassVar[int] = 1_000
    numbers_per_cell: ClassVar[int] = 512

    def __init__(self, symbols: Symbols, steps: int, frequencies: np.ndarray, cut: int):
        self.symbols = symbols
        self.steps = steps  # of the longest text
        self.frequencies = np.asarray(frequencies, np.int64)  # of each symbol in the fitted texts, and of their ends
        self.cut = cut  # how many of the fitted texts are longer
        self._counted = np.argsort(-self.frequencies[:-1], kind="stable")[:COUNTED_SYMBOLS]

    @property
    def family(self) -> str:
        return self.symbols.name

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        return is_text(rows)

    @classmethod
    def indexed(cls, rows: Rows) -> Rows:
        return indexed(rows)

    @classmethod
    def numbers_per_row(cls, rows: Rows) -> int:
        """Of the longest text in bytes."""
        return max(1, min(MOST_SYMBOLS, max(len(str(text).encode("utf-8", "replace")) for text in rows)))

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Text":
        if missing == "modelled":
            raise OptionError("missing='modelled' is for tables: a text is there or not, and may be empty")
        texts = checked(rows)
        if not any(texts):
            raise DataError("every text is empty: there is nothing to learn")
        if strict and len(texts) > 1 and len(set(texts)) == 1:
            raise DataError("all texts are the same: there is nothing to learn")
        symbols = learned("bytes" if likelihood == "auto" else likelihood, texts)
        sequences = symbols.written(texts)
        steps = min(MOST_SYMBOLS, max(map(len, sequences)))
        frequencies = np.zeros(symbols.count + 1, np.int64)
        for sequence in sequences:
            frequencies += np.bincount(sequence[:steps], minlength=len(frequencies))
        cut = sum(len(sequence) > steps for sequence in sequences)
        frequencies[-1] = len(sequences) - cut
        return cls(symbols, steps, frequencies, cut)

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Text", list[Tensor]]:
        domain = cls.fit(np.concatenate([_array(name, rows) for name, rows in sets.items()]), strict=False)
        return domain, [domain.tensors(rows) for rows in sets.values()]

    @classmethod
    def survey(cls) -> Survey:
        raise DataError("texts are not read a part at a time; fit takes them whole, as a list of strings")

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Text":
        symbols = revived(str(schema["family"]), schema["symbols"])
        frequencies, steps, cut = np.array(schema["frequencies"], np.int64), int(schema["steps"]), int(schema["cut"])
        if frequencies.shape != (symbols.count + 1,) or frequencies.min() < 0:
            raise ValueError(f"{symbols.count} symbols and the end have as many frequencies, from 0 on")
        if not 0 < steps <= MOST_SYMBOLS or cut < 0:
            raise ValueError(f"texts have 1 to {MOST_SYMBOLS} symbols")
        return cls(symbols, steps, frequencies, cut)

    def schema(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "symbols": self.symbols.facts(),
            "steps": self.steps,
            "frequencies": self.frequencies.tolist(),
            "cut": self.cut,
        }

    def tensors(self, rows: Rows) -> Tensor:
        texts = checked(rows)
        cells = np.full((len(texts), 1 + self.steps), np.nan, np.float32)
        for row, sequence in zip(cells, self.symbols.written(texts), strict=True):
            kept = sequence[: self.steps]
            row[1 : 1 + len(kept)] = kept
            if len(sequence) == len(kept):
                row[0] = len(kept)
        return torch.from_numpy(cells)

    def rows(self, tensor: Tensor) -> Rows:
        return self.pictures(tensor)

    def _sequences(self, tensor: Tensor) -> list[list[int]]:
        """The symbols of each text; hidden ones are left out."""
        numbers = tensor.detach().cpu().double().numpy()
        lengths = np.nan_to_num(numbers[:, 0], nan=self.steps).round().clip(0, self.steps).astype(int)
        found = []
        for length, row in zip(lengths, numbers[:, 1:], strict=True):
            own = row[:length]
            found.append(own[~np.isnan(own)].round().clip(0, self.symbols.count - 1).astype(int).tolist())
        return found

    def notes(self) -> list[str]:
        notes = []
        if self.cut:
            notes.append(f"{_texts(self.cut)} longer than {self.steps:,} symbols: what is beyond was not learned")
        if self.family == "byte_pairs":
            notes.append(f"{self.symbols.count:,} symbols were learned from the texts")
        return notes

    def surprises(self, rows: Rows) -> list[str]:
        beyond = sum(len(sequence) > self.steps for sequence in self.symbols.written(checked(rows)))
        longest = f"longer than {self.steps:,} symbols, as no fitted one is: what is beyond is not looked at"
        return [f"{_texts(beyond)} {longest}"] if beyond else []

    @property
    def places(self) -> np.ndarray:
        return np.arange(-1, self.steps)

    def features(self) -> TextFeatures:
        return TextFeatures(self.symbols.count, self.steps)

    def from_features(self, features: Tensor) -> Tensor:
        return self.features().inverse(features)

    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        features = self.features()
        return Encoder(features, TextEncoder(features, _width(options), outputs, options.activation))

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> Decoder:
        width = _width(options)
        head = TextHead(width, width, self.steps, torch.from_numpy(self.frequencies).float())
        return Decoder(Perceptron(inputs, (width,), width, options.activation), head)

    def log_volume(self, x: Tensor) -> Tensor:
        """0: symbols and ends have probabilities."""
        return torch.zeros(len(x), dtype=torch.float64)

    def matrix(self, x: Tensor) -> np.ndarray:
        """The length as a share of the longest, and the symbols."""
        values = self.values(x)
        return np.concatenate([values[:, :1] / self.steps, values[:, 1:]], axis=1)

    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        """A text ends at its length, or at the first symbol that is missing."""
        lengths = (matrix[:, :1] * self.steps).round().clip(0, self.steps)
        symbols = matrix[:, 1:].round().clip(0, self.symbols.count - 1)
        going_on = np.isnan(lengths)
        places = np.arange(self.steps)
        gone = np.isnan(symbols) & ~(places >= lengths)
        first = np.where(gone.any(1), gone.argmax(1), self.steps)[:, None]
        whole = going_on & (first == self.steps)
        ends = np.where(going_on, first, np.minimum(np.nan_to_num(lengths), first))
        symbols = np.where(places < ends, symbols, np.nan)
        return torch.from_numpy(np.concatenate([np.where(whole, np.nan, ends), symbols], axis=1).astype(np.float32))

    def values(self, x: Tensor) -> np.ndarray:
        return x.cpu().double().numpy()

    def summary(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """log(1 + how often each of the most frequent symbols occurs), and before them the same of the length."""
        counts = np.zeros((len(x), self.symbols.count))
        sequences = self._sequences(x)
        for row, sequence in zip(counts, sequences, strict=True):
            row += np.bincount(sequence, minlength=len(row))
        lengths = np.array([[len(sequence)] for sequence in sequences])
        numbers = np.log1p(np.concatenate([lengths, counts[:, self._counted]], axis=1))
        return numbers, np.zeros(numbers.shape[1], dtype=bool)

    @property
    def summary_names(self) -> list[str]:
        names = self.turned_names
        return ["length", *(names[symbol] for symbol in self._counted)]

    @property
    def density(self) -> np.ndarray:
        return np.zeros(1 + self.steps, dtype=bool)

    @property
    def categorical(self) -> np.ndarray:
        return self.places >= 0

    @property
    def column_names(self) -> list[str]:
        return ["length", *(f"symbol {place}" for place in range(self.steps))]

    @property
    def turned_names(self) -> list[str]:
        return [repr(self.symbols.spelt(symbol).decode("utf-8", "replace")) for symbol in range(self.symbols.count)]

    def describe(self) -> dict[str, Any]:
        of = "bytes" if self.family == "bytes" else f"of {self.symbols.count:,} symbols"
        return {"shape": f"up to {self.steps:,} {of}", "columns": []}

    def heat(self, x: Tensor, log_prob: np.ndarray) -> list[list[tuple[str, float]]]:
        return [
            pieces(map(self.symbols.spelt, sequence), -np.nan_to_num(own[: len(sequence)]))
            for sequence, own in zip(self._sequences(x), log_prob, strict=True)
        ]

    def told(self, values: np.ndarray, steps: range, worst: int) -> str:
        own = values[1 + steps.start : 1 + steps.stop]
        return self.symbols.read(own[~np.isnan(own)].astype(int).tolist())

    def pictures(self, x: Tensor) -> list[str]:
        """The texts themselves."""
        return [self.symbols.read(each) for each in self._sequences(x)]


def _array(name: str, rows: Rows) -> np.ndarray:
    """Texts of a set, named where they are none."""
    try:
        return indexed(checked(rows))
    except DataError as failure:
        raise DataError(f"{name}: {failure}") from None


def _width(options: NetworkOptions) -> int:
    if options.network != "auto":
        raise OptionError(f"network='{options.network}': texts are read by a recurrence; leave it at 'auto'")
    if isinstance(options.hidden, str):
        return WIDTH
    if len(options.hidden) != 1:
        raise OptionError(f"hidden={options.hidden}: networks of texts have one width, such as ({WIDTH},)")
    return options.hidden[0]


def _texts(count: int) -> str:
    return "1 text is" if count == 1 else f"{count:,} texts are"
