"""What texts come as, and what they must be: strings, each of them whole."""

from typing import Any

import narwhals as nw
import numpy as np

from ...core.errors import DataError
from ...core.rows import one_by_one

# How much of a text a message shows.
MOST_SHOWN = 40


def is_text(rows: Any) -> bool:
    """Whether these are texts, one string each: a list or tuple, an array, or a series that holds a string."""
    if isinstance(rows, np.ndarray):
        return rows.ndim == 1 and (rows.dtype.kind == "U" or (rows.dtype == object and _any_string(rows)))
    if isinstance(rows, list | tuple):
        return _any_string(rows)
    series = _series(rows)
    return series is not None and _any_string(series.to_list())


def indexed(rows: Any) -> Any:
    """Texts as an array of Python's strings, of which some can be picked."""
    return one_by_one(_values(rows))


def checked(rows: Any) -> list[str]:
    """The texts. Raises DataError, naming the text, for whatever is no whole string."""
    texts = _values(rows)
    if not texts:
        raise DataError("there are no texts (0 samples); give at least one")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(_no_text(place, text))
        if not text.isascii():
            _check_whole(place, text)
    return [str(text) for text in texts]  # strings of NumPy's are Python's with another name


def _values(rows: Any) -> list[Any]:
    if isinstance(rows, np.ndarray):
        return rows.tolist()
    return list(rows) if isinstance(rows, list | tuple) else _series(rows).to_list()


def _series(rows: Any) -> Any:
    """A narwhals series, if these are one of pandas, polars or another library that holds rows in memory."""
    try:
        return nw.from_native(rows, series_only=True, eager_only=True)
    except TypeError:
        return None


def _any_string(values: Any) -> bool:
    return any(isinstance(value, str) for value in values)


def _no_text(place: int, value: Any) -> str:
    gone = value is None or type(value).__name__ == "NAType"
    if gone or (isinstance(value, float | np.floating) and np.isnan(value)):
        return f"text {place}: is missing; leave it out, or write '' where a text is known to be empty"
    if isinstance(value, bytes):
        return f"text {place}: is bytes, not text; decode it, for example with .decode('utf-8')"
    shown = " ".join(repr(value)[:MOST_SHOWN].split())
    return f"text {place}: {shown} is of type {type(value).__name__}, among texts; mend it or leave it out"


def _check_whole(place: int, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as failure:
        raise DataError(
            f"text {place}, character {failure.start}: {text[failure.start]!r} is half of a pair of surrogates, which "
            "stands for no character; read the text anew with its own encoding"
        ) from None
