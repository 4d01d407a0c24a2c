"""Columns are blamed for what they spoil."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from isthmus.explaining import excess_surprise

from .planted import table


class TestSurprise:
    @pytest.mark.parametrize(("column", "value"), [("height", 140.0), ("tall", None), ("income", 5_000.0)])
    def test_the_cell_that_contradicts_its_row_is_the_surprising_one(
        self,
        column: str,
        value: float | None,
        model: Any,
    ) -> None:
        rows = table()
        row = next(i for i, height in enumerate(rows["height"].to_pylist()) if height > 182)
        cells = rows[column].to_pylist()
        cells[row] = ("no" if cells[row] == "yes" else "yes") if value is None else value
        place = rows.column_names.index(column)
        spoiled = rows.set_column(place, column, pa.array(cells)).slice(row, 1)
        surprise = excess_surprise(model, model.domain_.tensors(spoiled))
        assert surprise[0].argmax() == place

    def test_a_row_counts_alone_and_missing_cells_are_no_surprise(self, model: Any) -> None:
        x = model.domain_.tensors(table().slice(0, 6))
        x[2, 0] = torch.nan
        whole = excess_surprise(model, x)
        parts = [excess_surprise(model, x[rows]) for rows in (slice(0, 1), slice(1, 6))]
        assert np.array_equal(whole, np.concatenate(parts))
        assert whole[2, 0] == 0
