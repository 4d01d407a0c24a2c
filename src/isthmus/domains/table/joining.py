"""Tables of the same columns put together, though each may spell its cells in types of its own."""

from collections.abc import Mapping

import pyarrow as pa

from ...core.errors import DataError
from .arrow_types import is_number, is_text, plain
from .frames import combined
from .times import is_time


def joined(tables: Mapping[str, pa.Table]) -> pa.Table:
    """The rows of some named tables, one after another, each column in one type that holds the cells of all.

    Columns are those of the first table, in its order; text is categories. Raises DataError, naming the table and the
    column, where one is missing or there besides, or where cells cannot stand in one column.
    """
    first, *others = tables
    names = tables[first].column_names
    for other in others:
        _check_columns(first, names, other, tables[other].column_names)
    columns = []
    for name in names:
        cells = {table: combined(tables[table].column(name)) for table in tables}
        columns.append(pa.chunked_array(_in_one_type(name, cells)))
    return pa.table(columns, names=names).unify_dictionaries()


def _check_columns(first: str, names: list[str], other: str, others: list[str]) -> None:
    for name in names:
        if name not in others:
            raise DataError(f"{other}: column '{name}' is missing, which {first} have; give it, or drop it there")
    for name in others:
        if name not in names:
            raise DataError(f"{other}: have a column '{name}', which {first} lack; drop it")


def _in_one_type(name: str, cells: Mapping[str, pa.Array]) -> list[pa.Array]:
    plains = {table: plain(column) for table, column in cells.items()}
    observed = {table: column.type for table, column in plains.items() if column.null_count < len(column)}
    if not observed:
        return [pa.nulls(len(column)) for column in plains.values()]
    type_ = _one_type(name, observed)
    whole = [
        column.cast(type_, safe=False) if table in observed else pa.nulls(len(column), type_)
        for table, column in plains.items()
    ]
    is_category = is_text(type_) or any(pa.types.is_dictionary(column.type) for column in cells.values())
    return [column.dictionary_encode() for column in whole] if is_category else whole


def _one_type(name: str, types: Mapping[str, pa.DataType]) -> pa.DataType:
    """The type that holds cells of all these, by the table they are in."""
    first, *others = types
    for other in others:
        sorts = [_sort(types[table]) for table in (first, other)]
        if sorts[0] != sorts[1]:
            raise DataError(
                f"column '{name}' holds {sorts[0]} in {first} and {sorts[1]} in {other}; give the same kind in both"
            )
    distinct, type_ = set(types.values()), types[first]
    if len(distinct) == 1:
        return type_
    if is_number(type_):
        return pa.float64()
    if pa.types.is_duration(type_):
        return pa.duration("us")
    if pa.types.is_time(type_):
        return pa.time64("us")
    return pa.timestamp("us", next((own.tz for own in distinct if pa.types.is_timestamp(own)), None))


def _sort(type_: pa.DataType) -> str:
    """What cells are, in words; cells of one sort can stand in one column."""
    if is_number(type_):
        return "numbers"
    if is_text(type_):
        return "text"
    if pa.types.is_boolean(type_):
        return "true and false"
    if pa.types.is_duration(type_):
        return "durations"
    if pa.types.is_time(type_):
        return "times of day"
    if is_time(type_):
        zoned = pa.types.is_timestamp(type_) and type_.tz is not None
        return "dates with a time zone" if zoned else "dates"
    return f"cells of {type_}"
