"""Cells of tables as plain values: as bytes for digests, compared one by one, and put back where a tensor lost them."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.errors import DataError
from ...domains.table.arrow_types import is_text, plain, value_type
from ...domains.table.columns import Column
from ...domains.table.times import integer_of, is_time


def settled(column: Column, cells: pa.Array) -> pa.Array:
    """Cells without dictionary, in the type of the column's values. Raises DataError where that would change any."""
    cells = plain(cells)
    wanted = plain(pa.array([], value_type(column.type))).type
    if cells.type == wanted:
        return cells
    if cells.null_count == len(cells):
        return pa.nulls(len(cells), wanted)
    try:
        own = cells.cast(wanted)
        unchanged = own.cast(cells.type).equals(cells)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        unchanged = False
    if not unchanged:
        raise DataError(
            f"column '{column.name}' holds {cells.type}, but the model was fitted to {column.type}; convert it"
        )
    return own


def parts(cells: pa.Array) -> tuple[np.ndarray, np.ndarray | pa.Array]:
    """Settled cells as what is observed, boolean (n,), and plain values: integers, the bits of floats, or Arrow text.
    A missing cell has the value 0 or no text."""
    observed = cells.is_valid().to_numpy(zero_copy_only=False)
    type_ = cells.type
    if pa.types.is_null(type_):
        return observed, np.zeros(len(cells), np.uint8)
    if pa.types.is_decimal(type_):
        cells = cells.cast(pa.string()).cast(pa.large_string())
    if is_text(cells.type):
        return observed, cells.fill_null("")
    if pa.types.is_boolean(type_):
        return observed, cells.fill_null(False).cast(pa.uint8()).to_numpy(zero_copy_only=False)
    if is_time(type_):
        cells = cells.cast(integer_of(type_))
    if pa.types.is_floating(type_):
        values = np.ascontiguousarray(cells.to_numpy(zero_copy_only=False)).astype(type_.to_pandas_dtype())
        return observed, np.where(observed, values.view(f"u{values.dtype.itemsize}"), 0)
    return observed, cells.fill_null(0).to_numpy(zero_copy_only=False)


def as_bytes(cells: pa.Array) -> bytes:
    """Settled cells as bytes: which are observed, then the values in little-endian order, text with its lengths."""
    observed, values = parts(cells)
    mask = np.packbits(observed).tobytes()
    if isinstance(values, np.ndarray):
        return mask + values.astype(values.dtype.newbyteorder("<")).tobytes()
    texts = [text.encode("utf-8") for text in values.to_pylist()]
    return mask + np.array([len(text) for text in texts], "<u8").tobytes() + b"".join(texts)


def different(first: pa.Array, second: pa.Array) -> np.ndarray:
    """The places at which settled cells differ."""
    (seen, values), (others_seen, others) = parts(first), parts(second)
    if isinstance(values, np.ndarray):
        unlike = values != others
    else:
        unlike = pc.call_function("not_equal", [values, others]).to_numpy(zero_copy_only=False)
    return np.flatnonzero((seen != others_seen) | unlike)


def listed(cells: pa.Array, places: np.ndarray) -> list[Any]:
    """Settled cells at these places as JSON: text, whole numbers, None where missing."""
    observed, values = parts(cells.take(pa.array(places)))
    plain_values = values.tolist() if isinstance(values, np.ndarray) else values.to_pylist()
    return [value if seen else None for seen, value in zip(observed.tolist(), plain_values, strict=True)]


def mended(column: Column, cells: pa.Array, places: np.ndarray, values: list[Any]) -> pa.Array:
    """Cells of the column's own type with these values (as `listed` gave them) at these places."""
    own = plain(pa.array([], value_type(column.type))).type
    new = _unlisted(values, own)
    mask = np.zeros(len(cells), bool)
    mask[places] = True
    whole = pc.call_function("replace_with_mask", [plain(cells), pa.array(mask), new])
    if not pa.types.is_dictionary(column.type):
        return whole.cast(column.type)
    dictionary = plain(cells.dictionary)
    unseen = whole.drop_null().unique()
    known = pc.call_function("is_in", [unseen], pc.SetLookupOptions(dictionary))
    unseen = unseen.filter(pc.call_function("invert", [known]))
    dictionary = pa.concat_arrays([dictionary, unseen])
    index = pc.call_function("index_in", [whole], pc.SetLookupOptions(dictionary)).cast(column.type.index_type)
    return pa.DictionaryArray.from_arrays(index, dictionary.cast(value_type(column.type)), ordered=column.type.ordered)


def _unlisted(values: list[Any], own: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(own):
        return pa.array(values, pa.string()).cast(own)
    if is_text(own):
        return pa.array(values, own)
    if pa.types.is_floating(own):
        size = np.dtype(own.to_pandas_dtype()).itemsize
        bits = np.array([value or 0 for value in values], f"u{size}")
        return pa.array(bits.view(f"f{size}"), own, mask=np.array([value is None for value in values]))
    if pa.types.is_boolean(own):
        return pa.array([None if value is None else bool(value) for value in values], own)
    return pa.array(values, integer_of(own)).cast(own) if is_time(own) else pa.array(values, own)
