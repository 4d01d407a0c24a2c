"""Tables: numbers, whole numbers, booleans, categories, dates, with missing cells."""

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from ...core.errors import DataError
from ...parts.networks import Decoder, Encoder, Perceptron
from ..base import Domain, NetworkOptions, Rows
from . import frames
from .columns import KINDS, CategoryColumn, Column, EmptyColumn, NumberColumn, Quantity, fit_column, log_slope
from .frames import Container
from .model import TableFeatures, TableHead


class Table(Domain):
    """Rows of named columns, each with its own likelihood.

    Quantities are Gaussian with a learned scale (or "student_t", "mixture"), whole numbers and dates discretised
    logistic, booleans Bernoulli, categories categorical.
    """

    name: ClassVar[str] = "table"
    picture_kind: ClassVar[str] = "table"
    likelihoods: ClassVar[tuple[str, ...]] = ("gaussian", "student_t", "mixture")

    def __init__(self, columns: list[Column], container: Container, family: str):
        self.columns = columns
        self.container = container
        self.family = family

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        return frames.is_table(rows)

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True) -> "Table":
        table, container = frames.to_arrow(rows)
        if table.num_columns == 0:
            raise DataError("the table has no columns")
        columns = [fit_column(name, combined(table.column(name))) for name in table.column_names]
        if strict and container.kind != "numpy":
            for column in columns:
                _refuse_uninformative(column, table.num_rows)
        return cls(columns, container, "gaussian" if likelihood == "auto" else likelihood)

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Table":
        columns = [KINDS[column["kind"]](**column) for column in schema["columns"]]
        if schema["family"] not in cls.likelihoods:
            raise ValueError(f"unknown likelihood {schema['family']!r}")
        return cls(columns, Container(**schema["container"]), schema["family"])

    def schema(self) -> dict[str, Any]:
        return {
            "columns": [column.model_dump() for column in self.columns],
            "container": self.container.as_json(),
            "family": self.family,
        }

    def tensors(self, rows: Rows) -> Tensor:
        cells = self._cells(rows)
        numbers = [column.numbers(array) for column, array in zip(self.columns, cells, strict=True)]
        return torch.from_numpy(np.stack(numbers, axis=1))

    def rows(self, tensor: Tensor) -> Rows:
        numbers = tensor.detach().cpu().double().numpy()
        cells = {column.name: column.cells(numbers[:, i]) for i, column in enumerate(self.columns)}
        return frames.from_arrow(pa.table(cells), self.container)

    def surprises(self, rows: Rows) -> list[str]:
        found = (column.surprise(cells) for column, cells in zip(self.columns, self._cells(rows), strict=True))
        return [sentence for sentence in found if sentence]

    def _cells(self, rows: Rows) -> list[pa.Array]:
        """The fitted columns, picked by name, whatever their order."""
        table, container = frames.to_arrow(rows)
        if container.kind == "numpy":
            if table.num_columns != len(self.columns):
                raise DataError(
                    f"the array has {table.num_columns} columns; the model was fitted to {len(self.columns)}"
                )
            return [combined(column) for column in table.columns]
        absent = [column.name for column in self.columns if column.name not in table.column_names]
        if absent:
            have = ", ".join(table.column_names[:8])
            raise DataError(f"column '{absent[0]}' is missing; the model needs it, and the data have {have}")
        return [combined(table.column(column.name)) for column in self.columns]

    def features(self) -> TableFeatures:
        return TableFeatures(self.columns)

    def from_features(self, features: Tensor) -> Tensor:
        return self.features().inverse(features)

    def encoder(self, outputs: int, options: NetworkOptions) -> Encoder:
        features = self.features()
        widths = self._widths(features.count, options)
        return Encoder(features, Perceptron(features.count, widths, outputs, options.activation))

    def decoder(self, inputs: int, options: NetworkOptions) -> Decoder:
        head = TableHead(self.columns, self.family)
        widths = self._widths(self.features().count, options)[::-1]
        return Decoder(Perceptron(inputs, widths, head.outputs, options.activation), head)

    def _widths(self, features: int, options: NetworkOptions) -> tuple[int, ...]:
        """Twice the features, as a power of two between 64 and 512, in two layers."""
        if not isinstance(options.hidden, str):
            return options.hidden
        width = int(min(512, max(64, 2 ** np.ceil(np.log2(2 * max(features, 1))))))
        return (width, width)

    def log_volume(self, x: Tensor) -> Tensor:
        numbers = x.cpu().double().numpy()
        slopes = [log_slope(column, numbers[:, i]) for i, column in enumerate(self.columns)]
        return torch.from_numpy(np.sum(slopes, axis=0))

    def matrix(self, x: Tensor) -> np.ndarray:
        return x.cpu().double().numpy().copy()

    def values(self, x: Tensor) -> np.ndarray:
        numbers = self.matrix(x)
        for i, column in enumerate(self.columns):
            if isinstance(column, Quantity):
                numbers[:, i] = column.restore(numbers[:, i])
        return numbers

    @property
    def density(self) -> np.ndarray:
        return np.array([isinstance(column, NumberColumn) for column in self.columns])

    @property
    def categorical(self) -> np.ndarray:
        return np.array([isinstance(column, CategoryColumn) or column.kind == "boolean" for column in self.columns])

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def describe(self) -> dict[str, Any]:
        columns = [{"name": column.name, "kind": column.kind} for column in self.columns]
        return {"shape": f"{len(columns)} column{'s' * (len(columns) != 1)}", "columns": columns}

    def pictures(self, x: Tensor) -> list[list[str | None]]:
        numbers = self.matrix(x)
        texts = [column.texts(numbers[:, i]) for i, column in enumerate(self.columns)]
        return [list(row) for row in zip(*texts, strict=True)]


def combined(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, with one dictionary."""
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _refuse_uninformative(column: Column, rows: int) -> None:
    """A named column from which nothing can be learned is more likely a mistake than a wish."""
    if isinstance(column, EmptyColumn):
        raise DataError(f"column '{column.name}' has no value in any of {rows} rows; drop it")
    only = None
    if isinstance(column, CategoryColumn) and len(column.values) == 1 and not column.has_missing:
        only = column.values[0]
    low, high = getattr(column, "low", 0), getattr(column, "high", 1)
    if low == high and not column.has_missing:
        only = low
    if only is not None:
        raise DataError(
            f"column '{column.name}' has one value, {only!r}, in all {rows} rows: nothing to learn; drop it"
        )
