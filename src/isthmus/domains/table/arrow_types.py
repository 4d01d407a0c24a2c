"""Arrow types as JSON and back, from a closed list."""

from typing import Any

import pyarrow as pa

from ...core.errors import DataError

SIMPLE_TYPES: dict[str, pa.DataType] = {
    str(type_): type_
    for type_ in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string(), pa.string_view()),
        *(pa.date32(), pa.date64(), pa.null()),
    )
}


def type_to_json(name: str, type_: pa.DataType) -> dict[str, Any]:
    """A column's type as JSON; raises DataError for types no column of a table can have (lists, structs, bytes)."""
    if pa.types.is_dictionary(type_):
        own = type_.value_type
        if not (is_text(own) or pa.types.is_boolean(own) or pa.types.is_integer(own) or pa.types.is_floating(own)):
            raise DataError(f"column '{name}' holds categories of {own}; turn them into text, numbers or plain cells")
        return {"dictionary": type_to_json(name, own), "index": str(type_.index_type), "ordered": type_.ordered}
    if pa.types.is_timestamp(type_):
        return {"timestamp": type_.unit, "zone": type_.tz}
    if pa.types.is_duration(type_) or pa.types.is_time(type_):
        return {"duration" if pa.types.is_duration(type_) else "time": type_.unit}
    if pa.types.is_decimal128(type_):
        return {"decimal": [type_.precision, type_.scale]}
    if str(type_) not in SIMPLE_TYPES:
        raise DataError(
            f"column '{name}' holds {type_}, which is not a kind of cell that can be modelled; leave it out"
        )
    return {"simple": str(type_)}


def type_from_json(stored: dict[str, Any]) -> pa.DataType:
    """The type that `type_to_json` described."""
    if "dictionary" in stored:
        index = SIMPLE_TYPES[stored["index"]]
        return pa.dictionary(index, type_from_json(stored["dictionary"]), ordered=bool(stored["ordered"]))
    if "timestamp" in stored:
        return pa.timestamp(stored["timestamp"], stored["zone"])
    if "duration" in stored:
        return pa.duration(stored["duration"])
    if "time" in stored:
        return pa.time32(stored["time"]) if stored["time"] in ("s", "ms") else pa.time64(stored["time"])
    if "decimal" in stored:
        return pa.decimal128(*stored["decimal"])
    return SIMPLE_TYPES[stored["simple"]]


def value_type(type_: pa.DataType) -> pa.DataType:
    """The type of a category's values."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def is_number(type_: pa.DataType) -> bool:
    return pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def plain(cells: pa.Array) -> pa.Array:
    """Cells without dictionary, text as large_string (the one text type that all of Arrow's functions take), NaN as
    missing."""
    if isinstance(cells, pa.DictionaryArray):
        cells = cells.dictionary_decode()
    if is_text(cells.type):
        return cells.cast(pa.large_string())
    if pa.types.is_floating(cells.type):
        return pa.array(cells.to_numpy(zero_copy_only=False), type=cells.type, from_pandas=True)
    return cells


# What cells of a type are called, by the first test that holds.
_WORDS = (
    (pa.types.is_boolean, "true and false"),
    (pa.types.is_integer, "whole numbers"),
    (is_number, "numbers"),
    (is_text, "text"),
    (pa.types.is_date, "dates"),
    (pa.types.is_timestamp, "dates and times"),
    (pa.types.is_time, "times of day"),
    (pa.types.is_duration, "durations"),
)


def in_words(type_: pa.DataType) -> str:
    """What cells of this type are called in a message."""
    own = value_type(type_)
    return next((words for holds, words in _WORDS if holds(own)), str(own))
