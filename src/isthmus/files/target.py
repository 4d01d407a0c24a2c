"""Takes the target, and other columns, out of the rows."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.errors import DataError
from ..core.parts import Parts
from .source import Source


def labelled(source: Source, target: str) -> tuple[Any, np.ndarray]:
    """The rows without the target, and the target's values, shape (n,).

    In a table the target is a column; beside an array it is one of `source.labels`. Missing cells are None, or NaN
    among numbers. Raises DataError, naming what there is, if there is no such target or nothing would be left.
    """
    if not isinstance(source.rows, pa.Table):
        return source.rows, _label(source, target)
    rows = drop(source, [target]).rows
    column = source.rows.column(target)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return rows, column.to_numpy()


def drop(source: Source, columns: Iterable[str]) -> Source:
    """The source without these columns of its table; raises DataError for a column that it lacks."""
    unwanted = list(dict.fromkeys(columns))
    if not unwanted:
        return source
    if isinstance(source.rows, Parts):
        for name in unwanted:
            source = _drop_of_a_part(source, name)
        return source
    if not isinstance(source.rows, pa.Table):
        raise DataError(f"{source.name}: an array has no columns by name, so {unwanted[0]!r} cannot be taken out of it")
    for name in unwanted:
        if name not in source.rows.column_names:
            raise DataError(f"{source.name}: has no column {name!r}; it has {_listed(source.rows.column_names)}")
    if len(unwanted) == source.rows.num_columns:
        raise DataError(f"{source.name}: without {_listed(unwanted)} no column is left; keep at least one")
    return replace(source, rows=source.rows.drop_columns(unwanted))


def _drop_of_a_part(source: Source, column: str) -> Source:
    """Without a column of the one part that has it, and without that part if nothing else is in it."""
    for name, rows in source.rows.items():
        if isinstance(rows, pa.Table) and column in rows.column_names:
            others = {key: part for key, part in source.rows.items() if key != name}
            rest = rows.drop_columns([column])
            return replace(source, rows=Parts(others | ({name: rest} if rest.num_columns else {})))
    raise DataError(f"{source.name}: no part has a column {column!r}")


def _label(source: Source, target: str) -> np.ndarray:
    if target not in source.labels:
        there = f"it has {_listed(source.labels)}" if source.labels else "it has none"
        raise DataError(f"{source.name}: no labels are called {target!r}; {there}")
    return source.labels[target]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
