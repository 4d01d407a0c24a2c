"""Tables: numbers, whole numbers, booleans, categories, dates, with missing cells."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from ...core.errors import DataError, OptionError
from ...parts.attention import ColumnAttention
from ...parts.networks import Decoder, Encoder, Perceptron
from ..base import Domain, NetworkOptions, Rows
from .arrow_types import is_text, value_type
from .autoregressive import MOST_COLUMNS, AutoregressiveHead, ContextForm
from .bins import MOST_SYMBOLS, Bins
from .columns import KINDS, BooleanColumn, CategoryColumn, Column, NumberColumn, Quantity, WholeColumn
from .features import TableFeatures
from .fitting import drop_advice, fit_column, refuse_uninformative
from .frames import Container, combined, from_arrow, is_table, to_arrow
from .joining import joined
from .likelihood import TableHead
from .scaling import Scaling
from .survey import TableSurvey

# Memory grows with the square of the columns that attend to one another.
MOST_ATTENDING = 256


class Table(Domain):
    """Rows of named columns, each with its own likelihood.

    Quantities are Gaussian with a learned scale (or "student_t", "mixture"), whole numbers and dates discretised
    logistic, booleans Bernoulli, categories categorical, each independent of the others given the codes. With
    "autoregressive" each column depends on those before it too, and numbers have bins.
    """

    name: ClassVar[str] = "table"
    called: ClassVar[str] = "a table"
    picture_kind: ClassVar[str] = "table"
    named_columns: ClassVar[bool] = True
    explicable: ClassVar[bool] = True
    column_word: ClassVar[str] = "column"
    effect_unit: ClassVar[str] = "standard deviations of the column; for categories the probability that moves"
    likelihoods: ClassVar[tuple[str, ...]] = ("gaussian", "student_t", "mixture", "autoregressive")

    def __init__(
        self,
        columns: list[Column],
        container: Container,
        family: str,
        bins: list[Bins] | None = None,
        missing_modelled: bool = False,
        context: ContextForm | None = None,
    ):
        """`bins` are those of the quantities, in order, where the likelihood is "autoregressive", and `context` says
        how columns then know of those before them. With `missing_modelled`, whether a cell is missing has a
        probability, in columns where cells were missing."""
        self.columns = columns
        self.container = container
        self.family = family
        self.bins = bins or []
        self.missing_modelled = missing_modelled
        self.context = context or ContextForm.of(len(columns))

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        return is_table(rows)

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Table":
        table, container = to_arrow(rows)
        if table.num_columns == 0:
            raise DataError("the table has no columns to learn from; give at least one")
        if table.num_rows == 0:
            raise DataError("the table has no rows to learn from; give at least two")
        cells = {name: combined(table.column(name)) for name in table.column_names}
        columns = [fit_column(name, column) for name, column in cells.items()]
        if strict and container.kind != "numpy":
            for name, column in cells.items():
                refuse_uninformative(name, column)
        family = "gaussian" if likelihood == "auto" else likelihood
        bins = _binned(columns, cells) if family == "autoregressive" else []
        modelled = family == "autoregressive" if missing == "auto" else missing == "modelled"
        return cls(columns, container, family, bins, modelled)

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Table", list[Tensor]]:
        tables = {name: to_arrow(rows)[0] for name, rows in sets.items()}
        whole = joined(tables)
        domain = cls.fit(whole, strict=False)
        x = domain.tensors(whole)
        return domain, list(x.split([table.num_rows for table in tables.values()]))

    @classmethod
    def survey(cls) -> "TableSurvey":
        return TableSurvey(cls)

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Table":
        columns = [KINDS[column["kind"]](**column) for column in schema["columns"]]
        if schema["family"] not in cls.likelihoods:
            raise ValueError(f"unknown likelihood {schema['family']!r}")
        bins = [Bins(**each) for each in schema.get("bins", [])]
        if len(bins) != _quantity_count(columns) * (schema["family"] == "autoregressive"):
            raise ValueError("bins of some column are missing")
        # Before there was a choice, the family decided.
        modelled = bool(schema.get("missing_modelled", schema["family"] == "autoregressive"))
        context = ContextForm(**schema.get("context", {}))
        return cls(columns, Container(**schema["container"]), schema["family"], bins, modelled, context)

    def schema(self) -> dict[str, Any]:
        schema = {
            "columns": [column.model_dump() for column in self.columns],
            "container": self.container.model_dump(),
            "family": self.family,
            "missing_modelled": self.missing_modelled,
        }
        if self.family != "autoregressive":
            return schema
        return schema | {"bins": [each.model_dump() for each in self.bins], "context": self.context.model_dump()}

    def tensors(self, rows: Rows) -> Tensor:
        cells = self._cells(rows)
        numbers = [column.numbers(array) for column, array in zip(self.columns, cells, strict=True)]
        return torch.from_numpy(np.stack(numbers, axis=1))

    def rows(self, tensor: Tensor) -> Rows:
        numbers = _numbers(tensor)
        cells = [column.cells(numbers[:, i]) for i, column in enumerate(self.columns)]
        return from_arrow(pa.table(cells, names=self.column_names), self.container)

    def filled(self, rows: Rows, tensor: Tensor) -> Rows:
        """Rows with their missing cells taken from the tensor (rows, columns), every other cell as it is, categories
        that were not fitted included. Raises DataError for a cell that the column's type cannot hold."""
        numbers = _numbers(tensor)
        cells = [
            column.filled(own, column.cells(numbers[:, i]))
            for i, (column, own) in enumerate(zip(self.columns, self._cells(rows), strict=True))
        ]
        return from_arrow(pa.table(cells, names=self.column_names), self.container)

    @property
    def text_columns(self) -> list[str]:
        return [column.name for column in self.columns if is_text(value_type(column.type))]

    def notes(self) -> list[str]:
        return [
            f"column '{column.name}': no value occurs twice, so nothing is learned of it but the list; "
            f"{drop_advice(column.name)}"
            for column in self.columns
            if isinstance(column, CategoryColumn) and column.identifier
        ]

    def surprises(self, rows: Rows) -> list[str]:
        found = (column.surprise(cells) for column, cells in zip(self.columns, self._cells(rows), strict=True))
        return [sentence for sentence in found if sentence]

    def with_heavy_tails(self) -> "Table":
        columns = [column.as_number() if isinstance(column, WholeColumn) else column for column in self.columns]
        return Table(columns, self.container, "student_t")

    def _cells(self, rows: Rows) -> list[pa.Array]:
        """The fitted columns, picked by name, whatever their order."""
        table, container = to_arrow(rows)
        if "numpy" in (container.kind, self.container.kind):
            if table.num_columns != len(self.columns):
                raise DataError(
                    f"the data have {table.num_columns} columns; the model was fitted to {len(self.columns)}"
                )
            return [combined(column) for column in table.columns]
        there = set(table.column_names)
        for column in self.columns:
            if column.name not in there:
                have = ", ".join(table.column_names[:8]) + (", …" if table.num_columns > 8 else "")
                raise DataError(f"column '{column.name}' is missing; the model needs it, and the data have {have}")
        return [combined(table.column(column.name)) for column in self.columns]

    def features(self) -> TableFeatures:
        return TableFeatures(self.columns)

    def from_features(self, features: Tensor) -> Tensor:
        return self.features().inverse(features)

    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        features = TableFeatures(self.columns, mark_all=hides_cells)
        widths = self._widths(features.count, options)
        if options.network != "attention":
            return Encoder(features, Perceptron(features.count, widths, outputs, options.activation))
        attention = self._attention(features, options)
        dense = Perceptron(attention.outputs, widths, outputs, options.activation)
        return Encoder(features, nn.Sequential(attention, dense))

    def _attention(self, features: TableFeatures, options: NetworkOptions) -> ColumnAttention:
        if not 0 < len(features.of_columns) <= MOST_ATTENDING:
            raise OptionError(
                f"network='attention' is for up to {MOST_ATTENDING} columns; this table has "
                f"{len(features.of_columns)}: leave it at 'auto'"
            )
        return ColumnAttention(features.of_columns, options.activation)

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> Decoder:
        widths = self._widths(self.features().count, options)[::-1]
        if self.family == "autoregressive":
            hidden = min(self.context.units, max(widths, default=self.context.units))
            head = AutoregressiveHead(
                self.columns, self.bins, hidden, options.activation, self.missing_modelled, self.context
            )
        else:
            head = TableHead(self.columns, self.family, shared_noise, self.missing_modelled)
        return Decoder(Perceptron(inputs, widths, head.outputs, options.activation), head)

    def _widths(self, features: int, options: NetworkOptions) -> tuple[int, ...]:
        """Twice the features, as a power of two between 64 and 512, in two layers."""
        if options.network in ("convolutional", "residual"):
            raise OptionError(
                f"network='{options.network}' is for images; for a table leave it at 'auto', or give 'dense' or "
                "'attention'"
            )
        if not isinstance(options.hidden, str):
            return options.hidden
        width = int(min(512, max(64, 2 ** np.ceil(np.log2(2 * max(features, 1))))))
        return (width, width)

    def log_volume(self, x: Tensor) -> Tensor:
        dense = {i: column for i, column in enumerate(self.columns) if isinstance(column, NumberColumn)}
        scaling, t = self._scaling(list(dense)), torch.from_numpy(_numbers(x)[:, list(dense)])
        units = torch.tensor([math.log(2.0) * column.exponent for column in dense.values()], dtype=torch.float64)
        return (scaling.log_slope(t) - units).masked_fill(t.isnan(), 0.0).sum(-1)

    def matrix(self, x: Tensor) -> np.ndarray:
        matrix = _numbers(x).copy()
        matrix[:, self._quantities] = self._scaling(self._quantities)(torch.from_numpy(matrix[:, self._quantities]))
        return matrix

    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        x = torch.tensor(matrix, dtype=torch.float64)
        x[:, self._quantities] = self._scaling(self._quantities).restore(x[:, self._quantities])
        return x

    def values(self, x: Tensor) -> np.ndarray:
        numbers = _numbers(x)
        return np.stack([column.values_of(numbers[:, i]) for i, column in enumerate(self.columns)], axis=1)

    @property
    def _quantities(self) -> list[int]:
        return [i for i, column in enumerate(self.columns) if isinstance(column, Quantity)]

    def _scaling(self, index: list[int]) -> Scaling:
        columns = [column for column in (self.columns[i] for i in index) if isinstance(column, Quantity)]
        return Scaling([column.scale for column in columns], [column.step for column in columns])

    @property
    def density(self) -> np.ndarray:
        return np.array([isinstance(column, NumberColumn) for column in self.columns])

    @property
    def categorical(self) -> np.ndarray:
        return np.array([isinstance(column, CategoryColumn | BooleanColumn) for column in self.columns])

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def describe(self) -> dict[str, Any]:
        columns = [{"name": column.name, "kind": column.kind} for column in self.columns]
        return {"shape": f"{len(columns)} column{'s' * (len(columns) != 1)}", "columns": columns}

    def pictures(self, x: Tensor) -> list[list[str | None]]:
        numbers = _numbers(x)
        texts = [column.texts(numbers[:, i]) for i, column in enumerate(self.columns)]
        return [list(row) for row in zip(*texts, strict=True)]


def _quantity_count(columns: list[Column]) -> int:
    return sum(isinstance(column, Quantity) for column in columns)


def _binned(columns: list[Column], cells: dict[str, pa.Array]) -> list[Bins]:
    """The bins of each quantity."""
    bins, most = [], MOST_SYMBOLS if len(columns) <= MOST_COLUMNS else MOST_SYMBOLS // 2
    for column in columns:
        if isinstance(column, Quantity):
            numbers = column.numbers(cells[column.name])
            bins.append(Bins.fit(numbers[~np.isnan(numbers)], column.step, column.scale, most))
    return bins


def _numbers(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()
