"""Rows of several parts: a table with a picture, a text or a series beside it. One code, several decoders."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ... import domains
from ...core.errors import DataError, IsthmusError, OptionError
from ...core.parts import Parts
from ...core.randomness import Randomness
from ...core.sparse import SparseRows
from ...parts.networks import Encoder
from ..base import Domain, NetworkOptions, Rows, Survey
from .networks import SAID_BY_A_PART, Layout, PartDecoder, PartEncoder, PartFeatures
from .pictures import square, written

__all__ = ["Multipart", "Parts"]

# Whole numbers are held as 64-bit floats, exact up to here.
LARGEST_WHOLE = 2**53
# Bars of numbers reach so many standard deviations to either side.
SPREAD = 2.5

Answer = TypeVar("Answer")


class Multipart(Domain):
    """Rows of several parts, each of a domain of its own; tensors are (rows, cells), all parts side by side.

    Rows come as a mapping from names to as many rows each. Every part has its own networks and its own likelihood; the
    parts are independent of one another given the code, which is all that they share (Suzuki et al., 2016, Eq. 2,
    https://arxiv.org/abs/1611.01891).
    """

    name: ClassVar[str] = "multipart"
    called: ClassVar[str] = "rows of several parts"
    picture_kind: ClassVar[str] = "image"
    named_columns: ClassVar[bool] = True
    column_word: ClassVar[str] = "column"
    effect_unit: ClassVar[str] = "each part's own"
    checks_rows: ClassVar[bool] = True
    likelihoods: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parts: Mapping[str, Domain], events: list[list[int]], counts: list[int]):
        self.parts = dict(parts)
        self.events = events  # the shape of one row of each part's own tensors
        self.counts = counts  # how many features each part has
        self.layout = Layout(events)
        self.side_by_side = all(part.side_by_side for part in self.parts.values())
        self.free_bits = max(part.free_bits for part in self.parts.values())
        self.family = ", ".join(f"{name}: {part.family}" for name, part in self.parts.items())

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        # One of SciPy's sparse matrices is a dict as well.
        return isinstance(rows, Parts | Mapping) and not scipy.sparse.issparse(rows)

    @classmethod
    def indexed(cls, rows: Rows) -> Parts:
        parts = Parts(rows)
        return Parts({name: _kind(name, own).indexed(own) for name, own in parts.items()})

    @classmethod
    def numbers_per_row(cls, rows: Rows) -> int:
        return sum(_kind(name, own).numbers_per_row(own) for name, own in Parts(rows).items())

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Multipart":
        parts, held = {}, {}
        for name, own in cls.indexed(rows).items():
            with _named(name):
                parts[name] = _kind(name, own).fit(own, "auto", strict, missing)
                held[name] = parts[name].tensors(own)
        return cls(parts, *_measured(parts, held))

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Multipart", list[Tensor]]:
        given = {name: cls.indexed(rows) for name, rows in sets.items()}
        first, *others = given
        for other in others:
            if list(given[other].keys()) != list(given[first].keys()):
                names = ", ".join(given[other].keys())
                raise DataError(f"{other}: of the parts {names}, where {first} are of {', '.join(given[first].keys())}")
        parts: dict[str, Domain] = {}
        tensors: dict[str, list[Tensor]] = {}
        for name, own in given[first].items():
            each = {label: rows[name] for label, rows in given.items()}
            with _named(name):
                parts[name], tensors[name] = _kind(name, own).fit_together(each)
        domain = cls(parts, *_measured(parts, {name: own[0] for name, own in tensors.items()}))
        return domain, [domain.layout.joined([_exact(own) for own in of]) for of in zip(*tensors.values(), strict=True)]

    @classmethod
    def survey(cls) -> Survey:
        raise DataError("rows of several parts are not read a few at a time; fit takes them whole")

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Multipart":
        parts, events, counts = {}, [], []
        for part in schema["parts"]:
            if part["domain"] == cls.name:
                raise ValueError("a part has no parts")
            parts[str(part["name"])] = domains.find(part["domain"]).from_schema(part["schema"])
            events.append([int(size) for size in part["event"]])
            counts.append(int(part["features"]))
            if min([*events[-1], counts[-1]]) < 1:
                raise ValueError("parts have cells and features")
        if not parts or len(parts) != len(events):
            raise ValueError("rows have parts, of different names")
        return cls(parts, events, counts)

    def schema(self) -> dict[str, Any]:
        parts = zip(self.parts.items(), self.events, self.counts, strict=True)
        return {
            "parts": [
                {"name": name, "domain": part.name, "schema": part.schema(), "event": list(event), "features": count}
                for (name, part), event, count in parts
            ]
        }

    def tensors(self, rows: Rows) -> Tensor:
        own, held = self._own(rows), []
        for name, part in self.items():
            with _named(name):
                held.append(_exact(part.tensors(own[name])))
        return self.layout.joined(held)

    def _own(self, rows: Rows) -> Parts:
        """The parts that were fitted, whatever else there is."""
        given = Parts(rows)
        for name in self.parts:
            if name not in given:
                have = ", ".join(given.keys())
                raise DataError(f"part '{name}' is missing; the model needs it, and the rows have {have}")
        kinds = {name: domains.find(part.name) for name, part in self.items()}
        for name, kind in kinds.items():
            if not kind.accepts(given[name]):
                raise DataError(f"part '{name}': the model was fitted to {kind.called}, and this is something else")
        return Parts({name: kind.indexed(given[name]) for name, kind in kinds.items()})

    def items(self) -> list[tuple[str, Domain]]:
        """The parts by name, in order."""
        return list(self.parts.items())

    def _of_each(self, x: Tensor, answer: Callable[[Domain, Tensor], Answer]) -> list[Answer]:
        return [answer(part, own) for part, own in zip(self.parts.values(), self.layout.split(x), strict=True)]

    def rows(self, tensor: Tensor) -> Parts:
        return Parts(dict(zip(self.parts, self._of_each(tensor, lambda part, x: part.rows(x)), strict=True)))

    def guesses(self, tensor: Tensor) -> Parts:
        return Parts(dict(zip(self.parts, self._of_each(tensor, lambda part, x: part.guesses(x)), strict=True)))

    @property
    def text_columns(self) -> list[str]:
        return [column for part in self.parts.values() for column in part.text_columns]

    def notes(self) -> list[str]:
        return [f"{name}: {note}" for name, part in self.items() for note in part.notes()]

    def surprises(self, rows: Rows) -> list[str]:
        own, more = self._own(rows), [name for name in Parts(rows) if name not in self.parts]
        left_out = [f"parts that no fitted row had are left out: {', '.join(more)}"] if more else []
        return left_out + [f"{name}: {each}" for name, part in self.items() for each in part.surprises(own[name])]

    def with_heavy_tails(self) -> "Multipart":
        return Multipart({name: part.with_heavy_tails() for name, part in self.items()}, self.events, self.counts)

    def draw(self, x: Tensor, randomness: Randomness) -> Tensor:
        return self.layout.joined(self._of_each(x, lambda part, own: part.draw(own, randomness)))

    def features(self) -> PartFeatures:
        return PartFeatures(self.layout, [part.features() for part in self.parts.values()])

    def from_features(self, features: Tensor) -> Tensor:
        own = zip(self.parts.values(), features.split(self.counts, dim=-1), strict=True)
        return self.layout.joined([part.from_features(each) for part, each in own])

    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        _check_network(options)
        own = []
        for name, part in self.items():
            with _named(name):
                own.append(part.encoder(SAID_BY_A_PART, options, hides_cells))
        features = PartFeatures(self.layout, [each.features for each in own])
        return Encoder(features, PartEncoder(self.counts, [each.network for each in own], outputs, options.activation))

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> PartDecoder:
        _check_network(options)
        return PartDecoder(self.layout, [part.decoder(inputs, options, shared_noise) for part in self.parts.values()])

    def log_volume(self, x: Tensor) -> Tensor:
        return torch.stack(self._of_each(x, lambda part, own: part.log_volume(own))).sum(0)

    def matrix(self, x: Tensor) -> np.ndarray:
        return np.concatenate(self._of_each(x, lambda part, own: part.matrix(own)), axis=1)

    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        widths = np.cumsum([len(part.categorical) for part in self.parts.values()])[:-1]
        own = zip(self.parts.values(), np.split(matrix, widths, axis=1), strict=True)
        return self.layout.joined([_exact(part.from_matrix(each)) for part, each in own])

    def values(self, x: Tensor) -> np.ndarray:
        return np.concatenate(self._of_each(x, lambda part, own: part.values(own)), axis=1)

    def summary(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        numbers, categorical = zip(*self._of_each(x, lambda part, own: part.summary(own)), strict=True)
        return np.concatenate(numbers, axis=1), np.concatenate(categorical)

    @property
    def summary_names(self) -> list[str]:
        return [f"{name}: {column}" for name, part in self.items() for column in part.summary_names]

    @property
    def density(self) -> np.ndarray:
        return np.concatenate([part.density for part in self.parts.values()])

    @property
    def categorical(self) -> np.ndarray:
        return np.concatenate([part.categorical for part in self.parts.values()])

    @property
    def column_names(self) -> list[str]:
        return [f"{name}: {column}" for name, part in self.items() for column in part.column_names]

    def describe(self) -> dict[str, Any]:
        shapes = ", ".join(f"{name} ({part.describe()['shape']})" for name, part in self.items())
        described: dict[str, Any] = {"shape": f"{len(self.parts)} parts: {shapes}", "columns": []}
        if any(part.picture_kind == "table" for part in self.parts.values()):
            described["pictures"] = (
                "The cells of a table are bars: numbers as high as they are among the column's, of categories the "
                "commonest highest"
            )
        return described

    def pictures(self, x: Tensor) -> list[str]:
        own = list(zip(self.parts.values(), self.layout.split(x), strict=True))
        pictures = [_pngs(part, each) for part, each in own if part.picture_kind != "table"]
        bars = [_shares(part, each) for part, each in own if part.picture_kind == "table"]
        return [square([of[row] for of in pictures], [of[row] for of in bars]) for row in range(len(x))]


def _kind(name: str, rows: Rows) -> type[Domain]:
    """The domain of one part."""
    with _named(name):
        kind = domains.choose(rows)
    if kind.name in ("multipart", "counts"):
        raise DataError(f"part '{name}': {kind.called} cannot be a part; give a table, images, series or texts")
    return kind


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Says of which part it was where something fails inside, unless that has been said."""
    head = f"part '{name}'"
    try:
        yield
    except IsthmusError as failure:
        raise failure if str(failure).startswith(head) else type(failure)(f"{head}: {failure}") from None


def _measured(parts: Mapping[str, Domain], held: Mapping[str, Any]) -> tuple[list[list[int]], list[int]]:
    """The shape of one row of each part's tensors, and how many features it has."""
    first = {name: _exact(held[name][:1]) for name in parts}
    counts = [part.features()(first[name].float()).shape[-1] for name, part in parts.items()]
    return [list(x.shape[1:]) for x in first.values()], counts


def _pngs(part: Domain, x: Tensor) -> list[str]:
    pictures = part.pictures(x)
    return [written(text) for text in pictures] if part.picture_kind == "text" else pictures


def _shares(table: Domain, x: Tensor) -> np.ndarray:
    """A table's cells as the height of bars: numbers from −SPREAD to SPREAD, of categories the commonest highest."""
    matrix = table.matrix(x)
    return np.where(table.categorical, 1 / (1 + matrix), 0.5 + matrix / (2 * SPREAD)).clip(0.0, 1.0)


def _exact(x: Any) -> Tensor:
    """A part's tensor as 64-bit floats, which hold it exactly."""
    assert not isinstance(x, SparseRows)
    if not x.is_floating_point() and x.numel() and max(int(x.max()), -int(x.min())) > LARGEST_WHOLE:
        raise DataError(f"whole numbers beyond {LARGEST_WHOLE:,} cannot be held exactly beside other parts")
    return x.double()


def _check_network(options: NetworkOptions) -> None:
    if options.network not in ("auto", "dense"):
        raise OptionError(
            f"network='{options.network}' is for rows of one kind; for rows of several parts leave it at 'auto'"
        )
