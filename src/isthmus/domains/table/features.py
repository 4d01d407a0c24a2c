"""What networks see of a table."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from .calendar import VALUES
from .columns import BooleanColumn, CategoryColumn, Column, DateColumn, Quantity
from .ranks import Ranks
from .scaling import Scale, Scaling


class TableFeatures(nn.Module):
    """Tensors (rows, columns) → features (rows, count): scaled quantities and booleans, marks of missing cells, one-hot
    categories, and one-hot calendar parts of dates.

    Of ordered categories each feature says whether the cell's rank is at least so high. Missing cells are 0, the mean
    of a quantity, and no category at all. A quantity far beyond the fitted range looks like its edge, so that no
    network meets numbers it cannot bear; the likelihood tells how far beyond it is.
    """

    numeric_index: Tensor
    marked: Tensor
    lowest: Tensor
    highest: Tensor
    slot_column: Tensor
    slot_code: Tensor
    slot_last: Tensor

    def __init__(self, columns: Sequence[Column], mark_all: bool = False):
        """With `mark_all`, missing cells are marked in columns that had none when fitted, too."""
        super().__init__()
        numeric = [i for i, column in enumerate(columns) if isinstance(column, Quantity | BooleanColumn)]
        marked = [place for place, i in enumerate(numeric) if mark_all or columns[i].has_missing]
        # A slot is one place in the one-hot code: the column it belongs to, its code, and the last code of that column.
        slots = [
            (i, code, column.modelled - 1)
            for i, column in enumerate(columns)
            if isinstance(column, CategoryColumn)
            for code in range(column.modelled)
        ]
        self.scaling = Scaling(
            [column.scale if isinstance(column, Quantity) else Scale() for column in (columns[i] for i in numeric)],
            [column.step if isinstance(column, Quantity) else 1.0 for column in (columns[i] for i in numeric)],
        )
        lowest, highest = self._edges([columns[i] for i in numeric])
        for name, values in {
            "numeric_index": torch.tensor(numeric, dtype=torch.long),
            "marked": torch.tensor(marked, dtype=torch.long),
            "lowest": lowest,
            "highest": highest,
            "slot_column": torch.tensor([slot[0] for slot in slots], dtype=torch.long),
            "slot_code": torch.tensor([slot[1] for slot in slots], dtype=torch.long),
            "slot_last": torch.tensor([slot[2] for slot in slots], dtype=torch.long),
        }.items():
            self.register_buffer(name, values, persistent=False)
        self.ranks = Ranks([column for column in columns if isinstance(column, CategoryColumn)], falling=True)
        self.dates = {i: column for i, column in enumerate(columns) if isinstance(column, DateColumn)}
        parts = [i for i, date in self.dates.items() for name in date.calendar for _ in range(VALUES[name])]
        self.count = len(numeric) + len(marked) + len(slots) + len(parts)
        owners = [*numeric, *(numeric[place] for place in marked), *(slot[0] for slot in slots), *parts]
        self.of_columns = _by_owner(owners)  # the features of each column that has any, in the table's order
        self.column_count = len(columns)

    def _edges(self, numeric: Sequence[Column]) -> tuple[Tensor, Tensor]:
        """Where scaled quantities end for networks: the fitted range, and as much again on both sides."""
        ends = [(column.low, column.high) if isinstance(column, Quantity) else (0.0, 1.0) for column in numeric]
        low, high = (
            (self.scaling(torch.tensor(end, dtype=torch.float64)) for end in zip(*ends, strict=True))
            if ends
            else (
                torch.zeros(0),
                torch.zeros(0),
            )
        )
        margin = (high - low).clamp(min=1.0)
        return (low - margin).float(), (high + margin).float()

    def forward(self, x: Tensor) -> Tensor:
        numeric = x.index_select(-1, self.numeric_index)
        scaled = self.scaling(numeric).clamp(self.lowest, self.highest).nan_to_num(0.0)
        marks = numeric.index_select(-1, self.marked).isnan().to(x.dtype)
        # Rare categories share the last slot. NaN equals nothing: a missing category is all zeros.
        codes = torch.minimum(x.index_select(-1, self.slot_column), self.slot_last.to(x.dtype))
        one_hot = self.ranks.sums((codes == self.slot_code).to(x.dtype))
        return torch.cat([scaled, marks, one_hot, *self._calendar(x)], dim=-1)

    def _calendar(self, x: Tensor) -> Iterator[Tensor]:
        for i, date in self.dates.items():
            if date.calendar:
                counts = x[..., i].double() * 2.0**date.exponent
                for values, size in date.calendar_parts(counts):
                    yield (values.unsqueeze(-1) == torch.arange(size, device=x.device)).to(x.dtype)

    def inverse(self, features: Tensor) -> Tensor:
        """Features → the nearest row without missing cells, shape (rows, columns); rare categories become the commonest
        of them, empty columns stay empty."""
        x = features.new_full((len(features), self.column_count), torch.nan)
        numeric = len(self.numeric_index)
        x[:, self.numeric_index] = self.scaling.restore(features[:, :numeric])
        one_hot = features[:, numeric + len(self.marked) :][:, : len(self.slot_code)]
        one_hot = self.ranks.differences(one_hot)
        for column in self.slot_column.unique():
            x[:, column] = one_hot[:, self.slot_column == column].argmax(1).to(x.dtype)
        return x


def _by_owner(owners: Sequence[int]) -> list[list[int]]:
    """The places of each owner, in the owners' order."""
    places: dict[int, list[int]] = {}
    for place, owner in enumerate(owners):
        places.setdefault(owner, []).append(place)
    return [places[owner] for owner in sorted(places)]
