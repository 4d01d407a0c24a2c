"""Counts: sparse matrices of whole numbers from 0 on, such as purchases, words or molecules."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from ...core.errors import DataError, OptionError
from ...core.sparse import HeldRows, SparseRows, dense
from ...parts.networks import Decoder, Encoder, Perceptron
from ..base import Domain, NetworkOptions, Rows, Survey
from .checking import checked, sparse_rows
from .likelihood import FAMILIES, CountHead
from .pictures import MOST_BARS, bar_chart
from .totals import Totals

CONTAINERS = ("csr_matrix", "csr_array", "array")
# Counts that vary so much more than Poisson's given their rows' totals call for another distribution.
OVERDISPERSED = 1.1
# Sets of rows that are compared are made dense.
MOST_COMPARED_CELLS = 2**27
# The size of initial weights of columns, beside those of other layers.
INITIAL_SHARE = 0.1


class Counts(Domain):
    """Rows of counts; tensors are sparse rows, batches of them (rows, columns) whole numbers.

    A row's total is a size factor: rates of counts are the total times shares that the decoder gives. Networks see
    log(1 + count). There are no missing cells: what is not stored is 0.
    """

    name: ClassVar[str] = "counts"
    called: ClassVar[str] = "counts"
    picture_kind: ClassVar[str] = "image"
    column_word: ClassVar[str] = "column"
    effect_unit: ClassVar[str] = "log(1 + count)"
    detectable: ClassVar[bool] = False
    likelihoods: ClassVar[tuple[str, ...]] = FAMILIES

    def __init__(
        self,
        container: str,
        dtype: str,
        family: str,
        column_totals: np.ndarray,
        totals: Totals,
        highest: int,
        overdispersion: float,
    ):
        self.container, self.dtype, self.family = container, dtype, family
        self.column_totals = np.asarray(column_totals, np.int64)  # of all fitted rows, (columns,)
        self.totals = totals
        self.highest = highest  # the largest count that was fitted
        self.overdispersion = overdispersion  # how much more counts vary than Poisson's, given the rows' totals
        self.most_used = np.argsort(-self.column_totals, kind="stable")[:MOST_BARS]

    @property
    def width(self) -> int:
        return len(self.column_totals)

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        return scipy.sparse.issparse(rows) or (
            isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind in "buif"
        )

    @classmethod
    def claims(cls, rows: Rows) -> bool:
        return scipy.sparse.issparse(rows)

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Counts":
        if missing == "modelled":
            raise OptionError("missing='modelled': counts have no missing cells, what is not stored is 0; leave it out")
        matrix = checked(rows)
        column_totals = matrix.sum(0, dtype=np.int64)
        if strict and not column_totals.any():
            raise DataError("every count is 0: there is nothing to learn")
        if strict and matrix.shape[1] == 1:
            raise DataError(
                "there is one column of counts, and its share in each row's total is always all; give two columns or "
                "more, or a dense array, which is a table"
            )
        totals = matrix.sum(1, dtype=np.int64)
        highest = int(matrix.data.max(initial=0))
        overdispersion = _overdispersion(matrix, totals, column_totals)
        family = _auto_family(highest, overdispersion) if likelihood == "auto" else likelihood
        return cls(_container(rows), rows.dtype.name, family, column_totals, Totals.of(totals), highest, overdispersion)

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Counts", list[Tensor]]:
        matrices = {name: checked(rows) for name, rows in sets.items()}
        first, *others = matrices
        for other in others:
            widths = [matrices[name].shape[1] for name in (first, other)]
            if widths[0] != widths[1]:
                raise DataError(f"{other}: {widths[1]:,} columns of counts, where {first} have {widths[0]:,}")
        domain = cls.fit(scipy.sparse.vstack(list(matrices.values()), format="csr"), strict=False)
        cells = sum(math.prod(matrix.shape) for matrix in matrices.values())
        if cells > MOST_COMPARED_CELLS:
            raise DataError(f"{cells:,} cells, which would have to be dense to be compared; give fewer rows or columns")
        return domain, [sparse_rows(matrix).dense() for matrix in matrices.values()]

    @classmethod
    def survey(cls) -> Survey:
        raise DataError("counts are not read a part at a time; fit takes a sparse matrix whole")

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Counts":
        if schema["family"] not in FAMILIES or schema["container"] not in CONTAINERS:
            raise ValueError(f"unknown likelihood or container: {schema['family']!r}, {schema['container']!r}")
        dtype = np.dtype(str(schema["dtype"]))
        if dtype.kind not in "buif":
            raise ValueError(f"no counts are {dtype}")
        column_totals, quantiles = (np.array(schema[name], np.int64) for name in ("column_totals", "total_quantiles"))
        if not (column_totals.ndim == quantiles.ndim == 1 and len(column_totals) and len(quantiles) > 1):
            raise ValueError("totals of columns and quantiles of rows' totals should be lists of whole numbers")
        if column_totals.min() < 0 or quantiles.min() < 0 or (np.diff(quantiles) < 0).any():
            raise ValueError("totals are from 0 on, and quantiles rise")
        return cls(
            schema["container"],
            dtype.name,
            schema["family"],
            column_totals,
            Totals(quantiles, int(schema["rows"])),
            int(schema["highest"]),
            float(schema["overdispersion"]),
        )

    def schema(self) -> dict[str, Any]:
        return {
            "container": self.container,
            "dtype": self.dtype,
            "family": self.family,
            "column_totals": self.column_totals.tolist(),
            "total_quantiles": self.totals.quantiles.astype(int).tolist(),
            "rows": self.totals.rows,
            "highest": self.highest,
            "overdispersion": self.overdispersion,
        }

    def tensors(self, rows: Rows) -> SparseRows:
        return sparse_rows(self._matrix(rows))

    def _matrix(self, rows: Rows) -> Any:
        """Counts in as many columns as were fitted."""
        matrix = checked(rows)
        if matrix.shape[1] != self.width:
            raise DataError(f"{matrix.shape[1]:,} columns of counts; the model was fitted to {self.width:,}")
        return matrix

    def held(self, batch: Tensor) -> SparseRows:
        return SparseRows.of(batch)

    def rows(self, tensor: HeldRows) -> Rows:
        """Counts, whole; in the container and the type that were fitted."""
        whole = tensor if not tensor.is_floating_point() else SparseRows.of(dense(tensor).round().clamp_min(0.0))
        return self._contained(whole, np.dtype(self.dtype))

    def guesses(self, tensor: HeldRows) -> Rows:
        """Expected counts, which lie between whole numbers, as 32-bit floats in the container that was fitted."""
        return self._contained(tensor, np.dtype(np.float32))

    def _contained(self, tensor: HeldRows, dtype: np.dtype) -> Rows:
        if self.container == "array":
            return _cast(dense(tensor).detach().cpu().numpy(), dtype)
        sparse = tensor if isinstance(tensor, SparseRows) else SparseRows.of(tensor.detach())
        values, columns, starts = sparse.arrays()
        # Narrow indices, as SciPy's own matrices have them.
        places = (columns.astype(np.int32), starts.astype(np.int32 if len(columns) < 2**31 else np.int64))
        form = scipy.sparse.csr_matrix if self.container == "csr_matrix" else scipy.sparse.csr_array
        return form((_cast(values, dtype), *places), shape=tuple(sparse.shape))

    def notes(self) -> list[str]:
        if self.overdispersion > OVERDISPERSED:
            varying = f"vary {self.overdispersion:.3g} times as much as Poisson's with the rows' totals"
        else:
            varying = "vary about as much as Poisson's with the rows' totals"
        notes = [f"likelihood {self.family}: the largest count is {self.highest:,}, and counts {varying}"]
        unused = int((self.column_totals == 0).sum())
        if unused:
            notes.append(f"{unused:,} of {self.width:,} columns hold nothing but 0")
        if self.totals.quantiles[0] == 0:
            notes.append("some rows hold nothing but 0: a model knows nothing of them but that")
        return notes

    def surprises(self, rows: Rows) -> list[str]:
        matrix = self._matrix(rows)
        beyond = int(((matrix.sum(0, dtype=np.int64) > 0) & (self.column_totals == 0)).sum())
        columns = "1 column" if beyond == 1 else f"{beyond:,} columns"
        return [f"counts in {columns} where every fitted row has 0"] if beyond else []

    def features(self) -> "LogCounts":
        return LogCounts()

    def from_features(self, features: Tensor) -> Tensor:
        return torch.expm1(features).clamp_min(0.0)

    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        network = Perceptron(self.width, self._widths(options), outputs, options.activation)
        _quietened(network, first=True)
        return Encoder(self.features(), nn.Sequential(OneLength(), network))

    def head(self) -> CountHead:
        """What reads a likelihood off a decoder's outputs."""
        shares = torch.from_numpy(self.column_totals + 0.5)
        return CountHead(self.family, (shares / shares.sum()).log(), self.totals)

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> Decoder:
        head = self.head()
        outputs = self.width * head.outputs_per_column
        network = Perceptron(inputs, self._widths(options)[::-1], outputs, options.activation)
        _quietened(network, first=False)
        return Decoder(network, head)

    def _widths(self, options: NetworkOptions) -> tuple[int, ...]:
        if options.network not in ("auto", "dense"):
            raise OptionError(f"network='{options.network}': counts go through dense layers; leave it at 'auto'")
        # One layer: rows are wide and few, and a second one overfits.
        return (128,) if isinstance(options.hidden, str) else options.hidden

    def log_volume(self, x: HeldRows) -> Tensor:
        """log p(total): likelihoods take it as known, and with it they speak of the whole row."""
        return torch.from_numpy(self.totals.log_mass(x.sum(1).cpu().double().numpy()))

    def matrix(self, x: HeldRows) -> np.ndarray:
        return np.log1p(self.values(x).clip(min=0.0))

    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        counts = np.expm1(np.clip(matrix, 0.0, math.log1p(2**24)))
        return torch.from_numpy(counts.round().astype(np.int32))

    def values(self, x: HeldRows) -> np.ndarray:
        return dense(x).detach().cpu().double().numpy()

    @property
    def density(self) -> np.ndarray:
        return np.zeros(self.width, dtype=bool)

    @property
    def categorical(self) -> np.ndarray:
        return np.zeros(self.width, dtype=bool)

    @property
    def column_names(self) -> list[str]:
        return [f"column {column}" for column in range(self.width)]

    def describe(self) -> dict[str, Any]:
        shown = f"pictures of rows are bars of the {len(self.most_used)} columns used most, from the left"
        return {
            "shape": f"{self.width:,} columns of counts",
            "columns": [],
            "pictures": f"{shown}, on the scale of log(1 + count)",
        }

    def pictures(self, x: HeldRows) -> list[str]:
        """Bars of the columns most used in the fitted rows, on the scale of log(1 + count)."""
        return [bar_chart(row, float(self.highest)) for row in self.values(x)[:, self.most_used]]


class LogCounts(nn.Module):
    """log(1 + count); of a count that is hidden in training (NaN) 0."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log1p(x.to(torch.float32).clamp_min(0.0)).nan_to_num(0.0)


class OneLength(nn.Module):
    """Rows of one length, √columns: rows of few and of many counts are alike to a network (Liang et al. 2018)."""

    def forward(self, features: Tensor) -> Tensor:
        return features * torch.rsqrt(features.square().mean(-1, keepdim=True) + 1e-12)


@torch.no_grad()
def _quietened(network: nn.Module, first: bool) -> None:
    """Make the initial weights of the first or the last layer small, which are those of the columns.

    Most columns are rare. Their weights learn little, and what they had at random would stay as noise: in codes, and in
    the rates of what is seldom counted.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    layer = layers[0 if first else -1]
    layer.weight.mul_(INITIAL_SHARE)
    if not first:
        layer.bias.zero_()


def _container(rows: Rows) -> str:
    if not scipy.sparse.issparse(rows):
        return "array"
    return "csr_matrix" if scipy.sparse.isspmatrix(rows) else "csr_array"


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Counts in the type that was fitted, which a drawn one may be too large for."""
    if dtype.kind == "b":
        return values > 0
    if dtype.kind in "ui" and values.max(initial=0) > (largest := np.iinfo(dtype).max):
        values = np.minimum(values, largest)
    return values.astype(dtype)


def _overdispersion(matrix: Any, totals: np.ndarray, column_totals: np.ndarray) -> float:
    """The mean of (x − μ)² / μ where μ, the row's total times the column's share, is not 0; 1 for Poisson's counts.

    Σ x² / μ − 2 Σ x + Σ μ over the cells, of which only those that are not 0 have a first term.
    """
    whole = float(totals.sum())
    cells = float((totals > 0).sum()) * float((column_totals > 0).sum())
    if not cells:
        return 1.0
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    expected = totals[rows].astype(np.float64) * column_totals[matrix.indices] / whole
    return (float((matrix.data.astype(np.float64) ** 2 / expected).sum()) - whole) / cells


def _auto_family(highest: int, overdispersion: float) -> str:
    """Multinomial where things are there or not; negative binomial where counts vary more than Poisson's."""
    if highest <= 1:
        return "multinomial"
    return "negative_binomial" if overdispersion > OVERDISPERSED else "poisson"
