"""Cells of a table ↔ symbols: the bin of a quantity, the code of a category, and one more where cells are missing."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...core.randomness import Randomness
from .bins import NEVER, OUTSIDE, BinnedQuantities, Bins, WithinRange
from .columns import BooleanColumn, CategoryColumn, Column, EmptyColumn, Quantity
from .evidence import Evidence
from .rare import RareCategories

# Before training, a missing cell is taken to be this probable.
FIRST_MISSING = 0.01


class Symbols(nn.Module):
    """The alphabets of a table's columns, columns that hold nothing left out.

    `sizes` are the alphabets' sizes; a column with missing cells has its last symbol for them if they are modelled.
    """

    index: Tensor  # the columns of the table that have symbols, in order
    quantities: Tensor  # which of those are quantities, and which are not
    codes: Tensor
    order: Tensor
    missing: Tensor  # the symbol for a missing cell, −1 in a column that has none
    usual: Tensor  # what stands for a missing cell: that symbol, or the likeliest
    may_be_missing: Tensor  # which columns of the table have such a symbol
    gone: Tensor  # the log of a missing cell's share of that symbol

    def __init__(self, columns: Sequence[Column], bins: Sequence[Bins], missing_modelled: bool = True):
        super().__init__()
        self.columns = len(columns)
        index = [i for i, column in enumerate(columns) if not isinstance(column, EmptyColumn)]
        self.held = held = [columns[i] for i in index]
        quantities = [place for place, column in enumerate(held) if isinstance(column, Quantity)]
        codes = [place for place in range(len(held)) if place not in set(quantities)]
        self.booleans = {place for place, column in enumerate(held) if isinstance(column, BooleanColumn)}
        self.binned = BinnedQuantities([column for column in held if isinstance(column, Quantity)], bins)
        # Where the quantities stand among themselves of which a symbol can be several numbers.
        self.wide = {
            place: number
            for number, (place, each) in enumerate(zip(quantities, bins, strict=True))
            if len(each.low) > len(each.starts) or each.low != each.high
        }
        self.rare = RareCategories([held[place] for place in codes])
        optional = [column.has_missing and missing_modelled for column in held]
        self.shares = _first_shares(held, dict(zip(quantities, bins, strict=True)), optional)
        self.sizes = [len(share) for share in self.shares]
        missing = [size - 1 if may_be else -1 for size, may_be in zip(self.sizes, optional, strict=True)]
        usual = [int(share.argmax()) if least < 0 else least for share, least in zip(self.shares, missing, strict=True)]
        order = np.argsort([*quantities, *codes])
        for name, values in {
            "index": index,
            "quantities": quantities,
            "codes": codes,
            "order": order,
            "missing": missing,
            "usual": usual,
        }.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.long), persistent=False)
        may_be_missing = torch.zeros(len(columns), dtype=torch.bool)
        may_be_missing[index] = torch.tensor(optional, dtype=torch.bool)
        self.register_buffer("may_be_missing", may_be_missing, persistent=False)
        gone = [math.log1p(-OUTSIDE) if isinstance(column, Quantity) else 0.0 for column in held]
        self.register_buffer("gone", torch.tensor(gone), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of rows (rows, columns of the table): symbols, the log of each cell's share of its symbol, and the log of
        what it has beside all symbols, each (rows, columns with symbols)."""
        cells = x.index_select(-1, self.index)
        missing = cells.isnan()
        filled = cells.masked_fill(missing, 0.0)
        bin, share_of_bin, beside = self.binned(filled.index_select(-1, self.quantities))
        code, share_of_code = self.rare(filled.index_select(-1, self.codes))
        symbol, share, beside = (
            torch.cat(pair, dim=-1).index_select(-1, self.order)
            for pair in ((bin, code), (share_of_bin, share_of_code), (beside, torch.full_like(share_of_code, NEVER)))
        )
        symbol, share = torch.where(missing, self.usual, symbol), torch.where(missing, self.gone, share)
        return symbol, share, beside.masked_fill(missing, NEVER)

    def scaled(self, x: Tensor) -> Tensor:
        """Scaled numbers of the columns with symbols, within the fitted range; NaN of codes and of missing cells."""
        numbers = x.index_select(-1, self.index).index_select(-1, self.quantities)
        y = self.binned.scaled_within(numbers)
        codes = y.new_full((*y.shape[:-1], len(self.codes)), torch.nan)
        return torch.cat([y, codes], dim=-1).index_select(-1, self.order)

    def log_prob(self, x: Tensor, symbol: Tensor, share: Tensor, beside: Tensor) -> Tensor:
        """Log-probabilities of symbols (..., rows, columns with symbols) → those of cells (..., rows, columns).

        A missing cell in a column that had none is no evidence.
        """
        cells = torch.logaddexp(symbol + share, beside)
        unheard = x.index_select(-1, self.index).isnan() & (self.missing < 0)
        return self.table(cells.masked_fill(unheard, 0.0), 0.0)

    def ranges(self, evidence: Evidence) -> dict[int, WithinRange]:
        """What is left of the columns with a range, by their place among those with symbols."""
        places = {int(self.index[place]): (number, int(place)) for number, place in enumerate(self.quantities)}
        return {
            place: self.binned.within(number, evidence.low[column], evidence.high[column])
            for column, (number, place) in places.items()
            if column in evidence.ranged
        }

    def draw(self, symbols: Tensor, randomness: Randomness) -> Tensor:
        """Rows (…, columns of the table), float64, drawn within their symbols."""
        gone = symbols == self.missing
        symbols = symbols.masked_fill(gone, 0)
        cells = torch.cat(
            [
                self.binned.draw(symbols.index_select(-1, self.quantities), randomness),
                self.rare.draw(symbols.index_select(-1, self.codes), randomness).double(),
            ],
            dim=-1,
        )
        return self.table(cells.index_select(-1, self.order).masked_fill(gone, torch.nan), torch.nan)

    def draw_number(
        self, column: int, symbols: Tensor, randomness: Randomness, within: WithinRange | None
    ) -> tuple[Tensor, Tensor] | None:
        """Cells (...) of one column, float64, drawn within their symbols and a range, and how far they lie from the
        symbols' means as scaled numbers, 0 where missing; None for a column of which each symbol is one thing."""
        number = self.wide.get(column)
        if number is None:
            return None
        gone = symbols == self.missing[column]
        symbols = symbols.masked_fill(gone, 0)
        cells = within.draw(symbols, randomness) if within else self.binned.draw(symbols, randomness, number)
        off = self.binned.scaled_within(cells, number) - self.binned.centres(number)[symbols]
        return cells.masked_fill(gone, torch.nan), off.masked_fill(gone, 0.0)

    def centres(self, column: int) -> Tensor:
        """What each symbol of a column counts for in its best single guess: scaled numbers; 0 for codes."""
        quantities = self.quantities.tolist()
        if column not in quantities:
            return torch.zeros(self.sizes[column])
        return nn.functional.pad(self.binned.centres(quantities.index(column)), (0, 1))[: self.sizes[column]]

    def places(self, column: int) -> Tensor:
        """Where each symbol of a column lies along it: scaled numbers, ranks in units of their spread; else 0."""
        held = self.held[column]
        if not (isinstance(held, CategoryColumn) and held.in_order):
            return self.centres(column)
        rank, share = np.argsort(held.by_rank), np.array(held.counts) / sum(held.counts)
        apart = rank - (share * rank).sum()
        scaled = torch.from_numpy(apart / np.sqrt((share * apart**2).sum())).float()
        return nn.functional.pad(scaled, (0, 1))[: self.sizes[column]]

    def expectation(self, column: int, shares: Tensor) -> Tensor:
        """What `Expectations` holds of a column whose symbols have these probabilities (rows, symbols)."""
        quantities = self.quantities.tolist()
        if column in quantities:
            means = self.binned.means(quantities.index(column))
            return shares[:, : len(means)] @ means.to(shares.dtype).unsqueeze(-1)
        observed = shares[:, : int(self.missing[column])] if self.missing[column] >= 0 else shares
        return observed[:, 1:] if column in self.booleans else observed

    def guess(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Expected scaled numbers and likeliest codes, (..., columns with symbols) each → rows."""
        numbers = self.binned.scaling.restore(numbers.index_select(-1, self.quantities))
        cells = torch.cat([numbers, codes.index_select(-1, self.codes).to(numbers.dtype)], dim=-1)
        return self.table(cells.index_select(-1, self.order), torch.nan)

    def table(self, cells: Tensor, empty: float) -> Tensor:
        """Columns with symbols → all columns of the table, (..., columns)."""
        return cells.new_full((*cells.shape[:-1], self.columns), empty).index_copy(-1, self.index, cells)


def _first_shares(columns: Sequence[Column], bins: dict[int, Bins], optional: Sequence[bool]) -> list[np.ndarray]:
    """How probable each symbol is before anything is learned: its share of the fitted rows. `optional` says which
    columns have a symbol for missing cells."""
    shares = []
    for place, column in enumerate(columns):
        if isinstance(column, Quantity):
            share = bins[place].shares()
        elif isinstance(column, CategoryColumn):
            last = column.modelled - 1
            counts = np.array([*column.counts[:last], sum(column.counts[last:])], np.float64)
            share = counts / counts.sum()
        else:
            share = np.full(2, 0.5)
        shares.append(np.append(share, FIRST_MISSING) if optional[place] else share)
    return shares
